"""Compiled counterparts of what `walk` does with a run of values, whatever the order."""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit
from aezip.entropy._residual_jit import residuals, symbols


@jit
def cut(buffers: Any, start: Any, stop: Any) -> Any:
    total, level, flag, keep, table, symbol, q = buffers
    return (
        total[start:stop],
        level[start:stop],
        flag[start:stop],
        keep[start:stop],
        table[start:stop],
        symbol[start:stop],
        q[start:stop],
    )


@jit
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


@jit
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


@jit
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


@jit
def _taken(array: Any, first: Any, index: Any) -> Any:
    out = np.empty(len(index), array.dtype)
    for i in range(len(index)):
        out[i] = array[first + np.uintp(index[i])]
    return out


@jit
def through(coder: Any, decoding: Any, grid: Any, chunk: Any, first: Any, index: Any, run: Any) -> Any:
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
