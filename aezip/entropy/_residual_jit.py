"""Compiled counterparts of `residual.Decoder` and of what `refinement` does with a run of values; see `compiled`.

A coder is what `residual.Decoder.compiled` returns. Its arrays are only reached where a test has shown that they hold the
place: files say what they like.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.plans.context._net_jit import _jit

WORD, LANES, TAIL, LEFT, ESCAPES, LOW = 0, 1, 2, 3, 4, 5  # places in a coder's cursor; LOW: one for each shift
ENDLESS = 1 << 62  # symbols left in the last part


@_jit
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


@_jit
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
        state = ((word >> np.uint32(20)) + np.uint32(1)) * (state >> np.uint32(12)) + slot - (
            (word >> np.uint32(8)) & np.uint32(4095)
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


@_jit
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


@_jit
def _tables(level: Any, total: Any, whole: Any, out: Any) -> None:
    """Fill out with the tables of values; see `residual.contexts`."""
    for i in range(len(level)):
        table = np.int64(level[i])
        if table >= 28:
            table = 24 + (table - 28) % 4
        if whole:
            fraction = total[i] - (((total[i] + 32) >> 6) << 6)
            part = ((fraction + 32) * 5) // 65
            table = table * 5 + part if table < 22 else table + 88
        out[i] = table


@_jit
def decoded(coder: Any, grid: Any, run: Any) -> Any:
    """Decode the residuals of a run; tell whether the stream held them.

    `grid` is (whole, spike, has_spike); `run` holds total, level, flag, keep, table, symbol and q of its values.
    """
    whole, spike, has_spike = grid
    total, level, flag, keep, table, symbol, q = run
    n = len(total)
    for i in range(n):
        q[i] = 0
    if has_spike:
        for i in range(n):
            table[i] = 116 + flag[i]
        if not symbols(coder, table, keep, symbol) or not residuals(coder, symbol, level, False, keep, q):
            return False
        for i in range(n):
            if keep[i] and q[i] != 0:
                keep[i] = 0
                q[i] = spike - ((total[i] + 32) >> 6)
    _tables(level, total, whole, table)
    return symbols(coder, table, keep, symbol) and residuals(coder, symbol, level, True, keep, q)


@_jit
def coded(target: Any, integers: Any, grid: Any, run: Any) -> None:
    """Take the residuals of a run from what is encoded: values in steps, or whole numbers; see `decoded`.

    `keep` becomes 2 for values that are the spike.
    """
    whole, spike, has_spike = grid
    total, keep, q = run[0], run[3], run[6]
    _tables(run[1], total, whole, run[4])
    for i in range(len(total)):
        if not keep[i]:
            q[i] = 0
        elif whole:
            q[i] = integers[i] - ((total[i] + 32) >> 6)
            if has_spike and integers[i] == spike:
                keep[i] = 2
        else:
            q[i] = np.int64(min(max(np.rint(target[i] - np.float64(total[i]) * 0.015625), -(2.0**52)), 2.0**52))
