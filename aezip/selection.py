"""Which grids suit an array and a tolerance. Knows nothing of networks or files."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .admission import Statistics
from .bounds import Tolerance
from .lattice import find_hidden, ordered_lattice, relative_lattice
from .quantizer import Grid, HiddenGrid, LinearGrid, linear_grid


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
    return fine, [LinearGrid(fine.step, fine.offset, True)]


def _exact(values: npt.NDArray[Any], statistics: Statistics, dtype: np.dtype[Any]) -> list[Grid]:
    """Return grids that lose nothing."""
    hidden = find_hidden(values, statistics)
    if dtype.kind != "f":
        return [] if hidden is None else [HiddenGrid(hidden)]
    ordered = HiddenGrid(ordered_lattice(dtype))
    return [ordered] if hidden is None else [HiddenGrid(hidden), ordered]
