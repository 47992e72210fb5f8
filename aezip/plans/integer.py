"""Integer layers, and rounding float layers to them: exact on every machine.

Integers are held in float32 (or float64) arrays and multiplied with GEMM. The result does not depend on the order of summation
as long as no partial sum can leave the range in which the format represents every integer; `Linear.check` proves that from the
weights, and float64 is taken where float32 does not reach. Everything else is one rounding of one exact value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import FLAG_BINS
from aezip.core.types import Int8, Int32

EXACT32 = 1 << 24
EXACT64 = 1 << 53
MAX_EXPONENT = 60

Float = npt.NDArray[np.floating]


@dataclass(frozen=True)
class IntegerLayer:
    """An integer layer: (weight @ input + bias) * 2**-exponent.

    Parameters
    ----------
    weight
        int8, shape (outputs, inputs).
    exponent
        int8, shape (outputs,).
    bias
        int32, shape (outputs,), in units of the products.
    """

    weight: Int8
    exponent: Int8
    bias: Int32

    def check(self, input_top: npt.NDArray[np.int64]) -> bool:
        """Tell whether float32 holds every partial sum, given the largest absolute inputs.

        Raises
        ------
        CorruptFile
            If not even float64 does, or an exponent is out of range.
        """
        if (np.abs(self.exponent.astype(np.int64)) > MAX_EXPONENT).any():
            raise CorruptFile("a layer's exponent is out of range: the model is damaged")
        weight = np.abs(self.weight.astype(np.int64))
        worst = int((weight @ input_top + np.abs(self.bias.astype(np.int64))).max(initial=0))
        if worst >= EXACT64:
            raise CorruptFile("a layer leaves the exact range: the model is damaged")
        reach = np.ldexp(float(worst), -self.exponent.astype(np.int64))
        if (reach >= 2.0**61).any():  # the sum of mean and skip must fit an int64
            raise CorruptFile("a layer's output is out of range: the model is damaged")
        return worst < EXACT32


class ReadyLayer:
    """A layer as float arrays."""

    def __init__(self, layer: IntegerLayer, input_top: npt.NDArray[np.int64]) -> None:
        kind = np.float32 if layer.check(input_top) else np.float64
        self.weight = np.ascontiguousarray(layer.weight.T.astype(kind))  # (inputs, outputs)
        self.bias = layer.bias.astype(kind)
        self.factor = np.ldexp(1.0, -layer.exponent.astype(np.int64)).astype(kind)

    def __call__(self, value: Float) -> Float:
        """Return the outputs of rows of inputs."""
        out = value.astype(self.weight.dtype, copy=False) @ self.weight
        out += self.bias
        out *= self.factor
        return out

    @property
    def empty(self) -> bool:
        """Whether all weights are zero."""
        return not self.weight.any()


def odds_to_bins(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return log-odds in nats as bins, not yet rounded: half a nat each, FLAG_BINS / 2 is even."""
    return np.asarray(2.0 * odds + FLAG_BINS / 2)


def quantize_odds(weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], input_exponent: int) -> IntegerLayer:
    """Round a float layer that gives log-odds, in nats, to an integer one that gives their bins; see `quantize_rows`."""
    return quantize_rows(weight * 2.0, odds_to_bins(bias), input_exponent, 0)


def quantize_rows(
    weight: npt.NDArray[np.float64], bias: npt.NDArray[np.float64], input_exponent: int, output_exponent: int
) -> IntegerLayer:
    """Round a float layer to an integer one.

    Parameters
    ----------
    weight, bias
        float64, shapes (outputs, inputs) and (outputs,), in real units.
    input_exponent, output_exponent
        An input or output integer stands for itself times 2**-exponent.
    """
    peak = np.maximum(np.abs(weight).max(axis=1, initial=0.0), 2.0**-40)
    exponent = np.floor(np.log2(127.0 / peak)).astype(np.int64)
    rounded = np.rint(np.ldexp(weight, exponent[:, None])).clip(-127, 127)
    bias_unit = np.rint(np.ldexp(bias, exponent + input_exponent))
    limit = float(2**31 - 1)
    shift = exponent + input_exponent - output_exponent
    if (np.abs(shift) > MAX_EXPONENT).any():
        shift = shift.clip(-MAX_EXPONENT, MAX_EXPONENT)
    return IntegerLayer(rounded.astype(np.int8), shift.astype(np.int8), bias_unit.clip(-limit, limit).astype(np.int32))
