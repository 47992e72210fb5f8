"""Fill values that nobody declared: 1e20 in a field of temperatures makes any share of the range lose all else.

Knows a sample of the values and the share of the range that may be lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .layout import Piece

MOST_COLUMNS = 64  # looked at one by one
REPEATED = 0.001  # of the values: an outlier is rarer than a fill value
# what stands for nothing by custom: of hand-made tables, the smallest integers, netCDF's defaults, models of climate
CUSTOMARY = {-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, -32768.0, -32767.0, -2147483648.0, -2147483647.0}
CUSTOMARY |= {1e20, float(np.float32(1e20)), 9.969209968386869e36, -1e30, float(np.float32(-1e30))}


def undeclared(pieces: list[Piece], share: float, *, by_column: bool) -> float | None:
    """Return what looks like a fill value in sampled chunks, of all values or of any of the first columns; None: nothing."""
    columns: list[tuple[Any, ...]] = [()]
    if by_column and pieces[0].x.ndim > 1:
        columns = [(..., c) for c in range(min(MOST_COLUMNS, pieces[0].x.shape[-1]))]
    for index in columns:
        kept = [p.x[index].reshape(-1) if p.masked is None else p.x[index][~p.masked[index]] for p in pieces]
        found = suspect(np.concatenate(kept), share)
        if found is not None:
            return found
    return None


def suspect(values: npt.NDArray[Any], share: float) -> float | None:
    """Return an extreme that repeats, stands apart, and is customary or makes the bound wider than the range of all others.

    Apart: it is farther from the nearest other value than those are from each other.

    Parameters
    ----------
    values
        A sample without special values, any shape and plain numeric type.
    share
        Of the range: the largest error allowed.
    """
    finite = np.asarray(values, np.float64).reshape(-1)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return None
    low, high = float(finite.min()), float(finite.max())
    for extreme in (high, low):
        rest = finite[finite != extreme]
        if not rest.size or finite.size - rest.size < max(2, REPEATED * finite.size):
            continue
        least, most = float(rest.min()), float(rest.max())
        with np.errstate(over="ignore"):
            reach, allowed, gap = most - least, share * (high - low), extreme - most if extreme == high else least - extreme
        if 0.0 < reach < gap and (reach < allowed or extreme in CUSTOMARY):  # a reach of 0: two values only, as in masks
            return extreme
    return None
