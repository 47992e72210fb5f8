"""The trained model as bytes: integer layers, code book and frequency tables; no pickle, no names.

Sizes come from the plan in the header; the bytes are the arrays one after the other, in the order of
`_layers`, little-endian. `docs/format.md` specifies them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import ans
from .codes import CodeBook
from .errors import CorruptFile
from .integer import IntegerDecoder, Linear
from .residual import CONTEXTS_WHOLE, LEVELS, TABLE_LEVELS, TableCounts, tables_from_bytes

MAX_WEIGHTS = 1 << 26


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model, as the plan states them."""

    features: int
    width: int
    hidden: int
    scale_hidden: int
    whole: bool  # values are whole numbers: contexts include the fraction of the prediction

    @property
    def contexts(self) -> int:
        """Number of frequency tables of the residual."""
        return CONTEXTS_WHOLE if self.whole else TABLE_LEVELS

    def layers(self) -> list[tuple[int, int]]:
        """Return (outputs, inputs) of first, second, mean, skip, scale."""
        return [
            (self.hidden, self.width),
            (self.hidden, self.hidden),
            (self.features, self.hidden),
            (self.features, self.width),
            (self.features, self.scale_hidden),
        ]

    def check(self) -> None:
        """Check that the sizes are possible.

        Raises
        ------
        CorruptFile
            If they are not.
        """
        good = 0 < self.features < 2**24 and 0 <= self.width < 256 and 0 < self.hidden <= 4096
        if not good or not 0 <= self.scale_hidden <= self.hidden:
            raise CorruptFile("the sizes of the model are impossible: the file is damaged")
        if sum(a * b for a, b in self.layers()) > MAX_WEIGHTS:
            raise CorruptFile("the model is larger than any aezip writes: the file is damaged")


@dataclass(frozen=True)
class Model:
    """All that decoding needs beside the chunks' streams."""

    decoder: IntegerDecoder
    book: CodeBook
    code_tables: ans.Tables
    residual_tables: ans.Tables


def _split_bytes(value: npt.NDArray[np.signedinteger]) -> bytes:
    """Return the bytes of integers by significance: equal high bytes compress."""
    little = np.ascontiguousarray(value.astype(value.dtype.newbyteorder("<")))
    return little.view(np.uint8).reshape(-1, little.itemsize).T.tobytes()


def to_bytes(
    decoder: IntegerDecoder, book: CodeBook, code_counts: TableCounts, residual_counts: TableCounts
) -> bytes:
    """Serialize a model; see `docs/format.md`."""
    layers = [decoder.first, decoder.second, decoder.mean, decoder.skip, decoder.scale]
    parts = [layer.weight.tobytes() for layer in layers]
    parts += [layer.exponent.tobytes() for layer in layers]
    parts += [_split_bytes(layer.bias) for layer in layers]
    parts += [_split_bytes(decoder.offset), _split_bytes(decoder.code_top.astype(np.int64))]
    parts += [book.to_bytes(), code_counts.to_bytes(), residual_counts.to_bytes()]
    return b"".join(parts)


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise CorruptFile("the model is cut short: the file is damaged")
        self.at += size
        return self.data[self.at - size : self.at]

    def int8(self, *shape: int) -> npt.NDArray[np.int8]:
        return np.frombuffer(self.take(int(np.prod(shape))), np.int8).reshape(shape)

    def wide(self, count: int, kind: str) -> npt.NDArray[np.signedinteger]:
        size = np.dtype(kind).itemsize
        planes = np.frombuffer(self.take(count * size), np.uint8).reshape(size, count)
        return np.ascontiguousarray(planes.T).view(kind).reshape(count).astype(kind[1:])


def from_bytes(data: bytes, sizes: Sizes, axes: int) -> Model:
    """Read a model of the sizes given, for arrays of `axes` axes.

    Raises
    ------
    CorruptFile
        If the bytes do not fit the sizes, or the network is not exact.
    """
    sizes.check()
    cursor = _Cursor(data)
    shapes = sizes.layers()
    weights = [cursor.int8(*shape) for shape in shapes]
    exponents = [cursor.int8(shape[0]) for shape in shapes]
    biases = [cursor.wide(shape[0], "<i4") for shape in shapes]
    layers = [
        Linear(w, e, b.astype(np.int32)) for w, e, b in zip(weights, exponents, biases, strict=True)
    ]
    offset = cursor.wide(sizes.features, "<i8").astype(np.int64)
    top = cursor.wide(sizes.width, "<i8").astype(np.int64)
    if (top > 2**22).any():
        raise CorruptFile("the model's codes are out of range: the file is damaged")
    decoder = IntegerDecoder(*layers, offset=offset, code_top=top, levels=LEVELS)
    book = CodeBook.from_bytes(cursor.take(2 * sizes.width), sizes.width, axes)
    code_tables, used = tables_from_bytes(data[cursor.at :], max(1, sizes.width))
    cursor.at += used
    residual_tables, used = tables_from_bytes(data[cursor.at :], sizes.contexts)
    if cursor.at + used != len(data):
        raise CorruptFile("the model has bytes left over: the file is damaged")
    return Model(decoder, book, code_tables, residual_tables)
