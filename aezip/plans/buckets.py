"""The plan `buckets`: differences by sign, exponent and one bit below it, the rest plainly.

Where floats are differenced as ordered integers, or tails are heavy, most bits of a difference are noise, which zstd looks for
repeats in vain. What can be told are its leading bits, given how large the difference at the same place of the index before was.
Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core import jit as kernels
from aezip.core.errors import CorruptFile
from aezip.core.types import Int64, Mask
from aezip.entropy import residual
from aezip.entropy.plainbits import unzigzag, zigzag
from aezip.quantize.grid import Grid

from .bytes import filled

DIRECT = 16  # distances up to this have a bucket of their own
FAR = 1 << 44  # distances from here on are stored whole
TOP_SYMBOL = 1 + 2 * (DIRECT + 2 * (43 - 4) + 1) + 1
CLASSES = 24  # of magnitudes before: none, then by octaves
WIDE = 256  # values of an outer index from which it is a pass of its own, which the one before tells about
SHIFT_OF = np.array([(b - DIRECT) // 2 + 3 if b >= DIRECT else 0 for b in range(TOP_SYMBOL)], np.int64)


def buckets(value: Int64, context: npt.NDArray[np.uint16]) -> residual.Split:
    """Return values as symbols in the tables of their contexts, and plain low bits; those from 2**44 on are escapes."""
    far = (value >= FAR) | (value <= -FAR)  # the smallest integer has no magnitude
    size = np.abs(np.where(far, 1, value)) - 1
    exponent = np.frexp(np.maximum(size, 1).astype(np.float64))[1].astype(np.int64) - 1
    shift = np.where(size >= DIRECT, exponent - 1, 0)
    bucket = np.where(size >= DIRECT, DIRECT + 2 * (exponent - 4) + ((size >> shift.clip(0)) & 1), size)
    symbol = np.where(value == 0, 0, 1 + 2 * bucket + (value < 0))
    low = np.where(shift > 0, size & ((np.int64(1) << shift) - 1), 0)
    return residual.Split(np.where(far, value, unzigzag(symbol)), context, low, shift)


def from_buckets(reader: residual.Decoder, context: npt.NDArray[np.uint16]) -> Int64:
    """Return the values of one pass; raises CorruptFile for symbols that stand for nothing."""
    high = reader.decode(np.zeros(len(context), np.uint8), context)
    far = (high >= FAR) | (high <= -FAR)
    symbol = np.where(far, 0, zigzag(high))
    if int(symbol.max(initial=0)) > TOP_SYMBOL or int(symbol.min(initial=0)) < 0:
        raise CorruptFile("a distance is impossible: the file is damaged")
    bucket = (symbol - 1).clip(0) >> 1
    shift = SHIFT_OF[bucket]
    size = np.where(bucket >= DIRECT, (2 + (bucket & 1)) << shift, bucket)
    for value in np.unique(shift):
        if value:
            where = np.flatnonzero(shift == value)
            size[where] += reader.low(int(value), len(where))
    size += 1
    return np.where(symbol == 0, high * far, np.where((symbol - 1) & 1, -size, size))


@dataclass(frozen=True)
class BucketPlan:
    """Whole grid values, differenced along some axes one after the other, in buckets.

    Parameters
    ----------
    axes
        Axes of the differences, in turn; none: the values themselves.
    """

    axes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {"kind": "buckets", "axes": list(self.axes)}

    @staticmethod
    def from_json(value: dict[str, Any], shape: tuple[int, ...]) -> BucketPlan:
        """Read a plan for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        axes = value.get("axes")
        good = isinstance(axes, list) and all(type(a) is int and 0 <= a < len(shape) for a in axes)
        if not isinstance(axes, list) or not good or len(set(axes)) < len(axes):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        return BucketPlan(tuple(axes))

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "buckets" + (f", difference {' and '.join(map(str, self.axes))}" if self.axes else "")

    def encode(self, grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> tuple[bytes, npt.NDArray[Any]]:
        """Return the bytes of a chunk and the chunk as decoded: frequency tables, then the stream of `residual.encode`."""
        k = grid.integers(x)
        left = k = filled(k, masked)
        for axis in self.axes:
            left = np.diff(left, axis=axis, prepend=0)
        rows, before, passes = _rows(left), None, []
        for row in rows:
            passes.append(buckets(row, _classes(before, len(row))))
            before = row
        stored, tables = residual.tables_for(passes, CLASSES)
        return stored + residual.encode(tables, passes), grid.values(k, x.dtype)

    def decode(self, grid: Grid, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the chunk of `shape`.

        Raises
        ------
        CorruptFile
            If the bytes do not make sense.
        """
        tables, used = residual.tables_from_bytes(data, CLASSES)
        k = np.empty(shape, np.int64)
        reader = residual.Decoder(tables, data[used:], fast=kernels.available(k.size))
        before = None
        for row in _rows(k):
            row[...] = from_buckets(reader, _classes(before, len(row)))
            before = row
        reader.finish()
        for axis in reversed(self.axes):
            k = k.cumsum(axis=axis, dtype=np.int64)
        return grid.values(k, dtype)


def _rows(k: Int64) -> Int64:
    """Return a view with a pass a row: an outer index if it is wide enough, else everything."""
    inner = k[:1].size
    return k.reshape(-1, inner) if inner >= WIDE else k.reshape(1, -1)


def _classes(before: Int64 | None, count: int) -> npt.NDArray[np.uint16]:
    """Return the table of each value of a pass: by the exponent of the magnitude at its place in the pass before."""
    if before is None:
        return np.zeros(count, np.uint16)
    exponent = np.frexp(before.astype(np.float64))[1]  # 64 at most
    return np.minimum(exponent, CLASSES - 1).astype(np.uint16)
