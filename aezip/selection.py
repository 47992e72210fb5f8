"""Which grids suit an array and a tolerance. Knows nothing of networks or files."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .admission import Statistics
from .bounds import Tolerance
from .lattice import find_hidden, ordered_lattice, ranked, relative_lattice
from .quantizer import Grid, HiddenGrid, LinearGrid, linear_grid
from .ranks import MOST, Ranks

MOST_POINTS = 20_000  # distinct values beyond which data is continuous
MOST_COLUMNS = 64
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
        return None, _exact(values, statistics, dtype) if relative is None else [HiddenGrid(relative)]
    exact: list[Grid] = _exact(values, statistics, dtype)
    if tolerance.kind == "lossless":
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
    ranks = _few(values, statistics, low, high, fine)
    return fine, [whole] if ranks is None else [HiddenGrid(ranks), whole]


def _few(
    values: npt.NDArray[Any], statistics: Statistics, low: npt.NDArray[Any], high: npt.NDArray[Any], fine: LinearGrid
) -> Ranks | None:
    """Return ranks of the distinct values if those are fewer than the steps that the bound leaves in their range."""
    rows = values[:: max(1, values.shape[0] * (values.size // values.shape[0]) // SAMPLED)]
    if np.unique(rows).size > MOST:
        return None
    hidden = find_hidden(values, statistics)
    ranks = None if hidden is None else ranked(hidden, values, statistics)
    if ranks is None or not all(table.size for table in ranks.tables):
        return None
    steps = np.log2(np.maximum((high - low) / fine.step, 1.0)).mean()
    return ranks if np.log2([table.size for table in ranks.tables]).mean() < steps - GAIN else None


def _exact(values: npt.NDArray[Any], statistics: Statistics, dtype: np.dtype[Any]) -> list[Grid]:
    """Return grids that lose nothing."""
    hidden = find_hidden(values, statistics)
    ranks = None if hidden is None else ranked(hidden, values, statistics)
    grids: list[Grid] = [] if ranks is None else [HiddenGrid(ranks)]
    if hidden is not None:
        grids.append(HiddenGrid(hidden))
    if dtype.kind == "f":
        grids.append(HiddenGrid(ordered_lattice(dtype)))
    return grids


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
                unit = float(np.polyfit(k, part, 1)[0]) if len(np.unique(k)) > 2 else unit
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
