"""Compiled counterparts of the loops of `recency.to_ranks` and `recency.to_values`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit


@jit
def _to_front(known: Any, last: Any, value: Any) -> None:
    """Put a value before the others, over the one at place `last`."""
    for place in range(last, 0, -1):
        known[place] = known[place - 1]
    known[0] = value


@jit
def ranks_of(values: Any, recent: Any, ranks: Any, away: Any) -> None:
    """Fill ranks and distances (length, lanes) of values; `recent` (lanes, places) holds the values seen last."""
    places = recent.shape[1]
    for step in range(values.shape[0]):
        for lane in range(values.shape[1]):
            value, known = values[step, lane], recent[lane]
            rank = 0
            while rank < places and known[rank] != value:
                rank += 1
            ranks[step, lane] = rank
            away[step, lane] = value - known[0]
            _to_front(known, min(rank, places - 1), value)


@jit
def values_of(ranks: Any, away: Any, recent: Any, values: Any) -> None:
    """Fill values (length, lanes) of ranks and distances: the inverse of `ranks_of`; ranks are at most `places`."""
    places = recent.shape[1]
    for step in range(ranks.shape[0]):
        for lane in range(ranks.shape[1]):
            rank, known = ranks[step, lane], recent[lane]
            value = known[rank] if rank < places else known[0] + away[step, lane]
            values[step, lane] = value
            _to_front(known, min(np.int64(rank), places - 1), value)
