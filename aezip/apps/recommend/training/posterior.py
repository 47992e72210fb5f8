"""Estimates of ratings by a probabilistic autoencoder: what a row did not rate is integrated out instead of set to zero.

    ratings of a row, those it has -> posterior mean of its latents z -> W z, and a network's correction of it

The linear part is Bayesian principal component analysis of incomplete data (Ilin & Raiko, "Practical approaches to principal
component analysis in the presence of missing values", JMLR 11, 2010; Bishop, "Variational principal components", 1999):
encoder and decoder share W, latents that do not pay vanish. The correction is a denoising network that sees the latents,
what they leave of each rating, and which ratings there are; it learns ratings that were hidden from it (Vincent et al., ICML
2008). Knows nothing of files or of choosing between estimates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from aezip.core.training.chance import Chance
from aezip.core.types import Float64

from .raters import Ratings, biases

LATENTS = 32  # at most; those that do not pay vanish
ITERATIONS, SETTLED = 40, 1e-3  # until the noise changes by less than that part
ROWS = 1024  # at a time
LEAST_NOISE = 1e-4  # of the variance
HIDDEN, BATCH, RATE, DECAY = 600, 256, 1e-3, 0.1
HIDE_LEAST, HIDE_MOST = 0.05, 0.6  # of a row's ratings, while the correction is trained


@dataclass(frozen=True)
class FactorModel:
    """The linear part, for ratings less their column's base, in standard deviations.

    Parameters
    ----------
    weight
        W, shape (columns, latents).
    second
        Shape (columns, latents * latents): second moments of a column's weights, outer product plus covariance.
    noise
        Variance of a rating around W z.
    """

    weight: Tensor
    second: Tensor
    noise: float

    def precision(self, mask: Tensor) -> Tensor:
        """Return the posterior precision of the latents of rows, (rows, latents, latents)."""
        latents = self.weight.shape[1]
        return (mask @ self.second).reshape(-1, latents, latents) / self.noise + torch.eye(latents)

    def latents(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the posterior means of the latents of rows; `x` is zero where `mask` is."""
        factor = torch.linalg.cholesky(self.precision(mask))
        return torch.cholesky_solve((x @ self.weight / self.noise)[:, :, None], factor)[:, :, 0]


@dataclass(frozen=True)
class _Standard:
    """Ratings in standard deviations from a base: x, zero where not rated, and which are rated, as 0 and 1."""

    x: Tensor
    mask: Tensor
    base: Float64
    unit: float

    @staticmethod
    def of(ratings: Float64, base: Float64) -> _Standard:
        left = ratings - base
        unit = float(np.nanstd(left)) or 1.0
        x = torch.from_numpy(np.nan_to_num(left / unit).astype(np.float32))
        return _Standard(x, torch.from_numpy(~np.isnan(ratings)).float(), base, unit)

    def back(self, estimates: Tensor) -> Float64:
        return np.asarray(estimates.double().numpy() * self.unit + self.base)


class Probabilistic:
    """Estimates by the linear part, or with corrections where those are better on what is held out.

    Parameters
    ----------
    epochs
        Of the training of a correction.
    networks
        So many corrections are averaged.
    """

    def __init__(self, seed: int, epochs: int = 0, networks: int = 0) -> None:
        self.seed, self.epochs, self.networks = seed, epochs, networks

    def __call__(self, data: Ratings, networks: int | None) -> tuple[Float64, int]:
        """Return the estimates, and of how many corrections; None: of none or all, whichever has the smaller held-out error."""
        mean, _, columns = biases(data.values)
        options = sorted({0, self.networks}) if networks is None else [networks]
        made = [(estimates(data.values, mean + columns, self.seed, self.epochs, count), count) for count in options]
        return made[0] if len(made) == 1 else min(made, key=lambda m: data.error(m[0]))


def estimates(ratings: Float64, base: Float64, seed: int, epochs: int, networks: int) -> Float64:
    """Return estimates of all entries.

    Parameters
    ----------
    ratings
        float64, shape (rows, columns), NaN where not rated.
    base
        Shape (columns,): what ratings are compared with; the latents tell the rest.
    epochs
        Of the training of a correction.
    networks
        So many corrections are averaged; 0: the linear part alone.
    """
    data = _Standard.of(ratings, base)
    chance = Chance(seed)
    linear = fit(data.x, data.mask, chance)
    if not networks:
        return data.back(torch.cat([linear.latents(x, m) for x, m in _parts(data.x, data.mask)]) @ linear.weight.T)
    out = torch.zeros_like(data.x)
    for _ in range(networks):
        out += _corrected(data, linear, epochs, chance) / networks
    return data.back(out)


def _parts(x: Tensor, mask: Tensor) -> zip[tuple[Tensor, Tensor]]:
    return zip(torch.split(x, ROWS), torch.split(mask, ROWS), strict=True)


def fit(x: Tensor, mask: Tensor, chance: Chance) -> FactorModel:
    """Return the linear part, by variational expectation maximization.

    Rows' latents and columns' weights each have a Gaussian posterior given the other; the variance that a column's weights have
    beforehand is learned for each latent, so that a latent without use shrinks to nothing (automatic relevance determination).
    """
    rows, columns = x.shape
    rank = max(1, min(LATENTS, columns - 1, rows - 1))
    values, vectors = chance.principal(x, rank)
    weight = vectors * values / math.sqrt(rows)
    ratings = float(mask.sum())
    variance = float(x.square().sum()) / ratings
    prior = torch.full((rank,), float(weight.square().mean()) + LEAST_NOISE)
    linear = FactorModel(weight, _outer(weight), 0.5 * variance + LEAST_NOISE)
    for _ in range(ITERATIONS):
        moments = torch.zeros(columns, rank * rank)  # of the latents of the rows that rated a column
        product = torch.zeros(columns, rank)
        off = 0.0
        for part, there in _parts(x, mask):
            factor = torch.linalg.cholesky(linear.precision(there))
            latent = torch.cholesky_solve((part @ linear.weight / linear.noise)[:, :, None], factor)[:, :, 0]
            second = _outer(latent) + torch.cholesky_inverse(factor).reshape(len(part), -1)
            moments += there.T @ second
            product += part.T @ latent
            off += float(part.square().sum() - 2.0 * ((part @ linear.weight) * latent).sum())
            off += float(((there @ linear.second) * second).sum())
        noise = max(off / ratings, LEAST_NOISE * variance, 1e-9)
        settled = abs(noise - linear.noise) < SETTLED * noise
        inverse = torch.linalg.inv(moments.reshape(columns, rank, rank) / noise + torch.diag(1.0 / prior))
        weight = (inverse @ (product / noise)[:, :, None])[:, :, 0]
        prior = (weight.square() + inverse.diagonal(dim1=1, dim2=2)).mean(dim=0).clamp(min=1e-6)
        linear = FactorModel(weight, _outer(weight) + inverse.reshape(columns, -1), noise)
        if settled:
            break
    return linear


def _outer(rows: Tensor) -> Tensor:
    """Return the outer product of each row with itself, flat."""
    return (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)


class _Correction(nn.Module):
    """Latents, what they leave of each rating, and which ratings there are, to a correction of all estimates."""

    def __init__(self, linear: FactorModel, chance: Chance) -> None:
        super().__init__()
        columns, latents = linear.weight.shape
        self.linear = linear
        self.unit = math.sqrt(linear.noise)
        self.first = chance.linear(latents + 2 * columns, min(HIDDEN, 6 * columns))
        self.last = chance.linear(self.first.out_features, columns)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        latents = self.linear.latents(x, mask)
        first = latents @ self.linear.weight.T
        seen = torch.cat([latents, (x - first) * mask / self.unit, mask], dim=1)
        out: Tensor = first + self.unit * self.last(nn.functional.silu(self.first(seen)))
        return out


def _corrected(data: _Standard, linear: FactorModel, epochs: int, chance: Chance) -> Tensor:
    """Train a correction on ratings that are hidden from it; return all estimates."""
    network = _Correction(linear, chance)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    steps, step = epochs * math.ceil(len(data.x) / BATCH), 0
    for _ in range(epochs):
        for index in torch.split(chance.permutation(len(data.x)), BATCH):
            x, mask = data.x[index], data.mask[index]
            share = HIDE_LEAST + (HIDE_MOST - HIDE_LEAST) * chance.rand(len(index), 1)
            kept = mask * (chance.rand_like(mask) >= share)
            hidden = mask - kept  # a rating that is seen is estimated all too well
            loss = ((network(x * kept, kept) - x).square() * hidden).sum() / hidden.sum().clamp(min=1.0) / linear.noise
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            step += 1
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        return torch.cat([network(x, m) for x, m in _parts(data.x, data.mask)])
