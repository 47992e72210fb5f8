"""Which grids suit an array and a tolerance. Knows nothing of networks or files."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import native
from aezip.array.bounds import Tolerance
from aezip.array.statistics import Statistics

from .find import covering, find_hidden, ordered_lattice, ranked, relative_lattice
from .find_covering import DISTINCT
from .grid import Grid, HiddenGrid, LinearGrid, linear_grid
from .lattice import Lattice
from .linear import LinearLattice
from .ranks import MOST, MOST_COLUMNS

MOST_POINTS = 20_000  # distinct values beyond which data is continuous
SAMPLED = 1 << 17  # values looked at before a search for few distinct ones
GAIN = 0.1  # bits a value


def grids_for(
    values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float
) -> tuple[Grid | None, list[Grid]]:
    """Return the fine grid, if the bound allows one, and the whole grids, the preferred first.

    Parameters
    ----------
    values
        Plain values, any byte order.
    shrink
        Factor of the step that an average (PSNR) asks for.
    """
    dtype = values.dtype.newbyteorder("=")
    if tolerance.kind == "relative":
        relative = relative_lattice(tolerance.relative, values, statistics)
        if relative is not None:
            return None, [HiddenGrid(relative)]
    lattices = _lattices(values, statistics)
    exact: list[Grid] = [HiddenGrid(lattice) for lattice in lattices]
    if dtype.kind == "f":
        exact.append(HiddenGrid(ordered_lattice(dtype)))
    if tolerance.kind in ("lossless", "relative"):
        return None, exact
    if tolerance.absolute.ndim:
        low = np.asarray(statistics.column_minimum, np.float64)
        high = np.asarray(statistics.column_maximum, np.float64)
    else:
        low = np.asarray(float(statistics.minimum), np.float64)
        high = np.asarray(float(statistics.maximum), np.float64)
    fine = linear_grid(tolerance, low, high, dtype, shrink)
    if fine is None:
        return None, exact
    whole = LinearGrid(fine.step, fine.offset, True)
    steps = float(np.log2(np.maximum((high - low) / fine.step, 1.0)).mean())
    few = lattices[0] if lattices and _is_few(values, statistics, lattices[0], steps) else None
    if few is None and lattices and tolerance.kind == "absolute" and _distinct(values, DISTINCT):
        few = covering(lattices[-1], values, statistics, tolerance.absolute)
    return fine, [whole] if few is None else [HiddenGrid(few), whole]


def _lattices(values: npt.NDArray[Any], statistics: Statistics) -> list[Lattice]:
    """Return the lattice of the data, if it has one, and before it the ranks of its integers where those are sparse."""
    hidden = find_hidden(values, statistics)
    if hidden is None:
        return []
    ranks = ranked(hidden, values, statistics)
    return [hidden] if ranks is None else [ranks, hidden]


def _sampled(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return outer indices, evenly spaced, of about SAMPLED values."""
    return values[:: max(1, values.size // SAMPLED)]


def _distinct(values: npt.NDArray[Any], most: int) -> bool:
    """Tell whether a sample of each column, or of all if they are many, has at most so many distinct values."""
    rows = _sampled(values)
    if rows.ndim > 1 and rows.shape[-1] <= MOST_COLUMNS:
        return all(np.unique(rows[..., column]).size <= most for column in range(rows.shape[-1]))
    return np.unique(rows).size <= most


def _is_few(values: npt.NDArray[Any], statistics: Statistics, lattice: Lattice, steps: float) -> bool:
    """Tell whether a lattice has fewer points in the columns' ranges than the bound leaves steps, both as log2."""
    return _distinct(values, MOST) and _log2_points(values, statistics, lattice) < steps - GAIN


def _log2_points(values: npt.NDArray[Any], statistics: Statistics, lattice: Lattice) -> float:
    """Return the mean over the columns of the log2 of how many integers of a lattice their ranges hold."""
    if isinstance(lattice, LinearLattice) and lattice.axis == 0:  # each outer index has a rule of its own
        rows = native(values[: max(1, SAMPLED * values.shape[0] // values.size)])
    else:
        rows = native(_sampled(values))
    integers = lattice.to_integers(rows).astype(np.float64)
    integers[statistics.specials.classify(rows) != 0] = np.nan
    columns = integers.reshape(-1, rows.shape[-1] if 1 < rows.ndim and rows.shape[-1] <= MOST_COLUMNS else 1)
    columns = columns[:, ~np.isnan(columns).all(axis=0)]
    if not columns.size:
        return 0.0
    return float(np.log2(np.nanmax(columns, axis=0) - np.nanmin(columns, axis=0) + 1.0).mean())


def native_steps(x: npt.NDArray[Any], keep: npt.NDArray[np.bool_], grid: LinearGrid) -> LinearGrid | None:
    """Return a whole grid whose steps are those of the data where they are wider than the bound needs.

    Sensors and tables hold few distinct values: a column that steps by 0.067 need not be cut into steps of 0.03.
    Each column for which evenly spaced points lie within the bound of all values gets their spacing.

    Parameters
    ----------
    x
        Sampled values, any shape.
    keep
        Which of them count, same shape.
    grid
        The grid of the bound.
    """
    shape = grid.step.shape
    if not shape and x.ndim > 1 and x.shape[-1] <= MOST_COLUMNS:
        shape = x.shape[-1:]  # columns may differ even under one bound
    step, offset = (np.broadcast_to(v, shape).reshape(-1).copy() for v in (grid.step, grid.offset))
    columns = x.reshape(-1, step.size)
    kept = keep.reshape(columns.shape)
    better = False
    for column in range(step.size):
        found = _spacing(np.unique(columns[kept[:, column], column].astype(np.float64)), float(step.flat[column]))
        if found is not None:
            step.flat[column], offset.flat[column] = found
            better = True
    if not better:
        return None
    return LinearGrid(step.reshape(shape), offset.reshape(shape), True)


def _slope(k: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """Return by how much `y` grows a step of `k`, by least squares."""
    centered = k - k.mean()
    return float((centered * y).sum() / (centered * centered).sum())


def _spacing(points: npt.NDArray[np.float64], step: float) -> tuple[float, float] | None:
    """Return spacing and offset of evenly spaced points within half a step of all distinct values, if wider than a step."""
    if not 3 <= len(points) <= MOST_POINTS:
        return None
    gaps = np.diff(points)
    wide = gaps[gaps > 0.5 * step]
    if not len(wide):
        return None
    for start in (float(np.median(wide)), float(wide.min()), float(np.quantile(wide, 0.1))):
        unit = start
        count = 4
        while True:  # a spacing fitted to few points is sharp enough to number twice as many
            part = points[:count]
            k = np.rint((part - part[0]) / unit)
            if k[-1] > 0:
                unit = _slope(k, part) if k[-1] > 1 else unit
            if count >= len(points) or unit <= 0:
                break
            count *= 2
        if unit <= 1.05 * step:
            continue
        k = np.rint((points - points[0]) / unit)
        left = points - unit * k
        offset = 0.5 * float(left.min() + left.max())
        if float(np.abs(left - offset).max()) <= 0.49 * step:
            return unit, offset
    return None
