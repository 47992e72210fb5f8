"""Which grids suit floats of one or two bytes that NumPy has not, widened to float32.

Decoded values are rounded to the type. Where its values lie further apart than the bound, rounding gives back the very
value; where they lie closer, even steps lose up to half of that distance. They have few values, so that points which
stand for several of them can be chosen among the values of the type: these need no rounding. Knows nothing of predictions
or files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.admission import native

from .find import blocks_of
from .find_covering import GAIN, POINT, Column, collect, entropy, even_runs, rate, runs_of_least
from .grid import MARGIN, Grid, HiddenGrid, LinearGrid
from .lattice import Ordered
from .ranks import MOST, MOST_COLUMNS, Ranks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aezip.array.bounds import Tolerance
    from aezip.array.narrow import Narrow
    from aezip.array.statistics import Statistics

    Int64 = NDArray[np.int64]
    Float64 = NDArray[np.float64]

SAMPLED = 1 << 17  # values that steps are chosen by
OUTLIER = 24.0  # bits of a value stored exactly
FEWER = 0.95  # points for each value that occurs, where there are no even steps to compare with
LARGEST_RELATIVE = 0.5  # beyond it, what a point may stand for has no order


def grids_for_narrow(
    values: NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float, kind: Narrow
) -> tuple[Grid | None, list[Grid]]:
    """Return the fine grid, if the bound allows one, and the whole grids, the preferred first.

    Neither, where the bound leaves nothing to gain: bits cost less than anything here.

    Parameters
    ----------
    values
        float32, all values of the type.
    shrink
        Factor of the step that an average (PSNR) asks for.
    """
    lattice = Ordered(kind.name)
    fine = None if tolerance.kind == "relative" else _steps(values, statistics, tolerance, shrink, lattice, kind)
    few = None if tolerance.kind == "psnr" else _points(values, statistics, tolerance, lattice, even=fine is not None)
    wholes: list[Grid] = [] if few is None else [HiddenGrid(few)]
    if fine is None:
        return None, wholes
    return fine, [*wholes, LinearGrid(fine.step, fine.offset, True)]


def _steps(
    values: NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float, lattice: Ordered, kind: Narrow
) -> LinearGrid | None:
    """Return even steps after which rounding breaks the bound seldom; None where the values of the type are no more."""
    rows = native(values[:: max(1, values.size // SAMPLED)])
    kept = statistics.specials.classify(rows) == 0
    bound = tolerance.absolute if tolerance.kind == "absolute" else np.array(shrink * np.sqrt(3.0 * tolerance.mse))
    if bound.ndim and bound.size <= MOST_COLUMNS:
        sizes = [_half(rows[..., c][kept[..., c]], float(limit), kind) for c, limit in enumerate(bound.reshape(-1))]
    elif bound.ndim:
        sizes = [_safe(float(limit)) for limit in bound.reshape(-1)]
    else:
        sizes = [_half(rows[kept], float(bound), kind)]
    low: Any = statistics.minimum
    high: Any = statistics.maximum
    if bound.ndim:
        assert statistics.column_minimum is not None and statistics.column_maximum is not None  # noqa: PT018
        low, high = statistics.column_minimum, statistics.column_maximum
    least, most = (np.asarray(end, np.float64) for end in (low, high))
    step = np.maximum(2.0 * MARGIN * np.array(sizes).reshape(bound.shape), kind.spacing(np.zeros(1, np.float32))[0])
    grid = LinearGrid(step, np.asarray(0.5 * least + 0.5 * most), False)
    if not kept.any() or ((most - least) / step > 2.0**46).any():
        return None
    steps, exact = grid.integers(rows)[kept], lattice.to_integers(rows)[kept]
    return grid if rate(_counts(steps)) < GAIN * rate(_counts(exact)) else None


def _counts(integers: Int64) -> Int64:
    return np.asarray(np.unique(integers, return_counts=True)[1], np.int64)


def _safe(bound: float) -> float:
    """Return the largest power of two that is not above a bound: half a step after which rounding seldom breaks it."""
    return float(np.ldexp(1.0, int(np.frexp(bound)[1]) - 1)) if bound > 0 else 0.0


def _half(values: NDArray[Any], bound: float, kind: Narrow) -> float:
    """Return half a step for which steps and the values that rounding takes beyond the bound cost least together.

    Where values of the type are d apart, the nearest one to what is within h of x is within the bound if h is at most
    (floor(bound / d) + 1/2) d: at x, and below it, where they may lie closer.
    """
    if not values.size or not bound > 0:
        return 0.0
    below = np.maximum(np.abs(values) - bound, 0).astype(np.float32)
    both = [(np.floor(bound / apart) + 0.5) * apart for apart in (kind.spacing(values), kind.spacing(below))]
    allowed, counts = np.unique(np.minimum(bound, np.minimum(*both)), return_counts=True)
    broken = np.maximum(0.0, 1.0 - allowed / allowed[:, None]) @ counts
    return float(allowed[np.argmin(OUTLIER * broken - counts.sum() * np.log2(allowed))])


def _points(values: NDArray[Any], statistics: Statistics, tolerance: Tolerance, lattice: Ordered, *, even: bool) -> Ranks | None:
    """Return ranks among values of the type of which one is within the bound of each value.

    None if they are too many, or hardly fewer than the values, or if there are `even` steps that cost as little, as where
    neighbours resemble each other.
    """
    bound, shape = tolerance.absolute, values.shape
    columns = shape[-1] if bound.ndim else 1
    if columns > MOST_COLUMNS or (bound.ndim and len(shape) != 2):
        return None
    found = collect(lattice, blocks_of(values, statistics), columns, np.dtype(np.float32))
    if found is None or (even and any(column.smooth for column in found)):
        return None
    tables, edges, most, least = [], [], 0.0, 0.0
    for column, limit in zip(found, np.broadcast_to(bound, (columns,)).tolist(), strict=True):
        share = min(tolerance.relative, LARGEST_RELATIVE)
        allowed = share * np.abs(column.values) if tolerance.kind == "relative" else np.full(len(column.values), limit)
        starts, points = _runs(lattice, column, allowed)
        if len(points) > MOST or (not even and len(points) > FEWER * len(column.values)):
            return None
        total = int(column.counts.sum())
        tables.append(points)
        edges.append(column.integers[starts[1:]])
        most += entropy(np.add.reduceat(column.counts, even_runs(column.values, 2.0 * limit)), total)
        least += entropy(np.add.reduceat(column.counts, starts), total) + POINT * len(points)
    return Ranks(lattice, tables, edges) if not even or least < GAIN * most else None


def _runs(lattice: Ordered, column: Column, allowed: Float64) -> tuple[Int64, Int64]:
    """Return where runs begin, and the integer of a value of the type that suits all values of each."""
    values = column.values
    above, below = values + allowed, values - allowed
    lowest = _not_below(lattice, below)  # the first point that suits the last value of a run
    first = np.searchsorted(above, _floats(lattice, lowest), "left")
    if column.smooth:
        starts = _longest(first)
    else:
        starts = runs_of_least(column, first)
    ends = np.append(starts[1:], len(values)) - 1
    middle = lattice.to_integers((0.5 * values[starts] + 0.5 * values[ends]).astype(np.float32))
    point = _floats(lattice, middle)
    good = (point <= above[starts]) & (point >= below[ends])
    return starts, np.where(good, middle, lowest[ends])


def _longest(first: Int64) -> Int64:
    """Return where runs begin if each is as long as it may be, from the last value on."""
    starts, stop = [], len(first)
    while stop:
        stop = int(first[stop - 1])
        starts.append(stop)
    return np.array(starts[::-1])


def _floats(lattice: Ordered, integers: Int64) -> Float64:
    return lattice.from_integers(integers, np.float32).astype(np.float64)


def _not_below(lattice: Ordered, values: Float64) -> Int64:
    """Return the integers of the smallest values of the type that are not below."""
    near = lattice.to_integers(values.astype(np.float32))
    return near + (_floats(lattice, near) < values)
