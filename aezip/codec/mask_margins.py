"""A mask of two axes in little space: what rows and columns have in common, and which columns go together.

    logit of an entry = a_row + b_column                                       stored, in whole quanta
    similarity = what the row's entries decoded so far say of this column, by how columns went together in earlier rows
    (logit, similarity) -> one of some 400 contexts -> rANS

The similarity is that of item-to-item collaborative filtering (Sarwar et al., WWW 2001) on standardized surprises. All
of it is integers, or single IEEE 754 operations on them: decoder and encoder form the same contexts on every machine.
`docs/format.md` specifies the bytes. Knows nothing of files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Context, Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.types import U8, Float64, Int64
from aezip.entropy import ans
from aezip.entropy.codebook import integers_from_bytes, integers_to_bytes

STEPS = 8  # of a logit to a unit
TOP = 64  # largest logit, in steps
UNIT = 64  # of a standardized surprise
WEIGHT = 4096  # of a similarity of 1
SHRINK = 192.0  # so many units of surprise are taken as dissimilar before any were seen
LEVELS, PARTS = 32, 12  # of logits and similarities
FEWEST_ROWS, FEWEST, MOST = 64, 16, 4096  # rows, and columns, that this is for
NEVER, ALWAYS = 255, 254
_HEAD = struct.Struct("<HBBB")  # rows of a block, groups of columns, quanta of rows and of columns in steps
_DAMAGED = "the mask is malformed: the file is damaged"


def _probabilities() -> Int64:
    """Return 4096 / (1 + exp(-t / 8)), rounded, for t = -64 … 64, in decimal arithmetic: the same everywhere."""
    with localcontext(Context(prec=28)):  # not the caller's, whose precision may be any
        found = [4096 / (1 + (Decimal(-t) / STEPS).exp()) for t in range(-TOP, TOP + 1)]
        return np.array([min(max(round(f), 1), 4095) for f in found], np.int64)


PROBABILITIES = _probabilities()


def _surprises() -> Float64:
    """Return the standardized surprise of 0 and of 1, shape (logits, 2), in whole units."""
    p = PROBABILITIES / 4096.0
    return np.rint(UNIT * (np.array([0.0, 1.0]) - p[:, None]) / np.sqrt(p * (1.0 - p) + 0.02)[:, None])


SURPRISES = _surprises()


@dataclass(frozen=True)
class _Margins:
    """What is stored beside the entries.

    Parameters
    ----------
    rows, columns
        int64: logits in quanta of rows and of columns.
    quanta
        Of both, in steps.
    levels, parts
        Ascending edges of logits and of similarities.
    """

    rows: Int64
    columns: Int64
    quanta: tuple[int, int]
    block: int
    groups: int
    levels: Int64
    parts: Int64

    @property
    def order(self) -> Int64:
        """The columns, the fullest first."""
        return np.argsort(-self.columns, kind="stable")

    def logits(self) -> Int64:
        """Return the logits in steps, columns in their order, cut to the table."""
        steps = self.rows[:, None] * self.quanta[0] + self.columns[self.order] * self.quanta[1]
        return np.asarray(steps.clip(-TOP, TOP))


class _Walk:
    """The blocks in the order of decoding; holds what was decoded."""

    def __init__(self, margins: _Margins) -> None:
        self.margins = margins
        self.logits = margins.logits()
        self.surprise = np.zeros(self.logits.shape)
        self.entries = np.zeros(self.logits.shape, np.uint8)

    def blocks(self) -> Iterator[tuple[slice, slice, Float64]]:
        """Yield rows, columns and similarities of each block; `store` takes in its entries before the next."""
        count, width = self.logits.shape
        cuts = [width * g // self.margins.groups for g in range(self.margins.groups + 1)]
        together = np.zeros((width, width))
        for start in range(0, count, self.margins.block):
            rows = slice(start, min(count, start + self.margins.block))
            size = np.sqrt(np.diag(together)) + SHRINK
            weight = np.rint(together / (size[:, None] * size) * WEIGHT)
            for left, right in pairwise(cuts):
                if right > left:
                    yield rows, slice(left, right), self.surprise[rows, :left] @ weight[:left, left:right]  # exact: whole
            together += self.surprise[rows].T @ self.surprise[rows]

    def store(self, rows: slice, columns: slice, entries: U8) -> None:
        """Take in the entries of a block."""
        self.entries[rows, columns] = entries
        self.surprise[rows, columns] = SURPRISES[self.logits[rows, columns] + TOP, entries]

    def contexts(self, rows: slice, columns: slice, similarity: Float64) -> Int64:
        """Return the contexts of a block, flat."""
        level = np.searchsorted(self.margins.levels, self.logits[rows, columns].ravel(), side="right")
        part = np.searchsorted(self.margins.parts, similarity.astype(np.int64).ravel(), side="right")
        return np.asarray(level * (len(self.margins.parts) + 1) + part, np.int64)


def suits(shape: tuple[int, ...]) -> bool:
    """Tell whether a mask of `shape` may be stored so."""
    return len(shape) == 2 and shape[0] >= FEWEST_ROWS and FEWEST <= shape[1] <= MOST


def encode(mask: U8) -> bytes:
    """Return the bytes of a mask of zeros and ones, shape (rows, columns)."""
    margins = _fit(mask)
    walk = _Walk(margins)
    ordered = mask[:, margins.order]
    seen = []
    for rows, columns, similarity in walk.blocks():
        entries = ordered[rows, columns]
        seen.append((rows, columns, similarity.astype(np.int64)))
        walk.store(rows, columns, entries)
    spread = np.concatenate([s.ravel() for _, _, s in seen])
    places = np.linspace(0, 1, PARTS + 1)[1:-1]
    edges = np.unique(np.quantile(spread[spread != 0], places).astype(np.int64)) if spread.any() else spread[:0]
    margins = walk.margins = replace(margins, parts=edges)
    passes: list[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]]
    passes = [(ordered[r, c].ravel(), walk.contexts(r, c, s.astype(np.float64))) for r, c, s in seen]
    count = (len(margins.levels) + 1) * (len(edges) + 1)
    symbols, contexts = (np.concatenate([p[i] for p in passes]) for i in (0, 1))
    ones = np.bincount(contexts, weights=symbols, minlength=count)
    chances = _chances(ones, np.bincount(contexts, minlength=count))
    head = _HEAD.pack(margins.block, margins.groups, *margins.quanta)
    sides = [integers_to_bytes(side[:, None]) for side in (margins.rows, margins.columns)]
    limits = [bytes([len(e)]) + e.astype("<i8").tobytes() for e in (margins.levels, edges)]
    return b"".join([head, *sides, *limits, chances.tobytes(), ans.encode(_tables(chances), passes)])


def decode(data: bytes, shape: tuple[int, ...]) -> U8:
    """Return the mask of `shape`.

    Raises
    ------
    CorruptFile
        If the bytes make no sense.
    """
    if not suits(shape):
        raise CorruptFile(_DAMAGED)
    try:
        block, groups, *quanta = _HEAD.unpack_from(data)
        if not block or not groups or not all(quanta):
            raise CorruptFile(_DAMAGED)
        rows, at = integers_from_bytes(data, _HEAD.size, shape[0], 1)
        columns, at = integers_from_bytes(data, at, shape[1], 1)
        if max(np.abs(rows).max(), np.abs(columns).max()) > 1 << 16:
            raise CorruptFile(_DAMAGED)
        levels, at = _edges(data, at)
        parts, at = _edges(data, at)
        count = (len(levels) + 1) * (len(parts) + 1)
        chances = np.frombuffer(data, np.uint8, count, at)
    except (struct.error, ValueError, IndexError) as error:
        raise CorruptFile(_DAMAGED) from error
    walk = _Walk(_Margins(rows[:, 0], columns[:, 0], (quanta[0], quanta[1]), block, groups, levels, parts))
    decoder = ans.SymbolReader(_tables(chances), data[at + count :])
    for where, which, similarity in walk.blocks():
        symbols = decoder.decode(walk.contexts(where, which, similarity))
        walk.store(where, which, symbols.reshape(similarity.shape))
    decoder.finish()
    out = np.empty(shape, np.uint8)
    out[:, walk.margins.order] = walk.entries
    return out


def _edges(data: bytes, at: int) -> tuple[Int64, int]:
    count = data[at]
    edges = np.frombuffer(data, "<i8", count, at + 1).astype(np.int64)
    if (np.diff(edges) <= 0).any():
        raise CorruptFile(_DAMAGED)
    return edges, at + 1 + 8 * count


def _chances(ones: npt.NDArray[Any], seen: npt.NDArray[np.integer]) -> U8:
    """Return the chance of a one in each context as a byte: a logit in steps plus 64, or never, or always."""
    with np.errstate(all="ignore"):
        logit = np.rint(STEPS * np.log(ones / (seen - ones))).clip(-TOP, TOP)
    out = np.where(np.isfinite(logit), logit + TOP, 0).astype(np.uint8)
    out[ones == 0] = NEVER
    out[(ones == seen) & (seen > 0)] = ALWAYS
    return out


def _tables(chances: U8) -> ans.Tables:
    known = chances <= 2 * TOP
    if not (known | (chances == NEVER) | (chances == ALWAYS)).all():
        raise CorruptFile(_DAMAGED)
    ones = np.where(known, PROBABILITIES[np.where(known, chances, 0)], np.where(chances == ALWAYS, ans.TOTAL, 0))
    return ans.Tables(np.stack([ans.TOTAL - ones, ones], axis=1).astype(np.int64))


def _fit(mask: U8) -> _Margins:
    """Return the margins of a mask: logits of rows and columns (Rasch 1960), rounded as coarsely as pays."""
    logit, rows, columns = _rasch(mask)
    p = 1.0 / (1.0 + np.exp(-logit))
    weight = float((p * (1.0 - p)).sum())
    # a quantum d costs weight * d**2 / 24 of the entries' bits, and each halving a bit for every row (or column)
    quanta = [int(np.clip(round(STEPS * math.sqrt(12.0 * n / max(weight, 1.0))), 1, 16)) for n in mask.shape]
    rounded = [np.rint(v * STEPS / q).astype(np.int64) for v, q in zip((rows, columns), quanta, strict=True)]
    block = int(np.clip(len(mask) // 32, 16, 1024))
    none = np.zeros(0, np.int64)
    made = _Margins(rounded[0], rounded[1], (quanta[0], quanta[1]), block, min(16, mask.shape[1]), none, none)
    steps = np.sort(made.logits().ravel())
    p = PROBABILITIES[steps + TOP] / 4096.0
    share = np.cumsum(p * (1.0 - p))  # levels of equal information
    at = np.searchsorted(share, share[-1] * np.linspace(0, 1, LEVELS + 1)[1:-1])
    levels = np.unique(steps[at])
    return replace(made, levels=levels)


def _rasch(mask: U8) -> tuple[Float64, Float64, Float64]:
    """Return logits (rows, columns), and those of rows and of columns that they are sums of."""
    count, width = mask.shape
    inside, across = mask.sum(axis=1), mask.sum(axis=0)
    middle = float(mask.mean())
    rows = np.log((inside + 0.5) / (width - inside + 0.5)) - math.log(middle / (1.0 - middle))
    columns = np.log((across + 0.5) / (count - across + 0.5))
    for _ in range(25):
        for axis, (side, total) in enumerate(((rows, inside), (columns, across))):
            p = 1.0 / (1.0 + np.exp(-(rows[:, None] + columns)))
            step = (total - p.sum(axis=1 - axis)) / ((p * (1.0 - p)).sum(axis=1 - axis) + 0.1)
            side += step.clip(-1.0, 1.0)
    rows, columns = rows.clip(-16.0, 16.0), columns.clip(-16.0, 16.0)
    return rows[:, None] + columns, rows, columns
