"""Compiled counterparts of the loops of `ans`: the lanes of the entropy coder."""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit


@jit
def run(states: Any, lookup: Any, offsets: Any, words: Any, at: Any, out: Any) -> Any:
    """Decode symbols of lanes that advance together; return the next word's place, or -1 if the words ran out."""
    lanes, count, end = len(states), len(offsets), len(words)
    for first in range(0, count, lanes):
        for lane in range(min(lanes, count - first)):
            state = states[lane]
            slot = state & np.uint32(4095)
            word = lookup[offsets[first + lane] | slot]
            out[first + lane] = word & np.uint32(255)
            state = (
                ((word >> np.uint32(20)) + np.uint32(1)) * (state >> np.uint32(12))
                + slot
                - ((word >> np.uint32(8)) & np.uint32(4095))
            )
            if state < np.uint32(65536):
                if at >= end:
                    return -1
                state = (state << np.uint32(16)) | np.uint32(words[at])
                at += 1
            states[lane] = state
    return at


@jit
def push(states: Any, frequency: Any, start: Any, out: Any) -> Any:
    """Encode symbols backwards; return how many words were written to the end of `out`, in reading order."""
    lanes, count = len(states), len(frequency)
    at = len(out)
    for first in range((count - 1) // lanes * lanes, -1, -lanes):
        for lane in range(min(lanes, count - first) - 1, -1, -1):
            f = frequency[first + lane]
            state = states[lane]
            if state >= f << np.uint64(20):
                at -= 1
                out[at] = state & np.uint64(65535)
                state >>= np.uint64(16)
            states[lane] = ((state // f) << np.uint64(12)) + state % f + start[first + lane]
    return len(out) - at
