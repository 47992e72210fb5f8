"""Estimates of what was not rated, made from what was: what is stored of them."""

from __future__ import annotations

from aezip.core.progress import Progress
from aezip.core.surroundings import restored
from aezip.core.types import Array, Mask

from .estimates import to_bytes


def train(values: Array, missing: Mask, progress: Progress, *, seed: int, thorough: bool) -> tuple[bytes, dict[str, float]]:
    """Train on a ratings matrix; return the recommender and what is known of it.

    Raises
    ------
    InvalidInput
        If the array is no such matrix.
    """
    with restored():
        from .training import ratings  # torch is needed here

    def report(step: int, steps: int, error: float) -> None:
        progress("train", step, steps, None, f"estimates, RMSE {error:.4f}")

    trained = ratings.train(ratings.check(values, missing), seed, thorough=thorough, report=report)
    return to_bytes(trained.model), {"rank": trained.model.rank, "held_out_rmse": round(trained.held_out, 5)}
