"""Training of the context network: on decoded neighbours, refreshed by coding the sample with the network so far.

    sample + noise of half a step -> least squares for each class of passes -> Adam on bits of the residual
      -> freeze, code the sample -> true decoded neighbours -> train on -> ... -> freeze

Same sample, seed and number of steps give the same network on one machine. Only this module and `training`
optimize anything.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import residual
from .autoencoder import ACTIVATION_BITS, LOG2_SCALE_MAX, LOG2_SCALE_MIN, logistic_bits, residual_bits, round_weight
from .context import BITS, EMBEDDING, EXTRAS, MAX_SKIP_EXPONENT, ContextNet, ContextSizes, inputs, reference_pair
from .integer import FLAG_BINS, FRACTION_BITS, quantize_odds, quantize_rows
from .refinement import NARROW, Base, Offset, Refined, Tile, Walk, code
from .residual import LEVELS_PER_OCTAVE
from .resuming import resume_context
from .scan import nearest

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
ROWS = 400_000
BATCH = 4096
LN2 = math.log(2.0)
MOST_SOLVED = 60_000  # rows of a class that least squares looks at
AVERAGE = 0.99  # of the average of the weights stays at each step
AVERAGE_FROM = 0.2  # of the steps
ASTRAY = 1.25  # bits in the closed loop, over the fewest so far, from which training goes back
SLOWER = 0.3  # the learning rate after going back, over that before
CHECKS = (0.6, 0.85, 0.93)  # of the steps: where the closed loop is looked at besides
LONG = 1000  # steps from which those looks are a small part of the time
KEPT = 0.5  # of the rows collected before, at each refresh


@dataclass(frozen=True)
class Sample:
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
class Rows:
    """What the network saw of sampled values."""

    values: Float32  # (n, slots + EXTRAS), of order one
    kind: Int64
    target: Float32  # minus the reference, in steps
    spread: Float32  # 2**exponent, in steps
    spike: Float32  # 1 where the value is the spike


COLUMNS = tuple(f.name for f in fields(Rows))


class ContextModule(nn.Module):
    """What is trained; `freeze` makes the integer network of it."""

    def __init__(self, sizes: ContextSizes) -> None:
        super().__init__()
        self.sizes = sizes
        count = sizes.places
        self.first = nn.Linear(count + EXTRAS + EMBEDDING, sizes.hidden)
        self.second = nn.Linear(sizes.hidden, sizes.hidden)
        self.mean = nn.Linear(sizes.hidden, 1)
        self.scale = nn.Linear(sizes.hidden + EXTRAS, 1)
        self.flag = None if sizes.spike is None else nn.Linear(sizes.hidden + EXTRAS, 1)
        self.skip = nn.Parameter(torch.zeros(sizes.kinds, count))
        self.embedding = nn.Parameter(torch.randn(sizes.kinds, EMBEDDING) * 0.3)
        self.quantize = False
        for zero in (self.mean.weight, self.mean.bias, self.scale.weight, self.scale.bias):
            nn.init.zeros_(zero)
        nn.init.uniform_(self.first.bias, 0.1, 0.5)
        nn.init.uniform_(self.second.bias, 0.1, 0.5)

    def _linear(self, layer: nn.Linear, value: Tensor) -> Tensor:
        weight = round_weight(layer.weight) if self.quantize else layer.weight
        return functional.linear(value, weight, layer.bias)

    def _activate(self, value: Tensor) -> Tensor:
        return value.clamp(0.0, 1.0 - 2.0**-ACTIVATION_BITS)

    def forward(self, values: Tensor, kind: Tensor, spread: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return mean and log2 scale, both in steps, and the log-odds of the spike, all (rows,)."""
        count = self.sizes.places
        embedded = self.embedding[kind].clamp(-1.0, 127.0 / 128.0)
        hidden = self._activate(self._linear(self.first, torch.cat([values, embedded], dim=1)))
        hidden = self._activate(self._linear(self.second, hidden))
        mean = self._linear(self.mean, hidden)[:, 0] + (values[:, :count] * self.skip[kind]).sum(dim=1)
        both = torch.cat([hidden, values[:, count:]], dim=1)
        scale = self._linear(self.scale, both)[:, 0]
        odds = None if self.flag is None else self._linear(self.flag, both)[:, 0]
        return mean * spread, scale.clamp(LOG2_SCALE_MIN, LOG2_SCALE_MAX), odds


class Collector:
    """Gathers what the network sees while a chunk is coded: a random part of all values."""

    def __init__(self, sizes: ContextSizes, share: float, generator: np.random.Generator) -> None:
        self.sizes, self.share, self.generator = sizes, share, generator
        self.parts: list[list[npt.NDArray[Any]]] = []

    def take(self, tile: Tile, target: Float64, ignore: Mask | None, spike: Mask | None) -> None:
        """Take rows of a tile; target in 1/64 step, relative to the base."""
        if not tile.active:
            return
        chosen = np.flatnonzero(self.generator.random(len(target)) < self.share)
        if ignore is not None:
            chosen = chosen[~ignore[chosen]]
        count = self.sizes.places
        seen = inputs(tile.neighbours.chosen(chosen), self.sizes.precision)
        values = np.zeros((len(chosen), count + EXTRAS), np.float32)
        values[:, list(tile.active)] = (seen.fine * 2.0**-self.sizes.precision).T
        values[:, count:] = seen.values[len(tile.active) :].T * 2.0**-BITS
        left = (target[chosen] - seen.reference) * 2.0**-FRACTION_BITS
        spread = np.ldexp(1.0, seen.exponent - FRACTION_BITS)
        self.parts.append(
            [
                values, np.full(len(chosen), tile.kind), left.astype(np.float32), spread.astype(np.float32),
                np.zeros(len(chosen), np.float32) if spike is None else spike[chosen].astype(np.float32),
            ]
        )

    def rows(self) -> Rows:
        """Return all rows taken."""
        columns = []
        for i in range(5):
            columns.append(np.concatenate([p[i] for p in self.parts]))
            for part in self.parts:
                part[i] = columns[i][:0]  # let go of what is copied
        return Rows(*columns)


def _watch(sizes: ContextSizes, sample: Sample, collector: Collector, walk: Walk, pairs: object) -> None:
    """Walk over a chunk whose decoded values are known, collecting rows."""
    target = sample.target * 2.0**FRACTION_BITS - sample.base
    for tile in walk.tiles(pairs):
        ignore = None if sample.ignore is None else tile.of(sample.ignore).reshape(-1)
        spike = None
        if sizes.spike is not None and sample.whole is not None:
            spike = tile.of(sample.whole).reshape(-1) == sizes.spike
        collector.take(tile, tile.of(target).reshape(-1), ignore, spike)


def run(net: ContextNet, samples: list[Sample]) -> tuple[list[Refined], float]:
    """Code the samples with a network; return what was decoded, without residuals, and the bits that those take."""
    coded = []
    counts = residual.TableCounts(residual.CONTEXTS_WHOLE + FLAG_BINS)
    low = 0.0
    for sample in samples:
        part = code(net, sample.target, sample.whole, sample.ignore, sample.offset)
        for split in part.residual:
            counts.add(split.symbols, split.contexts)
            low += 0.0 if split.shifts is None else float(split.shifts.sum())
        coded.append(replace(part, residual=[]))  # one sample's at a time: they take more memory than all else
        del part
    table = counts.counts[counts.counts.any(axis=1)].astype(np.float64)
    share = table / table.sum(axis=1, keepdims=True)
    return coded, low - float((table * np.log2(np.maximum(share, 1e-12))).sum())


def collect(
    sizes: ContextSizes, samples: list[Sample], coded: list[Refined] | None, pairs: npt.NDArray[np.int16], seed: int
) -> Rows:
    """Return rows of all samples: neighbours as they were decoded, or with noise if none were yet."""
    generator = np.random.default_rng(seed)
    total = sum(s.target.size for s in samples)
    collector = Collector(sizes, min(1.0, ROWS / total), generator)
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
        _watch(sizes, sample, collector, walk, lambda kind, active: reference_pair(pairs, kind, active))
    return collector.rows()


def choose_pairs(sizes: ContextSizes, rows: Rows) -> npt.NDArray[np.int16]:
    """Return for each class the two opposite neighbours whose mean is nearest to the target."""
    if sizes.columns:
        pairs = np.zeros((sizes.kinds, 2), np.int16)
        pairs[0] = -1
        return pairs
    every = sizes.slots
    options = list(itertools.combinations_with_replacement(nearest(len(sizes.scan)), 2)) if sizes.scan else [
        (i, i + 1) for i, s in enumerate(every[:-1])
        if s.inner is None and every[i + 1].inner is None and max(map(abs, s.offset)) == 1
        and tuple(-o for o in s.offset) == every[i + 1].offset and s.group == every[i + 1].group
    ]
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


def _members(rows: Rows, kind: int) -> Int64:
    """Return which rows are of a class, evenly thinned to what least squares looks at."""
    mine = np.flatnonzero(rows.kind == kind)
    return mine[:: max(1, -(-len(mine) // MOST_SOLVED))]


def least_squares(sizes: ContextSizes, rows: Rows) -> tuple[Float32, Float32]:
    """Return the linear part of each class, (kinds, slots), and each class's log2 scale over the spread."""
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
            square = x.T @ (x * share[:, None])
            small = max(1e-5, 0.3 * count / len(mine))  # few values: stay near the reference
            square += np.eye(count) * (small * np.trace(square) / count + 1e-9 * len(mine))
            weight = np.asarray(np.linalg.solve(square, x.T @ (y * share)), np.float64)
            share = np.asarray(1.0 / np.maximum(np.abs(y - x @ weight), floor), np.float64)
            share = share / share.mean()
        skip[kind] = weight
    return skip, np.zeros(sizes.kinds, np.float32)


def thinned(rows: Rows, generator: np.random.Generator) -> Rows:
    """Return some of the rows: a network that saw only its last self drifts (Ross et al. 2011, DAgger)."""
    kept = generator.permutation(len(rows.kind))[: int(len(rows.kind) * KEPT)]
    return Rows(*(getattr(rows, name)[kept] for name in COLUMNS))


def mixed(old: Rows, new: Rows, generator: np.random.Generator) -> Rows:
    """Return the old rows and as many of the new ones as make up their number."""
    added = generator.permutation(len(new.kind))[: len(new.kind) - len(old.kind)]
    columns = []
    for name in COLUMNS:
        before, after = getattr(old, name), getattr(new, name)
        out = np.empty((len(before) + len(added), *after.shape[1:]), after.dtype)
        out[: len(before)] = before
        np.take(after, added, axis=0, out=out[len(before) :])
        columns.append(out)
    return Rows(*columns)


def needed_bits(sizes: ContextSizes, rows: Rows, skip: Float32, total: int) -> Float64:
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
        left = rows.target[mine] / rows.spread[mine] - rows.values[mine, :count] @ skip[kind]
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


@dataclass
class Fit:
    """A trained network, and bits a value as training saw them."""

    net: ContextNet
    rate: float
    history: list[float] = field(default_factory=list)


def fit(
    sizes: ContextSizes,
    samples: list[Sample],
    steps: int,
    seed: int,
    learning_rate: float = 4e-3,
    refreshes: tuple[float, ...] = (0.3, 0.7),
    progress: Callable[[int, int, int, float], None] | None = None,
    resumed: ContextNet | None = None,
) -> Fit:
    """Train and freeze a context network, or train a frozen one on."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    none = np.full((sizes.kinds, 2), -1, np.int16)
    rows = collect(sizes, samples, None, none, seed)
    pairs = choose_pairs(sizes, rows) if resumed is None else resumed.pairs
    del rows  # memory for one set of rows, not two
    rows = collect(sizes, samples, None, pairs, seed)
    whole = samples[0].whole is not None
    module = ContextModule(sizes)
    skip, _ = least_squares(sizes, rows)
    fine = needed_bits(sizes, rows, skip, sum(s.target.size for s in samples))
    with torch.no_grad():
        module.embedding[np.bincount(rows.kind, minlength=sizes.kinds) == 0] = 0.0
        module.skip.copy_(torch.from_numpy(skip))
        start = np.abs(rows.target - (rows.values[:, : sizes.places] * skip[rows.kind]).sum(axis=1) * rows.spread)
        log_spread = rows.values[:, sizes.places]
        # scale starts as a line in the log of the spread
        y = np.log2(start / 1.386 + 0.1)
        varied = len(y) > 10 and float(np.std(log_spread)) > 1e-3
        slope = float(np.cov(log_spread, y)[0, 1] / np.var(log_spread)) if varied else 0.0
        intercept = float(y.mean() - slope * log_spread.mean())
        module.scale.weight[0, sizes.hidden] = float(slope)
        module.scale.bias.fill_(float(intercept))
    if resumed is not None:
        resume_context(module, resumed)
    optimizer = torch.optim.Adam(module.parameters(), lr=learning_rate)
    generator = torch.Generator().manual_seed(seed)
    tensors = _tensors(rows)
    at = sorted(int(r * steps) for r in refreshes)
    checks = [int(c * steps) for c in CHECKS] if steps >= LONG else []
    history = []
    smooth = math.nan
    steady = _Steady(module, lambda m: freeze(m, pairs, fine), samples)
    for step in range(steps):
        part = step / steps
        module.quantize = part >= 0.6
        if step in at and step:
            coded = steady.try_out()
            if coded is not None:
                del tensors
                mixing = np.random.default_rng(seed + step)
                rows = thinned(rows, mixing)  # before others are collected: memory for one set and a half
                fresh = collect(sizes, samples, coded, pairs, seed + step)
                del coded
                rows = mixed(rows, fresh, mixing)
                del fresh
                tensors = _tensors(rows)
        elif at and step in checks:
            steady.try_out()
        rate = steady.pace * learning_rate * min(1.0, (step + 1) / 50) * (0.495 * (1 + math.cos(math.pi * part)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(0, len(tensors[0]), (min(BATCH, len(tensors[0])),), generator=generator)
        values, kind, target, spread = (t[chosen] for t in tensors[:4])
        mean, scale, odds = module(values, kind, spread)
        price = (logistic_bits if whole else residual_bits)(target - mean, scale)
        if odds is not None:
            flags = tensors[4][chosen]
            price = price * (1.0 - flags) + functional.binary_cross_entropy_with_logits(odds, flags, reduction="none") / LN2
        loss = price.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        steady.follow(part)
        value = float(loss.detach())
        smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
        if step % 100 == 0:
            history.append(round(smooth, 4))
        if progress is not None and step % 20 == 0:
            progress(step, steps, 0, smooth)
    if not at:
        return Fit(freeze(module, pairs, fine), smooth, history)
    steady.try_out()  # what counts are the bits of the closed loop, which may drift from what training saw
    return Fit(steady.net, smooth, [*history, steady.bits])


class _Steady:
    """Keeps training within networks that do well in the closed loop.

    What is frozen is a moving average of the weights (Polyak & Juditsky 1992): single steps make a network whose errors
    feed on each other along the passes, averages hardly ever. Where one does, training goes back to the best so far.
    """

    def __init__(self, module: ContextModule, frozen: Callable[[ContextModule], ContextNet], samples: list[Sample]) -> None:
        self.module, self.frozen, self.samples = module, frozen, samples
        self.average = copy.deepcopy(module)
        self.bits, self.net = math.inf, frozen(module)
        self._best = copy.deepcopy(module.state_dict())
        self.pace = 1.0  # of the learning rate

    @torch.no_grad()
    def follow(self, part: float) -> None:
        """Take a step's weights into the average, `part` of the way through training."""
        share = 1.0 if part < AVERAGE_FROM else 1.0 - AVERAGE
        for mean, weight in zip(self.average.parameters(), self.module.parameters(), strict=True):
            mean.lerp_(weight, share)

    def try_out(self) -> list[Refined] | None:
        """Code the samples with the average; return what was decoded, or None where it went astray and training goes back."""
        self.average.quantize = self.module.quantize
        net = self.frozen(self.average)
        coded, bits = run(net, self.samples)
        if bits > ASTRAY * self.bits:
            self.module.load_state_dict(self._best)
            self.average.load_state_dict(self._best)
            self.pace *= SLOWER
            return None
        if bits < self.bits:
            self.bits, self.net, self._best = bits, net, copy.deepcopy(self.average.state_dict())
        return coded


def _tensors(rows: Rows) -> list[Tensor]:
    return [torch.from_numpy(getattr(rows, name)) for name in COLUMNS]


def _array(value: Tensor) -> Float64:
    return value.detach().cpu().double().numpy()


def freeze(module: ContextModule, pairs: npt.NDArray[np.int16], fine: Float64) -> ContextNet:
    """Return the integer network."""
    sizes = module.sizes
    p = sizes.precision
    bias = (_array(module.scale.bias) - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE
    scale = _array(module.scale.weight) * LEVELS_PER_OCTAVE
    skip = _array(module.skip)
    exponent = skip_exponents(skip, fine, p)
    flag = module.flag
    return ContextNet(
        sizes,
        first=quantize_rows(_array(module.first.weight), _array(module.first.bias), BITS, ACTIVATION_BITS),
        second=quantize_rows(_array(module.second.weight), _array(module.second.bias), ACTIVATION_BITS, ACTIVATION_BITS),
        mean=quantize_rows(_array(module.mean.weight), _array(module.mean.bias), ACTIVATION_BITS, 0),
        scale=quantize_rows(scale, bias, ACTIVATION_BITS, 0),
        skip=np.rint(np.ldexp(skip, exponent[:, None].astype(np.int64))).astype(np.int32),
        skip_exponent=exponent,
        embedding=np.rint(_array(module.embedding).clip(-1, 127 / 128) * 128).astype(np.int8),
        pairs=pairs,
        flag=None if flag is None else quantize_odds(_array(flag.weight), _array(flag.bias), ACTIVATION_BITS),
    )
