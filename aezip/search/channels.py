"""Fitting the sums by which channels are predicted from those before; see `plans/context/channels.py`.

What a sum leaves of a channel is predicted from the values around, so weights are fitted to what those do not tell: channel and
sources less the same share of the values around (Cochrane & Orcutt, "Application of least squares regression to relationships
containing auto-correlated error terms", J. Amer. Statist. Assoc. 44, 1949). Which sources are taken is decided one by one, by the
bits that each saves. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.array.layout import Piece
from aezip.core.fixed import FRACTION_BITS
from aezip.core.products import by_rows, over_rows
from aezip.core.types import Float64, Int64, Mask
from aezip.plans.context import plan as contextplan
from aezip.plans.context.channels import SQUARE, TOP, Channels, Mixing, Tap, moved
from aezip.plans.context.rows import ContextSample
from aezip.plans.context.walk import Base
from aezip.quantize.grid import Grid

UNIT = float(1 << FRACTION_BITS)
LOOKED_AT = 300_000, 800_000, 2_000_000  # values of which sums are fitted, by effort
FEWEST, MOST = 512, (2_000, 4_000, 30_000)  # places of a channel
POOLED = 6_000, 12_000, 40_000  # values for a sum that serves all channels
NEAR, LIKE = (6, 8, 16), (4, 8, 24)  # channels that are tried for a sum: the ones before, the most alike
FARTHEST = 96  # channels before one, where one sum serves all
AROUND, AROUND_ALL = 2, 4  # of those taken, tried at the places next to it too; where one sum serves all
PLACES, PAIRS = 256, 8  # of a channel, to tell what others tell of it; channels that are asked
ROUNDING = 0.1  # variance of what rounding to steps adds
PRICE = 28.0  # bits that a tap costs
FLOOR = 0.3 * UNIT  # errors below it cost nothing
MOST_TAPS = 64
QUIET = 0.25  # of the values that are as in the channel before: then sums keep what is the same everywhere as it is
ROUNDS = 3  # of reweighted least squares: towards least absolute errors


@dataclass(frozen=True)
class Given:
    """A sampled chunk: target in steps, whole numbers if the grid is whole, what is ignored, what companions count."""

    target: Float64
    whole: Int64 | None
    ignore: Mask | None
    beside: tuple[Float64, ...] = ()


@dataclass(frozen=True)
class _Part:
    """A chunk as channels, (channels, *slab): targets and values as decoded, in 1/64 step, and what is ignored.

    `known` has the channels of companions first.
    """

    exact: Float64
    known: Float64
    ignore: Mask | None

    @property
    def places(self) -> int:
        """Number of values of a channel."""
        return int(self.exact[0].size)


def fit(channels: Channels, given: list[Given], share: float, *, scan: bool, seed: int, effort: int) -> Mixing:
    """Return the sums for an array of which `given` is sampled.

    Parameters
    ----------
    share
        Values of the array over values sampled.
    scan
        Whether channels are scanned: then values see those before them alone.
    effort
        0 to 2: at how many values and channels to look.
    """
    whole = [one for one in given if channels.axis is None or one.target.shape[channels.axis] == channels.count]
    parts = _parts(channels, whole, seed)
    values = sum(one.target.size for one in given) / channels.count * share  # of a channel of the whole array
    if channels.alike:
        pooled = _Rows(parts, _pooled(channels, parts, POOLED[effort], seed), scan=scan)
        sums = [_Sum.fitted(pooled, _lags(channels, pooled, effort), channels, values * channels.count)]
    else:
        sums = list(_each(channels, parts, values, scan=scan, seed=seed, effort=effort))
    return Mixing(
        channels,
        tuple(one.taps for one in sums),
        tuple(one.weights for one in sums),
        np.array([one.exponent for one in sums], np.int8),
        np.array([one.constant for one in sums], np.int64),
    )


def related(grid: Grid, piece: Piece, axis: int) -> float:
    """Return how many bits a value the entries of an axis tell of the next ones beyond the values around; 0: unknown.

    Medians over some pairs of entries, by least squares on the places of a piece.
    """
    values = np.moveaxis(contextplan.targets(grid.at(piece.start), piece.x, piece.masked)[0], axis, 0)
    count, places = len(values), values[0].size
    if places < PLACES or (piece.masked is not None and piece.masked.any()):
        return 0.0
    step, told = max(1, count // PAIRS), []
    chosen = np.linspace(0, places - 1, min(places, 4096)).astype(np.int64)
    for at in range(1, count, step):
        before, own = values[at - 1], values[at]
        around = np.stack([moved(own, p).reshape(-1)[chosen] for p in range(1, 2 * own.ndim + 1)], axis=1)
        sides = np.stack([moved(before, p).reshape(-1)[chosen] for p in range(2 * own.ndim + 1)], axis=1)
        target = own.reshape(-1)[chosen]
        alone, both = (_unexplained(x, target) for x in (around, np.concatenate([around, sides], axis=1)))
        told.append(0.5 * math.log2((alone + ROUNDING) / (both + ROUNDING)))
    return float(np.median(told)) if told else 0.0


def _unexplained(x: Float64, y: Float64) -> float:
    return float(np.square(_missed(x, y, _fitted(x, y))).mean())


def samples(given: list[Given], mixing: Mixing, seed: int, most: float = math.inf) -> list[ContextSample]:
    """Return sampled chunks as channels, each relative to its sum of others, which are taken for decoded.

    Channels are the outer axis of a sample, see `ContextSizes.stacked`. `most`: about how many values; levels need all.
    """
    out, channels = [], mixing.channels
    every = max(1, math.ceil(sum(one.target.size for one in given) / most)) if not channels.levels else 1
    for part, one in zip(_parts(channels, given, seed), given, strict=True):
        means = mixing.among(len(part.exact)).means(part.known)
        step = min(every, len(part.exact))
        chosen = slice(step - 1, None, step)
        exact = np.ascontiguousarray(part.exact[chosen])
        mean = np.stack([means(at) for at in range(len(part.exact))[chosen]])
        level = _levels(mixing, exact, mean) if channels.levels else np.full(exact.shape, 32, np.uint8)
        whole = None if one.whole is None else np.ascontiguousarray(channels.split(one.whole)[chosen])
        ignore = None if part.ignore is None else np.ascontiguousarray(part.ignore[chosen])
        out.append(ContextSample(exact / UNIT, whole, ignore, Base(mean, level)))
    return out


def _levels(mixing: Mixing, exact: Float64, mean: Int64) -> npt.NDArray[np.uint8]:
    """Return the levels of all channels of a chunk, if errors are about those that are left after the sums."""
    sums, slab = mixing.among(len(exact)), exact.shape[1:]
    errors = [_errors(left) for left in exact - mean]
    return np.stack([sums.level(at, errors, slab) for at in range(len(exact))])


def _errors(left: Float64) -> npt.NDArray[np.float32]:
    """Return about how wrong a network will be, in steps: what is left after the sum, less the mean of the places around."""
    smooth, count = np.zeros_like(left), 0
    for place in range(1, 2 * left.ndim + 1):
        smooth, count = smooth + moved(left, place), count + 1
    return np.minimum(np.rint(np.abs(left - smooth / max(1, count)) / UNIT), 4095.0).astype(np.float32)


def _parts(channels: Channels, given: list[Given], seed: int) -> list[_Part]:
    generator, out = np.random.default_rng(seed), []
    for one in given:
        exact = channels.split(one.target * UNIT)
        noise = 0.0 if one.whole is not None else generator.uniform(-0.5, 0.5, exact.shape) * UNIT
        ignore = None if one.ignore is None else channels.split(one.ignore)
        known = np.concatenate([*(channels.split(other) for other in one.beside), np.rint(exact + noise)])
        out.append(_Part(exact, known, ignore))
    return out


def _chosen(part: _Part, wanted: float, seed: int) -> Int64:
    """Return places, in C order, that are ignored in no channel."""
    kept = (
        np.arange(part.places) if part.ignore is None else np.flatnonzero(~part.ignore.reshape(len(part.exact), -1).any(axis=0))
    )
    return np.sort(np.random.default_rng(seed).permutation(kept)[: max(1, int(wanted))])


def _pooled(channels: Channels, parts: list[_Part], wanted: int, seed: int) -> list[tuple[Int64, Int64]]:
    """Return channel and place of values, not of the first channels if there are others."""
    found = []
    for i, part in enumerate(parts):
        first = min(FARTHEST, channels.count // 2)
        generator = np.random.default_rng(seed + i)
        at = generator.integers(first * part.places, channels.count * part.places, max(1, wanted // len(parts)))
        at = np.sort(at if part.ignore is None else at[~part.ignore.reshape(-1)[at]])
        found.append((at // part.places, at % part.places))
    return found


class _Rows:
    """Values that sums are fitted to: channel and place of each, and those at places relative to them."""

    def __init__(self, parts: list[_Part], chosen: list[tuple[Int64, Int64]], *, scan: bool) -> None:
        self.parts, self.chosen, self.axes = parts, chosen, parts[0].exact[0].ndim
        self.before = len(parts[0].known) - len(parts[0].exact)
        steps = range(1, 2 * self.axes + 1, 2 if scan else 1)  # a scan knows the values before alone
        self.around: list[tuple[int, ...]] = [(place,) for place in steps]
        if scan and self.axes >= 2:
            last, before = 2 * self.axes - 1, 2 * self.axes - 3
            self.around += [(before, last), (before, last + 1)]
        self.index: dict[tuple[int, ...], list[Int64]] = {}
        self.seen: dict[tuple[int, ...], Float64] = {}
        self.made: dict[Tap, Float64] = {}
        self.shares: Float64 = np.zeros(len(self.around))
        self.target = np.concatenate(
            [part.exact.reshape(len(part.exact), -1)[c, p] for part, (c, p) in zip(parts, chosen, strict=True)]
        )

    @cached_property
    def quiet(self) -> float:
        """What part of the values is as in the channel before, to 1/64 step."""
        still = kept = 0
        for part, (channel, place) in zip(self.parts, self.chosen, strict=True):
            exact, later = part.exact.reshape(len(part.exact), -1), channel > 0
            kept += int(later.sum())
            still += int((np.abs(exact[channel, place] - exact[channel - 1, place])[later] < 1.0).sum())
        return still / max(1, kept)

    def at(self, back: int, *places: int) -> Float64:
        """Return values as decoded, so many channels back, at places relative to those chosen, one step after the other."""
        key = back, *places
        if key not in self.seen:
            self.seen[key] = self._at(back, *places)
        return self.seen[key]

    def _at(self, back: int, *places: int) -> Float64:
        found = self.index.get(places)
        if found is None:
            found = []
            for part, (_, place) in zip(self.parts, self.chosen, strict=True):
                where: Any = np.arange(part.places).reshape(part.exact[0].shape)
                for step in places:
                    where = moved(where, step)
                found.append(where.reshape(-1)[place])
            self.index[places] = found
        both = zip(self.parts, self.chosen, found, strict=True)
        return np.concatenate([p.known.reshape(len(p.known), -1)[c + self.before - back, where] for p, (c, _), where in both])

    def tapped(self, tap: Tap, *around: int) -> Float64:
        """Return what a tap counts."""
        values = self.at(tap.back, *((tap.place,) if tap.place else ()), *around)
        return values * self.at(tap.other, *around) * SQUARE if tap.other else values

    def own(self) -> Float64:
        """Return the values around, (rows, places)."""
        return np.stack([self.at(0, *a) for a in self.around], axis=1)

    def share(self, shares: Float64) -> None:
        """Let the values around have these shares in the target from now on."""
        self.shares = shares
        self.made.clear()

    def filtered(self, tap: Tap) -> Float64:
        """Return what a tap counts, less the shares of it around."""
        if tap not in self.made:
            out = self.tapped(tap).copy()
            for around, share in zip(self.around, self.shares, strict=True):
                out -= share * self.tapped(tap, *around)
            self.made[tap] = out
        return self.made[tap]

    def filtered_target(self) -> Float64:
        """Return the target less what the values around tell."""
        return self.target - by_rows(self.own(), self.shares[:, None])[:, 0]

    def columns(self, taps: Sequence[Tap]) -> Float64:
        """Return what taps count, filtered, (rows, taps)."""
        return np.stack([self.filtered(tap) for tap in taps], axis=1)

    def left(self, taps: Sequence[Tap], weight: Float64, around: tuple[int, ...] = ()) -> Float64:
        """Return what a sum leaves, at the places chosen or around them."""
        out = self.at(0, *around) if around else self.target
        for tap, share in zip(taps, weight, strict=True):
            out = out - share * self.tapped(tap, *around)
        return out


class _Sum(NamedTuple):
    """What a channel is predicted by."""

    taps: tuple[Tap, ...]
    weights: npt.NDArray[np.int32]
    exponent: int
    constant: int

    @classmethod
    def fitted(cls, rows: _Rows, candidates: Sequence[int], channels: Channels, values: float) -> _Sum:
        """Return the sum of a channel, or of all: of some of the candidates (how far back), that are worth their bits."""
        nothing = cls((), np.zeros(0, np.int32), 0, round(float(rows.target.mean())) if rows.target.size else 0)
        if len(rows.target) < 8 * (len(rows.around) + 1) or not candidates:
            return nothing
        taps, around = [Tap(back, 0) for back in candidates], rows.own()
        first = np.stack([rows.tapped(tap) for tap in taps[:3]], axis=1)
        rows.share(_fitted(np.concatenate([around, first], axis=1), rows.target)[: around.shape[1]])
        taken = _taken(rows, taps, values)
        if taken:
            backs = list(dict.fromkeys(tap.back for tap in taken))[: AROUND_ALL if channels.alike else AROUND]
            near = [Tap(back, place) for back in backs for place in range(1, 2 * rows.axes + 1)]
            taken = _taken(rows, [*taken, *near, *_products(channels, rows, candidates)], values)
        if not taken:
            return nothing
        own = all(tap.back < channels.count and not tap.other for tap in taken)
        return cls.rounded(rows, tuple(taken), steady=channels.alike and own and rows.quiet >= QUIET)

    @classmethod
    def rounded(cls, rows: _Rows, taps: tuple[Tap, ...], *, steady: bool) -> _Sum:
        """Return a sum with its weights as the file holds them, fitted anew to what the values around tell of what it leaves."""
        fitted = _steady if steady else _fitted
        weight = fitted(rows.columns(taps), rows.filtered_target(), ROUNDS)
        around = np.stack([rows.left(taps, weight, a) for a in rows.around], axis=1)
        rows.share(_fitted(around, rows.left(taps, weight)))
        columns, target = rows.columns(taps), rows.filtered_target()
        weight = fitted(columns, target, ROUNDS)
        wide = max(float(rows.tapped(tap).std()) for tap in taps)
        away = float(np.abs(_missed(columns, target, weight)).mean())
        exponent = min(30, max(2, math.ceil(math.log2(max(wide, 1.0) / (0.05 * max(away, FLOOR))))))
        exponent = max(0, min(exponent, 30 - math.ceil(math.log2(max(float(np.abs(weight).max()), 2.0**-30)))))
        rounded = np.clip(np.rint(weight * 2.0**exponent), -(2.0**31) + 1, 2.0**31 - 1).astype(np.int32)
        if steady:
            rounded[0] += (1 << exponent) - int(rounded.sum())
            return cls(taps, rounded, exponent, 0)
        left = rows.left(taps, np.asarray(rounded * 2.0**-exponent, np.float64))
        return cls(taps, rounded, exponent, round(float(np.clip(left.mean(), -TOP, TOP))))


def _each(channels: Channels, parts: list[_Part], values: float, *, scan: bool, seed: int, effort: int) -> Iterator[_Sum]:
    """Yield a sum for each channel."""
    before, count = channels.before, channels.before + channels.count
    wanted = min(MOST[effort], max(FEWEST, LOOKED_AT[effort] // count))
    each = sum(p.places for p in parts)
    places = [_chosen(p, wanted * p.places / each, seed + i) for i, p in enumerate(parts)]
    rows: dict[tuple[int, ...], list[Int64]] = {}
    left = np.zeros((count, sum(map(len, places))))  # of each channel: what is not told by the values around
    for channel in range(-before, channels.count):
        own = _Rows(parts, [(np.full(len(p), channel), p) for p in places], scan=scan) if channel >= 0 else None
        on = own or _Rows(parts, [(np.zeros(len(p), np.int64), p) for p in places], scan=scan)
        on.index = rows  # the same places of all channels
        at = before + channel
        left[at] = _told(on, 0 if channel >= 0 else -channel)
        if own is None:
            continue
        same = range(channel % channels.count, before, channels.count)
        near = [*reversed(range(max(before, at - NEAR[effort]), at)), *same]
        yield _Sum.fitted(own, [at - c for c in (*near, *_like(left[: at + 1], near, LIKE[effort]))], channels, values)


def _told(rows: _Rows, back: int) -> Float64:
    """Return what the values around do not tell of a channel, so far back."""
    target = rows.at(back) if back else rows.target
    around = np.stack([rows.at(back, *a) for a in rows.around], axis=1)
    if len(target) < 8 * (around.shape[1] + 1):
        return np.zeros(len(target))
    return _missed(around, target, _fitted(around, target))


def _like(left: Float64, but: Sequence[int], most: int) -> list[int]:
    """Return the channels whose rest, of mean 0, is most like that of the last one."""
    likeness = _likeness(left[-1], left[:-1])
    likeness[[*but]] = -1.0
    order = np.argsort(-likeness, kind="stable")[:most]
    return [int(c) for c in order if likeness[c] >= 0.0]


def _likeness(mine: Float64, others: Float64) -> Float64:
    """Return how like one row of mean 0 is to others: more is more."""
    product = by_rows(others, mine[:, None])[:, 0]
    return np.asarray(np.abs(product) / (np.sqrt(np.square(others).sum(axis=1)) + 1e-9), np.float64)


def _lags(channels: Channels, rows: _Rows, effort: int) -> list[int]:
    """Return how far back channels are worth trying, where one sum serves all: the last ones, those most alike, companions."""
    farthest = min(FARTHEST, channels.count // 2)
    near = range(1, min(NEAR[effort], farthest) + 1)
    rows.share(_fitted(rows.own(), rows.target))
    like = list(range(len(near) + 1, farthest + 1))
    if like:
        others = _centered(rows.columns([Tap(back, 0) for back in like]))
        likeness = _likeness(_centered(rows.filtered_target()), np.ascontiguousarray(others.T))
        like = [like[i] for i in np.argsort(-likeness, kind="stable")[: LIKE[effort]]]
    beside = [k * channels.count + b for k in range(1, len(channels.companions) + 1) for b in (0, 1)[: min(2, channels.count)]]
    return [*near, *beside, *like]


def _products(channels: Channels, rows: _Rows, candidates: Sequence[int]) -> list[Tap]:
    """Return products of companions' values, each with each, as of quantities that physics multiplies."""
    if not channels.companions:
        return []
    channel = 0 if channels.alike else int(rows.chosen[0][0][0])
    same = [back for back in candidates if back > channel and (back % channels.count == 0)]
    return [Tap(a, 0, b) for a, b in itertools.combinations_with_replacement(same, 2)]


def _taken(rows: _Rows, taps: list[Tap], values: float) -> list[Tap]:
    """Return the taps that are worth their bits, the best first: sweeps of the normal equations, one tap after another."""
    every = _centered(np.concatenate([rows.columns(taps), rows.filtered_target()[:, None]], axis=1))
    square = over_rows(every, every) / len(every)
    last, limit, taken = len(taps), 1e-9 * np.diag(square) + 1e-9, list[Tap]()
    while len(taken) < min(MOST_TAPS, len(taps)):
        diagonal = np.diag(square)[:last]
        good = diagonal > limit[:last]
        gain = np.where(good, square[:last, last] ** 2 / np.where(good, diagonal, 1.0), 0.0)
        best, before = int(gain.argmax()), max(0.0, float(square[last, last]))
        after = max(0.0, before - float(gain[best]))
        if 0.5 * values * math.log2((before + FLOOR**2) / (after + FLOOR**2)) < PRICE:
            break
        taken.append(taps[best])
        square = square - np.outer(square[:, best], square[best]) / square[best, best]
    return taken


def _centered(x: Float64) -> Float64:
    return np.asarray(x - x.mean(axis=0), np.float64)


def _missed(x: Float64, y: Float64, weight: Float64) -> Float64:
    """Return what a linear prediction about the means misses."""
    return np.asarray(_centered(y) - by_rows(_centered(x), weight[:, None])[:, 0], np.float64)


def _steady(x: Float64, y: Float64, rounds: int = 1) -> Float64:
    """Return coefficients as `_fitted` that sum up to one: what is the same in all columns is predicted as it is.

    Where most of an array stands still, errors of a sum there would have to be set right in every channel.
    """
    if x.shape[1] == 1:
        return np.ones(1)
    others = _fitted(x[:, 1:] - x[:, :1], y - x[:, 0], rounds)
    return np.concatenate([[1.0 - others.sum()], others])


def _fitted(x: Float64, y: Float64, rounds: int = 1) -> Float64:
    """Return the coefficients of least squares about the means, reweighted towards least absolute errors."""
    x, y = _centered(x), _centered(y)
    share, weight = np.ones(len(y)), np.zeros(x.shape[1])
    for _ in range(rounds):
        square = over_rows(x, x * share[:, None])
        square += np.diag(1e-7 * np.diag(square) + 1e-9)
        weight = np.linalg.solve(square, over_rows(x, (y * share)[:, None])[:, 0])
        share = 1.0 / np.maximum(np.abs(y - by_rows(x, weight[:, None])[:, 0]), FLOOR)
        share = share / share.mean()
    return weight
