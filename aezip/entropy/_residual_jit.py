"""Compiled counterpart of `residual.Decoder`.

A coder is what `residual.Decoder.compiled` returns. Its arrays are only reached where a test has shown that they hold the
place: files say what they like.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit

WORD, LANES, TAIL, LEFT, ESCAPES, LOW = 0, 1, 2, 3, 4, 5  # places in a coder's cursor; LOW: one for each shift
ENDLESS = 1 << 62  # symbols left in the last part


@jit
def _switch(coder: Any) -> Any:
    """Go over to the tail, as `ans.Decoder._switch` does; tell whether its states are there."""
    states, words, cursor = coder[2], coder[3], coder[4]
    lanes, tail = cursor[LANES], cursor[TAIL]
    at = cursor[WORD] - lanes  # states have been read from as many words before
    if at < 0:
        return False
    for lane in range(lanes):
        words[at + lane] = states[lane] & np.uint32(0xFFFF)
    nibbles = at + tail
    bits = nibbles + (tail + 3) // 4
    if bits > len(words):
        return False
    used = 0
    for lane in range(tail):
        used += (words[nibbles + lane // 4] >> (4 * (lane % 4))) & 15
    end = bits + (used + 15) // 16
    if end > len(words):
        return False
    place = 0
    for lane in range(tail):
        length = (words[nibbles + lane // 4] >> (4 * (lane % 4))) & 15
        high = 1
        for _ in range(length):  # the most significant bit of each byte first, the low byte of a word first
            byte = words[bits + place // 16] >> (8 * (place % 16 // 8))
            high = (high << 1) | ((byte >> (7 - place % 8)) & 1)
            place += 1
        states[lane] = np.uint32((high << 16) | words[at + lane])
    cursor[WORD], cursor[LANES], cursor[TAIL], cursor[LEFT] = end, tail, 0, ENDLESS
    return True


@jit
def symbols(coder: Any, contexts: Any, wanted: Any, out: Any) -> Any:
    """Decode the symbols of a pass, of the values wanted; tell whether there were enough words."""
    lookup, certain, states, words, cursor = coder[:5]
    at, lanes, left = cursor[WORD], cursor[LANES], cursor[LEFT]
    lane = 0
    for i in range(len(contexts)):
        if not wanted[i]:
            continue
        context = np.int64(contexts[i])
        if certain[context] >= 0:
            out[i] = certain[context]
            continue
        if left == 0:
            cursor[WORD] = at
            if not _switch(coder):
                return False
            at, lanes, left, lane = cursor[WORD], cursor[LANES], cursor[LEFT], 0
        if lanes == 0:
            return False
        state = states[lane]
        slot = state & np.uint32(4095)
        word = lookup[(context << 12) | slot]
        out[i] = word & np.uint32(255)
        state = (
            ((word >> np.uint32(20)) + np.uint32(1)) * (state >> np.uint32(12))
            + slot
            - ((word >> np.uint32(8)) & np.uint32(4095))
        )
        if state < np.uint32(65536):
            if at >= len(words):
                return False
            state = (state << np.uint32(16)) | np.uint32(words[at])
            at += 1
        states[lane] = state
        left -= 1
        lane += 1
        if lane == lanes:
            lane = 0
    cursor[WORD], cursor[LEFT] = at, left
    return True


@jit
def residuals(coder: Any, symbol: Any, level: Any, has_low: Any, wanted: Any, out: Any) -> Any:
    """Fill out with the residuals of the values wanted, whose symbols are decoded; tell whether all parts were there.

    Without `has_low` all levels are taken for 0.
    """
    cursor, escapes, low, low_end = coder[4], coder[5], coder[6], coder[7]
    for i in range(len(symbol)):
        if not wanted[i]:
            continue
        high = np.int64(symbol[i] >> 1) ^ -np.int64(symbol[i] & 1)
        if symbol[i] == 255:
            if cursor[ESCAPES] >= len(escapes):
                return False
            high = escapes[cursor[ESCAPES]]
            cursor[ESCAPES] += 1
        if has_low and level[i] >= 28:
            shift = (np.int64(level[i]) - 28) // 4 + 1
            at = cursor[LOW + shift]
            if at >= low_end[shift]:
                return False
            cursor[LOW + shift] += 1
            high = (high << shift) - ((np.int64(1) << shift) >> 1) + low[at]
        out[i] = high
    return True
