"""How one column is coded: a predictor, and which frequency tables what it leaves has.

What is coded are integers in some order: those of a column that are known, by rows, or where an earlier column is its key by
that column's values (`keys`). A network as predictor is in `networks`. Knows nothing of chunks or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.types import Int64
from aezip.entropy import residual
from aezip.entropy.distances import buckets, from_buckets
from aezip.entropy.plainbits import unzigzag, zigzag

from . import clusters, recency
from .lag import LAG_TABLES, WINDOW, find_lags, follow, octave

VALUE, DIFFERENCE, LAG, RECENCY, NETWORK = range(5)  # predictors
PREFIX = 1 << 13  # values by which a predictor is chosen
LITTLE = 64  # bytes that are not worth a search
WORTH = 0.98  # what part of the bytes without lags lags must get by with


class Coding(NamedTuple):
    """How a column is coded.

    Attributes
    ----------
    predictor
        VALUE: nothing; DIFFERENCE: the value before; LAG: one of the values before, which is told; RECENCY: the list of
        those seen last; NETWORK.
    tables
        After VALUE and DIFFERENCE 0 for one, else 1 more than how often the number of clusters doubles; after RECENCY how many
        ranks before choose a table; else 0.
    """

    predictor: int
    tables: int = 0

    @property
    def byte(self) -> int:
        """A byte for both."""
        return self.predictor << 3 | self.tables

    @classmethod
    def of(cls, byte: int) -> Coding:
        """Return what a byte says."""
        return cls(byte >> 3, byte & 7)

    @property
    def possible(self) -> bool:
        """Whether there is such a coding."""
        most = {
            VALUE: clusters.DOUBLINGS + 1,
            DIFFERENCE: clusters.DOUBLINGS + 1,
            LAG: 0,
            RECENCY: recency.ORDERS - 1,
            NETWORK: 0,
        }
        return self.tables <= most.get(self.predictor, -1)

    @property
    def own_tables(self) -> int:
        """How many frequency tables of its own the column has."""
        if self.predictor == RECENCY:
            return recency.tables(self.tables) + 1
        if self.predictor in (LAG, NETWORK):
            return 1 + LAG_TABLES if self.predictor == LAG else 0
        return clusters.tables(self.tables - 1) if self.tables else 1


def choose(column: Int64, groups: Sequence[clusters.Groups], *, table: bool) -> tuple[Coding, list[residual.Split]]:
    """Return the coding of a column that takes the fewest bytes, networks left aside, and its passes.

    Parameters
    ----------
    column
        Shape (n,).
    groups
        Groupings of these values that a reader knows before.
    table
        Whether this is a column of a table, where lags and ranks may pay.
    """
    predictor, better = _choose_predictor(column, lags=table)
    coding, made = Coding(predictor), _passes(column, predictor)
    size = size_of(coding, made)
    if size < LITTLE:
        return coding, made
    if table and recency.promising(column):
        ranks, away = recency.to_ranks(recency.split(column))
        order, ranked = recency.choose_order(ranks, len(column))
        ranked.append(_news(ranks, away, len(column), recency.tables(order)))
        ranked_size = residual.cost(ranked, recency.tables(order) + 1)
        if ranked_size < size:
            coding, made, size = Coding(RECENCY, order), ranked, ranked_size
    for before in better if table else (VALUE,):
        clustered = clusters.passes(_left(column, before), groups)
        if clustered is not None:
            found = Coding(before, 1 + clustered[0])
            clustered_size = residual.cost(clustered[1], found.own_tables)
            if clustered_size < size:
                coding, made, size = found, clustered[1], clustered_size
    return coding, made


def size_of(coding: Coding, made: Sequence[residual.Split]) -> float:
    """Return about how many bytes the passes of a column take, its tables included."""
    return residual.cost(list(made), coding.own_tables)


def moved(made: Sequence[residual.Split], table: int) -> list[residual.Split]:
    """Return the passes of a column whose tables are numbered from `table`."""
    return [replace(part, contexts=part.contexts + np.uint16(table)) for part in made]


def read(reader: residual.ResidualReader, coding: Coding, table: int, count: int, groups: Sequence[clusters.Groups]) -> Int64:
    """Return a column of `count` values whose tables are numbered from `table`.

    Raises
    ------
    CorruptFile
        If a number makes no sense.
    """
    if coding.predictor == RECENCY:
        return _read_recent(reader, coding.tables, table, count)
    if coding.predictor == LAG:
        return _read_lags(reader, table, count)
    if coding.tables:
        value = clusters.read(reader, coding.tables - 1, table, count, groups)
    else:
        value = from_buckets(reader, np.full(count, table, np.uint16))
    return value.cumsum() if coding.predictor == DIFFERENCE else value


def _left(column: Int64, predictor: int) -> Int64:
    return np.diff(column, prepend=0) if predictor == DIFFERENCE else column


def _passes(column: Int64, predictor: int) -> list[residual.Split]:
    """Return the passes of a column by values, differences or lags."""
    if predictor != LAG:
        return [buckets(_left(column, predictor), np.zeros(len(column), np.uint16))]
    lag = find_lags(column)
    away = column - np.where(np.arange(len(column)) > 0, column[np.maximum(np.arange(len(column)) - lag, 0)], 0)
    lags = residual.Split(unzigzag(lag - 1), np.zeros(len(column), np.uint16), np.zeros(0, np.int64), None)
    return [lags, buckets(away, np.uint16(1) + octave(lag))]


def _choose_predictor(column: Int64, *, lags: bool) -> tuple[int, tuple[int, ...]]:
    """Return the predictor that takes the fewest bytes on the beginning of a column, and those that clusters may do better on.

    Lags only where they may be.
    """
    head = np.ascontiguousarray(column[:PREFIX])
    if len(head) < 2:
        return VALUE, (VALUE,)
    sizes = [residual.cost(_passes(head, predictor), 1) for predictor in (VALUE, DIFFERENCE)]
    best = int(np.argmin(sizes))
    lag = lags and sizes[best] > LITTLE and residual.cost(_passes(head, LAG), 1 + LAG_TABLES) < WORTH * sizes[best]
    return LAG if lag else best, (VALUE, DIFFERENCE)[: best + 1]


def _news(ranks: npt.NDArray[np.uint8], away: Int64, count: int, table: int) -> residual.Split:
    """Return the distances of values that were not among the recent ones, in order of decoding."""
    new = ranks == recency.RECENT
    for row, lanes in zip(new, recency.steps(count), strict=True):
        row[lanes:] = False
    return buckets(away[new], np.full(int(new.sum()), table, np.uint16))


def _read_recent(reader: residual.ResidualReader, order: int, table: int, count: int) -> Int64:
    """Return a column that is coded as ranks."""
    ranks = recency.read(reader, count, order, table)
    if count and not 0 <= int(ranks.min()) <= int(ranks.max()) <= recency.RECENT:
        raise CorruptFile("a rank is impossible: the file is damaged")
    new = ranks == recency.RECENT
    away = np.zeros(ranks.shape, np.int64)
    away[new] = from_buckets(reader, np.full(int(new.sum()), table + recency.tables(order), np.uint16))
    return recency.to_values(ranks.astype(np.uint8), away).T.reshape(-1)[:count]


def _read_lags(reader: residual.ResidualReader, table: int, count: int) -> Int64:
    """Return a column that is coded as lags and distances."""
    lag = zigzag(reader.decode(np.zeros(count, np.uint8), np.full(count, table, np.uint16))) + 1
    if count and not 1 <= int(lag.min()) <= int(lag.max()) <= WINDOW + 1:
        raise CorruptFile("a lag is impossible: the file is damaged")
    return follow(from_buckets(reader, np.uint16(table + 1) + octave(lag)), lag) if count else lag
