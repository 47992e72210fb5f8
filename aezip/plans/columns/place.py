"""Where the steps of a grid begin, for columns that stay or return."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.missing import fill_forward
from aezip.core.types import Mask
from aezip.quantize.grid import LinearGrid

from . import recency

MOVES = 8  # places of a grid that are tried first, evenly over a step
SHORT = 256  # rows of a segment where places are compared


def moved(grid: LinearGrid, x: npt.NDArray[Any], masked: Mask | None) -> LinearGrid:
    """Return a whole grid whose columns lie where ranks of recency take the fewest bits on a sample.

    Under a bound any value stands for all within half a step: where the steps begin decides how often a column changes.
    """
    shape = x.shape[-1:] if x.ndim == 2 else (1,)
    step, offset = (np.broadcast_to(v, shape).copy() for v in (grid.step, grid.offset))
    place = np.asarray((np.asarray(x, np.float64).reshape(-1, *shape) - offset) / step)
    place = place[: max(1, len(place) // SHORT * SHORT)][: recency.SAMPLED]
    hidden = None if masked is None else masked.reshape(-1, *shape)[: len(place)]
    for column in range(shape[0]):
        known = place[:, column] if hidden is None else np.where(hidden[:, column], np.nan, place[:, column])
        offset[column] += _best_move(known) * step[column]
    return LinearGrid(step, offset, True) if x.ndim == 2 else LinearGrid(step[0], offset[0], True)


def _best_move(place: npt.NDArray[np.float64]) -> float:
    """Return by how many steps to move a grid on which a column lies at `place` (NaN: anywhere): first roughly, then finely."""
    length = min(SHORT, len(place))
    if not recency.promising(np.nan_to_num(np.rint(place))):
        return 0.0

    @cache
    def cost(move: float) -> float:
        k = np.rint(place - move)
        seen = np.isfinite(k)
        whole = fill_forward(np.where(seen, k, 0.0).clip(-(2.0**60), 2.0**60).astype(np.int64)[:, None], ~seen[:, None], 0)
        return recency.bits(whole.reshape(-1, length).T)

    best = min((i / MOVES for i in range(MOVES)), key=cost)
    for part in (2, 4, 8):
        best = min((best, best - 1 / (part * MOVES), best + 1 / (part * MOVES)), key=cost)
    return best
