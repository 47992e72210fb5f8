"""What a context network sees of sampled values, as rows to train on, and the linear predictions fitted to them.

Rows are gathered by the same walk that codes a chunk, over neighbours as decoded. Numbers only: no torch.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.fixed import EXTRAS, FRACTION_BITS
from aezip.core.products import by_rows, over_rows
from aezip.core.types import Float32, Float64, Int64, Mask

from .net import BITS, MAX_SKIP_EXPONENT, ContextSizes, inputs, reference_pair
from .raster import nearest
from .walk import NARROW, Base, Offset, Tile, Walk, Walked

ROWS = 400_000
MOST_SOLVED = 60_000  # rows of a class that least squares looks at
KEPT = 0.5  # of the rows collected before, at each refresh


@dataclass(frozen=True)
class ContextSample:
    """A chunk to train on: target in steps, the same as whole numbers if the grid is whole, what is ignored, the offset."""

    target: Float64
    whole: Int64 | None
    ignore: Mask | None
    offset: Offset

    @property
    def base(self) -> Int64 | int:
        """The offset in 1/64 step."""
        return self.offset.mean if isinstance(self.offset, Base) else self.offset


@dataclass
class ContextRows:
    """What the network saw of sampled values."""

    values: Float32  # (n, slots + EXTRAS), of order one
    kind: Int64
    target: Float32  # minus the reference, in steps
    spread: Float32  # 2**exponent, in steps
    spike: Float32  # 1 where the value is the spike


COLUMNS = tuple(f.name for f in fields(ContextRows))


class RowsCollector:
    """Gathers what the network sees while a chunk is coded: a random part of all values."""

    def __init__(self, sizes: ContextSizes, share: float, generator: np.random.Generator) -> None:
        self.sizes, self.share, self.generator = sizes, share, generator
        self.parts: list[list[npt.NDArray[Any]]] = []

    def choose(self, count: int) -> Int64 | None:
        """Return which of so many values are taken; None: all."""
        drawn = self.generator.random(count)
        return None if self.share >= 1.0 else np.flatnonzero(drawn < self.share)

    def take(self, tile: Tile, target: Float64, ignore: Mask | None, spike: Mask | None) -> None:
        """Take the rows of a tile of chosen values; target in 1/64 step, relative to the base."""
        if not tile.active:
            return
        known = tile.neighbours
        if ignore is not None:
            kept = np.flatnonzero(~ignore)
            known, target, spike = known.chosen(kept), target[kept], None if spike is None else spike[kept]
        count, n = self.sizes.places, len(target)
        seen = inputs(known, self.sizes.precision)
        values = np.zeros((n, count + EXTRAS), np.float32)
        values[:, list(tile.active)] = (seen.fine * 2.0**-self.sizes.precision).T
        values[:, count:] = seen.values[len(tile.active) :].T * 2.0**-BITS
        left = (target - seen.reference) * 2.0**-FRACTION_BITS
        spread = np.ldexp(1.0, seen.exponent - FRACTION_BITS)
        self.parts.append(
            [
                values,
                np.full(n, tile.kind),
                left.astype(np.float32),
                spread.astype(np.float32),
                np.zeros(n, np.float32) if spike is None else spike.astype(np.float32),
            ]
        )

    def rows(self) -> ContextRows:
        """Return all rows taken."""
        columns = []
        for i in range(5):
            columns.append(np.concatenate([p[i] for p in self.parts]))
            for part in self.parts:
                part[i] = columns[i][:0]  # let go of what is copied
        return ContextRows(*columns)


def _watch(sizes: ContextSizes, sample: ContextSample, collector: RowsCollector, walk: Walk, pairs: object) -> None:
    """Walk over a chunk whose decoded values are known, collecting rows."""
    target = sample.target * 2.0**FRACTION_BITS - sample.base
    for tile in walk.tiles(pairs, collector.choose):
        ignore = None if sample.ignore is None else tile.of(sample.ignore).reshape(-1)
        spike = None
        if sizes.spike is not None and sample.whole is not None:
            spike = tile.of(sample.whole).reshape(-1) == sizes.spike
        collector.take(tile, tile.of(target).reshape(-1), ignore, spike)


def collect(
    sizes: ContextSizes,
    samples: list[ContextSample],
    coded: list[Walked] | None,
    pairs: npt.NDArray[np.int16],
    seed: int,
    most: int | None = None,
) -> ContextRows:
    """Return rows of all samples, about `most` of them: neighbours as they were decoded, or with noise if none were yet."""
    generator = np.random.default_rng(seed)
    total = sum(s.target.size for s in samples)
    collector = RowsCollector(sizes, min(1.0, (ROWS if most is None else most) / total), generator)
    for index, sample in enumerate(samples):
        walk = Walk(sizes, sample.target.shape, sample.offset)
        if coded is None:
            noise = 0.0 if sample.whole is not None else generator.uniform(-0.5, 0.5, sample.target.shape)
            value = np.rint((sample.target + noise) * 2.0**FRACTION_BITS) - sample.base
            errors = np.zeros(sample.target.shape, np.float32)
        else:
            value = (coded[index].value - sample.base).astype(np.float64)
            errors = coded[index].errors
        walk.context[...] = np.clip(value, -walk.limit, walk.limit)
        walk.errors[...] = errors
        if native.available(walk.context.size):
            from .seen import take  # compiled

            collector.parts.append(take(sizes, sample, collector.choose, walk, pairs))
        else:
            _watch(sizes, sample, collector, walk, lambda kind, active: reference_pair(pairs, kind, active))
    return collector.rows()


def choose_pairs(sizes: ContextSizes, rows: ContextRows) -> npt.NDArray[np.int16]:
    """Return for each class the two opposite neighbours whose mean is nearest to the target."""
    if sizes.columns:
        pairs = np.zeros((sizes.kinds, 2), np.int16)
        pairs[0] = -1
        return pairs
    every = sizes.slots
    options = (
        list(itertools.combinations_with_replacement(nearest(len(sizes.scan)), 2))
        if sizes.scan
        else [
            (i, i + 1)
            for i, s in enumerate(every[:-1])
            if s.inner is None
            and every[i + 1].inner is None
            and max(map(abs, s.offset)) == 1
            and tuple(-o for o in s.offset) == every[i + 1].offset
            and s.group == every[i + 1].group
        ]
    )
    pairs = np.full((sizes.kinds, 2), -1, np.int16)
    for kind in range(sizes.kinds):
        mine = rows.kind == kind
        if not mine.any():
            continue
        values, target, spread = rows.values[mine], rows.target[mine], rows.spread[mine]
        best = math.inf
        for i, j in options:
            if not values[:, i].any() and not values[:, j].any():
                continue
            away = float(np.abs(target - 0.5 * (values[:, i] + values[:, j]) * spread).mean())
            if away < best * 0.98:
                best, pairs[kind] = away, (i, j)
    return pairs


def _members(rows: ContextRows, kind: int) -> Int64:
    """Return which rows are of a class, evenly thinned to what least squares looks at."""
    mine = np.flatnonzero(rows.kind == kind)
    return mine[:: max(1, -(-len(mine) // MOST_SOLVED))]


def least_squares(sizes: ContextSizes, rows: ContextRows) -> Float32:
    """Return the linear part of each class, (kinds, slots): least absolute errors by reweighted least squares."""
    count = sizes.places
    skip = np.zeros((sizes.kinds, count), np.float32)
    for kind in range(sizes.kinds):
        mine = _members(rows, kind)
        if len(mine) < 8:
            continue
        x = rows.values[mine, :count].astype(np.float64)
        y = (rows.target[mine] / rows.spread[mine]).astype(np.float64)
        floor = 0.3 / rows.spread[mine]
        share: Float64 = np.ones(len(mine))
        weight: Float64 = np.zeros(count)
        for _ in range(5):
            square = over_rows(x, x * share[:, None])
            small = max(1e-5, 0.3 * count / len(mine))  # few values: stay near the reference
            square += np.eye(count) * (small * np.trace(square) / count + 1e-9 * len(mine))
            weight = np.asarray(np.linalg.solve(square, over_rows(x, (y * share)[:, None])[:, 0]), np.float64)
            share = np.asarray(1.0 / np.maximum(np.abs(y - by_rows(x, weight[:, None])[:, 0]), floor), np.float64)
            share = share / share.mean()
        skip[kind] = weight
    return skip


def thinned(rows: ContextRows, generator: np.random.Generator) -> ContextRows:
    """Return some of the rows: a network that saw only its last self drifts (Ross et al. 2011, DAgger)."""
    kept = generator.permutation(len(rows.kind))[: int(len(rows.kind) * KEPT)]
    return ContextRows(*(getattr(rows, name)[kept] for name in COLUMNS))


def mixed(old: ContextRows, new: ContextRows, generator: np.random.Generator) -> ContextRows:
    """Return the old rows and as many of the new ones as make up their number."""
    added = generator.permutation(len(new.kind))[: len(new.kind) - len(old.kind)]
    columns = []
    for name in COLUMNS:
        before, after = getattr(old, name), getattr(new, name)
        out = np.empty((len(before) + len(added), *after.shape[1:]), after.dtype)
        out[: len(before)] = before
        np.take(after, added, axis=0, out=out[len(before) :])
        columns.append(out)
    return ContextRows(*columns)


def needed_bits(sizes: ContextSizes, rows: ContextRows, skip: Float32, total: int) -> Float64:
    """Return how many bits after the point the linear part of each class is worth, (kinds,).

    A weight wrong by d costs about n (d spread / scale)**2 bits over the n values of its class: half a bit more for
    twice the values, one more for twice the spread.
    """
    count = sizes.places
    bits = np.zeros(sizes.kinds)
    for kind in range(sizes.kinds):
        mine = _members(rows, kind)
        if len(mine) < 8:
            continue
        left = rows.target[mine] / rows.spread[mine] - by_rows(rows.values[mine, :count], skip[kind][:, None])[:, 0]
        scale = np.maximum(np.abs(left), 0.3 / rows.spread[mine]).mean()
        values = (rows.kind == kind).sum() * total / len(rows.kind)
        bits[kind] = 0.5 * math.log2(values) - math.log2(max(float(scale), 1e-6)) - 1.0
    return bits


def skip_exponents(skip: Float64, fine: Float64, precision: int) -> npt.NDArray[np.int8]:
    """Return the exponents of the linear parts: as fine as worth it, as float32 (or float64) sums allow."""
    widest = np.log2(np.maximum(np.abs(skip).sum(axis=1), 2.0**-10))
    top = (23 if precision <= NARROW else 45) - precision - widest
    out: npt.NDArray[np.int8] = np.clip(np.floor(np.minimum(np.ceil(fine), top)), 0, MAX_SKIP_EXPONENT).astype(np.int8)
    return out
