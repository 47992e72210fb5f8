"""Training on a ratings matrix: masked autoencoders whose estimates of what was not rated go into the file.

    ratings (users, items), not rated = ignored -> hold out a tenth -> train, stop where the held-out error is least
    -> train again on everything -> estimates of all entries -> factors -> integers (`estimates`)

Where many entries are rated, estimates are those of `posterior`; elsewhere they are averaged with those of the networks of
`raters`, with the weights that the held-out tenth prefers.

Rows of the networks are along the longer axis. That the stored model is a small one that imitates the estimates of
larger ones is distillation: Hinton et al., arXiv:1503.02531.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aezip.apps.recommend import estimates as recommender
from aezip.apps.recommend.estimates import Recommender
from aezip.core.errors import InvalidInput
from aezip.core.training.chance import trains
from aezip.core.types import Float64, Mask

from .posterior import Probabilistic
from .raters import Denoised, Kernelized, Ratings

Fit = Callable[["Ratings", "int | None"], tuple[Float64, int]]
MOST_ENTRIES = 1 << 27  # the estimates of all are held at once
FEWEST = 100  # ratings
HELD_OUT, HELD_OUT_STREAM = 0.1, 0x5EED
DENSE = 0.25  # of the entries rated: to the networks of `raters` what is missing is zero, which tells them little then
RANK = 32
PRECISION = {False: 0.05, True: 0.025}  # thorough or not: rounding adds 0.2 % or 0.05 % to a usual error
PARTS = 8  # weights are multiples of this part


@dataclass(frozen=True)
class TrainedRaters:
    """A recommender, and the root mean square error of its teachers on the tenth of the ratings held out at first."""

    model: Recommender
    held_out: float


def check(values: npt.NDArray[np.generic], missing: Mask | None) -> Float64:
    """Return a matrix of ratings as float64, NaN where not rated.

    Raises
    ------
    InvalidInput
        If it is no matrix of ratings with something to estimate.
    """
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InvalidInput("a recommendation needs a matrix of real ratings, users x items: leave --recommend away")
    if values.size > MOST_ENTRIES:
        raise InvalidInput(f"a recommendation is made for at most {MOST_ENTRIES} entries: leave --recommend away")
    ratings = np.asarray(values, np.float64).copy()
    ratings[~np.isfinite(ratings) if missing is None else missing | ~np.isfinite(ratings)] = np.nan
    known = ~np.isnan(ratings)
    if known.all():
        raise InvalidInput("no entry is missing (NaN, or --fill-value): there is nothing to recommend, leave --recommend away")
    empty = np.flatnonzero(~known.any(axis=1))
    if len(empty):
        raise InvalidInput(f"row {empty[0]} has no rating ({len(empty)} such rows): leave these out, or leave --recommend away")
    if known.sum() < FEWEST or np.nanstd(ratings) == 0.0:
        raise InvalidInput(f"too few different ratings to learn from: give at least {FEWEST}, or leave --recommend away")
    return ratings


@trains
def train(
    ratings: Float64, seed: int, *, thorough: bool, report: Callable[[int, int, float], None] | None = None
) -> TrainedRaters:
    """Train on a matrix of ratings that `check` returned.

    Parameters
    ----------
    thorough
        Train longer, and the kernelized network too, which takes ten times as long.
    report
        Called with step, steps and the held-out error.
    """
    turned = ratings.shape[0] < ratings.shape[1]
    whole = ratings.T if turned else ratings
    limits = (float(np.nanmin(whole)), float(np.nanmax(whole)))
    split = _split(whole, limits, seed)
    kinds = _kinds(float((~np.isnan(whole)).mean()), seed, thorough=thorough)
    tried = []
    for number, kind in enumerate(kinds):
        estimates, best = kind(split, None)
        tried.append((estimates, best))
        if report is not None:
            report(number + 1, 2 * len(kinds), split.error(estimates))
    weights, error = _weights(split, [estimates for estimates, _ in tried])
    everything = Ratings(whole, np.full_like(whole, np.nan), limits)
    total = np.zeros_like(whole)
    for number, (kind, weight, (_, best)) in enumerate(zip(kinds, weights, tried, strict=True)):
        if weight > 0.0:
            total += weight * kind(everything, best)[0]
        if report is not None:
            report(len(kinds) + number + 1, 2 * len(kinds), error)
    total = total.clip(*limits)
    model = recommender.factored(
        total.T if turned else total, float(np.nanmean(whole)), float(np.nanstd(whole)), limits, RANK, PRECISION[thorough]
    )
    return TrainedRaters(model, error)


def _kinds(share: float, seed: int, *, thorough: bool) -> list[Fit]:
    """Return what to train where such a share of the entries is rated."""
    if share >= DENSE:
        return [Probabilistic(seed, *((30, 2) if thorough else (15, 1)))]
    kinds: list[Fit] = [Probabilistic(seed), Denoised(seed)]
    return [*kinds, Kernelized(seed)] if thorough else kinds


def _split(whole: Float64, limits: tuple[float, float], seed: int) -> Ratings:
    """Hold out a tenth of the ratings, but not the only one of a row."""
    known = ~np.isnan(whole)
    # a stream of its own: who held ratings out with the same seed would leave none of those that are drawn here
    chosen = known & (np.random.default_rng([seed, HELD_OUT_STREAM]).random(whole.shape) < HELD_OUT)
    chosen[(known & ~chosen).sum(axis=1) == 0] = False
    if not chosen.any():
        chosen.reshape(-1)[np.flatnonzero(known)[0]] = True
    return Ratings(np.where(chosen, np.nan, whole), np.where(chosen, whole, np.nan), limits)


def _weights(split: Ratings, estimates: list[Float64]) -> tuple[list[float], float]:
    """Return the weights of the average with the least held-out error, and that error."""
    steps = range(PARTS + 1)
    options = [
        [w / PARTS for w in weights] for weights in itertools.product(steps, repeat=len(estimates)) if sum(weights) == PARTS
    ]
    errors = [split.error(np.asarray(sum(w * e for w, e in zip(o, estimates, strict=True)))) for o in options]
    best = int(np.argmin(errors))
    return options[best], errors[best]
