"""The plans without a model of section 4 of the page: `bytes`, `difference`, `buckets`, and `columns`, which may have one."""

from __future__ import annotations

from typing import Any

import numpy as np

from independent.container import by_significance, check
from independent.entropy import ESCAPE, Stream, Tables, unfold
from independent.networks import Model, Shape, shifted, table_of

RECENT = [1, 3, 9, 18, 36]  # tables of ranks by how many predecessors choose them


def plain_bytes(data: bytes, plan: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    raw = np.frombuffer(data, "u1")
    if plan.get("changes"):
        raw = np.cumsum(raw, dtype="u1")
    count = int(np.prod(shape))
    values = by_significance(raw.tobytes(), dtype, count) if plan["shuffled"] else raw.view(dtype)
    return values.reshape(shape)


def difference(data: bytes, plan: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    base, size, count = int(np.frombuffer(data, "<i8", 1)[0]), data[8], int(np.prod(shape))
    planes = np.zeros((8, count), "u1")
    planes[:size] = np.frombuffer(data, "u1", size * count, 9).reshape(size, count)
    check(len(data) == 9 + size * count, "as many bytes as values need")
    k = by_significance(planes.tobytes(), "i8", count).reshape(shape) + np.int64(base)
    return k if plan.get("axis") is None else k.cumsum(axis=plan["axis"], dtype="i8")


def distances(stream: Stream, tables: Tables, which: np.ndarray) -> np.ndarray:
    """Return one pass of numbers d, whose symbols tell the two highest bits of |d| - 1."""
    symbols = stream.symbols(tables, which)
    itself = symbols >= ESCAPE
    found = unfold(symbols)  # of symbol 0, and of what is coded as it is
    coded = np.where(itself, 0, symbols).astype("i8") - 1
    b = coded // 2
    wide = b >= 16
    shifts = np.where(wide, 3 + (b - 16) // 2, 0)
    size = np.where(wide, (2 + (b & 1)) << shifts, b) + stream.low_bits(shifts) + 1
    small = coded >= 0
    found[small] = np.where(coded % 2, -size, size)[small]
    return found


def buckets(data: bytes, plan: dict[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    tables, at = Tables.parse(data, 0, 24)
    stream = Stream(data[at:])
    values = int(np.prod(shape[1:]))
    passes, size = (shape[0], values) if values >= 256 else (1, shape[0] * values)
    found, before = np.zeros((passes, size), "i8"), np.zeros(size, "i8")
    for i in range(passes):
        before = found[i] = distances(stream, tables, np.minimum(np.frexp(before.astype("f8"))[1], 23))
    stream.close()
    k = found.reshape(shape)
    for axis in plan["axes"]:
        k = k.cumsum(axis=axis, dtype="i8")
    return k


def columns(
    plan: dict[str, Any], whole: bool, data: bytes, residual: bytes, model: bytes, shape: tuple[int, ...], ignored: np.ndarray
) -> np.ndarray:
    """Return k on a whole grid, Y on a fine one."""
    table = len(shape) == 2 and shape[1] <= 64
    count = shape[1] if table else 1
    order, keys = plan.get("order", range(count)), plan.get("keys", [0] * count)
    ways = [(data[i] >> 3, data[i] & 7) for i in range(count)]
    counts = [_tables(*way) for way in ways]
    tables, at = Tables.parse(data, count, sum(counts))
    stream, first = Stream(data[at:]), 0
    coded = ~ignored.reshape(-1, count)[:, list(order)]
    k = np.zeros(coded.shape, "i8")
    check(whole or "networks" in plan, "a fine grid with networks alone")
    nets = Predictors(plan["networks"], whole, model, residual, coded) if "networks" in plan else None
    for place, (way, key, tables_here) in enumerate(zip(ways, keys, counts, strict=True)):
        groups = _by_columns(k[:, :place]) if table else _by_axes(shape)
        rows = np.flatnonzero(coded[:, place])
        if way[0] == 4:
            check(nets is not None, "networks for a column that says so")
            k[:, place] = nets.column(place)
        else:
            if key:
                rows = rows[np.argsort(_group(groups, key)[rows], kind="stable")]
            values = np.zeros(len(k), "i8")
            values[rows] = _column(stream, tables, first, way, [of[rows] for of in groups], len(rows))
            k[:, place] = values if whole else 64 * values
        before = np.maximum.accumulate(np.where(coded[:, place], np.arange(len(k)), -1))
        if way[0] < 4 or not nets.summed(place):
            k[:, place] = np.where(before < 0, 0, k[before, place])
        if nets is not None:
            nets.seen(place, k[:, place])
        first += tables_here
    stream.close()
    if nets is not None and nets.stream is not None:
        nets.stream.close()
    found = np.empty_like(k)
    found[:, list(order)] = k
    return found.reshape(shape)


def _tables(p: int, t: int) -> int:
    """Return how many tables of its own a column has."""
    check(p < 5 and t <= [7, 7, 0, 4, 0][p], "a known way for a column")
    if p < 2:
        return 3 + (1 << t - 1) if t else 1
    return [9, RECENT[t] + 1, 0][p - 2]


def _column(stream: Stream, tables: Tables, first: int, way: tuple[int, int], groups: list[np.ndarray], n: int) -> np.ndarray:
    """Return the values of a column in the order of coding."""
    p, t = way
    if p == 2:
        return _lags(stream, tables, first, n)
    if p == 3:
        return _recency(stream, tables, first, t, n)
    values = _classes(stream, tables, first, groups, n) if t else distances(stream, tables, np.full(n, first))
    return values.cumsum() if p else values


class Predictors:
    """The networks of columns, which see the columns before."""

    def __init__(self, said: dict[str, Any], whole: bool, model: bytes, residual: bytes, coded: np.ndarray) -> None:
        count = coded.shape[1]
        shape = Shape(
            0, said["hidden"], said["scale_hidden"], [[c] for c in range(count)], False, said.get("by_feature", False), [], whole
        )
        self.places = said["columns"]
        self.net, self.stream = Model(model, shape, self.places), Stream(residual) if residual else None
        self.differences = said.get("differences", [0] * count)
        self.coded, self.whole, self.wide = coded, whole, np.zeros((len(coded), 0), "i8")

    def summed(self, place: int) -> bool:
        return bool(self.differences[place])

    def column(self, place: int) -> np.ndarray:
        check(place in self.places and self.stream is not None, "a network for a column that says so")
        coded = self.coded[:, place]
        mean, level, _ = self.net.forward(place, self.wide)
        mean, level = mean[coded, 0], level[coded, 0]
        q = self.stream.residuals(self.net.tables, table_of(mean, level, np.full(len(mean), place), self.net.shape), level)
        found = np.zeros(len(coded), "i8")
        found[coded] = q + ((mean + 32) >> 6) if self.whole else 64 * q + mean
        return found.cumsum() if self.summed(place) else found

    def seen(self, place: int, k: np.ndarray) -> None:
        """Take in a column that is known."""
        y = 64 * (np.diff(k, prepend=0) if self.summed(place) else k) if self.whole else k
        moved = shifted(y - self.net.centres[place], self.net.top - int(self.net.exponents[place]), self.net.top)
        self.wide = np.concatenate([self.wide, np.where(self.coded[:, place], moved, 0)[:, None]], axis=1)


def _lags(stream: Stream, tables: Tables, first: int, n: int) -> np.ndarray:
    lags = distances(stream, tables, np.full(n, first)) + 1
    octaves = np.minimum(np.frexp(lags.astype("f8"))[1] - 1, 7)
    k = distances(stream, tables, first + 1 + octaves)
    for i in range(1, n):
        k[i] += k[i - lags[i]]
    return k


def _recency(stream: Stream, tables: Tables, first: int, r: int, n: int) -> np.ndarray:
    """Return a column by ranks in the lists of the values seen last, one list for each segment of rows."""
    lanes = max(1, -(-n // 4096))
    length = -(-n // lanes)
    ranks = np.zeros((length, lanes), "i8")
    before = np.zeros((4, lanes), "i8")
    weights = [1, 3, 9, 18]
    rows = np.arange(lanes) * length
    for t in range(length):
        there = np.flatnonzero(rows + t < n)
        terms = np.minimum(before[:r], np.array([2, 2, 1, 1])[:r, None])
        which = first + (terms * np.array(weights)[:r, None]).sum(axis=0)
        ranks[t, there] = stream.symbols(tables, which[there]).astype("i8")
        before = np.concatenate([ranks[t : t + 1], before[:3]])
    new = (ranks == 15) & (rows + np.arange(length)[:, None] < n)
    far = np.zeros_like(ranks)
    far[new] = distances(stream, tables, np.full(int(new.sum()), first + RECENT[r]))
    k = np.zeros(n, "i8")
    for segment in range(lanes):
        seen = [0] * 15
        for t in range(min(length, n - segment * length)):
            rank = int(ranks[t, segment])
            value = seen.pop(rank) if rank < 15 else seen[0] + int(far[t, segment])
            seen = [value, *seen][:15]
            k[segment * length + t] = value
    return k


def _classes(stream: Stream, tables: Tables, first: int, groupings: list[np.ndarray], n: int) -> np.ndarray:
    """Return a column whose values are offsets and low bits, in the table of their group's class."""
    g, p, start = distances(stream, tables, np.full(3, first)).tolist()
    gaps = distances(stream, tables, np.full(p - 1, first))
    shifts = stream.symbols(tables, np.full(p, first + 1)).astype("i8")
    starts = start + np.concatenate([[0], ((1 << shifts[:-1]) + gaps).cumsum()])
    which = np.full(n, first + 3)
    if g:
        group = _group(groupings, g)
        classes = stream.symbols(tables, np.full(int(group.max(initial=-1)) + 1, first + 2)).astype("i8")
        which += classes[group]
    symbols = stream.symbols(tables, which).astype("i8")
    return starts[symbols] + stream.low_bits(shifts[symbols])


def _group(groupings: list[np.ndarray], g: int) -> np.ndarray:
    n = len(groupings)
    if g <= n:
        return groupings[g - 1]
    a, b = divmod(g - n - 1, n)
    both = groupings[a] * (groupings[b].max(initial=-1) + 1) + groupings[b]
    return np.unique(both, return_inverse=True)[1]


def _by_columns(before: np.ndarray) -> list[np.ndarray]:
    return [np.unique(column, return_inverse=True)[1] for column in before.T]


def _by_axes(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Return the index along the first axes together, ever fewer of them, then the index along the last axis."""
    flat, m = np.arange(int(np.prod(shape))), len(shape)
    return [flat // int(np.prod(shape[axes:])) for axes in range(m - 1, 0, -1)] + ([flat % shape[-1]] if m > 1 else [])
