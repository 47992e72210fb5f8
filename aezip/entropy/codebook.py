"""The codes of neighbouring rows are alike: each is predicted from a neighbour, then entropy-coded.

Rows lie on a grid (the blocks of a layout). Each code dimension has its own predictor, the one with the
lowest entropy: none, the previous row along one axis of the grid, or both of the last two (Lorenzo;
Ibarria et al. 2003). Codes are integers known as a whole, so that decoding is a running sum.

Codes of a convolution have little to say where the array is flat: how much the dimensions before tell of a site and those
around it chooses a dimension's frequency table.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.types import Int64

from . import ans
from .residual import (
    SHIFTS,
    ResidualReader,
    Split,
    TableCounts,
    encode,
    ideal_scale,
    log2_scale_to_level,
    split,
    tables_from_bytes,
)

NONE = 0
ACTIVITIES = 8  # tables of each dimension of a convolution's codes
MOST_ACTIVE = 255  # a code counts for no more
LORENZO = 255  # predictor numbers: 0 none, 1 + axis, 255 Lorenzo over the last two axes


def differences(plane: Int64, predictor: int) -> Int64:
    """Return what is left of one code's grid after prediction; same shape."""
    if predictor == NONE:
        return plane
    if predictor == LORENZO:
        return np.diff(np.diff(plane, axis=-1, prepend=0), axis=-2, prepend=0)
    return np.diff(plane, axis=predictor - 1, prepend=0)


def sums(plane: Int64, predictor: int) -> Int64:
    """Undo `differences`."""
    if predictor == NONE:
        return plane
    if predictor == LORENZO:
        return plane.cumsum(axis=-2).cumsum(axis=-1)
    return plane.cumsum(axis=predictor - 1)


def activity(size: Int64, axes: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return which of `ACTIVITIES` tables suits each site: the bits of the sum of sizes (*grid) of it and those around it."""
    for axis in axes:
        count = size.shape[axis]
        wide = np.take(size, np.arange(-1, count + 1).clip(0, count - 1), axis=axis)
        size = np.add.reduce([np.take(wide, np.arange(count) + i, axis=axis) for i in range(3)])
    bits = np.frexp(size.astype(np.float64))[1].clip(0, ACTIVITIES - 1)
    return np.asarray(bits, np.uint8).ravel()


def _size(left: Int64) -> Int64:
    return np.asarray(np.abs(left.clip(-MOST_ACTIVE, MOST_ACTIVE)), np.int64)


def entropy(values: Int64) -> float:
    """Return the zeroth-order entropy of integers in bits, all together."""
    _, counts = np.unique(values, return_counts=True)
    total = counts.sum()
    return float((counts * np.log2(total / counts)).sum())


class CodeBook:
    """Predictor and level of each code dimension, and the tables' counts.

    Parameters
    ----------
    predictors
        One predictor number for each dimension.
    levels
        One level for each dimension: how many low bits are plain.
    near
        Axes along which sites around another one tell its tables, of a convolution; else none.
    """

    def __init__(self, predictors: list[int], levels: list[int], near: tuple[int, ...] = ()) -> None:
        if len(predictors) != len(levels) or len(predictors) > 255:
            raise CorruptFile("the code predictors do not fit the width: the file is damaged")
        self.predictors = predictors
        self.levels = levels
        self.near = near

    @property
    def tables(self) -> int:
        """Number of frequency tables."""
        return max(1, len(self.predictors)) * (ACTIVITIES if self.near else 1)

    @staticmethod
    def choose(grids: list[Int64], near: tuple[int, ...] = ()) -> CodeBook:
        """Choose predictors from the codes of sampled chunks, each (*grid, width)."""
        width = grids[0].shape[-1]
        predictors, levels = [], []
        for dimension in range(width):
            planes = [g[..., dimension] for g in grids]
            axes = planes[0].ndim
            options = [NONE, *(1 + a for a in range(axes) if max(p.shape[a] for p in planes) > 1)]
            if axes > 1 and min(planes[0].shape[-2:]) > 1:
                options.append(LORENZO)
            left = {o: np.concatenate([differences(p, o).ravel() for p in planes]) for o in options}
            best = min(options, key=lambda o: entropy(left[o]))
            predictors.append(best)
            levels.append(log2_scale_to_level(ideal_scale(left[best])))
        return CodeBook(predictors, levels, near)

    def passes(self, grid: Int64) -> list[Split]:
        """Split the codes of a chunk, (*grid, width), one pass for each dimension."""
        out, told = [], np.zeros(grid.shape[:-1], np.int64)
        for dimension, predictor in enumerate(self.predictors):
            left = differences(grid[..., dimension], predictor)
            out.append(split(left.ravel(), *self._context(dimension, told)))
            told = told + _size(left) if self.near else told
        return out

    def _context(self, dimension: int, told: Int64) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.integer[Any]]]:
        """Return level and table of the codes of a dimension; `told` (*grid) is what the dimensions before add up to."""
        level = np.full(told.size, self.levels[dimension], np.uint8)
        if not self.near:
            return level, np.full(told.size, dimension, np.uint8)
        return level, activity(told, self.near).astype(np.uint16) + np.uint16(ACTIVITIES * dimension)

    def counts(self, grids: list[Int64]) -> TableCounts:
        """Count the symbols of sampled chunks."""
        counts = TableCounts(self.tables)
        for grid in grids:
            for part in self.passes(grid):
                counts.add(part.symbols, part.contexts)
        return counts

    def decode(self, tables: ans.Tables, data: bytes, grid: tuple[int, ...]) -> Int64:
        """Return the codes of a chunk, int64, shape (rows, width)."""
        rows = math.prod(grid)
        out = np.empty((rows, len(self.predictors)), np.int64)
        if not self.predictors:
            return out
        decoder = ResidualReader(tables, data)
        told = np.zeros(grid, np.int64)
        for dimension, predictor in enumerate(self.predictors):
            left = decoder.decode(*self._context(dimension, told)).reshape(grid)
            out[:, dimension] = sums(left, predictor).ravel()
            told = told + _size(left) if self.near else told
        decoder.finish()
        return out

    def to_bytes(self) -> bytes:
        """Return predictors and levels, uint8 each."""
        return bytes(self.predictors) + bytes(self.levels)

    @staticmethod
    def from_bytes(data: bytes, width: int, axes: int, near: tuple[int, ...] = ()) -> CodeBook:
        """Read a code book.

        Raises
        ------
        CorruptFile
            If a predictor or level is impossible.
        """
        predictors, levels = list(data[:width]), list(data[width : 2 * width])
        if len(levels) != width or any(v >= len(SHIFTS) for v in levels):
            raise CorruptFile("the code predictors are cut short: the file is damaged")
        if any(p > axes and not (p == LORENZO and axes > 1) for p in predictors):
            raise CorruptFile("a code predictor is impossible: the file is damaged")
        return CodeBook(predictors, levels, near)


def integers_to_bytes(integers: Int64) -> bytes:
    """Return a matrix of integers, shape (rows, columns), entropy-coded column by column, with all that reading needs."""
    book = CodeBook.choose([integers])
    counts = book.counts([integers]).to_bytes()
    tables, _ = tables_from_bytes(counts, integers.shape[1])
    coded = encode(tables, book.passes(integers))
    return b"".join([book.to_bytes(), counts, struct.pack("<I", len(coded)), coded])


def integers_from_bytes(data: bytes, at: int, rows: int, columns: int) -> tuple[Int64, int]:
    """Read a matrix that `integers_to_bytes` made, from position `at`; return it and the position after it.

    Raises
    ------
    CorruptFile
        If the bytes make no sense.
    """
    book = CodeBook.from_bytes(data[at : at + 2 * columns], columns, 1)
    at += 2 * columns
    tables, used = tables_from_bytes(data[at:], columns)
    at += used
    if at + 4 > len(data):
        raise CorruptFile("integers are cut short: the file is damaged")
    (length,) = struct.unpack_from("<I", data, at)
    at += 4
    if at + length > len(data):
        raise CorruptFile("integers are cut short: the file is damaged")
    return book.decode(tables, data[at : at + length], (rows,)), at + length
