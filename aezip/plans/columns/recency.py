"""Columns as ranks of recency: how many other values were seen since a value was last.

Columns of logs and tables, and most columns under a loose bound, stay at one of a few values for long and come back to them.
Each value is named by its place in a list of the values seen last, which moves it to the front (Bentley, Sleator, Tarjan &
Wei, "A locally adaptive data compression scheme", 1986); the ranks before it say how likely each rank is. What is not in
the list is told by its distance from the value before.

A column is cut into segments that advance side by side, so that no loop runs over values. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.native import address
from aezip.core.types import U8, U16, Int64
from aezip.entropy import residual
from aezip.entropy.plainbits import unzigzag, zigzag

RECENT = 15  # values that are remembered, a symbol each; one more stands for all others
LENGTH = 4096  # most rows of a segment: each is a step
STATES = (3, 3, 2, 2)  # what is told apart of the ranks before, the last one first
ORDERS = len(STATES) + 1
SAMPLED = 1 << 14  # rows by which it is told whether ranks may pay
NEAR, REPEATED = 4, 0.4  # so many of a column's values must be one of the last few


def shape_of(count: int) -> tuple[int, int]:
    """Return rows of a segment and number of segments for a column of `count` rows."""
    lanes = max(1, -(-count // LENGTH))
    return -(-count // lanes), lanes


def steps(count: int) -> Iterator[int]:
    """Yield for each row of the segments how many of them have it: all, but at the end of a shorter column fewer."""
    length, lanes = shape_of(count)
    for step in range(length):
        yield min(lanes, -(-(count - step) // length))


def tables(order: int) -> int:
    """Return how many frequency tables ranks have that see `order` ranks before them."""
    return int(np.prod(STATES[:order], dtype=np.int64))


def split(column: Int64) -> Int64:
    """Return the segments of a column side by side, (length, lanes); what is missing of the last is its last value."""
    length, lanes = shape_of(len(column))
    padded = np.empty(length * lanes, np.int64)
    padded[: len(column)] = column
    padded[len(column) :] = column[-1] if len(column) else 0
    return np.ascontiguousarray(padded.reshape(lanes, length).T)


def to_ranks(values: Int64) -> tuple[U8, Int64]:
    """Return ranks, (length, lanes), RECENT where a value is not in its list, and distances from the value before."""
    ranks, away = np.empty(values.shape, np.uint8), np.empty(values.shape, np.int64)
    if kernels.available(values.size):
        values, recent = np.ascontiguousarray(values), np.zeros((values.shape[1], RECENT), np.int64)
        kernels.call(
            "ranks_of", address(values, "i8"), *values.shape, address(recent, "i8"), RECENT, address(ranks, "u1"),
            address(away, "i8"),
        )  # fmt: skip
        return ranks, away
    recent = np.zeros((values.shape[1], RECENT), np.int64)
    for row, rank, distance in zip(values, ranks, away, strict=True):
        same = recent == row[:, None]
        rank[:] = np.where(same.any(axis=1), same.argmax(axis=1), RECENT)
        np.subtract(row, recent[:, 0], out=distance)
        _forward(recent, rank, row)
    return ranks, away


def to_values(ranks: U8, away: Int64) -> Int64:
    """Return the values; the inverse of `to_ranks`. Distances count only where the rank is RECENT, ranks are at most that."""
    values = np.empty(ranks.shape, np.int64)
    recent = np.zeros((ranks.shape[1], RECENT), np.int64)
    if kernels.available(values.size):
        ranks, away = np.ascontiguousarray(ranks), np.ascontiguousarray(away)
        kernels.call(
            "values_of", address(ranks, "u1"), address(away, "i8"), *values.shape, address(recent, "i8"), RECENT,
            address(values, "i8"),
        )  # fmt: skip
        return values
    lanes = np.arange(ranks.shape[1])
    for rank, distance, row in zip(ranks, away, values, strict=True):
        known = rank < RECENT
        row[:] = np.where(known, recent[lanes, np.minimum(rank, RECENT - 1)], recent[:, 0] + distance)
        _forward(recent, rank, row)
    return values


_PLACES = np.arange(1, RECENT)


def _forward(recent: Int64, rank: U8, row: Int64) -> None:
    """Move the values of a row to the front of their lists."""
    if rank.any():
        recent[:, 1:] = np.where(rank[:, None] >= _PLACES, recent[:, :-1], recent[:, 1:])
        recent[:, 0] = row


def contexts(before: Sequence[npt.NDArray[np.integer]]) -> U16:
    """Return numbers of frequency tables, given the ranks before, the last first; all of one shape."""
    context = np.zeros(before[0].shape if before else (), np.uint16)
    for ranks, states in zip(reversed(before), reversed(STATES[: len(before)]), strict=True):
        context *= np.uint16(states)
        context += np.clip(ranks, 0, states - 1).astype(np.uint16)
    return context


def _before(ranks: U8, order: int) -> list[npt.NDArray[np.integer]]:
    """Return the ranks one row before, two rows before, and so on; 0 before the first."""
    out: list[npt.NDArray[np.integer]] = []
    for _ in range(order):
        ranks = np.concatenate([np.zeros_like(ranks[:1]), ranks[:-1]])
        out.append(ranks)
    return out


def passes(ranks: U8, count: int, order: int) -> list[residual.Split]:
    """Return the ranks row by row as symbols, in tables that the ranks before choose: passes in one."""
    lanes = np.fromiter(steps(count), np.int64)
    there = np.arange(ranks.shape[1]) < lanes[:, None]
    table = np.broadcast_to(contexts(_before(ranks, order)), ranks.shape)
    return [residual.Split(unzigzag(ranks[there].astype(np.int64)), table[there], np.zeros(0, np.int64), None, lanes.cumsum())]


def read(reader: residual.ResidualReader, count: int, order: int, table: int) -> Int64:
    """Return the ranks, (length, lanes), as integers of any size: the caller checks them."""
    length, lanes = shape_of(count)
    ranks = np.zeros((length, lanes), np.int64)
    if count and reader.fast:
        parts, work = reader.compiled(table + tables(order)), np.empty(3 * lanes, np.uint8)
        if not kernels.call(
            "ranks_read", residual.coder(parts).address, table, count, length, lanes, order, address(work, "u1"),
            address(ranks, "i8"),
        ):  # fmt: skip
            raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
        reader.resume(parts)
        return ranks
    level = np.zeros(lanes, np.uint8)
    before = [np.zeros(lanes, np.int64) for _ in range(order)]
    for row, some in zip(ranks, steps(count), strict=True):
        context = np.broadcast_to(contexts(before), lanes)[:some] + np.uint16(table)
        row[:some] = zigzag(reader.decode(level[:some], context))
        before = [row, *before][:order]
    return ranks


def choose_order(ranks: U8, count: int) -> tuple[int, list[residual.Split]]:
    """Return how many ranks before a rank are worth looking at, and the passes."""
    there = np.arange(ranks.shape[1]) < np.fromiter(steps(count), np.int64)[:, None]
    best, fewest = 0, math.inf
    for order in range(ORDERS):
        before = np.broadcast_to(contexts(_before(ranks, order)), ranks.shape)
        counts = residual.TableCounts(tables(order))
        counts.add(ranks[there], before[there])
        size = counts.cost()
        if size > fewest * 1.05:
            break
        if size < fewest:
            best, fewest = order, size
    return best, passes(ranks, count, best)


def bits(values: Int64) -> float:
    """Return about how many bits values, (length, lanes), take as ranks that see two others."""
    ranks, away = to_ranks(values)
    counts = np.bincount((contexts(_before(ranks, 2)).astype(np.int64) * (RECENT + 1) + ranks).reshape(-1))
    counts = np.pad(counts, (0, -len(counts) % (RECENT + 1))).reshape(-1, RECENT + 1).astype(np.float64)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    news = np.log2(np.abs(away[ranks == RECENT].astype(np.float64)) + 1.0)
    return float(3.0 * len(news) + news.sum() - (counts * np.log2(np.maximum(share, 1e-12))).sum())


def promising(column: npt.NDArray[Any]) -> bool:
    """Tell whether ranks may pay: many values of a column are those of a row shortly before."""
    head = column[:SAMPLED]
    if len(head) <= NEAR:
        return False
    same = [head[NEAR:] == head[NEAR - lag : len(head) - lag] for lag in range(1, NEAR + 1)]
    return bool(np.any(same, axis=0).mean() >= REPEATED)
