"""Training of the context network: on decoded neighbours, refreshed by coding the sample with the network so far.

    sample + noise of half a step -> least squares for each class of passes -> Adam on bits of the residual
      -> freeze, code the sample -> true decoded neighbours -> train on -> ... -> freeze

Same sample, seed and number of steps give the same network on one machine.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from aezip.core.fixed import EMBEDDING, EXTRAS, LOG2_SCALE_MIN
from aezip.core.training.chance import Chance, trains
from aezip.core.types import Float32, Float64
from aezip.entropy.residual import LEVELS_PER_OCTAVE
from aezip.plans.autoencoder.training.adam import Adam
from aezip.plans.autoencoder.training.module import ACTIVATION_BITS, LOG2_SCALE_MAX, logistic_bits, residual_bits, round_weight
from aezip.plans.context.net import BITS, ContextNet, ContextSizes
from aezip.plans.context.refit import Looped, loop, refitted
from aezip.plans.context.rows import (
    COLUMNS,
    ContextRows,
    ContextSample,
    choose_pairs,
    collect,
    least_squares,
    mixed,
    needed_bits,
    skip_exponents,
    thinned,
)
from aezip.plans.context.walk import Walked
from aezip.plans.integer import quantize_odds, quantize_rows

from .resume import resume_context

BATCH = 4096
LN2 = math.log(2.0)
AVERAGE = 0.99  # of the average of the weights stays at each step
AVERAGE_FROM = 0.2  # of the steps
ASTRAY = 1.25  # bits in the closed loop, over the fewest so far, from which training goes back
BETWEEN = (0.5, 0.25)  # of the way from the best network to the one that training came to
SLOWED = 0.5  # the learning rate after going part of the way, over that before
SLOWER = 0.3  # the learning rate after going back, over that before
CHECKS = (0.6, 0.85, 0.93)  # of the steps: where the closed loop is looked at besides
LONG = 1000  # steps from which those looks are a small part of the time


class ContextModule(nn.Module):
    """What is trained; `freeze` makes the integer network of it."""

    def __init__(self, sizes: ContextSizes, chance: Chance) -> None:
        super().__init__()
        self.sizes = sizes
        count = sizes.places
        self.first = chance.linear(count + EXTRAS + EMBEDDING, sizes.hidden)
        self.second = chance.linear(sizes.hidden, sizes.hidden)
        self.mean = chance.linear(sizes.hidden, 1)
        self.scale = chance.linear(sizes.hidden + EXTRAS, 1)
        self.flag = None if sizes.spike is None else chance.linear(sizes.hidden + EXTRAS, 1)
        self.skip = nn.Parameter(torch.zeros(sizes.kinds, count))
        self.embedding = nn.Parameter(chance.randn(sizes.kinds, EMBEDDING) * 0.3)
        self.quantize = False
        for zero in (self.mean.weight, self.mean.bias, self.scale.weight, self.scale.bias):
            nn.init.zeros_(zero)
        chance.uniform_(self.first.bias, 0.1, 0.5)
        chance.uniform_(self.second.bias, 0.1, 0.5)

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


@dataclass
class Fit:
    """A trained network, and bits a value as training saw them."""

    net: ContextNet
    rate: float


@trains
def fit(
    sizes: ContextSizes,
    samples: list[ContextSample],
    steps: int,
    seed: int,
    learning_rate: float = 4e-3,
    refreshes: tuple[float, ...] = (0.3, 0.7),
    progress: Callable[[int, int, int, float], None] | None = None,
    resumed: ContextNet | None = None,
    threads: int = 1,
    *,
    adapt: bool = False,
) -> Fit:
    """Train and freeze a context network, or train a frozen one on.

    With `adapt` a network that is good already is trained on to be stored as what changes in it: it begins with neighbours as
    that network decodes them, and its linear parts keep their precision.
    """
    module = ContextModule(sizes, Chance(seed))
    fine: Float64 = np.zeros(sizes.kinds)
    exponents: npt.NDArray[np.int8] | None = None
    if adapt:
        assert resumed is not None
        pairs, exponents = resumed.pairs, resumed.skip_exponent
        start, rows = refitted(loop(resumed, samples, threads), samples, seed, threads)
        resumed = start.net
    else:
        pairs, rows, skip = _first_rows(sizes, samples, resumed, seed)
        fine = needed_bits(sizes, rows, skip, sum(s.target.size for s in samples))
        _begin(module, rows, skip)
    if resumed is not None:
        resume_context(module, resumed)

    def frozen(trained: ContextModule) -> ContextNet:
        own = skip_exponents(_array(trained.skip), fine, sizes.precision) if exponents is None else exponents
        return freeze(trained, pairs, own)

    steady = _Steady(module, frozen, samples, threads)
    if adapt:
        steady.begin(start)
    training = _Training(module, rows, whole=samples[0].whole is not None, seed=seed)
    del rows
    at = sorted(int(r * steps) for r in refreshes)
    checks = [int(c * steps) for c in CHECKS] if at and steps >= LONG else []
    for step in range(steps):
        part = step / steps
        module.quantize = part >= 0.6
        if step in at and step:
            coded = steady.try_out()
            if coded is not None:
                training.refresh(coded, samples, pairs, seed + step)
        elif step in checks:
            steady.try_out()
        rate = steady.pace * learning_rate * min(1.0, (step + 1) / 50) * (0.495 * (1 + math.cos(math.pi * part)) + 0.01)
        training.step(rate)
        steady.follow(part)
        if progress is not None and step % 20 == 0:
            progress(step, steps, 0, training.smooth)
    if not at:
        return Fit(frozen(module), training.smooth)
    steady.try_out()  # what counts are the bits of the closed loop, which may drift from what training saw
    return Fit(steady.net, training.smooth)


def _first_rows(
    sizes: ContextSizes, samples: list[ContextSample], resumed: ContextNet | None, seed: int
) -> tuple[npt.NDArray[np.int16], ContextRows, Float32]:
    """Return the pairs of each class, rows whose neighbours have noise in place of errors, the linear parts fitted to them."""
    pairs = np.full((sizes.kinds, 2), -1, np.int16)
    rows = collect(sizes, samples, None, pairs, seed)
    pairs = choose_pairs(sizes, rows) if resumed is None else resumed.pairs
    del rows  # memory for one set of rows, not two
    rows = collect(sizes, samples, None, pairs, seed)
    return pairs, rows, least_squares(sizes, rows)


@torch.no_grad()
def _begin(module: ContextModule, rows: ContextRows, skip: Float32) -> None:
    """Start a network as its linear part, and the scale as a line in the log of the spread."""
    sizes = module.sizes
    module.embedding[np.bincount(rows.kind, minlength=sizes.kinds) == 0] = 0.0
    module.skip.copy_(torch.from_numpy(skip))
    start = np.abs(rows.target - (rows.values[:, : sizes.places] * skip[rows.kind]).sum(axis=1) * rows.spread)
    log_spread = rows.values[:, sizes.places]
    y = np.log2(start / 1.386 + 0.1)
    varied = len(y) > 10 and float(np.std(log_spread)) > 1e-3
    slope = float(np.cov(log_spread, y)[0, 1] / np.var(log_spread)) if varied else 0.0
    module.scale.weight[0, sizes.hidden] = slope
    module.scale.bias.fill_(float(y.mean() - slope * log_spread.mean()))


class _Training:
    """Steps of Adam on the bits of rows, which are exchanged on the way."""

    def __init__(self, module: ContextModule, rows: ContextRows, *, whole: bool, seed: int) -> None:
        self.module, self.rows, self.whole = module, rows, whole
        self.tensors = _tensors(rows)
        self.optimizer = Adam(module.parameters())
        self.generator = torch.Generator().manual_seed(seed)
        self.smooth = math.nan  # bits a value

    def refresh(self, coded: list[Walked], samples: list[ContextSample], pairs: npt.NDArray[np.int16], seed: int) -> None:
        """Exchange some of the rows for those of neighbours as the network so far decodes them; empties `coded`."""
        mixing = np.random.default_rng(seed)
        self.tensors = []
        self.rows = thinned(self.rows, mixing)  # before others are collected: memory for one set and a half
        fresh = collect(self.module.sizes, samples, coded, pairs, seed)
        coded.clear()  # a sample's decoded values take more memory than its rows
        self.rows = mixed(self.rows, fresh, mixing)
        self.tensors = _tensors(self.rows)

    def step(self, learning_rate: float) -> None:
        """Take one step."""
        count = len(self.tensors[0])
        loss = self._price(torch.randint(0, count, (min(BATCH, count),), generator=self.generator)).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        self.optimizer.step(learning_rate)
        value = float(loss.detach())
        self.smooth = value if math.isnan(self.smooth) else 0.98 * self.smooth + 0.02 * value

    def _price(self, chosen: Tensor) -> Tensor:
        """Return the bits of each of some rows."""
        values, kind, target, spread = (t[chosen] for t in self.tensors[:4])
        mean, scale, odds = self.module(values, kind, spread)
        price = (logistic_bits if self.whole else residual_bits)(target - mean, scale)
        if odds is None:
            return price
        flags = self.tensors[4][chosen]
        told = functional.binary_cross_entropy_with_logits(odds, flags, reduction="none") / LN2
        return price * (1.0 - flags) + told


class _Steady:
    """Keeps training within networks that do well in the closed loop.

    What is frozen is a moving average of the weights (Polyak & Juditsky 1992): single steps make a network whose errors
    feed on each other along the passes, averages hardly ever. Where one does, training goes back to the best so far.
    """

    def __init__(
        self, module: ContextModule, frozen: Callable[[ContextModule], ContextNet], samples: list[ContextSample], threads: int
    ) -> None:
        self.module, self.frozen, self.samples, self.threads = module, frozen, samples, threads
        self.average = copy.deepcopy(module)
        self.bits, self.net = math.inf, frozen(module)
        self._best = copy.deepcopy(module.state_dict())
        self.pace = 1.0  # of the learning rate
        self.adapting = False

    def _measured(self) -> Looped:
        return loop(self.frozen(self.average), self.samples, self.threads)

    def _between(self, found: Looped) -> Looped:
        """Return the average, or a network between the best one and it, whichever takes the fewest bits; go on from that.

        What training saw is not what the closed loop sees: part of the way is often better than all of it (Wortsman et al.,
        "Robust fine-tuning of zero-shot models", 2022).
        """
        far = kept = copy.deepcopy(self.average.state_dict())
        for share in BETWEEN:
            state = {name: start + share * (far[name] - start) for name, start in self._best.items()}
            self.average.load_state_dict(state)
            tried = self._measured()
            if tried.bits < found.bits:
                found, kept = tried, state
        self.average.load_state_dict(kept)
        if kept is not far:
            self.module.load_state_dict(kept)
            self.pace *= SLOWED
        return found

    def begin(self, start: Looped) -> None:
        """Take in the network that is trained on: what comes of it is to be better."""
        self.bits, self.net, self.adapting = start.bits, start.net, True

    @torch.no_grad()
    def follow(self, part: float) -> None:
        """Take a step's weights into the average, `part` of the way through training."""
        share = 1.0 if part < AVERAGE_FROM else 1.0 - AVERAGE
        for mean, weight in zip(self.average.parameters(), self.module.parameters(), strict=True):
            mean.lerp_(weight, share)

    def try_out(self) -> list[Walked] | None:
        """Code the samples with the average; return what was decoded, or None where it went astray and training goes back."""
        self.average.quantize = self.module.quantize
        found = self._measured()
        if found.bits > self.bits and self.adapting:
            found = self._between(found)
        if found.bits > ASTRAY * self.bits:
            self.module.load_state_dict(self._best)
            self.average.load_state_dict(self._best)
            self.pace *= SLOWER
            return None
        if found.bits < self.bits:
            self.bits, self.net, self._best = found.bits, found.net, copy.deepcopy(self.average.state_dict())
        return found.coded


def _tensors(rows: ContextRows) -> list[Tensor]:
    return [torch.from_numpy(getattr(rows, name)) for name in COLUMNS]


def _array(value: Tensor) -> Float64:
    return value.detach().cpu().double().numpy()


def freeze(module: ContextModule, pairs: npt.NDArray[np.int16], exponent: npt.NDArray[np.int8]) -> ContextNet:
    """Return the integer network, its linear parts with the exponents given."""
    sizes = module.sizes
    bias = (_array(module.scale.bias) - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE
    scale = _array(module.scale.weight) * LEVELS_PER_OCTAVE
    skip = _array(module.skip)
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
