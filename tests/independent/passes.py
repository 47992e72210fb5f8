"""Section 6 of the page: in which passes an array is decoded, and which neighbours a value of a pass sees."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass
class Pass:
    """Values decoded together; places are flat, in the array that the plan works on."""

    shape: tuple[int, ...]  # of the values, for cutting into runs
    most: int  # values of a run
    targets: np.ndarray
    slots: list[np.ndarray | None]  # places of the neighbours; None: not active
    number: int  # the class
    near: list[int]  # slots whose errors count, of the innermost group
    far: list[int]  # and of the others
    changes: list[tuple[np.ndarray, np.ndarray] | None] = field(default_factory=list)  # of a series: other columns at t - 1, t
    beside: list[np.ndarray] = field(default_factory=list)  # of a series: places whose errors count among the far ones

    def contexts(self, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the contexts in all slots, and which of these are active."""
        found = [None if slot is None else c[slot] for slot in self.slots]
        found += [None if pair is None else c[pair[1]] - c[pair[0]] + found[0] for pair in self.changes]
        active = np.array([part is not None for part in found], bool)
        nothing = np.zeros(len(self.targets))
        return np.array([nothing if part is None else part for part in found]).reshape(len(found), -1), active

    def errors(self, e: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of errors around the values."""
        near = [e[slot] for i in self.near if (slot := self.slots[i]) is not None]
        far = [e[slot] for i in self.far if (slot := self.slots[i]) is not None] + [e[place] for place in self.beside]
        nothing = np.zeros(len(self.targets), "i8")
        return sum(near, nothing), sum(far, nothing)

    def runs(self) -> Iterator[slice]:
        """Return runs of the values, cut along the first axis, and where one index is too many along the next one."""
        return _runs(0, self.shape, self.most)


def _runs(begin: int, shape: tuple[int, ...], most: int) -> Iterator[slice]:
    inner = math.prod(shape[1:])
    if math.prod(shape) <= most or len(shape) == 0:
        yield slice(begin, begin + math.prod(shape))
    elif inner > most:
        for i in range(shape[0]):
            yield from _runs(begin + i * inner, shape[1:], most)
    else:
        fit = most // inner
        for i in range(0, shape[0], fit):
            yield slice(begin + i * inner, begin + min(i + fit, shape[0]) * inner)


@dataclass(frozen=True)
class Step:
    """One step of the refinement of a group of axes; its stride is 0 at the root."""

    stride: int
    parity: tuple[int, ...]
    earlier: frozenset[tuple[int, ...]]  # parities that came before in this stride, 0 among them

    @property
    def number(self) -> int:
        """Return the class."""
        if not self.stride:
            return 0
        level = self.stride.bit_length() - 1
        return 1 + min(level, 2) * ((1 << len(self.parity)) - 1) + sum(p << a for a, p in enumerate(self.parity)) - 1


def steps(lengths: list[int]) -> list[Step]:
    """Return the steps of a group of axes of these lengths."""
    n, zero = len(lengths), (0,) * len(lengths)
    found = [Step(0, zero, frozenset())]
    vectors = sorted(itertools.product(range(2), repeat=n), key=lambda p: (sum(p), p[::-1]))[1:]
    for level in range(max((max(lengths) - 1).bit_length() - 1, 0), -1, -1):
        stride, earlier = 1 << level, [zero]
        for parity in vectors:
            if all(length > stride for length, p in zip(lengths, parity, strict=True) if p):
                found.append(Step(stride, parity, frozenset(earlier)))
                earlier.append(parity)
    return found


@dataclass(frozen=True)
class Slot:
    """Offsets along axes of a group, and perhaps a further step along one of a later group."""

    group: int
    offsets: dict[int, int]  # by axes of the array
    further: tuple[int, int, int] | None = None  # later group, axis, offset

    @property
    def within(self) -> bool:
        return self.further is None and all(abs(offset) == 1 for offset in self.offsets.values())


def slots_of(order: list[list[int]]) -> list[Slot]:
    found = []
    for g, axes in enumerate(order):
        reach = [-1, 1, -3, 3] + ([-5, 5, -7, 7] if len(axes) == 1 else [])
        found += [Slot(g, {axis: offset}) for axis in axes for offset in reach]
        for a, b in itertools.combinations(axes, 2):
            found += [Slot(g, {a: i, b: j}) for i, j in ((-1, -1), (1, 1), (-1, 1), (1, -1))]
        later = [(h, axis) for h in range(g + 1, len(order)) for axis in order[h]]
        for axis, offset in itertools.product(axes, (-1, 1)):
            found += [Slot(g, {axis: offset}, (h, other, step)) for h, other in later for step in (-1, 1)]
    return found


class Ordered:
    """The passes of a refinement."""

    def __init__(self, shape: tuple[int, ...], order: list[list[int]]) -> None:
        self.shape, self.order = shape, order
        self.slots = slots_of(order)
        self.classes = math.prod(1 + 3 * ((1 << len(axes)) - 1) for axes in order)
        self.inputs = len(self.slots)

    def __iter__(self) -> Iterator[Pass]:
        if 0 in self.shape:
            return
        for chosen in itertools.product(*(steps([self.shape[axis] for axis in axes]) for axes in self.order)):
            made = self._pass(chosen)
            if len(made.targets):
                yield made

    def _pass(self, chosen: tuple[Step, ...]) -> Pass:
        places = [np.arange(n) for n in self.shape]
        for axes, step in zip(self.order, chosen, strict=True):
            for axis, p in zip(axes, step.parity, strict=True):
                places[axis] = np.arange(p * step.stride, self.shape[axis], 2 * step.stride) if step.stride else np.zeros(1, "i8")
        number = 0
        for axes, step in zip(self.order, chosen, strict=True):
            number = number * (1 + 3 * ((1 << len(axes)) - 1)) + step.number
        last = len(self.order) - 1
        within = [i for i, slot in enumerate(self.slots) if slot.within]
        near = [i for i in within if self.slots[i].group == last]
        shape = tuple(map(len, places))
        slots = [self._neighbours(slot, chosen, places) if math.prod(shape) else None for slot in self.slots]
        return Pass(shape, 1 << 14, self._flat(places), slots, number, near, sorted({*within} - {*near}))

    def _flat(self, places: list[np.ndarray]) -> np.ndarray:
        return np.ravel_multi_index(np.meshgrid(*places, indexing="ij"), self.shape).reshape(-1)

    def _neighbours(self, slot: Slot, chosen: tuple[Step, ...], places: list[np.ndarray]) -> np.ndarray | None:
        """Return where a slot's neighbours are, or None where it is not active."""
        step, axes, places = chosen[slot.group], self.order[slot.group], places.copy()
        parity = tuple((p + slot.offsets.get(axis, 0)) % 2 for axis, p in zip(axes, step.parity, strict=True))
        if not step.stride or parity not in step.earlier:
            return None
        for axis, p in zip(axes, parity, strict=True):
            first, period = p * step.stride, 2 * step.stride
            last = first + (self.shape[axis] - 1 - first) // period * period
            places[axis] = (places[axis] + slot.offsets.get(axis, 0) * step.stride).clip(first, last)
        if slot.further:
            later, axis, offset = slot.further
            stride, n = chosen[later].stride, self.shape[axis]
            if not stride or n == 1:
                return None
            places[axis] = (places[axis] + offset * stride).clip(0, (n - 1) // stride * stride)
        return self._flat(places)


class Series:
    """The passes along signals: the array is (length, signals, columns)."""

    REACH = 32

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.classes = 1 + 2 * shape[2]
        self.inputs = self.REACH + shape[2] - 1

    def __iter__(self) -> Iterator[Pass]:
        length, signals, columns = self.shape
        places = np.arange(math.prod(self.shape)).reshape(self.shape)
        for t, c in itertools.product(range(length), range(columns)):
            own = [places[max(t - back, 0), :, c] if t else None for back in range(1, self.REACH + 1)]
            changes = [(places[t - 1, :, j], places[t, :, j]) if t and j < c else None for j in range(columns - 1)]
            number = (1 + c + (columns if t >= 8 else 0)) if t else 0
            far = [places[t, :, j] for j in range(c)]
            near = list(range(min(t, 2)))  # at t - 1 and t - 2
            yield Pass((signals,), 1 << 14, places[t, :, c], own, number, near, [], changes, far)


class Scanned:
    """The passes of a scan: diagonals."""

    def __init__(self, shape: tuple[int, ...], axes: list[int]) -> None:
        self.shape, self.axes, m = shape, axes, len(axes)
        zero = (0,) * m
        self.offsets = [o for o in itertools.product((-1, 0, 1), repeat=m) if o < zero]
        self.offsets += [tuple(-2 * (a == b) for b in range(m)) for a in range(m)]
        if m <= 3:
            self.offsets += [(*zero[2:], *pair) for pair in ((-1, -2), (-2, -1), (-2, 1), (-2, -2))]
        self.classes, self.inputs = 2, len(self.offsets)
        within = [i for i, offset in enumerate(self.offsets) if max(map(abs, offset)) == 1]
        self.near = [i for i in within if not any(self.offsets[i][:-2])]
        self.far = [i for i in within if i not in self.near and sum(map(abs, self.offsets[i])) <= 2]

    def __iter__(self) -> Iterator[Pass]:
        if 0 in self.shape:
            return
        index = np.indices(self.shape)[self.axes].reshape(len(self.axes), -1)
        lengths = np.array([self.shape[axis] for axis in self.axes])[:, None]
        diagonal = (index * (1 << np.arange(len(self.axes))[::-1, None])).sum(axis=0)
        edge = ~((index >= 2) & (index < lengths - 1)).all(axis=0)
        order = np.lexsort((edge, diagonal))  # stable: C order within
        ends = np.flatnonzero(np.diff(diagonal[order])) + 1
        for targets in np.split(order, ends):
            first = diagonal[targets[0]] == 0
            slots = [None if first else self._neighbours(offset, index[:, targets], lengths, targets) for offset in self.offsets]
            yield Pass((len(targets),), 1 << 12, targets, slots, 0 if first else 1, self.near, self.far)

    def _neighbours(self, offset: Any, index: np.ndarray, lengths: np.ndarray, targets: np.ndarray) -> np.ndarray:
        moved = (index + np.array(offset)[:, None]).clip(0, lengths - 1) - index
        sizes = 4 ** np.arange(len(offset))[::-1, None]
        lost = (moved * sizes).sum(axis=0) >= 0  # the sign is that of the first offset that is not 0
        fastest = np.zeros_like(moved)
        for axis in range(len(offset)):
            fastest = np.where(index[axis] > 0, -(np.arange(len(offset))[:, None] == axis).astype("i8"), fastest)
        moved = np.where(lost, fastest, moved)
        strides = np.array([math.prod(self.shape[axis + 1 :]) for axis in self.axes])[:, None]
        return targets + (moved * strides).sum(axis=0)
