"""Kernels that numba compiles; imported through `kernels` alone. Without numba aezip works as well, only slower."""

from __future__ import annotations

from typing import Any

import numba  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy as np

BLOCK = 64
_jit = numba.njit(nogil=True, cache=True, fastmath=False, boundscheck=False)


@_jit
def _sums(weight: Any, bias: Any, values: Any, out: Any) -> None:
    """Fill out (units, BLOCK) with weight @ values + bias."""
    inputs = weight.shape[1]
    for unit in range(weight.shape[0]):
        row = out[unit]
        for i in range(BLOCK):
            row[i] = bias[unit]
        for j in range(0, inputs - 3, 4):  # four at a time: fewer loads and stores of the sums
            a, b, c, d = weight[unit, j], weight[unit, j + 1], weight[unit, j + 2], weight[unit, j + 3]
            va, vb, vc, vd = values[j], values[j + 1], values[j + 2], values[j + 3]
            for i in range(BLOCK):
                row[i] += (a * va[i] + b * vb[i]) + (c * vc[i] + d * vd[i])
        for j in range(inputs // 4 * 4, inputs):
            w, column = weight[unit, j], values[j]
            for i in range(BLOCK):
                row[i] += w * column[i]


@_jit
def _activate(rows: Any, factor: Any, top: Any) -> None:
    """Replace rows (units, BLOCK) by clip(rint(rows * factor), 0, top)."""
    for unit in range(rows.shape[0]):
        row, f = rows[unit], factor[unit]
        for i in range(BLOCK):
            row[i] = min(max(np.rint(row[i] * f), np.float32(0.0)), top)


@_jit
def _log2(bits: Any, out: Any) -> None:
    """Fill out with rint(256 log2(value)) by straight lines between powers of two; `bits` are those of float32 values.

    As a fixed-point number such a logarithm is the bits themselves, less the bias of the exponent: nothing is rounded but
    once, half to even. Sums in float32 would round a second time.
    """
    for i in range(BLOCK):
        scaled = bits[i] - np.int32(127 << 23)
        whole = scaled >> np.int32(15)
        rest = scaled & np.int32(0x7FFF)
        up = (rest > 0x4000) | ((rest == 0x4000) & ((whole & np.int32(1)) == 1))
        out[i] = np.float32(whole + np.int32(up))


@_jit
def _normalize(neighbours: Any, pair: Any, start: Any, size: Any, precision: Any, state: Any, fine: Any, values: Any) -> None:
    """Fill fine and values (active, BLOCK) of a block; state holds reference, exponent, and rows to work in."""
    reference, spread, narrow, total, exponent = state
    active = neighbours.shape[0]
    first, second = neighbours[pair[0]], neighbours[pair[1]]
    half = neighbours.dtype.type(0.5)
    for i in range(size):
        reference[i] = (first[start + i] + second[start + i]) * half
    for i in range(BLOCK):
        spread[i] = 32.0
        total[i] = np.float32(1.0)
    for k in range(active):
        row, source = fine[k], neighbours[k]
        for i in range(size):
            row[i] = source[start + i] - reference[i]
        for i in range(size):
            spread[i] = max(spread[i], np.float64(abs(row[i])))
    wide = spread.view(np.int64)
    for i in range(BLOCK):
        narrow[i] = np.float32(spread[i])
        exponent[i] = (wide[i] >> 52) - 1022
    _log2(narrow.view(np.int32), values[active])
    for i in range(BLOCK):
        wide[i] = (precision - exponent[i] + 1023) << 52  # a power of two
    accurate = np.float32(2.0 ** (10 - precision))
    for k in range(active):
        row, out = fine[k], values[k]
        for i in range(size):
            row[i] = np.rint(row[i] * neighbours.dtype.type(spread[i]))
        if precision == 10:
            for i in range(size):
                out[i] = row[i]
        else:
            for i in range(size):
                out[i] = np.float32(np.rint(row[i] * accurate))
        for i in range(size):
            total[i] += abs(out[i])
    _log2(total.view(np.int32), values[active + 1])


@_jit
def predict(
    neighbours: Any, pair: Any, errors_in: Any, errors_out: Any, level: Any, has_level: Any, precision: Any,
    first: Any, first_bias: Any, first_factor: Any, second: Any, second_bias: Any, second_factor: Any,
    ends: Any, ends_bias: Any, ends_factor: Any, has_flag: Any, skip: Any, skip_unit: Any, levels: Any,
    out_mean: Any, out_level: Any, out_flag: Any,
) -> None:
    """Predict a tile: neighbours (active, n) in 1/64 step to mean, level and odds, (n,) each.

    `ends` are the rows of the output layers: mean, scale, flag, each of hidden units and extras.
    """
    active, n = neighbours.shape
    hidden = second.shape[0]
    extras = first.shape[1] - active
    values = np.zeros((active + extras, BLOCK), np.float32)
    one = np.zeros((hidden, BLOCK), np.float32)
    both = np.zeros((hidden + extras, BLOCK), np.float32)
    last = np.zeros((ends.shape[0], BLOCK), np.float32)
    fine = np.zeros((active, BLOCK), neighbours.dtype)
    reference = np.zeros(BLOCK, neighbours.dtype)
    exponent = np.full(BLOCK, 6, np.int64)
    work = np.zeros(BLOCK, np.float32)
    state = (reference, np.zeros(BLOCK, np.float64), np.zeros(BLOCK, np.float32), np.zeros(BLOCK, np.float32), exponent)
    linear = np.zeros(BLOCK, skip.dtype)
    power = np.zeros(BLOCK, np.int64)
    for start in range(0, n, BLOCK):
        size = min(BLOCK, n - start)
        if active:
            _normalize(neighbours, pair, start, size, precision, state, fine, values)
            for i in range(BLOCK):
                linear[i] = 0
            for k in range(active):
                row, w = fine[k], skip[k]
                for i in range(size):
                    linear[i] += w * skip.dtype.type(row[i])
        for i in range(size):
            work[i] = errors_in[start + i] + np.float32(1.0)
        _log2(work.view(np.int32), values[active + 2])
        for i in range(size):
            work[i] = errors_out[start + i] + np.float32(1.0)
        _log2(work.view(np.int32), values[active + 3])
        if has_level:
            for i in range(size):
                values[active + 4, i] = (level[start + i] - np.float32(32.0)) * np.float32(64.0)
        _sums(first, first_bias, values, one)
        _activate(one, first_factor, np.float32(1023.0))
        _sums(second, second_bias, one, both)
        _activate(both[:hidden], second_factor, np.float32(1023.0))
        for j in range(extras):
            row, source = both[hidden + j], values[active + j]
            for i in range(BLOCK):
                row[i] = source[i]
        _sums(ends, ends_bias, both, last)
        for i in range(BLOCK):
            power[i] = (exponent[i] + 1023) << 52
        powers = power.view(np.float64)
        for i in range(size):
            t = np.float64(last[0, i] * ends_factor[0])
            if active:
                t += np.float64(linear[i]) * skip_unit
            out_mean[start + i] = np.int64(np.rint(t * powers[i] + np.float64(reference[i])))
        for i in range(size):
            row_level = np.rint(last[1, i] * ends_factor[1])
            out_level[start + i] = np.uint8(min(max(row_level, np.float32(0.0)), np.float32(levels - 1)))
        if has_flag:
            for i in range(size):
                odds = np.rint(last[2, i] * ends_factor[2])
                out_flag[start + i] = np.uint8(min(max(odds, np.float32(0.0)), np.float32(31.0)))


@_jit
def run(states: Any, lookup: Any, offsets: Any, words: Any, at: Any, out: Any) -> Any:
    """Decode symbols of lanes that advance together; return the next word's place, or -1 if the words ran out."""
    lanes, count, end = len(states), len(offsets), len(words)
    for first in range(0, count, lanes):
        for lane in range(min(lanes, count - first)):
            state = states[lane]
            slot = state & np.uint32(4095)
            word = lookup[offsets[first + lane] | slot]
            out[first + lane] = word & np.uint32(255)
            state = ((word >> np.uint32(20)) + np.uint32(1)) * (state >> np.uint32(12)) + slot - (
                (word >> np.uint32(8)) & np.uint32(4095)
            )
            if state < np.uint32(65536):
                if at >= end:
                    return -1
                state = (state << np.uint32(16)) | np.uint32(words[at])
                at += 1
            states[lane] = state
    return at


@_jit
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


@_jit
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
            for place in range(min(rank, places - 1), 0, -1):
                known[place] = known[place - 1]
            known[0] = value


@_jit
def values_of(ranks: Any, away: Any, recent: Any, values: Any) -> None:
    """Fill values (length, lanes) of ranks and distances: the inverse of `ranks_of`; ranks are at most `places`."""
    places = recent.shape[1]
    for step in range(ranks.shape[0]):
        for lane in range(ranks.shape[1]):
            rank, known = ranks[step, lane], recent[lane]
            value = known[rank] if rank < places else known[0] + away[step, lane]
            values[step, lane] = value
            for place in range(min(np.int64(rank), places - 1), 0, -1):
                known[place] = known[place - 1]
            known[0] = value
