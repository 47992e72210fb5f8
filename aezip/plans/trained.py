"""A trained plan apart from any array: what a model file holds, and whether it suits an array. Knows nothing of files.

    header: plan, grid, bound, type, features -> streams: model (decoder, integers), encoder (integers)

The encoder's weights are int16 times a power of two for each output: it needs no exactness, codes are stored as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import Statistics, parse_dtype
from aezip.array.bounds import Bound, Lossless, Tolerance, bound_from_json, violations
from aezip.core.errors import CorruptFile, ModelMismatch
from aezip.core.fixed import FRACTION_BITS
from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import Cursor, Model, Sizes, split_bytes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.context.plan import ContextModel, ContextPlan
from aezip.quantize.choose_grids import grids_for
from aezip.quantize.grid import Grid, HiddenGrid, LinearGrid, linear_grid
from aezip.search.sample import Choice

MOST_UNITS = 1 << 14  # hidden units of an encoder
LOOKED_AT = 1 << 20  # values on which a lattice is tried
MISSED = 1e-3  # part of them that it may miss: those are stored exactly
NEAR = 2.0  # factor by which steps may differ from those an autoencoder was trained for
FINER = 0.5  # a model's step is used as it is if it is at least so much of the step that the bound allows
REMEDY = "train a model for such arrays, or compress without -m"


@dataclass(frozen=True)
class Trained:
    """A plan with its networks.

    Parameters
    ----------
    header
        As in the file: `docs/format.md`.
    encoder
        None where the plan has no codes.
    """

    header: dict[str, Any]
    plan: NetworkPlan | ContextPlan
    grid: Grid
    model: Model | ContextModel
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
        if not shape or len(shape) != len(features) + 1 or shape[1:] != features:
            raise ModelMismatch(
                f"the model is for arrays of shape (n{''.join(f', {n}' for n in features)}), the array has {shape}: {REMEDY}"
            )
        if dtype.newbyteorder("=") != wanted.newbyteorder("="):
            raise ModelMismatch(f"the model is for {wanted.name}, the array is {dtype.name}: {REMEDY}")
        asked = Lossless() if lossless_only else bound
        if _kind(asked) != _kind(self.bound):
            raise ModelMismatch(f"the model is for the bound {_kind(self.bound)}, asked is {_kind(asked)}: {REMEDY}")

    def choice(
        self, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float
    ) -> Choice:
        """Return the plan for plain values, with a grid that keeps to the tolerance.

        Raises
        ------
        ModelMismatch
            If there is none on which the networks make sense.
        """
        own = self.grid
        if isinstance(own, LinearGrid):
            grid: Grid = self._steps(own, values, statistics, tolerance, shrink)
        elif self._reaches(own, values, statistics, tolerance):
            grid = own
        else:
            _, wholes = grids_for(values, statistics, tolerance, shrink)
            lattices = [g for g in wholes if isinstance(g, HiddenGrid) and g.lattice.kind == own.lattice.kind]
            if not lattices:
                raise ModelMismatch(f"the lattice of the values is not that of the model: {REMEDY}")
            grid = lattices[0]
        return Choice(self.plan, grid, 0.0, self.model, self.model_bytes, self.encoder)

    def _steps(
        self, own: LinearGrid, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance, shrink: float
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
        if own.whole and (ratio > 1.0).any() and self._reaches(own, values, statistics, tolerance):
            return own  # the steps of the data itself, wider than the bound asks for
        if (ratio <= 1.0).all() and (ratio >= FINER).all():
            return own
        scaled = isinstance(self.plan, ContextPlan) and self.plan.base is None
        if not scaled and ((ratio > NEAR).any() or (ratio < 1.0 / NEAR).any()):
            raise ModelMismatch(
                f"the model's steps are {float(np.median(ratio)):.3g} times as wide as this bound allows on this array: "
                "give the bound with --abs as in training, or train a model for it"
            )
        step = np.minimum(own.step, fine.step) if scaled is False else fine.step
        return LinearGrid(np.asarray(step), np.broadcast_to(own.offset, step.shape).copy(), own.whole)

    @staticmethod
    def _reaches(own: Grid, values: npt.NDArray[Any], statistics: Statistics, tolerance: Tolerance) -> bool:
        """Tell whether a whole grid gives nearly all values back within the tolerance."""
        if isinstance(own, HiddenGrid) and getattr(own.lattice, "axis", None) == 0:
            return False  # it belongs to the outer indices of the training data
        rows = max(1, LOOKED_AT // max(1, values.size // values.shape[0]))
        x = np.ascontiguousarray(values[:: max(1, values.shape[0] // rows)], values.dtype.newbyteorder("="))
        masked = statistics.specials.classify(x) != 0
        wrong = violations(x, own.values(own.integers(x), x.dtype), tolerance, masked)
        return float(wrong.mean()) <= MISSED


def _kind(bound: Bound) -> str:
    value = bound.to_json()
    return str(value["kind"]).replace("_", "-") + (" per feature" if value.get("per_feature") else "")


def encoder_to_bytes(encoder: FloatEncoder) -> bytes:
    """Serialize an encoder: weights and biases as integers; see `docs/format.md`."""
    parts = []
    for weight, bias in zip([*encoder.weights, encoder.skip], [*encoder.biases, None], strict=True):
        peak = np.maximum(np.abs(weight).max(axis=0, initial=0.0), 2.0**-60)
        exponent = np.floor(np.log2(32767.0 / peak)).clip(-100, 100).astype(np.int64)
        whole = np.rint(np.ldexp(weight, exponent)).astype(np.int16)
        parts += [exponent.astype(np.int8).tobytes(), split_bytes(whole.reshape(-1))]
        if bias is not None:
            wide = np.rint(np.ldexp(bias.astype(np.float64), 16)).clip(-(2**62), 2**62)
            parts.append(split_bytes(wide.astype(np.int64)))
    parts.append(np.rint(np.log2(encoder.spread)).astype(np.int8).tobytes())
    parts.append(split_bytes(np.rint(encoder.centre * 2.0**FRACTION_BITS).clip(-(2**62), 2**62).astype(np.int64)))
    return b"".join(parts)


def encoder_from_bytes(data: bytes, about: Any, sizes: Sizes) -> FloatEncoder:
    """Read an encoder.

    Parameters
    ----------
    about
        `encoder` in the header: `hidden`, `logistic`, `winners`.

    Raises
    ------
    CorruptFile
        If the bytes do not fit.
    """
    damaged = CorruptFile("the encoder of the model is malformed: the file is damaged, get another copy")
    features, width = sizes.features, sizes.width
    try:
        hidden, logistic, kept = about["hidden"], about["logistic"], about["winners"]
    except (KeyError, TypeError) as error:
        raise damaged from error
    good = type(hidden) is int and type(kept) is int and isinstance(logistic, bool)
    if not good or not 1 <= hidden <= MOST_UNITS or not 0 <= kept <= width:
        raise damaged
    cursor = Cursor(data)
    weights, biases = [], []
    seen = features * sizes.near
    for inputs, outputs, biased in ((seen, hidden, 1), (hidden, hidden, 1), (hidden, width, 1), (seen, width, 0)):
        exponent = cursor.int8(outputs).astype(np.int64)
        whole = cursor.wide(inputs * outputs, "<i2").reshape(inputs, outputs).astype(np.float64)
        weights.append(np.ldexp(whole, -exponent).astype(np.float32))
        if biased:
            biases.append(np.ldexp(cursor.wide(outputs, "<i8").astype(np.float64), -16).astype(np.float32))
    spread = np.exp2(cursor.int8(features).astype(np.float64)).astype(np.float32)
    centre = cursor.wide(features, "<i8").astype(np.float64) * 2.0**-FRACTION_BITS
    if cursor.at != len(data):
        raise CorruptFile("the encoder of the model has bytes left over: the file is damaged, get another copy")
    return FloatEncoder(weights[:3], biases, weights[3], centre, spread, logistic, kept)
