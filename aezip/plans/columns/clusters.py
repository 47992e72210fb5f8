"""Columns by classes: leading bits in the frequency table of a class, the bits below them plainly.

Weights of a network, delays of flights, ratings: nothing predicts the next value, but where it stands tells how values are
distributed there. Rows of weights differ in scale, delays in how far the aeroplane flew. Groups of values (rows of an array, or
what an earlier column of a table says) that are distributed alike are given one class, and each class a table. Classes are found
by clustering histograms to the fewest bits: k-means with the Kullback-Leibler divergence (Dhillon, Mallela & Kumar, "A divisive
information-theoretic feature clustering algorithm for text classification", 2003). Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.products import by_rows
from aezip.core.types import Float64, Int64
from aezip.entropy import ans, residual
from aezip.entropy.distances import buckets, from_buckets
from aezip.entropy.plainbits import unzigzag, zigzag

from .table import numbers

Parts = tuple[Int64, Int64, Int64]  # of `leading_parts`

DOUBLINGS = 6  # of the number of classes
MOST = 1 << DOUBLINGS
SHIFTS_TABLE, CLASS_TABLE, VALUES = 1, 2, 3  # tables of a column: numbers, bits below parts, classes of groups, values by class
SYMBOLS = residual.ESCAPE  # leading parts that are told apart
MOST_GROUPS = 8192
DEEPEST = 40  # bits that may be stored plainly
DISTINCT = 1 << 16  # integers that the search for leading parts begins with
ENTRY_BITS = (0.0, 8.0, 48.0)  # that a leading part costs in tables: nothing, in one, in many
TABLE_BITS = 14.0  # of a symbol in the table of a class, and of what tables of 4096 parts lose by it
RAREST, ESCAPE_BITS = 0.35 / ans.TOTAL, 24.0  # a share from which a table does not list a symbol, and what that costs
ROUNDS, ROUGH_ROUNDS = 12, 3  # of moving groups to the class that suits them: for good, and where groupings are compared
SAMPLED, ROUGHLY = 1 << 16, 1 << 13  # values by which groupings are compared: closely, roughly
DENSE = 30  # products are faster than sums over what occurs where there are fewer than so many places for each of these
FEW, CLOSELY = 6, 4  # groupings, or pairs, that are all compared closely; if there are more, so many of them


def tables(doublings: int) -> int:
    """Return how many frequency tables a column with up to 2**doublings classes has."""
    return VALUES + (1 << doublings)


class Groups:
    """Which group each value of a column belongs to.

    Parameters
    ----------
    find
        Returns the group of each value, int64, shape (n,), from 0; called once, where groups are looked at.
    """

    def __init__(self, find: Callable[[], Int64]) -> None:
        self._find = find

    @cached_property
    def of(self) -> Int64:
        """The group of each value."""
        return self._find()

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.of.max(initial=-1)) + 1


def of_axes(shape: tuple[int, ...]) -> list[Groups]:
    """Return the groupings of an array's values, flattened: by all but the last axes, by fewer axes, and by the last axis."""
    values = int(np.prod(shape))
    inner = [int(np.prod(shape[axes:])) for axes in range(len(shape) - 1, 0, -1)]
    out = [Groups(lambda size=size: np.arange(values) // max(1, size)) for size in inner]  # type: ignore[misc]
    return [*out, Groups(lambda: np.arange(values) % shape[-1])] if out else []


def of_column(column: Int64) -> Groups:
    """Return the grouping of a later column's values by the values of this one."""
    return Groups(lambda: np.unique(column, return_inverse=True)[1].astype(np.int64))


def of_pair(first: Groups, second: Groups) -> Groups:
    """Return the grouping by two groupings at once."""
    return Groups(lambda: np.unique(first.of * second.count + second.of, return_inverse=True)[1].astype(np.int64))


def chosen(used: int, groupings: Sequence[Groups]) -> Groups | None:
    """Return the grouping a number stands for: 0 none, then each by itself, then all pairs; None also for a number too great."""
    count = len(groupings)
    if not 1 <= used <= numbers(count):
        return None
    if used <= count:
        return groupings[used - 1]
    first, second = divmod(used - count - 1, count)
    return of_pair(groupings[first], groupings[second])


def passes(value: Int64, groupings: Sequence[Groups]) -> tuple[int, list[residual.Split]] | None:
    """Return how often a column's number of classes doubles, and its passes; None if it is not for classes.

    The passes are three numbers: which grouping is used (see `chosen`), how many leading parts there are, and where the first
    begins; from each part's end to the next one's beginning; the bits below each part; the class of each group; the values.

    Parameters
    ----------
    value
        Shape (n,).
    groupings
        What the reader knows before.
    """
    options, used = [], None
    for entry in ENTRY_BITS:
        parts = leading_parts(value, entry)
        if parts is not None:
            used = _telling(parts, groupings) if used is None else used
            options.append(_coded(value, parts, used, groupings))
    return min(options, key=lambda made: residual.cost(made[1], tables(made[0])), default=None)


class _Counts(NamedTuple):
    """How often each of some groups has each of some symbols: where not never."""

    group: Int64
    symbol: Int64
    times: Float64
    groups: int
    symbols: int

    @property
    def whole(self) -> Float64:
        """How often symbols occur, shape (1, symbols)."""
        return np.asarray(np.bincount(self.symbol, self.times, self.symbols), np.float64)[None]

    def by_class(self, labels: Int64, classes: int) -> Float64:
        """Return how often classes of groups have symbols, shape (classes, symbols)."""
        sums = np.bincount(labels[self.group] * self.symbols + self.symbol, self.times, classes * self.symbols)
        return np.asarray(sums, np.float64).reshape(classes, self.symbols)

    def priced(self, prices: Float64) -> Float64:
        """Return what the symbols of each group cost by each row of prices, shape (groups, rows)."""
        if self.groups * self.symbols < DENSE * len(self.times):
            counts = np.zeros((self.groups, self.symbols))
            counts[self.group, self.symbol] = self.times
            return by_rows(counts, prices.T)
        return np.stack([np.bincount(self.group, self.times * row[self.symbol], self.groups) for row in prices], axis=1)


def _counts(symbol: Int64, group: Int64, groups: int, symbols: int) -> _Counts:
    """Count symbols in groups."""
    pairs, size = group * symbols + symbol, groups * symbols
    if size < 4 * len(pairs):
        times = np.bincount(pairs, minlength=size)
        found = times.nonzero()[0]
        times = times[found]
    else:
        found, times = np.unique(pairs, return_counts=True)
    return _Counts(found // symbols, found % symbols, times.astype(np.float64), groups, symbols)


def _telling(parts: Parts, groupings: Sequence[Groups]) -> int:
    """Return the number of the grouping, or pair of them, that tells most about a column, by a sample; 0 if none does."""
    starts, _, symbol = parts
    some = slice(None, None, -(-len(symbol) // SAMPLED) | 1)  # odd: not the same column of each row
    size, count = len(starts), len(groupings)
    most = min(MOST_GROUPS, len(symbol[some]) // 2)  # a class for each value costs what it tells
    alone = _bits(np.bincount(symbol[some], minlength=size)[None].astype(np.float64)), 0

    def compared(numbered: list[tuple[int, Groups]]) -> list[tuple[float, int]]:
        """Return the bits of those groupings that may do, of many of the most promising, each with its number."""
        usable = [(number, groups) for number, groups in numbered if 2 <= groups.count <= most]
        if len(numbered) > FEW:
            usable = sorted(usable, key=lambda one: (_roughly(symbol[some], one[1], size), one[0]))[:CLOSELY]
        return [(_cluster(_counts(symbol[some], one.of, one.count, size), ROUGH_ROUNDS)[0], number) for number, one in usable]

    sampled = [Groups(lambda one=one: one.of[some]) for one in groupings]  # type: ignore[misc]
    singles = compared(list(enumerate(sampled, start=1)))
    if not singles:
        return 0
    first = min(singles)[1] - 1
    pairs = [(count + 1 + first * count + n, of_pair(sampled[first], sampled[n])) for n in range(count) if n != first]
    ranked = sorted([alone, *singles, *compared(pairs)])
    # a sample may have fewer groups than there are, and a reader refuses too many
    return next(n for _, n in ranked if not n or chosen(n, groupings).count <= MOST_GROUPS)  # type: ignore[union-attr]


def _roughly(symbol: Int64, groups: Groups, size: int) -> float:
    """Return about how many bits symbols take in tables of their groups, each entry of a table at half a logarithm (MDL)."""
    counts = _counts(symbol[:ROUGHLY], groups.of[:ROUGHLY], groups.count, size)
    total = np.bincount(counts.group, counts.times, groups.count)
    bits = (total * np.log2(np.maximum(total, 1.0))).sum() - (counts.times * np.log2(counts.times)).sum()
    return float(bits + 0.5 * np.log2(total[counts.group] + 1.0).sum())


def _coded(value: Int64, parts: Parts, used: int, groupings: Sequence[Groups]) -> tuple[int, list[residual.Split]]:
    """Return what `passes` does, given the leading parts and the number of the grouping that is used."""
    starts, shifts, symbol = parts
    classes, table = np.zeros(0, np.int64), np.full(len(value), VALUES, np.uint16)
    groups = chosen(used, groupings)
    if groups is not None:
        classes = _cluster(_counts(symbol, groups.of, groups.count, len(starts)), ROUNDS)[1]
        table += classes[groups.of].astype(np.uint16)
    gaps = starts[1:] - starts[:-1] - (np.int64(1) << shifts[:-1])
    nothing = np.zeros(0, np.int64)
    return int(classes.max(initial=0)).bit_length(), [
        *(buckets(part, np.zeros(len(part), np.uint16)) for part in (np.array([used, len(starts), starts[0]], np.int64), gaps)),
        residual.Split(unzigzag(shifts), np.full(len(shifts), SHIFTS_TABLE, np.uint16), nothing, None),
        residual.Split(unzigzag(classes), np.full(len(classes), CLASS_TABLE, np.uint16), nothing, None),
        residual.Split(unzigzag(symbol), table, value - starts[symbol], shifts[symbol].astype(np.uint8)),
    ]


def read(reader: residual.ResidualReader, doublings: int, table: int, count: int, groupings: Sequence[Groups]) -> Int64:
    """Return the column with up to 2**doublings classes whose tables are numbered from `table`, shape (count,).

    Raises
    ------
    CorruptFile
        If a number makes no sense.
    """
    used, size, least = (int(v) for v in from_buckets(reader, np.full(3, table, np.uint16)))
    groups = chosen(used, groupings)
    if (groups is None and used) or not 1 <= size <= SYMBOLS:
        raise CorruptFile("a column of classes is malformed: the file is damaged")
    gaps = from_buckets(reader, np.full(size - 1, table, np.uint16))
    shifts = _symbols(reader, np.full(size, table + SHIFTS_TABLE, np.uint16), DEEPEST + 1)
    starts = np.cumsum(np.append(least, gaps + (np.int64(1) << shifts[:-1])))
    context = np.full(count, table + VALUES, np.uint16)
    if groups is not None:
        if groups.count > MOST_GROUPS:
            raise CorruptFile("a column of classes has too many groups: the file is damaged")
        classes = _symbols(reader, np.full(groups.count, table + CLASS_TABLE, np.uint16), 1 << doublings)
        context += classes.astype(np.uint16)[groups.of]
    symbol = _symbols(reader, context, size)
    value, shift = starts[symbol], shifts[symbol]
    for bits in np.unique(shift):
        if bits:
            where = np.flatnonzero(shift == bits)
            value[where] += reader.low(int(bits), len(where))
    return value


def _symbols(reader: residual.ResidualReader, context: npt.NDArray[np.uint16], limit: int) -> Int64:
    """Return symbols below a limit."""
    symbols = zigzag(reader.decode(np.zeros(len(context), np.uint8), context))
    if not 0 <= int(symbols.min(initial=0)) <= int(symbols.max(initial=0)) < limit:
        raise CorruptFile("a class or a leading part is impossible: the file is damaged")
    return symbols


def leading_parts(value: Int64, entry: float) -> Parts | None:
    """Return where leading parts begin, how many bits are below each, and which of them each value has; None: too many.

    Part i stands for the 2**shifts[i] integers from starts[i], a multiple of that, on. Parts are the leaves of a binary tree over
    all integers that occur, pruned bottom-up to the fewest bits, `entry` for each leaf (minimum description length).
    """
    shift = 0
    keys, times = np.unique(value, return_counts=True)
    counts = times.astype(np.float64)
    while len(keys) > DISTINCT and shift < DEEPEST:
        keys, counts, _ = _parents(keys, counts)
        shift += 1
    if not len(keys) or len(np.unique(keys >> (DEEPEST - shift))) > SYMBOLS:
        return None
    while True:
        starts, shifts = _pruned(keys, counts, shift, entry)
        if len(starts) <= SYMBOLS:
            return starts, shifts, np.searchsorted(starts, value, side="right") - 1
        entry = max(4.0, 2.0 * entry)


def _parents(keys: Int64, weights: npt.NDArray[Any]) -> tuple[Int64, Float64, Int64]:
    """Return the keys one bit shorter, the sums of their children's weights, and which is the parent of each child."""
    parents, of = np.unique(keys >> 1, return_inverse=True)
    return parents, np.asarray(np.bincount(of, weights), np.float64), of.astype(np.int64)


def _pruned(keys: Int64, counts: Float64, shift: int, entry: float) -> tuple[Int64, Int64]:
    """Return starts and shifts of the leaves of the tree whose deepest nodes, multiples of 2**shift, are given."""
    total, below = float(counts.sum()), np.full(len(keys), np.inf)
    levels: list[tuple[Int64, npt.NDArray[np.bool_], Int64]] = []  # keys, whether to end there, their parents' places
    while True:
        share = counts / total
        bits = shift - np.log2(np.maximum(share, 1.0 / ans.TOTAL)) + ESCAPE_BITS * (share < RAREST)
        room = total * np.maximum(1.0 / ans.TOTAL - share, 0.0) / math.log(2.0)  # what rare parts take from all others
        alone = entry + counts * bits + room
        best = np.minimum(alone, below)
        parents, sums, of = _parents(keys, counts)
        levels.append((keys, alone < below, of))
        if shift == DEEPEST or len(keys) == 1:
            break
        keys, counts, below, shift = parents, sums, np.bincount(of, best), shift + 1
    opened = np.ones(len(keys), np.bool_)
    starts, shifts = [], []
    for down, (keys, end, _) in enumerate(reversed(levels)):
        ends = keys[opened & end] << (shift - down)
        starts.append(ends)
        shifts.append(np.full(len(ends), shift - down, np.int64))
        if down + 1 < len(levels):
            opened = (opened & ~end)[levels[-2 - down][2]]
    order = np.argsort(np.concatenate(starts), kind="stable")
    return np.concatenate(starts)[order], np.concatenate(shifts)[order]


def _bits(counts: Float64) -> float:
    """Return about how many bits values with these counts, (classes, symbols), take, tables included."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    return float(TABLE_BITS * (counts > 0).sum() - (counts * np.log2(np.maximum(share, 1e-12))).sum())


def _cluster(counts: _Counts, rounds: int) -> tuple[float, Int64]:
    """Return the bits that classes of groups with such counts take, and the class of each group."""
    labels, whole = np.zeros(counts.groups, np.int64), counts.whole
    best, classes, sums = (_bits(whole), labels), 1, whole
    whole = whole / max(1.0, whole.sum())
    while classes < min(MOST, counts.groups):
        labels, classes = 2 * labels + _halves(counts, labels, sums), 2 * classes
        sums = counts.by_class(labels, classes)
        for _ in range(rounds):
            share = (sums + whole) / (sums.sum(axis=1, keepdims=True) + 1.0)  # nothing seen is not impossible
            moved = counts.priced(np.log2(np.maximum(share, 1e-12))).argmax(axis=1)
            if (moved == labels).all():
                break
            labels = moved
            sums = counts.by_class(labels, classes)
        size = _bits(sums) + _bits(np.bincount(labels, minlength=classes)[None].astype(np.float64))
        if size >= best[0]:
            break
        best = size, labels
    return best


def _halves(counts: _Counts, labels: Int64, sums: Float64) -> Int64:
    """Return 1 for those groups of each class whose values take more bits than its others' by its distribution, else 0."""
    prices = -np.log2(np.maximum(sums / np.maximum(1.0, sums.sum(axis=1, keepdims=True)), 1e-12))
    times = np.bincount(counts.group, counts.times, counts.groups)
    bits = np.bincount(counts.group, counts.times * prices[labels[counts.group], counts.symbol], counts.groups)
    order = np.lexsort((bits / np.maximum(times, 1.0), labels))
    sizes = np.bincount(labels, minlength=len(sums))
    place = np.arange(counts.groups) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in its class, the cheapest first
    half = np.zeros(counts.groups, np.int64)
    half[order] = 2 * place >= np.repeat(sizes, sizes)
    return half
