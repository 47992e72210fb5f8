"""The trained model as bytes: integer layers, code book and frequency tables; no pickle, no names.

Sizes come from the plan in the header; the bytes are the arrays one after the other, in the order of
`_layers`, little-endian. `docs/format.md` specifies them.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import FLAG_BINS, LEVELS
from aezip.core.planes import Cursor, split_bytes
from aezip.entropy import ans
from aezip.entropy.codebook import ACTIVITIES, CodeBook
from aezip.entropy.residual import CONTEXTS_WHOLE, TABLE_LEVELS, TableCounts, tables_from_bytes
from aezip.plans.integer import IntegerLayer

from .decoder import IntegerDecoder

MAX_WEIGHTS = 1 << 26
MAX_FEATURES = 1 << 16
MAX_GROUPS = 1 << 12
CODE_EXPONENT = 3  # the network sees code / 2**3
NARROW_BITS = 8  # bits after the point of the inputs that hidden units see
NARROW_TOP = 1 << 15  # such an input is clipped at 128
WIDE_BITS = 12  # inputs of the linear part are clipped at 2**12
MAX_TOP = 30  # most bits after the point of those


@dataclass(frozen=True)
class Sizes:
    """Sizes of a model, as the plan states them.

    Parameters
    ----------
    groups
        Features predicted together, group after group; each sees the values of all groups before it.
    width
        Of the bottleneck; 0: no codes.
    hidden, scale_hidden
        Hidden units of each group's network, and how many of them the scale sees.
    whole
        Values are whole numbers.
    by_feature
        Each feature has frequency tables of its own.
    spiked
        Features may have a spike: one whole number that many of their values are, told by flags. One group only.
    axes
        Axes along which the codes of the blocks before and after are seen too: a convolution, of one group only.
    networks
        Groups that have a network, rising; None: all.
    """

    groups: tuple[tuple[int, ...], ...]
    width: int
    hidden: int
    scale_hidden: int
    whole: bool
    by_feature: bool = False
    spiked: bool = False
    axes: tuple[int, ...] = ()
    networks: tuple[int, ...] | None = None

    @property
    def networked(self) -> tuple[int, ...]:
        """Groups that have a network."""
        return tuple(range(len(self.groups))) if self.networks is None else self.networks

    @property
    def weights(self) -> int:
        """Number of weights."""
        return sum(a * b for group in self.networked for a, b in self.layers(group))

    @property
    def features(self) -> int:
        """Values of a row."""
        return sum(map(len, self.groups))

    @property
    def contexts(self) -> int:
        """Number of frequency tables of the residual."""
        if self.by_feature:
            return TABLE_LEVELS * self.features
        return CONTEXTS_WHOLE + FLAG_BINS * self.spiked if self.whole else TABLE_LEVELS

    @property
    def code_tables(self) -> int:
        """Number of frequency tables of the codes."""
        return max(1, self.width) * (ACTIVITIES if self.axes else 1)

    def inputs(self, group: int) -> int:
        """Return how many inputs the network of a group has: codes and earlier features."""
        return self.width * self.near + self._before[group]

    @property
    def near(self) -> int:
        """Blocks whose codes a network sees, and whose values the encoder sees."""
        return int(3 ** len(self.axes))

    @cached_property
    def _before(self) -> list[int]:
        return [0, *itertools.accumulate(map(len, self.groups))]

    def layers(self, group: int) -> list[tuple[int, int]]:
        """Return (outputs, inputs) of first, second, mean, skip, scale and, with spikes, flag."""
        inputs, features = self.inputs(group), len(self.groups[group])
        flag = [(features, self.scale_hidden)] if self.spiked else []
        return [
            (self.hidden, inputs),
            (self.hidden, self.hidden),
            (features, self.hidden),
            (features, inputs),
            (features, self.scale_hidden),
            *flag,
        ]

    def check(self) -> None:
        """Check that the sizes are possible.

        Raises
        ------
        CorruptFile
            If they are not.
        """
        if len(self.groups) > MAX_GROUPS:
            raise CorruptFile("the model has more groups than any aezip writes: the file is damaged")
        good = 0 < self.features <= MAX_FEATURES and 0 <= self.width < 256 and 0 < self.hidden <= 4096
        if not good or not 0 <= self.scale_hidden <= self.hidden or self.contexts > 65536:
            raise CorruptFile("the sizes of the model are impossible: the file is damaged")
        if self.spiked and (len(self.groups) > 1 or not self.whole or self.by_feature):
            raise CorruptFile("the sizes of the model are impossible: the file is damaged")
        if self.axes and (len(self.groups) > 1 or not self.width):
            raise CorruptFile("the sizes of the model are impossible: the file is damaged")
        if sorted(f for g in self.groups for f in g) != list(range(self.features)):
            raise CorruptFile("the groups of features are impossible: the file is damaged")
        if self.weights > MAX_WEIGHTS:
            raise CorruptFile("the model is larger than any aezip writes: the file is damaged")


@dataclass(frozen=True)
class Norm:
    """How decoded values become inputs of the networks.

    Parameters
    ----------
    centre
        int64, shape (features,), in 1/64 step: subtracted.
    exponent
        int64, shape (features,): a value in 1/64 step times 2**-exponent is about one.
    top
        Inputs are held with so many bits after the point.
    """

    centre: npt.NDArray[np.int64]
    exponent: npt.NDArray[np.int64]
    top: int

    def inputs(self, value: npt.NDArray[np.int64], features: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the wide inputs of values in 1/64 step, shape (rows, len(features))."""
        left = value - self.centre[features]
        shift = self.top - self.exponent[features]
        out: npt.NDArray[np.int64] = np.where(shift >= 0, left << shift.clip(0), left >> (-shift).clip(0))
        return out

    def codes(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the wide inputs of codes."""
        return np.asarray(codes << (self.top - CODE_EXPONENT), np.int64)


@dataclass(frozen=True)
class Spikes:
    """For each feature the whole number that many of its values are.

    Parameters
    ----------
    has
        bool, shape (features,): which features have one.
    value
        int64, the same shape; 0 where there is none.
    """

    has: npt.NDArray[np.bool_]
    value: npt.NDArray[np.int64]

    def hits(self, whole: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which values, (rows, features), are their feature's spike."""
        return np.asarray((whole == self.value) & self.has)

    def to_bytes(self) -> bytes:
        """Return a bit for each feature, most significant first, then the values there are, by significance."""
        return np.packbits(self.has).tobytes() + split_bytes(self.value[self.has])


@dataclass(frozen=True)
class Networks:
    """All that decoding needs beside the chunks' streams."""

    decoders: list[IntegerDecoder]
    norm: Norm
    book: CodeBook
    code_tables: ans.Tables
    residual_tables: ans.Tables
    spikes: Spikes | None = None

    @property
    def below(self) -> Networks | None:
        """Where the codes come from: this model."""
        return self


def to_bytes(
    sizes: Sizes,
    decoders: list[IntegerDecoder],
    norm: Norm,
    book: CodeBook,
    code_counts: TableCounts,
    residual_counts: TableCounts,
    spikes: Spikes | None = None,
) -> bytes:
    """Serialize a model; see `docs/format.md`."""
    parts = [bytes([norm.top])]
    if len(sizes.groups) > 1:
        parts += [norm.exponent.astype(np.int8).tobytes(), split_bytes(norm.centre)]
    layers = [d.layers for d in decoders]
    parts += [layer.weight.tobytes() for group in layers for layer in group]
    parts += [layer.exponent.tobytes() for group in layers for layer in group]
    parts += [split_bytes(layer.bias) for group in layers for layer in group]
    parts += [split_bytes(decoder.offset) for decoder in decoders]
    parts += [] if spikes is None else [spikes.to_bytes()]
    parts += [book.to_bytes(), code_counts.to_bytes(), residual_counts.to_bytes()]
    return b"".join(parts)


def from_bytes(data: bytes, sizes: Sizes, axes: int) -> Networks:
    """Read a model of the sizes given, for arrays of `axes` axes.

    Raises
    ------
    CorruptFile
        If the bytes do not fit the sizes, or the network is not exact.
    """
    sizes.check()
    cursor = Cursor(data)
    norm = _read_norm(cursor, sizes)
    count = sizes.networked
    weights = [[cursor.int8(*shape) for shape in sizes.layers(g)] for g in count]
    exponents = [[cursor.int8(shape[0]) for shape in sizes.layers(g)] for g in count]
    biases = [[cursor.wide(shape[0], "<i4").astype(np.int32) for shape in sizes.layers(g)] for g in count]
    offsets = [cursor.wide(len(sizes.groups[g]), "<i8").astype(np.int64) for g in count]
    decoders = []
    for group, offset in zip(zip(weights, exponents, biases, strict=True), offsets, strict=True):
        first, second, mean, skip, scale, *flag = (IntegerLayer(*layer) for layer in zip(*group, strict=True))
        tops = NARROW_TOP, 1 << (norm.top + WIDE_BITS), LEVELS
        decoders.append(IntegerDecoder(first, second, mean, skip, scale, offset, *tops, *flag))
    spikes = _read_spikes(cursor, sizes.features) if sizes.spiked else None
    book = CodeBook.from_bytes(cursor.take(2 * sizes.width), sizes.width, axes, sizes.axes)
    code_tables, used = tables_from_bytes(data[cursor.at :], sizes.code_tables)
    cursor.at += used
    residual_tables, used = tables_from_bytes(data[cursor.at :], sizes.contexts)
    if cursor.at + used != len(data):
        raise CorruptFile("the model has bytes left over: the file is damaged")
    return Networks(decoders, norm, book, code_tables, residual_tables, spikes)


def _read_spikes(cursor: Cursor, features: int) -> Spikes:
    has = np.unpackbits(np.frombuffer(cursor.take(-(-features // 8)), np.uint8), count=features).astype(np.bool_)
    value = np.zeros(features, np.int64)
    value[has] = cursor.wide(int(has.sum()), "<i8")
    if (np.abs(value) >= 1 << 56).any():
        raise CorruptFile("the model's spikes are out of range: the file is damaged")
    return Spikes(has, value)


def _read_norm(cursor: Cursor, sizes: Sizes) -> Norm:
    top = cursor.take(1)[0]
    if not NARROW_BITS <= top <= MAX_TOP:
        raise CorruptFile("the model's inputs are out of range: the file is damaged")
    if len(sizes.groups) == 1:
        zero = np.zeros(sizes.features, np.int64)
        return Norm(zero, zero, top)
    exponent = cursor.int8(sizes.features).astype(np.int64)
    centre = cursor.wide(sizes.features, "<i8").astype(np.int64)
    if (exponent < 0).any() or (exponent > 62).any() or (np.abs(centre) >= 1 << 62).any():
        raise CorruptFile("the model's inputs are out of range: the file is damaged")
    return Norm(centre, exponent, top)
