"""The axis orders and reshapes that a user would try before giving an array to a codec. Knows nothing of codecs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets import Array

MOST_PARTS = 256  # an array is cut into separate parts along axes of up to this many entries
SMALLEST_PART = 64


@dataclass(frozen=True)
class Layout:
    """A transpose, then a reshape, then perhaps a cut into one part for each entry of the first axis."""

    axes: tuple[int, ...]
    groups: tuple[int, ...]  # how many neighbouring axes are merged into each axis that the codec sees
    split: bool = False

    @property
    def label(self) -> str:
        """Return a short name such as ``2,01`` (axis 2 first, then 0 and 1 merged) or ``each of 1``."""
        names, at = [], 0
        for size in self.groups:
            names.append("".join(map(str, self.axes[at : at + size])))
            at += size
        if self.split:
            return f"each of {names[0]}: " + ",".join(names[1:])
        return ",".join(names)

    def apply(self, values: Array) -> list[Array]:
        """Return C-contiguous parts of ``values``."""
        turned = np.ascontiguousarray(values.transpose(self.axes))
        shape, at = [], 0
        for size in self.groups:
            shape.append(math.prod(turned.shape[at : at + size]))
            at += size
        whole = turned.reshape(shape)
        return list(whole) if self.split else [whole]

    def undo(self, parts: list[Array], shape: tuple[int, ...]) -> Array:
        """Return the array of ``shape`` that was cut into ``parts``."""
        whole = np.stack(parts) if self.split else parts[0]
        turned = whole.reshape([shape[a] for a in self.axes])
        return turned.transpose(np.argsort(self.axes))


def _merges(ndim: int, count: int) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield every way to cut axes 0, 1, ... into ``count`` runs of neighbours."""
    for cuts in itertools.combinations(range(1, ndim), count - 1):
        edges = (0, *cuts, ndim)
        yield tuple(tuple(range(a, b)) for a, b in itertools.pairwise(edges))


def shapes(shape: tuple[int, ...], fewest: int, most: int) -> list[Layout]:
    """Return layouts for a codec that uses the neighbourhood in ``fewest`` to ``most`` dimensions.

    Neighbouring axes merged in every way, in every order, and the array cut along one axis.
    """
    ndim = len(shape)
    found: dict[Layout, None] = {}
    for count in range(min(most, ndim), fewest - 1, -1):
        for runs in _merges(ndim, count):
            for order in itertools.permutations(runs):
                found[Layout(tuple(itertools.chain(*order)), tuple(map(len, order)))] = None
    if fewest == 1:
        for axes in itertools.permutations(range(ndim)):
            found[Layout(axes, (ndim,))] = None
    for layout in _cuts(shape, fewest, most):
        found[layout] = None
    return list(found)


def orders(shape: tuple[int, ...]) -> list[Layout]:
    """Return layouts for a codec that reads values one after the other: the orders of the axes, and cuts."""
    ndim = len(shape)
    whole = [Layout(axes, (1,) * ndim) for axes in itertools.permutations(range(ndim))]
    return whole + _cuts(shape, 1, ndim)


def _cuts(shape: tuple[int, ...], fewest: int, most: int) -> list[Layout]:
    """Return the layouts that code each entry of one axis by itself."""
    ndim, total = len(shape), math.prod(shape)
    found = []
    for axis in reversed(range(ndim)):
        parts = shape[axis]
        if ndim < 2 or not 1 < parts <= MOST_PARTS or total // parts < SMALLEST_PART or not fewest <= ndim - 1 <= most:
            continue
        rest = tuple(a for a in range(ndim) if a != axis)
        found.append(Layout((axis, *rest), (1,) * ndim, split=True))
    return found


def crop(shape: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """Return a centred window of at most ``most`` values, cut where the array is longest."""
    size = list(shape)
    while math.prod(size) > most and max(size) > 1:
        longest = size.index(max(size))
        size[longest] = (size[longest] + 1) // 2
    return tuple(slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape, size, strict=True))
