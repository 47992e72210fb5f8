"""A trained plan apart from any array: what a model file holds, and what it was trained for. Knows nothing of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.admission import parse_dtype
from aezip.array.bounds import Bound, Lossless, bound_from_json
from aezip.core.errors import ModelMismatch
from aezip.plans.base import Plan
from aezip.quantize.grid import Grid

if TYPE_CHECKING:
    from aezip.plans.autoencoder.encoder import FloatEncoder

REMEDY = "train a model for such arrays, or compress without -m"


@dataclass(frozen=True)
class TrainedPlan:
    """A plan with its networks.

    Parameters
    ----------
    header
        As in the file: `docs/format.md`.
    encoder
        None where the plan has no codes.
    """

    header: dict[str, Any]
    plan: Plan
    grid: Grid
    model: Any
    model_bytes: bytes
    encoder: FloatEncoder | None

    @property
    def bound(self) -> Bound:
        """The bound that the model was trained for."""
        return bound_from_json(self.header["bound"])

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any], bound: Bound, *, lossless_only: bool) -> None:
        """Check that an array is of the kind that the model was trained for.

        Raises
        ------
        ModelMismatch
            If it is of other features, another type or another kind of bound.
        """
        wanted, features = parse_dtype(self.header["dtype"]), tuple(self.header["shape"][1:])
        free = self.plan.any_extent and _of_no_column(self.header["grid"])
        if not shape or len(shape) != len(features) + 1 or (shape[1:] != features and not free):
            raise ModelMismatch(
                f"the model is for arrays of shape (n{''.join(f', {n}' for n in features)}), the array has {shape}: {REMEDY}"
            )
        if dtype.newbyteorder("=") != wanted.newbyteorder("="):
            raise ModelMismatch(f"the model is for {wanted.name}, the array is {dtype.name}: {REMEDY}")
        asked = Lossless() if lossless_only else bound
        if _kind(asked) != _kind(self.bound):
            raise ModelMismatch(f"the model is for the bound {_kind(self.bound)}, asked is {_kind(asked)}: {REMEDY}")


def _of_no_column(grid: Any) -> bool:
    """Tell whether a grid is the same for all columns."""
    lattice = grid.get("lattice") if isinstance(grid, dict) else None
    if isinstance(lattice, dict):
        return lattice.get("kind") in ("integer", "digits", "ordered", "log")
    return isinstance(grid, dict) and isinstance(grid.get("step"), float | int) and isinstance(grid.get("offset"), float | int)


def _kind(bound: Bound) -> str:
    value = bound.to_json()
    return str(value["kind"]).replace("_", "-") + (" per feature" if value.get("per_feature") else "")
