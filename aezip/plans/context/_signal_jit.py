"""Compiled loops over a whole signal, decoded or encoded: what `walk` does run by run."""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit

from ._net_jit import BLOCK, block, workspace
from ._walk_jit import cut, through

_LAGS = 32  # as in `signal`
_START = 8


@jit
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


@jit
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


@jit
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
            run = cut(buffers, first, first + segments)
            active = _LAGS + c if t else 0
            kind = 1 + c + (columns if t >= _START else 0) if t else 0
            for i in range(0, segments, BLOCK):
                size = min(BLOCK, segments - i)
                _made(errors, t, c, i, size, near)
                if t:
                    _before(context, t, c, i, size, fine)
                block(net, work, kind, active, size, run[0][i:], run[1][i:], run[2][i:])
            if not through(coder, decoding, grid, chunk, np.uintp(at), index, run):
                return False
    return True
