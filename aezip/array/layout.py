"""Layout: how an array becomes a 2-D array of rows by features, and how it is cut into chunks.

A row is a block of the array; its features are the block's values. The block (1, ..., 1, n) makes the
last axis the features, (n, 1, ..., 1) the first, and (1, 28, 28) small images. A 1-D array is cut into
windows. Chunks are runs of the outer axis. Knows nothing of bounds, networks or files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class Layout:
    """Blocks of an array as rows.

    Parameters
    ----------
    block
        The block's length along each axis. Arrays are padded at the end of each axis by repetition.
    """

    block: tuple[int, ...]

    @property
    def features(self) -> int:
        """Number of values of a row."""
        return math.prod(self.block)

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the number of blocks along each axis."""
        return tuple(-(-n // b) for n, b in zip(shape, self.block, strict=True))

    def padded(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of whole blocks that holds `shape`."""
        return tuple(g * b for g, b in zip(self.grid(shape), self.block, strict=True))

    def rows(self, array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return the rows of `array`: shape (blocks, features)."""
        padded = self.padded(array.shape)
        if padded != array.shape:
            width = [(0, p - n) for p, n in zip(padded, array.shape, strict=True)]
            array = np.pad(array, width, mode="edge")
        split = [v for pair in zip(self.grid(padded), self.block, strict=True) for v in pair]
        axes = (*range(0, len(split), 2), *range(1, len(split), 2))
        return array.reshape(split).transpose(axes).reshape(-1, self.features)

    def array(self, rows: npt.NDArray[Scalar], shape: tuple[int, ...]) -> npt.NDArray[Scalar]:
        """Return the array of `shape` whose rows are `rows`: the inverse of `rows`."""
        grid = self.grid(shape)
        split = (*grid, *self.block)
        count = len(shape)
        axes = tuple(v for pair in zip(range(count), range(count, 2 * count), strict=True) for v in pair)
        whole = rows.reshape(split).transpose(axes).reshape(self.padded(shape))
        return whole[tuple(slice(n) for n in shape)]

    def padding(self, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
        """Return which values of the rows are padding, shape (blocks, features); None if none is."""
        if self.padded(shape) == shape:
            return None
        real = np.zeros(self.padded(shape), np.bool_)
        real[tuple(slice(n) for n in shape)] = True
        return ~self.rows(real)

    def to_json(self) -> list[int]:
        """Return the block."""
        return list(self.block)

    @staticmethod
    def from_json(value: Any, axes: int) -> Layout:
        """Make a layout of `axes` axes from its JSON form.

        Raises
        ------
        CorruptFile
            If it is not a list of `axes` positive integers.
        """
        if not isinstance(value, list) or len(value) != axes:
            raise CorruptFile("the layout does not fit the array: the file is damaged")
        if not all(isinstance(b, int) and 0 < b < 2**31 for b in value):
            raise CorruptFile("the layout is impossible: the file is damaged")
        return Layout(tuple(value))


@dataclass(frozen=True)
class Chunks:
    """Runs of `length` indices of an outer axis of `outer` indices."""

    outer: int
    length: int

    def __len__(self) -> int:
        """Return the number of chunks."""
        return -(-self.outer // self.length) if self.outer else 0

    def bounds(self, index: int) -> tuple[int, int]:
        """Return the first index of a chunk and the one after its last."""
        start = index * self.length
        return start, min(start + self.length, self.outer)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over the bounds of all chunks."""
        return (self.bounds(i) for i in range(len(self)))


@dataclass(frozen=True)
class Piece:
    """A sampled chunk: values and which of them are masked (or None)."""

    x: npt.NDArray[Any]
    masked: npt.NDArray[np.bool_] | None
    start: int  # outer index of its first row
    beside: tuple[npt.NDArray[Any], ...] = ()  # the same places of arrays that are known

    def part(self, index: tuple[slice, ...], start: int) -> Piece:
        """Return a part of it."""
        masked = None if self.masked is None else self.masked[index]
        return Piece(self.x[index], masked, start, tuple(other[index] for other in self.beside))


def activity(x: npt.NDArray[Any], masked: npt.NDArray[np.bool_] | None) -> float:
    """Return how much values change from one index to the next, summed; what is masked or not finite does not count."""
    total = 0.0
    values = np.asarray(x, np.float64)
    if masked is not None:
        values = np.where(masked, np.nan, values)
    with np.errstate(invalid="ignore", over="ignore"):
        for axis in range(values.ndim):
            change = np.abs(np.diff(values, axis=axis))
            total += float(change[np.isfinite(change)].sum())
    return total


def crop(piece: Piece, most: int) -> Piece:
    """Return a part of a piece, of at most about `most` values: where much happens; the last axis stays whole.

    The longest axis is halved again and again, and the half kept in which values change more.
    """
    while piece.x.size > most:
        axis = max(range(max(1, piece.x.ndim - 1)), key=lambda a: piece.x.shape[a])
        length = piece.x.shape[axis]
        if length < 2:
            break
        halves = [(slice(None),) * axis + (part,) for part in (slice(0, -(-length // 2)), slice(length // 2, length))]
        first, second = (piece.part(half, piece.start) for half in halves)
        best = activity(second.x, second.masked) > activity(first.x, first.masked)
        piece = replace(second, start=piece.start + length // 2 * (axis == 0)) if best else first
    return replace(piece, x=np.ascontiguousarray(piece.x))


def central(piece: Piece, most: int) -> Piece:
    """Return the middle of a piece, of at most about `most` values: cut along the outer axes; the last axis stays whole."""
    for axis in range(max(1, piece.x.ndim - 1)):
        shape = piece.x.shape
        inner = max(1, math.prod(shape[:axis]) * math.prod(shape[axis + 1 :]))
        length = max(1, min(shape[axis], most // inner))
        first = (shape[axis] - length) // 2
        piece = piece.part((slice(None),) * axis + (slice(first, first + length),), piece.start + first * (axis == 0))
    return replace(piece, x=np.ascontiguousarray(piece.x))


def middle(shape: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """Return the slices of the middle of an array, of at most `most` values, cut along the outer axes first."""
    found = []
    for axis, size in enumerate(shape):
        length = min(size, max(1, most // max(1, math.prod(shape[axis + 1 :]))))
        found.append(slice((size - length) // 2, (size - length) // 2 + length))
    return tuple(found)


def cut(shape: tuple[int, ...], block_outer: int, target: int) -> Chunks:
    """Cut `shape` into chunks of about `target` values, a whole number of blocks each."""
    inner = max(1, math.prod(shape[1:]))
    length = max(1, round(target / inner / block_outer)) * block_outer
    count = max(1, round(shape[0] / length))  # even lengths: no small last chunk
    length = -(-max(1, -(-shape[0] // count)) // block_outer) * block_outer
    return Chunks(shape[0], length)
