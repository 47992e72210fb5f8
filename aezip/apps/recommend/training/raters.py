"""Networks that estimate ratings from the ratings of a row, what is missing being zero to them.

- `Denoised`: one sigmoid layer on what is left of biases, half of the inputs dropped (AutoRec: Sedhain et al., WWW 2015;
  dropout on ratings: Kuchaiev & Ginsburg, arXiv:1708.01715; denoising: Vincent et al., ICML 2008).
- `Kernelized`: two sigmoid layers whose weights are multiplied by a kernel of learned places, which leaves most of them
  zero (SparseFC: Muller et al., "Kernelized synaptic weight matrices", ICML 2018), trained by L-BFGS.

Knows nothing of files or of choosing between estimates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aezip.core.training.chance import Chance
from aezip.core.types import Float64

USERS, ITEMS = 10.0, 15.0  # ratings that a user's or an item's bias is worth before any were seen (Koren 2008)
CHECKS = 40  # at most, each after so many epochs, or a round of L-BFGS
EPOCHS = 2
PATIENCE = 3


@dataclass(frozen=True)
class Ratings:
    """Ratings as the networks see them: rows along the longer axis.

    Parameters
    ----------
    values
        float64, shape (rows, columns), NaN where not rated.
    held
        Same shape: ratings to measure on; NaN elsewhere.
    """

    values: Float64
    held: Float64
    limits: tuple[float, float]

    def error(self, estimates: Float64) -> float:
        """Return the root mean square error on what is held out."""
        known = ~np.isnan(self.held)
        off = estimates[known].clip(*self.limits) - self.held[known]
        return float(np.sqrt(np.square(off).mean()))


def biases(ratings: Float64) -> tuple[float, Float64, Float64]:
    """Return mean, biases of the rows and of the columns, by alternating shrunken means."""
    known = ~np.isnan(ratings)
    mean = float(ratings[known].mean())
    filled = np.where(known, ratings - mean, 0.0)
    rows, columns = np.zeros(len(ratings)), np.zeros(ratings.shape[1])
    for _ in range(20):
        columns = np.where(known, filled - rows[:, None], 0.0).sum(axis=0) / (ITEMS + known.sum(axis=0))
        rows = np.where(known, filled - columns, 0.0).sum(axis=1) / (USERS + known.sum(axis=1))
    return mean, rows, columns


class Denoised:
    """One sigmoid layer on residuals of the biases, half of the inputs dropped."""

    hidden = 50  # at most, and at most a fifth of the inputs
    batch = 128
    rate = 2e-3
    drop = 0.5
    decays = (0.07, 0.21, 0.63)  # times the square root of the number of ratings; the held-out ones choose

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.decay = 0.0

    def __call__(self, data: Ratings, epochs: int | None) -> tuple[Float64, int]:
        """Return the estimates, and after how many checks they were best; with `epochs`, those after so many."""
        if epochs is not None:
            return self._run(data, self.decay, epochs)
        root = math.sqrt(float((~np.isnan(data.values)).sum()))
        runs = [(*self._run(data, decay * root, None), decay * root) for decay in self.decays]
        estimates, best, self.decay = min(runs, key=lambda r: data.error(r[0]))
        return estimates, best

    def _run(self, data: Ratings, decay: float, checks: int | None) -> tuple[Float64, int]:
        chance = Chance(self.seed)
        mean, rows, columns = biases(data.values)
        base = mean + rows[:, None] + columns
        left = data.values - base
        scale = float(np.nanstd(left)) or 1.0
        known = torch.from_numpy(~np.isnan(left))
        x = torch.from_numpy(np.nan_to_num(left / scale).astype(np.float32))
        keep = known.float()
        hidden = max(2, min(self.hidden, x.shape[1] // 5))
        encoder, decoder = chance.linear(x.shape[1], hidden), chance.linear(hidden, x.shape[1])
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=self.rate)

        def epochs() -> None:
            for index in torch.split(torch.cat([chance.permutation(len(x)) for _ in range(EPOCHS)]), self.batch):
                part = x[index]
                out = decoder(torch.sigmoid(encoder(chance.dropped(part, self.drop))))
                penalty = encoder.weight.square().sum() + decoder.weight.square().sum()
                loss = ((out - part).square() * keep[index]).sum() + 0.5 * decay * penalty * (len(index) / len(x))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

        def estimates() -> Float64:
            with torch.no_grad():
                out = decoder(torch.sigmoid(encoder(x)))
            return np.asarray(out.double().numpy() * scale + base)

        return _best(epochs, estimates, data, checks)


class Kernelized:
    """Two sigmoid layers with sparse kernelized weights, on ratings as they are; what is missing is 0."""

    hidden = 500
    places = 5
    kernel_decay = 0.006
    weight_decay = 20.0

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, data: Ratings, checks: int | None) -> tuple[Float64, int]:
        """Return the estimates, and after how many checks they were best; with `checks`, those after so many."""
        chance = Chance(self.seed)
        low, high = data.limits
        x = torch.from_numpy(np.nan_to_num((data.values - low) * (4.0 / (high - low)) + 1.0).astype(np.float32))
        keep = torch.from_numpy(~np.isnan(data.values)).float()
        features = x.shape[1]
        shapes = ((features, self.hidden), (self.hidden, self.hidden), (self.hidden, features))
        layers = [self._layer(a, b, chance) for a, b in shapes]
        parameters = [p.requires_grad_() for layer in layers for p in layer]
        optimizer = torch.optim.LBFGS(parameters, max_iter=10, history_size=10, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            out, penalty = self._forward(x, layers)
            value = ((out - x).square() * keep).sum() + penalty
            value.backward()  # type: ignore[no-untyped-call]
            return value

        def advance() -> None:
            optimizer.step(loss)  # type: ignore[no-untyped-call]

        def estimates() -> Float64:
            with torch.no_grad():
                out = self._forward(x, layers)[0]
            return np.asarray((out.double().numpy() - 1.0) * ((high - low) / 4.0) + low)

        return _best(advance, estimates, data, checks)

    def _layer(self, inputs: int, outputs: int, chance: Chance) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return weights (inputs, outputs), places of inputs and of outputs, and bias."""
        weight = chance.randn(inputs, outputs) * math.sqrt(2.0 / (inputs + outputs))
        left, right = (chance.randn(n, self.places) * 1e-3 for n in (inputs, outputs))
        return weight, left, right, torch.zeros(outputs)

    def _forward(self, value: Tensor, layers: list[tuple[Tensor, Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        penalty = torch.zeros(())
        for number, (weight, left, right, bias) in enumerate(layers):
            squared = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1) - 2.0 * left @ right.T
            kernel = (1.0 - squared).clamp(min=0.0)  # finite support: far apart means no connection
            value = value @ (weight * kernel) + bias  # (rows, outputs)
            if number < len(layers) - 1:
                value = torch.sigmoid(value)
            penalty = penalty + self.kernel_decay * kernel.square().sum() + self.weight_decay * weight.square().sum()
        return value, penalty


def _best(
    advance: Callable[[], object], estimates: Callable[[], Float64], data: Ratings, checks: int | None
) -> tuple[Float64, int]:
    """Train on; return the estimates with the least held-out error and after how many checks that was."""
    if checks is not None:
        for _ in range(checks):
            advance()
        return estimates(), checks
    best, error, since = 0, math.inf, 0
    kept = np.zeros(0)
    for number in range(1, CHECKS + 1):
        advance()
        made = estimates()
        found = data.error(made)
        if found < error:
            kept, best, error, since = made, number, found, 0
        else:
            since += 1
        if since >= PATIENCE or not math.isfinite(found):
            break
    return kept, best
