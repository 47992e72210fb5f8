"""The passes of bisection by compiled loops: where neighbours are, then tile after tile; see `native/context.h`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.native import Struct, address
from aezip.core.parallel import ahead, pool_of
from aezip.core.types import Int64

from .bisection import TILE_VALUES, Pass, passes, tiles
from .fused import ready
from .net import ContextNet, ContextSizes, error_slots

Runs = list[tuple[int, int]]
Predicted = tuple[npt.NDArray[np.int32], tuple[npt.NDArray[Any], ...]]  # places of a tile's values, its part of the buffers
Buffers = Callable[[int, int], tuple[npt.NDArray[Any], ...]]  # of so many values from one on, in the order of decoding


def runs(shape: tuple[int, ...]) -> Runs:
    """Return where the tiles of a pass over `shape` begin and end, in C order."""
    found, at = [], 0
    for where in tiles(shape, TILE_VALUES):
        size = math.prod(len(range(n)[w]) for n, w in zip(shape, where, strict=False)) * math.prod(shape[len(where) :])
        found.append((at, at + size))
        at += size
    return found


def predictions(
    net: ContextNet,
    context: npt.NDArray[Any],
    errors: npt.NDArray[Any],
    levels: npt.NDArray[np.uint8],
    *,
    level: bool,
    buffers: Buffers,
    workers: int,
) -> Iterator[Predicted]:
    """Yield each tile with what the network says of it; those of a pass are predicted on several threads.

    What is yielded is to be decoded, and stored, before the next one is asked for.
    """
    sizes, shape = net.sizes, context.shape
    slots, done = _slots(sizes, len(shape)), 0
    arrays = address(context, context.dtype.str), address(errors, "f4"), address(levels, "u1")
    with pool_of(workers) as pool:
        for part in passes(shape, sizes.order):
            active = tuple(part.active(sizes.slots))
            types, frozen = ready(net, ((part.kind, active),), context.dtype, level=level)
            about = _about(part, slots, active, _near(net, active))

            def predicted(
                run: tuple[int, int], types: int = types, frozen: Struct = frozen, about: Struct = about, done: int = done
            ) -> Predicted:
                out, index = buffers(done + run[0], done + run[1]), np.empty(run[1] - run[0], np.int32)
                buffer = run_struct(out)
                native.call("predict", types, frozen.address, *arrays, about.address, *run, address(index, "i4"), buffer.address)
                return index, out

            wanted = runs(part.target_shape)
            several = workers > 1 and len(wanted) > 1
            yield from ahead(predicted, wanted, pool, workers) if several else map(predicted, wanted)
            done += math.prod(part.target_shape)


def all_runs(sizes: ContextSizes, shape: tuple[int, ...]) -> Runs:
    """Return where the tiles of all passes begin and end, in the order of decoding."""
    found, done = [], 0
    for part in passes(shape, sizes.order):
        found += [(done + a, done + b) for a, b in runs(part.target_shape)]
        done += math.prod(part.target_shape)
    return found


def run_struct(buffers: tuple[npt.NDArray[Any], ...]) -> Struct:
    """Return total, level, flag, keep, table, symbol and residual of values as loops take them."""
    return Struct(*zip(buffers, ("i8", "u1", "u1", "u1", "u1", "u1", "i8"), strict=True))


def _about(part: Pass, slots: Int64, active: tuple[int, ...], near: tuple[Int64, Int64]) -> Struct:
    """Return where the neighbours of a pass are, as loops take it: lines of places for each, then for the targets."""
    axes, chosen, counts = _axes(part), np.array(active, np.int64), np.array(part.target_shape, np.int64)
    width = int(counts.sum())
    places = np.empty((len(active) + 1, width), np.int64)
    native.call(
        "lines", address(slots, "i8"), slots.shape[1], address(chosen, "i8"), len(chosen), address(axes, "i8"), len(axes),
        address(places, "i8"),
    )  # fmt: skip
    arrays = (places, "i8"), (counts, "i8"), (near[0], "i8"), (near[1], "i8")
    return Struct(*arrays, width, len(counts), len(active), len(near[0]), len(near[1]))


def _slots(sizes: ContextSizes, axes: int) -> Int64:
    """Return the slots as `lines` in `native/recency.h` takes them."""
    out = np.zeros((max(1, sizes.places), axes + 3), np.int64)
    out[:, axes + 1] = -1
    for row, slot in zip(out, sizes.slots, strict=False):
        row[list(sizes.order[slot.group])] = slot.offset
        row[axes] = slot.group
        if slot.inner is not None:
            row[axes + 1 :] = slot.inner
    return out


def _axes(part: Pass) -> Int64:
    """Return the axes in a pass as `lines` in `native/recency.h` takes them."""
    rows = []
    for axis, (length, count) in enumerate(zip(part.shape, part.target_shape, strict=True)):
        group = next((g for g, axes in enumerate(part.order) if axis in axes), -1)
        if group < 0:
            rows.append([-1, 1, 1, 0, 0, 1, count, length])
            continue
        step = part.steps[group]
        parity = step.parity[part.order[group].index(axis)]
        rows.append([group, step.root, max(1, step.stride), parity, parity * step.stride, 2 * step.stride, count, length])
    return np.array(rows, np.int64)


def _near(net: ContextNet, active: tuple[int, ...]) -> tuple[Int64, Int64]:
    """Return where among the active slots those are whose errors count, of the innermost group and of the others."""
    key = ("near", active)
    if key not in net.cache:
        chosen = error_slots(net.sizes.slots, len(net.sizes.order))
        net.cache[key] = tuple(np.array([active.index(i) for i in some if i in active], np.int64) for some in chosen)
    found: tuple[Int64, Int64] = net.cache[key]
    return found
