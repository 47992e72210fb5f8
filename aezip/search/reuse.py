"""Whether a trained plan suits an array, and the grid on which it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.bounds import Tolerance
from aezip.array.checking import violations
from aezip.array.statistics import Statistics
from aezip.core.errors import ModelMismatch
from aezip.plans.base import Plan
from aezip.plans.trained import REMEDY, TrainedPlan
from aezip.quantize.choose_grids import grids_for
from aezip.quantize.grid import Grid, HiddenGrid, LinearGrid, linear_grid

from .choice import Choice

LOOKED_AT = 1 << 20  # values on which a lattice is tried
MISSED = 1e-3  # part of them that it may miss: those are stored exactly
NEAR = 2.0  # factor by which steps may differ from those an autoencoder was trained for
FINER = 0.5  # a model's step is used as it is if it is at least so much of the step that the bound allows


def choice(
    trained: TrainedPlan, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float
) -> Choice[Plan]:
    """Return a trained plan for plain values, with a grid that keeps to the tolerance.

    Raises
    ------
    ModelMismatch
        If there is none on which the networks make sense.
    """
    own = trained.grid
    if isinstance(own, LinearGrid):
        grid: Grid = _steps(trained.plan, own, values, statistics, tolerance, shrink)
    elif _reaches(own, values, statistics, tolerance):
        grid = own
    else:
        _, wholes = grids_for(values, statistics, tolerance, shrink)
        lattices = [g for g in wholes if isinstance(g, HiddenGrid) and g.lattice.kind == own.lattice.kind]
        if not lattices:
            raise ModelMismatch(f"the lattice of the values is not that of the model: {REMEDY}")
        grid = lattices[0]
    return Choice(trained.plan, grid, 0.0, trained.model, trained.model_bytes, trained.encoder)


def _steps(
    plan: Plan, own: LinearGrid, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float
) -> LinearGrid:
    """Return the model's own steps where they keep to the bound and do not waste bits, else those of the bound."""
    if tolerance.kind not in ("absolute", "psnr"):
        raise ModelMismatch(f"the bound leaves no steps as wide as the model's: {REMEDY}")
    low, high = np.asarray(statistics.minimum, np.float64), np.asarray(statistics.maximum, np.float64)
    if tolerance.absolute.ndim:
        low = np.asarray(statistics.column_minimum, np.float64)
        high = np.asarray(statistics.column_maximum, np.float64)
    dtype = values.dtype.newbyteorder("=")
    fine = linear_grid(tolerance, low, high, dtype, shrink)
    if fine is None:
        raise ModelMismatch(f"the bound leaves no steps as wide as the model's: {REMEDY}")
    ratio = np.broadcast_to(own.step / fine.step, np.broadcast_shapes(own.step.shape, fine.step.shape))
    if own.whole and (ratio > 1.0).any() and _reaches(own, values, statistics, tolerance):
        return own  # the steps of the data itself, wider than the bound asks for
    if (ratio <= 1.0).all() and (ratio >= FINER).all():
        return own
    if not plan.scales and ((ratio > NEAR).any() or (ratio < 1.0 / NEAR).any()):
        raise ModelMismatch(
            f"the model's steps are {float(np.median(ratio)):.3g} times as wide as this bound allows on this array: "
            "give the bound with --abs as in training, or train a model for it"
        )
    step = fine.step if plan.scales else np.minimum(own.step, fine.step)
    return LinearGrid(np.asarray(step), np.broadcast_to(own.offset, step.shape).copy(), own.whole)


def _reaches(own: Grid, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance) -> bool:
    """Tell whether a whole grid gives nearly all values back within the tolerance."""
    if isinstance(own, HiddenGrid) and getattr(own.lattice, "axis", None) == 0:
        return False  # it belongs to the outer indices of the training data
    rows = max(1, LOOKED_AT // max(1, values.size // values.shape[0]))
    x = np.ascontiguousarray(values[:: max(1, values.shape[0] // rows)], values.dtype.newbyteorder("="))
    masked = statistics.specials.classify(x) != 0
    wrong = violations(x, own.values(own.integers(x), x.dtype), tolerance, masked)
    return float(wrong.mean()) <= MISSED
