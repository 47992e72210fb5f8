"""A context network compiled, over blocks of values: the bits of `net`."""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit, jit_exact
from aezip.core.fixed import ACTIVATION_TOP, EXTRAS, FLAG_BINS, LEVELS

BLOCK = 64  # values computed together: short loops that vectorize
LAST_LEVEL, LAST_BIN, TOP = np.float32(LEVELS - 1), np.float32(FLAG_BINS - 1), np.float32(ACTIVATION_TOP)


@jit_exact
def _add(row: Any, w: Any, column: Any) -> None:
    """Add w times a column to a row."""
    for i in range(BLOCK):
        row[i] += w * column[i]


@jit_exact
def _sums(weight: Any, bias: Any, values: Any, out: Any) -> None:
    """Fill out (units, BLOCK) with weight @ values + bias; four units and two inputs at a time: fewer loads and stores."""
    units, inputs = weight.shape
    for u in range(0, units - 3, 4):
        r0, r1, r2, r3 = out[u], out[u + 1], out[u + 2], out[u + 3]
        for i in range(BLOCK):
            r0[i], r1[i], r2[i], r3[i] = bias[u], bias[u + 1], bias[u + 2], bias[u + 3]
        for j in range(0, inputs - 1, 2):
            a0, b0, a1, b1 = weight[u, j], weight[u, j + 1], weight[u + 1, j], weight[u + 1, j + 1]
            a2, b2, a3, b3 = weight[u + 2, j], weight[u + 2, j + 1], weight[u + 3, j], weight[u + 3, j + 1]
            first, second = values[j], values[j + 1]
            for i in range(BLOCK):
                a, b = first[i], second[i]
                r0[i] += a0 * a + b0 * b
                r1[i] += a1 * a + b1 * b
                r2[i] += a2 * a + b2 * b
                r3[i] += a3 * a + b3 * b
        if inputs % 2:
            for k in range(4):
                _add(out[u + k], weight[u + k, inputs - 1], values[inputs - 1])
    for u in range(units // 4 * 4, units):
        for i in range(BLOCK):
            out[u, i] = bias[u]
        for j in range(inputs):
            _add(out[u], weight[u, j], values[j])


@jit
def _activate(rows: Any, factor: Any, top: Any) -> None:
    """Replace rows (units, BLOCK) by clip(rint(rows * factor), 0, top)."""
    for unit in range(rows.shape[0]):
        row, f = rows[unit], factor[unit]
        for i in range(BLOCK):
            row[i] = min(max(np.rint(row[i] * f), np.float32(0.0)), top)


@jit
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


@jit
def workspace(net: Any, like: Any) -> Any:
    """Return arrays to work in for a network, on contexts of the type of `like`."""
    first, second, ends, skip = net[2], net[5], net[8], net[11]
    hidden, slots = second.shape[0], skip.shape[1]
    return (
        np.zeros((slots, BLOCK), like.dtype),  # neighbours, then their fine values
        np.zeros((2, BLOCK), np.float32),  # sums of errors, plus 1
        np.zeros(BLOCK, np.float32),  # the autoencoder's level
        np.zeros((first.shape[2], BLOCK), np.float32),  # inputs
        np.zeros((hidden, BLOCK), np.float32),
        np.zeros((hidden + EXTRAS, BLOCK), np.float32),
        np.zeros((ends.shape[0], BLOCK), np.float32),
        np.zeros((3, BLOCK), like.dtype),  # reference, spread, factor
        np.zeros(BLOCK, np.float32),
        np.zeros(BLOCK, np.float64),
        np.zeros(BLOCK, np.int64),  # exponents
        np.zeros(BLOCK, skip.dtype),
    )


@jit
def _normalize(fine: Any, pair: Any, precision: Any, state: Any, narrow: Any, wide: Any, exponent: Any, values: Any) -> None:
    """Turn neighbours (active, BLOCK) in `fine` into inputs; state gets the reference, exponent the spread's."""
    active = fine.shape[0]
    reference, spread, factor = state[0], state[1], state[2]
    first, second = fine[pair[0]], fine[pair[1]]
    half, smallest = fine.dtype.type(0.5), fine.dtype.type(32.0)
    for i in range(BLOCK):
        reference[i] = (first[i] + second[i]) * half
        spread[i] = smallest
    for k in range(active):
        row = fine[k]
        for i in range(BLOCK):
            row[i] -= reference[i]
            spread[i] = max(spread[i], abs(row[i]))
    bits = wide.view(np.int64)
    for i in range(BLOCK):
        wide[i] = spread[i]
        narrow[i] = np.float32(spread[i])
        exponent[i] = (bits[i] >> 52) - 1022
    _log2(narrow.view(np.int32), values[active])
    for i in range(BLOCK):
        bits[i] = (precision - exponent[i] + 1023) << 52  # a power of two
        factor[i] = wide[i]
        narrow[i] = np.float32(1.0)
    accurate = fine.dtype.type(2.0 ** (10 - precision))
    for k in range(active):
        row, out = fine[k], values[k]
        for i in range(BLOCK):
            row[i] = np.rint(row[i] * factor[i])
        if precision == 10:
            for i in range(BLOCK):
                out[i] = row[i]
                narrow[i] += abs(out[i])
        else:
            for i in range(BLOCK):
                out[i] = np.float32(np.rint(row[i] * accurate))
                narrow[i] += abs(out[i])
    _log2(narrow.view(np.int32), values[active + 1])


@jit
def _linear(fine: Any, skip: Any, out: Any) -> None:
    """Fill out with the linear part of normalized neighbours."""
    for i in range(BLOCK):
        out[i] = 0
    for k in range(fine.shape[0]):
        row, w = fine[k], skip[k]
        for i in range(BLOCK):
            out[i] += w * skip.dtype.type(row[i])


@jit
def block(net: Any, work: Any, kind: Any, active: Any, size: Any, mean: Any, level: Any, flag: Any) -> None:
    """Predict up to BLOCK values whose neighbours and errors are in the workspace; the first `size` are given out.

    `net` is what `ContextNet.ready` returns. Of the last layers, `ends`, the rows are mean, scale, flag.
    """
    precision, pairs, first, first_bias, first_factor, second, second_bias, second_factor = net[:8]
    ends, ends_bias, ends_factor, skip, skip_unit, has_flag, has_level = net[8:]
    fine, near, base_level, values, one, both, last, state, narrow, wide, exponent, linear = work
    hidden = second.shape[0]
    if active:
        _normalize(fine[:active], pairs[kind], precision, state, narrow, wide, exponent, values)
        _linear(fine[:active], skip[kind], linear)
    else:
        for i in range(BLOCK):
            state[0, i], exponent[i], linear[i], values[0, i], values[1, i] = 0, 6, 0, 0, 0
    _log2(near[0].view(np.int32), values[active + 2])
    _log2(near[1].view(np.int32), values[active + 3])
    for i in range(BLOCK):
        values[active + 4, i] = (base_level[i] - np.float32(32.0)) * np.float32(64.0) if has_level else np.float32(0.0)
    _sums(first[kind][:, : active + EXTRAS], first_bias[kind], values, one)
    _activate(one, first_factor, TOP)
    _sums(second, second_bias, one, both)
    _activate(both[:hidden], second_factor, TOP)
    for k in range(EXTRAS):  # assigned element by element: slices would compile messages about shapes, for seconds
        for i in range(BLOCK):
            both[hidden + k, i] = values[active + k, i]
    _sums(ends, ends_bias, both, last)
    bits = wide.view(np.int64)
    for i in range(BLOCK):
        bits[i] = (exponent[i] + 1023) << 52
    for i in range(size):
        t = np.float64(last[0, i] * ends_factor[0]) + np.float64(linear[i]) * skip_unit[kind]
        mean[i] = np.int64(np.rint(t * wide[i] + np.float64(state[0, i])))
        level[i] = np.uint8(min(max(np.rint(last[1, i] * ends_factor[1]), np.float32(0.0)), LAST_LEVEL))
        if has_flag:
            flag[i] = np.uint8(min(max(np.rint(last[2, i] * ends_factor[2]), np.float32(0.0)), LAST_BIN))
