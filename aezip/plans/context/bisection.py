"""The order in which the values of a chunk are decoded, and which decoded neighbours each of them sees.

Axes come in groups. Within a group the lattice is refined by bisection: stride 2s is known, then the points of stride
s between, one parity class after the other (as in interpolation codecs: Liu et al., "High-ratio scientific lossy
compression by interpolation", arXiv:2105.12912). Groups nest: a point of an outer group is a whole frame of the inner
axes, refined in its turn, so that a value sees its frame's coarser lattice and whole neighbouring frames. Axes in no
group have no order: all their indices are decoded together and see nothing of each other.

All values of a pass are computed at once, from strided slices. Knows nothing of networks or files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.floating]
Order = tuple[tuple[int, ...], ...]
LEVEL_CLASSES = 3  # strides 1, 2 and wider have statistics of their own
MOST_KINDS = 1 << 14
TILE_VALUES = 1 << 14  # of a pass that are predicted at a time
_PAD = 3  # points by which a lattice is continued beyond its edges


@dataclass(frozen=True)
class Slot:
    """A place relative to the target.

    Parameters
    ----------
    group
        The group whose lattice is stepped on.
    offset
        Steps along each axis of the group: of the stride at hand.
    inner
        None, or (axis of a later group, -1 or 1): a step within the neighbouring frame.
    """

    group: int
    offset: tuple[int, ...]
    inner: tuple[int, int] | None = None


def group_offsets(axes: int) -> list[tuple[int, ...]]:
    """Return the offsets within a group of so many axes, opposite ones next to each other."""
    single = [tuple(o if b == a else 0 for b in range(axes)) for a in range(axes) for o in (-1, 1, -3, 3)]
    if axes == 1:
        single += [(-5,), (5,), (-7,), (7,)]
    double = []
    for a, b in itertools.combinations(range(axes), 2):
        for x, y in ((-1, -1), (1, 1), (-1, 1), (1, -1)):
            double.append(tuple(x if c == a else y if c == b else 0 for c in range(axes)))
    return single + double


def slots(order: Order) -> tuple[Slot, ...]:
    """Return all slots of an order: the inputs of the network."""
    out = []
    for group, axes in enumerate(order):
        out += [Slot(group, offset) for offset in group_offsets(len(axes))]
        inner = [axis for later in order[group + 1 :] for axis in later]
        for axis_at in range(len(axes)):
            for side in (-1, 1):
                offset = tuple(side if b == axis_at else 0 for b in range(len(axes)))
                out += [Slot(group, offset, (axis, step)) for axis in inner for step in (-1, 1)]
    return tuple(out)


@dataclass(frozen=True)
class Step:
    """One refinement of a group: a stride and the parity class decoded; stride 0: the first point."""

    stride: int
    parity: tuple[int, ...]
    known: tuple[tuple[int, ...], ...]  # parity classes decoded before, of this stride

    @property
    def root(self) -> bool:
        """Whether it is the first point."""
        return self.stride == 0

    def targets(self, at: int) -> slice:
        """Return the indices decoded along the axis that is number `at` of the group."""
        if self.root:
            return slice(0, 1)
        return slice(self.parity[at] * self.stride, None, 2 * self.stride)


def steps(lengths: tuple[int, ...]) -> list[Step]:
    """Return the refinements of a group of axes of the given lengths: points on the axes first, those between them later."""
    axes = len(lengths)
    out = [Step(0, (0,) * axes, ())]
    parities = sorted((p for p in itertools.product((0, 1), repeat=axes) if any(p)), key=lambda p: (sum(p), p[::-1]))
    for level in reversed(range(max(1, math.ceil(math.log2(max(lengths)))) if max(lengths) > 1 else 0)):
        stride = 1 << level
        known: list[tuple[int, ...]] = []
        for parity in parities:
            if all(not p or n > stride for p, n in zip(parity, lengths, strict=True)):
                out.append(Step(stride, parity, tuple(known)))
                known.append(parity)
    return out


@dataclass(frozen=True)
class Pass:
    """All values of one combination of steps, one of each group."""

    order: Order
    steps: tuple[Step, ...]
    shape: tuple[int, ...]

    @cached_property
    def targets(self) -> tuple[slice, ...]:
        """The index of the values decoded."""
        index = [slice(None)] * len(self.shape)
        for axes, step in zip(self.order, self.steps, strict=True):
            for at, axis in enumerate(axes):
                index[axis] = step.targets(at)
        return tuple(index)

    @cached_property
    def target_shape(self) -> tuple[int, ...]:
        """Shape of the values decoded."""
        return tuple(len(range(n)[s]) for n, s in zip(self.shape, self.targets, strict=True))

    @cached_property
    def kind(self) -> int:
        """The class of the pass: how far apart neighbours are, on which side they lie."""
        number = 0
        for axes, step in zip(self.order, self.steps, strict=True):
            count = (1 << len(axes)) - 1
            mine = 0
            if not step.root:
                level = min(step.stride.bit_length() - 1, LEVEL_CLASSES - 1)
                parity = sum(p << i for i, p in enumerate(step.parity))
                mine = 1 + level * count + parity - 1
            number = number * (1 + LEVEL_CLASSES * count) + mine
        return number

    def active(self, every: tuple[Slot, ...]) -> list[int]:
        """Return which slots hold decoded values."""
        return _active(self.order, tuple((s.root, s.parity, s.known) for s in self.steps), self.shape, every)

    def views(self, context: Float, every: tuple[Slot, ...]) -> list[Float]:
        """Return the neighbours of all values of the pass in the active slots, each of `target_shape`."""
        blocks: dict[tuple[int, tuple[int, ...], bool], Float] = {}
        out = []
        for slot in (every[i] for i in self.active(every)):
            step = self.steps[slot.group]
            parity = tuple((p + o) % 2 for p, o in zip(step.parity, slot.offset, strict=True))
            key = (slot.group, parity, slot.inner is not None)
            if key not in blocks:
                blocks[key] = self._block(context, *key)
            out.append(self._view(blocks[key], slot, parity))
        return out

    def _block(self, context: Float, group: int, parity: tuple[int, ...], inner: bool) -> Float:
        """Copy one parity class of a group's lattice, padded by its edges along the group's axes.

        With `inner`, axes of later groups keep all points of their stride, padded too; else only the targets'.
        """
        index = list(self.targets)
        width = [(0, 0)] * len(self.shape)
        step = self.steps[group]
        for at, axis in enumerate(self.order[group]):
            index[axis] = slice(parity[at] * step.stride, None, 2 * step.stride)
            width[axis] = (_PAD, _PAD + 1)
        if inner:
            for axes, other in zip(self.order[group + 1 :], self.steps[group + 1 :], strict=True):
                for axis in axes:
                    if not other.root:
                        index[axis] = slice(None, None, other.stride)
                        width[axis] = (1, 1)
        return _padded(context[tuple(index)], width)

    def _view(self, block: Float, slot: Slot, parity: tuple[int, ...]) -> Float:
        index = [slice(None)] * len(self.shape)
        step = self.steps[slot.group]
        for at, axis in enumerate(self.order[slot.group]):
            # target index: p + 2 j strides; neighbour: p + o + 2 j = parity + 2 (j + shift)
            shift = (step.parity[at] + slot.offset[at] - parity[at]) // 2
            index[axis] = slice(_PAD + shift, _PAD + shift + self.target_shape[axis])
        if slot.inner is not None:
            for axes, other in zip(self.order[slot.group + 1 :], self.steps[slot.group + 1 :], strict=True):
                for at, axis in enumerate(axes):
                    if not other.root:
                        side = slot.inner[1] if axis == slot.inner[0] else 0
                        first = 1 + other.parity[at] + side
                        index[axis] = slice(first, first + 2 * self.target_shape[axis] - 1, 2)
        return block[tuple(index)]


@lru_cache(maxsize=4096)
def _active(
    order: Order, state: tuple[tuple[bool, tuple[int, ...], Any], ...], shape: tuple[int, ...], every: tuple[Slot, ...]
) -> list[int]:
    """Return which slots hold decoded values, given (root, parity, known) of each group's step."""

    def holds(slot: Slot) -> bool:
        root, parity, known = state[slot.group]
        there = tuple((p + o) % 2 for p, o in zip(parity, slot.offset, strict=True))
        if root or (any(there) and there not in known):
            return False
        if slot.inner is None:
            return True
        axis = slot.inner[0]
        group = next(g for g, axes in enumerate(order) if axis in axes)
        return not state[group][0] and shape[axis] > 1

    return [i for i, slot in enumerate(every) if holds(slot)]


def _padded(values: Float, width: list[tuple[int, int]]) -> Float:
    """Return values continued by their edges; np.pad does the same with more overhead."""
    shape = tuple(n + a + b for n, (a, b) in zip(values.shape, width, strict=True))
    out = np.empty(shape, values.dtype)
    out[tuple(slice(a, a + n) for n, (a, _) in zip(values.shape, width, strict=True))] = values
    for axis, (before, after) in enumerate(width):
        head: tuple[Any, ...] = (slice(None),) * axis
        if before:
            out[(*head, slice(0, before))] = out[(*head, slice(before, before + 1))]
        if after:
            end = shape[axis] - after
            out[(*head, slice(end, None))] = out[(*head, slice(end - 1, end))]
    return out


def passes(shape: tuple[int, ...], order: Order, finest: int = 1) -> Iterator[Pass]:
    """Yield the passes over a chunk of `shape` in the order of decoding, until the first group's stride falls below `finest`.

    They decode every `finest`-th index of the first group's axes, and all of the others.
    """
    groups = [steps(tuple(shape[a] for a in axes)) for axes in order]
    for combination in itertools.product(*groups):
        if combination[0].stride and combination[0].stride < finest:
            return
        part = Pass(order, combination, shape)
        if all(part.target_shape):
            yield part


def kinds(order: Order) -> int:
    """Return the number of classes of passes."""
    return math.prod(1 + LEVEL_CLASSES * ((1 << len(axes)) - 1) for axes in order)


def tiles(shape: tuple[int, ...], most: int) -> Iterator[tuple[Any, ...]]:
    """Yield indices that cut `shape` into runs of at most about `most` values, in C order."""
    if math.prod(shape) <= most or len(shape) == 0:
        yield ()
        return
    inner = math.prod(shape[1:])
    if inner > most and shape[0] > 0:
        for i in range(shape[0]):
            for rest in tiles(shape[1:], most):
                yield (slice(i, i + 1), *rest)
        return
    length = max(1, most // max(1, inner))
    for start in range(0, shape[0], length):
        yield (slice(start, min(start + length, shape[0])),)
