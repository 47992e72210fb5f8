"""The points that stand for values which lie where they like: few, and unequally used, so that they cost the fewest bits.

A grid of even steps cuts through the places where values crowd. Where values are distinct numbers of a lattice, runs
of them no wider than the bound allows are chosen instead so that the entropy of the runs is least, which dynamic
programming finds exactly (Bellman 1961, "On the approximation of curves by line segments using dynamic programming":
the same recursion over cuts). Each run is stood for by a point in its middle. Knows nothing of predictions or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .ranks import MOST, MOST_COLUMNS, Ranks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from .lattice import Lattice

    Int64 = NDArray[np.int64]
    Float64 = NDArray[np.float64]

DISTINCT = 1 << 15  # distinct values of a column that are looked at
GAIN = 0.998  # what part of the bytes of even steps must be enough
SMOOTH = 0.97  # what part of their entropy differences of neighbours must take for a column to count as smooth
POINT = 1.5  # bytes of the header for a point


@dataclass(frozen=True)
class Column:
    """The distinct integers of a column, how often each occurs, and the values they stand for."""

    number: int
    integers: Int64
    counts: Int64
    values: Float64
    smooth: bool

    def spans(self, bound: float) -> list[float]:
        """Return how wide a run may be for a point in its middle, which is a multiple of the unit, to suit its ends.

        The first may fail where values were rounded; the second does not then.
        """
        unit = (self.values[-1] - self.values[0]) / max(1, int(self.integers[-1] - self.integers[0]))
        if unit <= 0:
            return [0.0]
        half = math.floor(bound / unit * (1.0 + 1e-9))
        return [2.0 * n * unit * (1.0 + 1e-9) for n in (half, half - 1) if n >= 0]


def cover(
    inner: Lattice,
    blocks: Iterable[tuple[int, NDArray[Any], NDArray[Any]]],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    bound: Float64,
) -> Ranks | None:
    """Return ranks among points within the bound of all values, or None if even steps do as well.

    Parameters
    ----------
    inner
        The lattice of the data.
    blocks
        (outer index, values, classes): all values; those whose class is not 0 do not count.
    shape
        Of the array.
    bound
        Largest distance allowed: shape () or (columns,).
    """
    columns = shape[-1] if len(shape) == 2 and 2 <= shape[-1] <= MOST_COLUMNS else 1
    if bound.ndim and bound.size != columns:
        return None
    found = collect(inner, blocks, columns, dtype)
    if found is None:
        return None
    bounds = np.broadcast_to(bound, (columns,))
    tables, edges, even, least = [], [], 0.0, 0.0
    for column, limit in zip(found, bounds, strict=True):
        total = int(column.counts.sum())
        even += entropy(np.add.reduceat(column.counts, even_runs(column.values, 2.0 * float(limit))), total)
        starts, points = np.arange(len(column.values)), column.integers  # no value merged with another
        for span in column.spans(float(limit)):
            first = np.searchsorted(column.values, column.values - span, "left")
            runs = even_runs(column.values, span) if column.smooth else runs_of_least(column, first)
            middles = _middles(inner, column, runs, dtype, float(limit), columns)
            if middles is not None:
                starts, points = runs, middles
                break
        if len(points) > MOST:
            return None
        tables.append(points)
        edges.append(column.integers[starts[1:]])
        least += entropy(np.add.reduceat(column.counts, starts), total) + POINT * len(points)
    return Ranks(inner, tables, edges) if least < GAIN * even else None


def collect(
    inner: Lattice, blocks: Iterable[tuple[int, NDArray[Any], NDArray[Any]]], columns: int, dtype: np.dtype[Any]
) -> list[Column] | None:
    """Return the distinct integers of each column, or None if a column has too many."""
    seen = [np.zeros(0, np.int64)] * columns
    often = [np.zeros(0, np.int64)] * columns
    smooth: list[bool] = []
    for start, values, classes in blocks:
        integers = inner.to_integers(values, start)
        for column in range(columns):
            index: Any = ... if columns == 1 else (..., column)
            part = integers[index][classes[index] == 0]
            if not smooth or len(smooth) < columns:
                smooth.append(_is_smooth(integers[index], classes[index] == 0))
            keys, counts = np.unique(np.concatenate([seen[column], part]), return_inverse=True)
            weights = np.concatenate([often[column], np.ones(part.size, np.int64)])
            seen[column], often[column] = keys, np.bincount(counts, weights, len(keys)).astype(np.int64)
            if len(keys) > DISTINCT:
                return None
    out = []
    for number, (keys, counts, flat) in enumerate(zip(seen, often, smooth, strict=True)):
        if not len(keys) or np.abs(keys).max() > 1 << 52:
            return None
        values = values_of(inner, keys, dtype, number, columns)
        if (np.diff(values) <= 0).any():
            return None
        out.append(Column(number, keys, counts, values, flat))
    return out


def values_of(inner: Lattice, integers: Int64, dtype: np.dtype[Any], number: int, columns: int) -> Float64:
    """Return the values that integers of a column stand for, same shape."""
    wide = np.zeros((len(integers), columns), np.int64)
    wide[:, number] = integers
    return inner.from_integers(wide, dtype)[:, number].astype(np.float64)


def _is_smooth(integers: Int64, kept: NDArray[np.bool_]) -> bool:
    """Tell whether neighbours along an axis resemble each other: prediction then beats the choice of points."""
    plain = np.unique(integers[kept], return_counts=True)[1]
    for axis in range(integers.ndim):
        both = np.diff(kept.astype(np.int8), axis=axis, prepend=0) == 0
        steps = np.unique(np.diff(integers, axis=axis, prepend=0)[both & kept], return_counts=True)[1]
        if len(steps) and rate(steps) < SMOOTH * rate(plain):
            return True
    return False


def rate(counts: NDArray[np.integer[Any]]) -> float:
    """Return the entropy of a symbol."""
    total = int(counts.sum())
    return entropy(counts, total) / total


def entropy(counts: NDArray[np.integer[Any]], total: int) -> float:
    """Return the bytes that so many symbols take."""
    used = counts[counts > 0].astype(np.float64)
    return float((used * np.log2(total / used)).sum() / 8.0)


def even_runs(values: Float64, step: float) -> Int64:
    """Return where runs begin that even steps make."""
    if step <= 0:
        return np.arange(len(values))
    steps = np.floor((values - values[0]) / step)
    return np.flatnonzero(np.concatenate([[True], np.diff(steps) > 0]))


def runs_of_least(column: Column, first: NDArray[np.int64]) -> Int64:
    """Return where the runs of least entropy begin; `first`: where one may begin at most that ends with each value."""
    count = len(column.values)
    share = np.concatenate([[0.0], np.cumsum(column.counts / column.counts.sum())])
    best, cut = np.zeros(count + 1), np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        start = int(first[stop - 1])
        weight = share[stop] - share[start:stop]
        price = best[start:stop] - weight * np.log2(weight)
        least = int(price.argmin())
        best[stop], cut[stop] = price[least], start + least
    starts, stop = [], count
    while stop:
        stop = int(cut[stop])
        starts.append(stop)
    return np.array(starts[::-1])


def _middles(inner: Lattice, column: Column, starts: Int64, dtype: np.dtype[Any], bound: float, columns: int) -> Int64 | None:
    """Return an integer for each run whose value is within the bound of the run's ends; None if a run has none."""
    ends = np.append(starts[1:], len(column.values)) - 1
    low, high = column.values[starts], column.values[ends]
    middle = (column.integers[starts] >> 1) + (column.integers[ends] >> 1)
    for shift in (0, 1, -1, 2):  # rounding of the lattice may favour a neighbour
        point = values_of(inner, middle + shift, dtype, column.number, columns)
        good = (high - point <= bound) & (point - low <= bound)
        if shift == 0:
            out, done = middle.copy(), good
        out = np.where(done, out, middle + shift)
        done = done | good
    # two runs may have come to share a point only if they overlap, which they do not
    return out if done.all() and (np.diff(out) > 0).all() else None
