"""Compiled loops over a whole chunk: scans and signals, decoded or encoded; see `compiled`.

What they do is what `refinement` does run by run. Nothing here depends on the file but numbers: places follow from the shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.entropy._residual_jit import coded, decoded

from ._net_jit import BLOCK, _jit, block, workspace

_LAGS = 32  # as in `series`
_START = 8


@_jit
def _cut(buffers: Any, start: Any, stop: Any) -> Any:
    total, level, flag, keep, table, symbol, q = buffers
    return (
        total[start:stop], level[start:stop], flag[start:stop], keep[start:stop], table[start:stop], symbol[start:stop],
        q[start:stop],
    )


@_jit
def _run(coder: Any, decoding: Any, grid: Any, chunk: Any, first: Any, index: Any, run: Any) -> Any:
    """Decode or encode a predicted run, at `first` + `index`, and store its values; tell whether the stream held it.

    `chunk` is (context, errors, value, kept, base's mean or one number, target, whole numbers, origin, limit).
    """
    context, errors, value, kept, base, target, integers, limit = chunk
    total, keep, q = run[0], run[3], run[6]
    whole, n = grid[0], len(run[0])
    moving = np.uintp(1 if len(base) > 1 else 0)
    for i in range(n):
        place = first + np.uintp(index[i])
        total[i] += base[place * moving]
        keep[i] = kept[place]
    if decoding:
        if not decoded(coder, grid, run):
            return False
    elif whole:
        coded(target[:0], _taken(integers, first, index), grid, run)
    else:
        coded(_taken(target, first, index), integers[:0], grid, run)
    for i in range(n):
        place = first + np.uintp(index[i])
        made = (q[i] + ((total[i] + 32) >> 6)) << 6 if whole else (q[i] << 6) + total[i]
        value[place] = made
        context[place] = min(max(np.float64(made - base[place * moving]), -limit), limit)
        errors[place] = min(np.float64(abs(q[i])), 4095.0)
    return True


@_jit
def _taken(array: Any, first: Any, index: Any) -> Any:
    out = np.empty(len(index), array.dtype)
    for i in range(len(index)):
        out[i] = array[first + np.uintp(index[i])]
    return out


@_jit
def _around(chunk: Any, wave: Any, index: Any, alike: Any, fine: Any, near: Any) -> None:
    """Take the neighbours of up to BLOCK values of a diagonal, and sums of their errors.

    Distances are those of the first value's state if all are `alike`, else those of each one's.
    """
    context, errors = chunk[0], chunk[1]
    states, table = wave[2], wave[3]
    inner, outer = wave[4]
    slots = table.shape[1]
    for group in range(2):
        for i in range(BLOCK):
            near[group, i] = 1.0
    if alike:
        distance = table[states[index[0]]]
        for s in range(slots):
            row, d = fine[s], np.int64(distance[s])
            for i in range(len(index)):
                row[i] = context[np.uintp(index[i] + d)]
        for group, chosen in ((0, inner), (1, outer)):
            row = near[group]
            for s in chosen:
                d = np.int64(distance[s])
                for i in range(len(index)):
                    row[i] += errors[np.uintp(index[i] + d)]
        return
    for i in range(len(index)):
        distance = table[states[index[i]]]
        for s in range(slots):
            fine[s, i] = context[np.uintp(index[i] + np.int64(distance[s]))]
        for s in inner:
            near[0, i] += errors[np.uintp(index[i] + np.int64(distance[s]))]
        for s in outer:
            near[1, i] += errors[np.uintp(index[i] + np.int64(distance[s]))]


@_jit
def scan(net: Any, coder: Any, decoding: Any, grid: Any, chunk: Any, wave: Any, levels: Any, buffers: Any) -> Any:
    """Decode or encode a chunk in raster order; tell whether the stream held it.

    `wave` is (order, ends, states, table, error places, most values of a run); with one place in the buffers for each value
    all runs stay in them, in the order of decoding.
    """
    order, ends, most = wave[0], wave[1], wave[5]
    work = workspace(net, chunk[0])
    fine, near, base_level = work[0], work[1], work[2]
    for i in range(BLOCK):
        near[0, i] = near[1, i] = 1.0
    start, zero = 0, np.uintp(0)
    for number in range(0, len(ends), 2):
        active = wave[3].shape[1] if number else 0
        for a in range(start, ends[number + 1], most):
            index = order[a : min(ends[number + 1], a + most)]
            at = 0 if decoding else a
            run = _cut(buffers, at, at + len(index))
            for i in range(0, len(index), BLOCK):
                some = index[i : i + BLOCK]
                if active:
                    _around(chunk, wave, some, a + i + len(some) <= ends[number], fine, near)
                if net[14]:
                    for j in range(len(some)):
                        base_level[j] = levels[some[j]]
                block(net, work, min(number, 1), active, len(some), run[0][i:], run[1][i:], run[2][i:])
            if not _run(coder, decoding, grid, chunk, zero, index, run):
                return False
        start = ends[number + 1]
    return True


@_jit
def counting_sort(key: Any, starts: Any) -> Any:
    """Return the places of values in the order of their keys, equal ones as they stand; `starts`: of each key, used up."""
    out = np.empty(len(key), np.int32)
    for i in range(len(key)):
        out[starts[key[i]]] = i
        starts[key[i]] += 1
    return out


@_jit
def _before(context: Any, t: Any, c: Any, start: Any, size: Any, fine: Any) -> None:
    """Take what a signal (length, columns, segments) was before (t, c), for some segments."""
    for k in range(_LAGS):
        row, source = fine[k], context[max(t - 1 - k, 0), c, start : start + size]
        for i in range(size):
            row[i] = source[i]
    own = context[t - 1, c, start : start + size]
    for j in range(c):
        row, now, then = fine[_LAGS + j], context[t, j, start : start + size], context[t - 1, j, start : start + size]
        for i in range(size):
            row[i] = (now[i] - then[i]) + own[i]


@_jit
def _made(errors: Any, t: Any, c: Any, start: Any, size: Any, near: Any) -> None:
    """Sum up the errors made before (t, c), and add 1."""
    for i in range(size):
        near[0, i] = near[1, i] = 1.0
    for back in range(max(0, t - 2), t):
        source = errors[back, c, start : start + size]
        for i in range(size):
            near[0, i] += source[i]
    for j in range(c):
        source = errors[t, j, start : start + size]
        for i in range(size):
            near[1, i] += source[i]


@_jit
def series(net: Any, coder: Any, decoding: Any, grid: Any, chunk: Any, shape: Any, index: Any, buffers: Any) -> Any:
    """Decode or encode a signal of `shape` (length, columns, segments), as `scan` does; `index` counts segments."""
    length, columns, segments = shape
    work = workspace(net, chunk[0])
    fine, near = work[0], work[1]
    context, errors = chunk[0].reshape(shape), chunk[1].reshape(shape)
    for t in range(length):
        for c in range(columns):
            at = (t * columns + c) * segments
            first = 0 if decoding else at
            run = _cut(buffers, first, first + segments)
            active = _LAGS + c if t else 0
            kind = 1 + c + (columns if t >= _START else 0) if t else 0
            for i in range(0, segments, BLOCK):
                size = min(BLOCK, segments - i)
                _made(errors, t, c, i, size, near)
                if t:
                    _before(context, t, c, i, size, fine)
                block(net, work, kind, active, size, run[0][i:], run[1][i:], run[2][i:])
            if not _run(coder, decoding, grid, chunk, np.uintp(at), index, run):
                return False
    return True
