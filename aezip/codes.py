"""The codes of neighbouring rows are alike: each is predicted from a neighbour, then entropy-coded.

Rows lie on a grid (the blocks of a layout). Each code dimension has its own predictor, the one with the
lowest entropy: none, the previous row along one axis of the grid, or both of the last two (Lorenzo;
Ibarria et al. 2003). Codes are integers known as a whole, so that decoding is a running sum.
"""

from __future__ import annotations

import math
import struct

import numpy as np
import numpy.typing as npt

from . import ans
from .errors import CorruptFile
from .residual import (
    SHIFTS,
    Decoder,
    Split,
    TableCounts,
    encode,
    ideal_scale,
    log2_scale_to_level,
    split,
    tables_from_bytes,
)

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]
NONE = 0
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
    """

    def __init__(self, predictors: list[int], levels: list[int]) -> None:
        if len(predictors) != len(levels) or len(predictors) > 255:
            raise CorruptFile("the code predictors do not fit the width: the file is damaged")
        self.predictors = predictors
        self.levels = levels

    @staticmethod
    def choose(grids: list[Int64]) -> CodeBook:
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
        return CodeBook(predictors, levels)

    def passes(self, grid: Int64) -> list[Split]:
        """Split the codes of a chunk, (*grid, width), one pass for each dimension."""
        out = []
        for dimension, (predictor, level) in enumerate(zip(self.predictors, self.levels, strict=True)):
            left = differences(grid[..., dimension], predictor).ravel()
            out.append(split(left, *self._context(dimension, level, left.size)))
        return out

    @staticmethod
    def _context(
        dimension: int, level: int, count: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        return np.full(count, level, np.uint8), np.full(count, dimension, np.uint8)

    def counts(self, grids: list[Int64]) -> TableCounts:
        """Count the symbols of sampled chunks."""
        counts = TableCounts(max(1, len(self.predictors)))
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
        decoder = Decoder(tables, data)
        for dimension, (predictor, level) in enumerate(zip(self.predictors, self.levels, strict=True)):
            left = decoder.decode(*self._context(dimension, level, rows))
            out[:, dimension] = sums(left.reshape(grid), predictor).ravel()
        decoder.finish()
        return out

    def to_bytes(self) -> bytes:
        """Return predictors and levels, uint8 each."""
        return bytes(self.predictors) + bytes(self.levels)

    @staticmethod
    def from_bytes(data: bytes, width: int, axes: int) -> CodeBook:
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
        return CodeBook(predictors, levels)


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
