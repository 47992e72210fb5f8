"""Few distinct values: each stands for its rank among them, by column or for all.

Positions of a slider, times written as hhmm, distances between some hundred towns: most integers of their range never
occur, and ranks leave those out. Ranks by frequency suit numbers that are but names. How few points within a bound of
all values are found is `cover`'s. Knows nothing of predictions or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.core.errors import CorruptFile
from aezip.core.planes import pack_numbers, unpack_numbers

from .lattice import Lattice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import DTypeLike, NDArray

    Integers64 = NDArray[np.int64]

MOST = 4096  # distinct integers of a column
MOST_COLUMNS = 64
SPARSE = 1.5  # integers in their range for each that occurs
COST = 8.0  # bytes of the header for each, at most
ALONE = 32  # ranks by frequency below this are exact


@dataclass(frozen=True, eq=False)
class Ranks(Lattice):
    """Ranks among the integers that another lattice gives.

    Attributes
    ----------
    inner : Lattice
        Turns values into integers and back.
    tables : list of ndarray of int64
        Distinct; one for all values, or one for each entry of the last axis; an empty one leaves integers as they are.
    edges : list of ndarray of int64, optional
        For each table, sorted, the least integers that stand for its second, third, … entry; None: those nearest to
        them.  Decoding does not need them.
    """

    kind: ClassVar[str] = "ranks"
    inner: Lattice
    tables: list[NDArray[np.int64]]
    edges: list[NDArray[np.int64]] | None = None

    @cached_property
    def _finders(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """For each table the edges between its sorted entries, and where those are in the table."""
        out = []
        for number, table in enumerate(self.tables):
            order = np.argsort(table, kind="stable")
            rising = table[order]
            edges = (rising[1:] + rising[:-1] + 1) >> 1 if self.edges is None else self.edges[number]
            out.append((edges, order))
        return out

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the ranks of the nearest integers that occur."""
        integers = self.inner.to_integers(values, start)
        for (index, table), (edges, order) in zip(self._columns(integers), self._finders, strict=True):
            if table.size:
                integers[index] = order[np.searchsorted(edges, integers[index], side="right")]
        return integers

    def by_frequency(self, samples: Iterable[tuple[int, NDArray[Any], NDArray[np.bool_] | None]]) -> Ranks:
        """Return the same points numbered by how often they occur in samples, the most frequent first.

        Parameters
        ----------
        samples : iterable of (outer index, values, masked)
            Masked values do not count.
        """
        counts = [np.zeros(table.size, np.int64) for table in self.tables]
        for start, values, masked in samples:
            ranks = self.to_integers(values, start)
            for number, (index, table) in enumerate(self._columns(ranks)):
                part = ranks[index] if masked is None else ranks[index][~masked[index]]
                if table.size:
                    counts[number] += np.bincount(part.ravel(), minlength=table.size)
        tables = [table[_by_frequency(count)] for table, count in zip(self.tables, counts, strict=True)]
        return Ranks(self.inner, tables, self.edges)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values that ranks stand for; ranks beyond the last are the last."""
        whole = integers.copy()
        for index, table in self._columns(whole):
            if table.size:
                whole[index] = table[np.clip(whole[index], 0, table.size - 1)]
        return self.inner.from_integers(whole, dtype, start)

    def _columns(self, integers: Integers64) -> list[tuple[Any, NDArray[np.int64]]]:
        if len(self.tables) == 1:
            return [(..., self.tables[0])]
        if integers.shape[-1] != len(self.tables):
            raise CorruptFile("the lattice does not fit the shape: the file is damaged, get another copy")
        return [((..., column), table) for column, table in enumerate(self.tables)]

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        steps = np.concatenate([np.diff(t, prepend=np.int64(0)) for t in self.tables])
        return {
            "kind": self.kind,
            "inner": self.inner.to_json(),
            "counts": [t.size for t in self.tables],
            "steps": pack_numbers(steps),
        }

    @classmethod
    def read(cls, data: dict[str, Any], inner: Lattice) -> Ranks:
        """Return the lattice that `to_json` wrote; raises CorruptFile, KeyError or TypeError if it is malformed."""
        counts, steps = data["counts"], unpack_numbers(data["steps"], "i8")
        good = isinstance(counts, list) and counts and all(type(n) is int and 0 <= n <= MOST for n in counts)
        if not good or sum(counts) != steps.size or isinstance(inner, Ranks):
            raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
        tables = [np.cumsum(part) for part in np.split(steps, np.cumsum(counts)[:-1])]
        if any((np.diff(np.sort(t)) == 0).any() or (np.abs(t) > 1 << 52).any() for t in tables):
            raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
        return cls(inner, tables)


def _by_frequency(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order of entries by how often they occur, the most frequent first; within quarters of octaves, as they were.

    Only the leading bits of a rank are entropy-coded: an order below them saves nothing, and rising steps take fewer bytes.
    """
    order = np.argsort(-counts, kind="stable")
    rank = np.arange(counts.size)
    octave = np.log2(np.maximum(rank, 1)).astype(np.int64)
    quarter = np.where(rank < ALONE, rank, ALONE + 4 * octave + (rank >> np.maximum(octave - 2, 0) & 3))
    return order[np.lexsort((order, quarter))]


def find_ranks(inner: Lattice, blocks: Iterable[tuple[int, NDArray[Any], NDArray[Any]]], columns: int) -> Ranks | None:
    """Return the ranks of the integers that occur, or None if hardly any is left out.

    Parameters
    ----------
    inner : Lattice
        Gives the integers.
    blocks : iterable of (outer index, values, classes)
        All values; those whose class is not 0 do not count.
    columns : int
        Length of the last axis if columns may differ, else 0.
    """
    count = columns if 2 <= columns <= MOST_COLUMNS else 1
    seen: list[NDArray[np.int64] | None] = [np.zeros(0, np.int64)] * count
    counts = 0
    for start, values, classes in blocks:
        counts += values.size // count
        integers = inner.to_integers(values, start)
        for column in range(count):
            index: Any = ... if count == 1 else (..., column)
            known = seen[column]
            if known is None:
                continue
            part = integers[index][classes[index] == 0]
            found = np.union1d(known, np.unique(part))
            seen[column] = found if found.size <= MOST else None
        if all(s is None for s in seen):
            return None
    tables = [_worthwhile(s, counts) for s in seen]
    return Ranks(inner, tables) if any(t.size for t in tables) else None


def _worthwhile(table: NDArray[np.int64] | None, count: int) -> NDArray[np.int64]:
    """Return the table, or an empty one if ranks would leave out too little, or save less than the table costs."""
    if table is None or table.size < 3 or np.abs(table).max() > 1 << 52:
        return np.zeros(0, np.int64)
    sparse = int(table[-1] - table[0]) / table.size
    pays = sparse >= SPARSE and count * math.log2(sparse) / 8.0 > COST * table.size
    return table if pays else np.zeros(0, np.int64)
