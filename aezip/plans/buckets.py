"""The plan `buckets`: differences by sign, exponent and one bit below it, the rest plainly.

Where floats are differenced as ordered integers, or tails are heavy, most bits of a difference are noise, which zstd looks for
repeats in vain. What can be told are its leading bits, given how large the difference at the same place of the index before was.
Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aezip.array.missing import filled
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.types import Int64, Mask
from aezip.entropy import residual
from aezip.entropy.distances import buckets, from_buckets
from aezip.quantize.grid import Grid

from .base import MALFORMED, Plan, Sampled, WholePlan
from .delta import DeltaPlan

CLASSES = 24  # of magnitudes before: none, then by octaves
WIDE = 256  # values of an outer index from which it is a pass of its own, which the one before tells about


@dataclass(frozen=True)
class BucketPlan(WholePlan):
    """Whole grid values, differenced along some axes one after the other, in buckets.

    Parameters
    ----------
    axes
        Axes of the differences, in turn; none: the values themselves.
    """

    axes: tuple[int, ...]

    kinds: ClassVar[tuple[str, ...]] = ("buckets",)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {"kind": "buckets", "axes": list(self.axes)}

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan for arrays of `shape`."""
        axes = said.get("axes")
        good = isinstance(axes, list) and all(type(a) is int and 0 <= a < len(shape) for a in axes)
        if not isinstance(axes, list) or not good or len(set(axes)) < len(axes):
            raise CorruptFile(MALFORMED)
        return cls(tuple(axes))

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "buckets" + (f", difference {' and '.join(map(str, self.axes))}" if self.axes else "")

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        """Yield the grid and the axis that suit zstd best, and a second axis besides, if their integers fit."""
        known = best.get(DeltaPlan)
        if known is None or not sample.fits(known.grid):
            return
        first = () if known.plan.axis is None else (known.plan.axis,)
        yield cls(first), known.grid
        for axis, length in enumerate(sample.shape):
            if length > 1 and first and axis not in first:
                yield cls((*first, axis)), known.grid

    def pack(self, grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> tuple[bytes, npt.NDArray[Any]]:
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

    def unpack(self, grid: Grid, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the chunk of `shape`.

        Raises
        ------
        CorruptFile
            If the bytes do not make sense.
        """
        tables, used = residual.tables_from_bytes(data, CLASSES)
        k = np.empty(shape, np.int64)
        reader = residual.ResidualReader(tables, data[used:], fast=kernels.available(k.size))
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
