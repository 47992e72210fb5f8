"""Compiled loops over a whole chunk in raster order, decoded or encoded.

What they do is what `walk` does run by run. Nothing here depends on the file but numbers: places follow from the shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit

from ._net_jit import BLOCK, block, workspace
from ._walk_jit import cut, through


@jit
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


@jit
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
            run = cut(buffers, at, at + len(index))
            for i in range(0, len(index), BLOCK):
                some = index[i : i + BLOCK]
                if active:
                    _around(chunk, wave, some, a + i + len(some) <= ends[number], fine, near)
                if net[14]:
                    for j in range(len(some)):
                        base_level[j] = levels[some[j]]
                block(net, work, min(number, 1), active, len(some), run[0][i:], run[1][i:], run[2][i:])
            if not through(coder, decoding, grid, chunk, zero, index, run):
                return False
        start = ends[number + 1]
    return True


@jit
def counting_sort(key: Any, starts: Any) -> Any:
    """Return the places of values in the order of their keys, equal ones as they stand; `starts`: of each key, used up."""
    out = np.empty(len(key), np.int32)
    for i in range(len(key)):
        out[starts[key[i]]] = i
        starts[key[i]] += 1
    return out
