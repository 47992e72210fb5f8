"""Scans: axes are decoded in raster order, all values of a diagonal at once.

A value sees the values before it in raster order, at a distance of one or two along each axis (as in lossless image coding:
Weinberger et al., LOCO-I, IEEE Trans. Image Processing 9, 2000), whole decoded frames of slower axes among them. The values of
a hyperplane sum of weight * index do not see each other, so that a pass holds many (the wavefront method: Lamport, "The
parallel execution of DO loops", CACM 17, 1974). Against bisection this is better where the bound is tight: all neighbours are
at the shortest distance. Knows nothing of networks or files.
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

from aezip.core import native as kernels
from aezip.core.native import address
from aezip.core.types import Int32

Axes = tuple[int, ...]
Float = npt.NDArray[Any]
TOGETHER = 1 << 15  # neighbours taken at once; of more, those of one slot after the other
RUN = 1 << 12  # most values of a run: the unit of threads and of entropy coding
MOST_AXES = 4
KINDS = 2  # classes of passes: the first values, all others
WORTH = 32  # values of a diagonal, on average, from which passes over all are quick enough
_STATES = 6  # of an index along an axis: 0, 1, other; each at the end of the axis or not


@lru_cache(maxsize=8)
def offsets(axes: int) -> tuple[tuple[int, ...], ...]:
    """Return the places of the neighbours along so many axes, the slowest first; all precede (0, ..., 0)."""
    zero = (0,) * axes
    near = [o for o in itertools.product((-1, 0, 1), repeat=axes) if o < zero]
    far = [tuple(-2 if a == b else 0 for b in range(axes)) for a in range(axes)]
    if axes <= 3:
        far += [(*zero[2:], *o) for o in ((-1, -2), (-2, -1), (-2, 1), (-2, -2))]
    return (*near, *far)


def nearest(axes: int) -> list[int]:
    """Return which neighbours are one step away along one axis."""
    return [i for i, o in enumerate(offsets(axes)) if sum(map(abs, o)) == 1]


@lru_cache(maxsize=8)
def error_places(axes: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the neighbours whose errors count: those of the last two axes, and close ones across slower axes."""
    inner, outer = [], []
    for i, offset in enumerate(offsets(axes)):
        if max(map(abs, offset)) > 1:
            continue
        if not any(offset[:-2]):
            inner.append(i)
        elif sum(map(abs, offset)) <= 2:
            outer.append(i)
    return tuple(inner), tuple(outer)


@dataclass(frozen=True)
class Diagonal:
    """A run of values of one diagonal.

    Parameters
    ----------
    first
        Whether no value was decoded before.
    index
        int32, (n,): their places in the chunk, in C order.
    inner
        How many of them, the first ones, have all neighbours within the chunk.
    states
        uint16, (n - inner,): where the others are, see `Wave.table`.
    wave
        All diagonals.
    """

    first: bool
    index: Int32
    inner: int
    states: npt.NDArray[np.uint16]
    wave: Wave

    @property
    def kind(self) -> int:
        """The class."""
        return 0 if self.first else 1

    @property
    def active(self) -> tuple[int, ...]:
        """Which slots hold decoded values."""
        return () if self.first else tuple(range(self.wave.table.shape[1]))

    def some(self, chosen: npt.NDArray[np.int64]) -> Diagonal:
        """Return a run of some of the values, in rising order."""
        inner = int(np.searchsorted(chosen, self.inner))
        states = self.states[chosen[inner:] - self.inner]
        return Diagonal(self.first, self.index[chosen], inner, states, self.wave)

    def gather(self, context: Float) -> Float:
        """Return the neighbours of all values in all active slots, (slots, n), from a chunk's array."""
        return self._take(context, range(len(self.active)))

    def errors(self, errors: Float) -> tuple[Float, Float]:
        """Return sums of errors: of neighbours in the last two axes, of the others; (n,) each."""
        if self.first:
            zero = np.zeros(len(self.index), np.float32)
            return zero, zero.copy()
        inner, outer = error_places(self.wave.axes)
        return self._take(errors, inner).sum(axis=0), self._take(errors, outer).sum(axis=0)

    def _take(self, array: Float, slots: Any) -> Float:
        flat = array.reshape(-1)
        out = np.empty((len(slots), len(self.index)), flat.dtype)
        inside, distances = self.index[: self.inner], self.wave.interior[list(slots)]
        if out.size <= TOGETHER:
            out[:, : self.inner] = flat[inside + distances[:, None]]
        else:
            for row, distance in zip(out, distances, strict=True):
                np.take(flat, inside + distance, out=row[: self.inner], mode="clip")
        if self.inner < len(self.index):
            places = self.index[self.inner :, None] + self.wave.table[:, list(slots)][self.states]
            out[:, self.inner :] = flat[places].T
        return out


@dataclass(frozen=True)
class Wave:
    """All diagonals of a chunk of `shape`, of the scanned axes given, the slowest first; other axes are side by side."""

    scan: Axes
    shape: tuple[int, ...]

    @property
    def axes(self) -> int:
        """Number of axes scanned."""
        return len(self.scan)

    @cached_property
    def _strides(self) -> list[int]:
        return [math.prod(self.shape[a + 1 :]) for a in range(len(self.shape))]

    def _along(self, values: dict[int, npt.NDArray[Any]], kind: type) -> npt.NDArray[Any]:
        """Return the sum of one list for each of some axes, for all values of the chunk, flat."""
        total: npt.NDArray[Any] = np.zeros((1,) * len(self.shape), kind)
        for axis, value in values.items():
            total = total + value.astype(kind).reshape([-1 if a == axis else 1 for a in range(len(self.shape))])
        return np.array(np.broadcast_to(total, self.shape)).reshape(-1)

    @cached_property
    def _states(self) -> npt.NDArray[np.uint16]:
        """Where each value is, in C order: digits in base 6, the slowest axis first."""
        found = {}
        for at, axis in enumerate(self.scan):
            length = self.shape[axis]
            state = np.minimum(np.arange(length), 2) + 3 * (np.arange(length) == length - 1)
            found[axis] = state * _STATES ** (self.axes - 1 - at)
        return self._along(found, np.uint16)

    @cached_property
    def _middle(self) -> int:
        """The state of values all of whose neighbours are within the chunk."""
        return sum(2 * _STATES**i for i in range(self.axes))

    @cached_property
    def _order(self) -> tuple[Int32, npt.NDArray[np.int64]]:
        """The values in order of decoding, interior ones of a diagonal first, and the ends of both parts of the diagonals."""
        weights = {axis: np.arange(self.shape[axis]) << (self.axes - at) for at, axis in enumerate(self.scan)}
        key = self._along(weights, np.int32)
        key = key + (self._states != self._middle)
        count = np.bincount(key, minlength=2 * (int(key.max(initial=0)) // 2 + 1))
        ends = np.cumsum(count)
        if kernels.available(key.size):
            out, starts = np.empty(key.size, np.int32), ends - count
            kernels.call("counting_sort", address(key, "i4"), key.size, address(starts, "i8"), address(out, "i4"))
            return out, ends
        return np.argsort(key, kind="stable").astype(np.int32), ends

    @property
    def classes(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """The classes of values and what is active in each: the first ones, the others."""
        return (0, ()), (1, tuple(range(self.table.shape[1])))

    @property
    def first(self) -> int:
        """How many values are decoded before all others, without neighbours."""
        ends = self._order[1]
        return int(ends[1]) if len(ends) > 1 else 0

    @cached_property
    def table(self) -> Int32:
        """Distances to the neighbours in C order, (states, slots): places beyond an edge are moved back to it."""
        state = np.array(list(itertools.product(range(_STATES), repeat=self.axes)))[:, None]  # (states, 1, axes)
        offset = np.array(offsets(self.axes))
        moved = np.maximum(offset, -(state % 3))
        moved = np.where(state >= 3, np.minimum(moved, 0), moved)
        leading = np.take_along_axis(moved, (moved != 0).argmax(axis=-1)[..., None], axis=-1)[..., 0]
        before = state % 3 > 0
        fastest = self.axes - 1 - before[..., ::-1].argmax(axis=-1)  # axis along which the nearest decoded value lies
        nearest = np.where((np.arange(self.axes) == fastest[..., None]) & before, -1, 0)
        moved = np.where((leading >= 0)[..., None], nearest, moved)  # not decoded yet: the nearest one that is
        return np.asarray(moved @ np.array([self._strides[axis] for axis in self.scan]), np.int32)

    @cached_property
    def interior(self) -> Int32:
        """Distances to the neighbours where all are within the chunk, (slots,)."""
        return np.asarray(self.table[self._middle])

    @cached_property
    def compiled(self) -> kernels.Struct:
        """What compiled loops know of the diagonals; see `scan` in `native/context.h`."""
        inner, outer = error_places(self.axes)
        order, ends = self._order
        near = np.array(inner, np.int64), np.array(outer, np.int64)
        arrays = (order, "i4"), (ends, "i8"), (self._states, "u2"), (self.table, "i4"), (near[0], "i8"), (near[1], "i8")
        return kernels.Struct(*arrays, len(ends), self.table.shape[1], len(inner), len(outer), RUN)

    def runs(self) -> list[tuple[int, int]]:
        """Return where the runs of all diagonals begin and end, in the order of decoding."""
        ends = [0, *(int(e) for e in self._order[1][1::2])]
        return [(a, min(b, a + RUN)) for start, b in itertools.pairwise(ends) for a in range(start, b, RUN)]

    def diagonals(self) -> Iterator[list[Diagonal]]:
        """Yield the runs of each diagonal in turn."""
        order, ends = self._order
        start = 0
        for number in range(0, len(ends), 2):
            middle, stop = int(ends[number]), int(ends[number + 1])
            runs = []
            for a in range(start, stop, RUN):
                b = min(stop, a + RUN)
                index = order[a:b]
                inner = min(max(middle - a, 0), b - a)
                runs.append(Diagonal(number == 0, index, inner, self._states[index[inner:]], self))
            if runs:
                yield runs
            start = stop


@lru_cache(maxsize=2)
def wave(scan: Axes, shape: tuple[int, ...]) -> Wave:
    """Return the diagonals of a chunk; those of the last shapes are kept."""
    return Wave(scan, shape)


def scans(shape: tuple[int, ...]) -> list[Axes]:
    """Return the scans worth trying for chunks of `shape`: all its axes, and all but the first."""
    axes = tuple(a for a, n in enumerate(shape) if n > 1)
    options = [axes[-MOST_AXES:], axes[1:][-MOST_AXES:]]
    good = [o for o in options if len(o) >= 2 and math.prod(shape) >= WORTH * _diagonals(o, shape)]
    return list(dict.fromkeys(good))


def _diagonals(scan: Axes, shape: tuple[int, ...]) -> int:
    return sum(shape[axis] << (len(scan) - 1 - at) for at, axis in enumerate(scan))
