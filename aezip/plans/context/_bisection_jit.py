"""Compiled loops over the passes of bisection; for what is where see `bisection`.

A place in a chunk is a sum of one number for each axis: lines of such numbers, one for each neighbour, say where the neighbours
of all values of a pass are. Nothing here depends on the file but numbers: places follow from the shape and the order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aezip.core._numba_jit import jit

from ._net_jit import BLOCK, block, workspace
from ._walk_jit import through

GROUP, ROOT, STRIDE, PARITY, FIRST, STEP, COUNT, LENGTH = range(8)  # of an axis in a pass


@jit
def lines(slots: Any, active: Any, axes: Any) -> Any:
    """Return for active slots, then for the targets, the parts of the places along each axis, one axis after the other.

    `slots` holds rows of offset along each axis, group, axis of the further step or -1, that step; `axes` as named above.
    """
    many = len(axes)
    out = np.empty((len(active) + 1, axes[:, COUNT].sum()), np.int64)
    for a in range(len(active) + 1):
        start = 0
        for axis in range(many):
            group, root, stride, parity, first, step, count, length = axes[axis]
            scale = axes[axis + 1 :, LENGTH].prod()
            slot = slots[active[a]] if a < len(active) else slots[0]
            own = a < len(active) and group == slot[many]
            inner = a < len(active) and slot[many + 1] >= 0 and group > slot[many] and not root
            side = slot[many + 2] if slot[many + 1] == axis else 0
            there = (parity + slot[axis]) % 2 if own else 0
            for j in range(count):
                if own:  # points of one parity
                    last = (length - there * stride - 1) // (2 * stride)
                    place = there * stride + 2 * stride * min(max((parity + slot[axis] - there) // 2 + j, 0), last)
                elif inner:  # all points of a later group's stride
                    place = stride * min(max(parity + side + 2 * j, 0), (length - 1) // stride)
                else:
                    place = first + step * j
                out[a, start + j] = place * scale
            start += count
    return out


@jit
def predict(net: Any, arrays: Any, levels: Any, part: Any, start: Any, stop: Any, index: Any, out: Any) -> None:
    """Predict the targets `start` to `stop` of a pass; fill `index` with their places.

    `arrays` are context and errors, `part` is (lines, counts of targets along the axes, slots whose errors count).
    """
    context, errors = arrays
    places, counts, (inner, outer) = part
    mean, level, flag = out
    work = workspace(net, context)
    fine, near, base_level = work[0], work[1], work[2]
    active, length = len(places) - 1, counts[-1]
    base, last = np.zeros(active + 1, np.int64), places[:, places.shape[1] - length :]
    current, fill, done = -1, 0, 0
    while done < stop - start:
        i = start + done + fill
        if i // length != current:
            current = i // length
            _base(places, counts, current, base)
        j = i % length
        take = min(length - j, stop - i, BLOCK - fill)
        for s in range(active):
            row, b, line = fine[s], base[s], last[s]
            for k in range(take):
                row[fill + k] = context[np.uintp(b + line[j + k])]
        _sum(errors, base, last, inner, j, take, near[0, fill:])
        _sum(errors, base, last, outer, j, take, near[1, fill:])
        for k in range(take):
            index[done + fill + k] = base[active] + last[active, j + k]
        fill += take
        if fill == BLOCK or i + take == stop:
            if net[14]:
                for k in range(fill):
                    base_level[k] = levels[index[done + k]]
            block(net, work, 0, active, fill, mean[done:], level[done:], flag[done:])
            done += fill
            fill = 0


@jit
def _base(places: Any, counts: Any, row: Any, base: Any) -> None:
    """Sum up the parts of the places along all axes but the last."""
    for s in range(len(base)):
        base[s] = 0
    end = places.shape[1] - counts[-1]
    for axis in range(len(counts) - 2, -1, -1):
        end -= counts[axis]
        at, row = end + row % counts[axis], row // counts[axis]
        for s in range(len(base)):
            base[s] += places[s, at]


@jit
def _sum(errors: Any, base: Any, last: Any, chosen: Any, j: Any, take: Any, out: Any) -> None:
    """Fill out with 1 plus the errors of chosen neighbours."""
    for k in range(take):
        out[k] = 1.0
    for s in chosen:
        b, line = base[s], last[s]
        for k in range(take):
            out[k] += errors[np.uintp(b + line[j + k])]


@jit
def finish(coder: Any, decoding: Any, grid: Any, chunk: Any, index: Any, run: Any) -> Any:
    """Decode or encode a predicted run, and store its values; tell whether the stream held it."""
    return through(coder, decoding, grid, chunk, np.uintp(0), index, run)
