"""Which earlier column is the key of which, and in what order columns had best come: measured on some rows. Writers need it.

The order is that of a tree in which each column hangs on the one that tells most about it: the cheapest arborescence, after
Chu & Liu, "On the shortest arborescence of a directed graph" (1965) and Edmonds, "Optimum branchings" (1967), as Vo & Vo do
for dependencies of columns (2007).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aezip.core.types import Float64, Int64

from . import recency
from .clusters import Groups, chosen
from .lag import WINDOW

MOST_ROWS, FEWEST_ROWS = 1 << 15, 1 << 11
WORK = 1 << 22  # rows times pairs of columns
CLOSE = 1.02  # how much more bits than the best one of both orders may take to be tried
PROMISING = 0.98  # what part of the bits without keys all columns must get by with
WORTH = 0.97  # what part of the bits without a key a column must get by with
SHORT = 1 << 10  # rows of a segment where ranks are compared


def related(k: Int64) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return orders of columns and their keys that may pay: columns as they stand, and in the order of a tree.

    Parameters
    ----------
    k
        Integers, shape (rows, columns).
    """
    columns = k.shape[1]
    k = k[: min(MOST_ROWS, max(FEWEST_ROWS, WORK // columns**2))]
    if len(k) < FEWEST_ROWS // 2:
        return []
    alone = np.array([_bits(k[:, c]) for c in range(columns)])
    given = np.full((columns, columns), np.inf)
    for key in range(columns):
        rows = np.argsort(k[:, key], kind="stable")
        for c in range(columns):
            if c != key:
                given[c, key] = _bits(k[rows, c])
    natural = tuple(range(columns))
    order = _order(alone, given)
    found = [] if order == natural else [(order, *_keys(k[:, order], alone[list(order)], given[np.ix_(order, order)]))]
    found.append(((), *_keys(k, alone, given)))
    least = min(bits for _, _, bits in found)
    return [(order, keys) for order, keys, bits in found if bits < PROMISING * alone.sum() and bits <= CLOSE * least]


def _keys(k: Int64, alone: Float64, given: Float64) -> tuple[tuple[int, ...], float]:
    """Return the key of each column, one earlier column or two, 0 for none; and the bits of all."""
    keys, total = [0] * k.shape[1], 0.0
    groups: list[Groups] = []
    for place in range(k.shape[1]):
        least = float(alone[place])
        if place and least > 0.0:
            first = int(given[place, :place].argmin())
            best = float(given[place, first])
            if best < WORTH * least:
                least, keys[place] = best, first + 1
                for second in range(place):
                    number = place + 1 + first * place + second
                    both = chosen(number, groups)
                    if second != first and both is not None:
                        size = _bits(k[np.argsort(both.of, kind="stable"), place])
                        if size < WORTH * least:
                            least, keys[place] = size, number
        total += least
        column = k[:, place]
        groups.append(Groups(lambda column=column: np.unique(column, return_inverse=True)[1].astype(np.int64)))  # type: ignore[misc]
    return tuple(keys), total


def _bits(column: Int64) -> float:
    """Return about how many bits a column takes, by what is before each value."""
    steps = np.diff(column, prepend=column[:1])
    length = min(SHORT, len(column))
    ranked = recency.bits(np.ascontiguousarray(column[: len(column) // length * length].reshape(-1, length).T))
    return min(_spread(column - np.int64(np.median(column))), _spread(steps), ranked, _returning(column, steps))


def _returning(column: Int64, steps: Int64) -> float:
    """Return about how many bits a column takes whose values are told by how long ago they were last seen, as lags do."""
    by = np.argsort(column, kind="stable")
    again = np.diff(column[by]) == 0
    ago = np.full(len(column), WINDOW + 1)
    ago[by[1:][again]] = np.diff(by)[again]
    octave = np.frexp(ago.clip(1, WINDOW + 1).astype(np.float64))[1]
    new = ago > WINDOW
    counts = np.bincount(octave[~new], minlength=10).astype(np.float64)
    counts[-1] = new.sum()
    share = counts / max(1, len(column))
    return float((octave[~new] - 1).sum() - (counts * np.log2(np.maximum(share, 1e-12))).sum()) + _spread(steps[new])


def _spread(value: Int64) -> float:
    """Return about how many bits numbers take by sign, exponent, and plain bits below it."""
    exponent = np.frexp(value.astype(np.float64))[1]
    counts = np.bincount(exponent + 64 * (value < 0)).astype(np.float64)
    share = counts / max(1.0, counts.sum())
    return float((exponent - 1).clip(0).sum() - (counts * np.log2(np.maximum(share, 1e-12))).sum())


def _order(alone: Float64, given: Float64) -> tuple[int, ...]:
    """Return the columns in the order of the cheapest arborescence: of those whose key is known, the first that stands first."""
    count = len(alone)
    cost = np.full((count + 1, count + 1), np.inf)  # of a column, given another one; the last stands for none
    cost[:count, :count], cost[:count, count] = given, alone
    key = _arborescence(cost, count)
    order: list[int] = []
    while len(order) < count:
        order.append(next(c for c in range(count) if c not in order and (key[c] == count or key[c] in order)))
    return tuple(order)


def _arborescence(cost: Float64, root: int) -> npt.NDArray[np.int64]:
    """Return what each node hangs on in the cheapest arborescence, given the cost of each (row) below each other (column)."""
    best: npt.NDArray[np.int64] = cost.argmin(axis=1).astype(np.int64)
    best[root] = root
    cycle = _cycle(best, root)
    if not cycle:
        return best
    outside = np.array([n for n in range(len(cost)) if n not in cycle])
    inside = np.array(sorted(cycle))
    inner = cost[inside, best[inside]]
    small = np.full((len(outside) + 1, len(outside) + 1), np.inf)  # the last stands for the cycle
    small[:-1, :-1] = cost[np.ix_(outside, outside)]
    small[:-1, -1] = cost[np.ix_(outside, inside)].min(axis=1)
    entered = cost[np.ix_(inside, outside)] - inner[:, None]
    small[-1, :-1] = entered.min(axis=0)
    found = _arborescence(small, int(np.flatnonzero(outside == root)[0]))
    for at, node in enumerate(outside):
        if node != root:
            through = found[at] == len(outside)
            best[node] = inside[cost[node, inside].argmin()] if through else outside[found[at]]
    best[inside[entered[:, found[-1]].argmin()]] = outside[found[-1]]
    return best


def _cycle(best: npt.NDArray[np.int64], root: int) -> set[int]:
    """Return the nodes of a cycle, or none."""
    for start in range(len(best)):
        seen: list[int] = []
        node = start
        while node != root and node not in seen:
            seen.append(node)
            node = int(best[node])
        if node != root:
            return set(seen[seen.index(node) :])
    return set()
