"""The plans without a model of section 4 of the page: `bytes`, `difference`, `buckets`, `recall`."""

from __future__ import annotations

from typing import Any

import numpy as np

from independent.container import by_significance, check
from independent.entropy import ESCAPE, Stream, Tables, unfold

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


def recall(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    by_columns = len(shape) == 2 and shape[1] <= 64
    columns = shape[1] if by_columns else 1
    ways = list(data[:columns])
    counts = [9 if way == 2 else 1 if way < 2 else RECENT[way - 3] + 1 if way < 8 else 3 + (1 << way - 8) for way in ways]
    tables, at = Tables.parse(data, columns, sum(counts))
    stream = Stream(data[at:])
    k = np.zeros((int(np.prod(shape)) // columns, columns), "i8")
    first = 0
    for column, (way, count) in enumerate(zip(ways, counts, strict=True)):
        if way < 2:
            values = distances(stream, tables, np.full(len(k), first))
            k[:, column] = values.cumsum() if way else values
        elif way == 2:
            k[:, column] = _lags(stream, tables, first, len(k))
        elif way < 8:
            k[:, column] = _recency(stream, tables, first, way - 3, len(k))
        else:
            groups = _by_columns(k[:, :column]) if by_columns else _by_axes(shape)
            k[:, column] = _classes(stream, tables, first, groups, len(k))
        first += count
    stream.close()
    return k.reshape(shape)


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
