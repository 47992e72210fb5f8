"""The passes of bisection by compiled loops: where neighbours are, then tile after tile; see `native/context.h`."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.native import Struct, address
from aezip.core.types import Int64

from .bisection import TILE_VALUES, Order, Pass, Slot, passes, slots, tiles
from .fused import Class
from .net import error_slots

Runs = list[tuple[int, int]]
Run = tuple[npt.NDArray[Any], ...]  # total, level, flag, keep, table, symbol and residual of values


def runs(shape: tuple[int, ...]) -> Runs:
    """Return where the tiles of a pass over `shape` begin and end, in C order."""
    found, at = [], 0
    for where in tiles(shape, TILE_VALUES):
        size = math.prod(len(range(n)[w]) for n, w in zip(shape, where, strict=False)) * math.prod(shape[len(where) :])
        found.append((at, at + size))
        at += size
    return found


class CompiledPass(NamedTuple):
    """A pass as compiled loops take it: struct, number of targets, where its runs begin and end, class."""

    struct: Struct
    targets: int
    runs: Runs
    kind: int


@lru_cache(maxsize=8)
def prepared(order: Order, shape: tuple[int, ...]) -> tuple[tuple[Class, ...], tuple[CompiledPass, ...], int]:
    """Return the classes of passes over a chunk, the passes, and the values of the longest run."""
    every, made, classes = slots(order), [], dict[Class, int]()
    numbers, outside = _slots(order, every, len(shape)), error_slots(every, len(order))
    for part in passes(shape, order):
        active = tuple(part.active(every))
        kind = classes.setdefault((part.kind, active), len(classes))
        made.append(_prepared(part, numbers, active, _near(active, outside), kind))
    return tuple(classes), tuple(made), max((b - a for one in made for a, b in one.runs), default=1)


def first(order: Order, shape: tuple[int, ...], finest: int) -> int:
    """Return how many passes come before the first group's stride falls below `finest`."""
    return len(prepared(order, shape)[1]) if finest == 1 else sum(1 for _ in passes(shape, order, finest))


def all_runs(order: Order, shape: tuple[int, ...]) -> Runs:
    """Return where the runs of all passes begin and end, in the order of decoding."""
    found, done = [], 0
    for one in prepared(order, shape)[1]:
        found += [(done + a, done + b) for a, b in one.runs]
        done += one.targets
    return found


def run_struct(buffers: Run) -> Struct:
    """Return buffers as loops take them."""
    return Struct(*zip(buffers, ("i8", "u1", "u1", "u1", "u1", "u1", "i8"), strict=True))


def _prepared(part: Pass, numbers: Int64, active: tuple[int, ...], near: tuple[Int64, Int64], kind: int) -> CompiledPass:
    """Return a pass: lines of places for each neighbour, then for the targets; the rest of what loops know."""
    axes, chosen, counts = _axes(part), np.array(active, np.int64), np.array(part.target_shape, np.int64)
    width, where, total = int(counts.sum()), runs(part.target_shape), math.prod(part.target_shape)
    places, ends = np.empty((len(active) + 1, width), np.int64), np.array(where, np.int64)
    native.call(
        "lines", address(numbers, "i8"), numbers.shape[1], address(chosen, "i8"), len(chosen), address(axes, "i8"), len(axes),
        address(places, "i8"),
    )  # fmt: skip
    arrays = (places, "i8"), (counts, "i8"), (near[0], "i8"), (near[1], "i8"), (ends, "i8")
    struct = Struct(*arrays, width, len(counts), len(active), len(near[0]), len(near[1]), len(where), kind, total, (chosen, "i8"))
    return CompiledPass(struct, total, where, kind)


def _slots(order: Order, every: tuple[Slot, ...], axes: int) -> Int64:
    """Return the slots as `lines` in `native/places.h` takes them."""
    out = np.zeros((max(1, len(every)), axes + 3), np.int64)
    out[:, axes + 1] = -1
    for row, slot in zip(out, every, strict=False):
        row[list(order[slot.group])] = slot.offset
        row[axes] = slot.group
        if slot.inner is not None:
            row[axes + 1 :] = slot.inner
    return out


def _axes(part: Pass) -> Int64:
    """Return the axes in a pass as `lines` in `native/places.h` takes them."""
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


def _near(active: tuple[int, ...], chosen: tuple[list[int], list[int]]) -> tuple[Int64, Int64]:
    """Return where among the active slots those are whose errors count, of the innermost group and of the others."""
    first, second = (np.array([active.index(i) for i in some if i in active], np.int64) for some in chosen)
    return first, second
