"""The encoder half as NumPy: rows to codes. It needs no exactness, for codes are stored as they are.

In a model file its weights are int16 times a power of two for each output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import FRACTION_BITS
from aezip.core.planes import Cursor, split_bytes
from aezip.core.types import Float32, Float64

from .networks import Sizes

Floating = npt.NDArray[np.floating]
Near = Callable[[int, int], npt.NDArray[np.int64]]
TILE = 1 << 18


def _gelu(value: Floating) -> Floating:
    """Gaussian error linear unit, tanh form: Hendrycks & Gimpel, arXiv:1606.08415."""
    inner = np.float32(0.7978845608) * (value + np.float32(0.044715) * value * value * value)
    out: Floating = (np.float32(0.5) * value * (np.float32(1) + np.tanh(inner))).astype(value.dtype, copy=False)
    return out


def _logistic(value: Floating) -> Floating:
    out: Floating = (np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * value))).astype(value.dtype, copy=False)
    return out


@dataclass(frozen=True)
class FloatEncoder:
    """Two hidden layers and a linear skip.

    Parameters
    ----------
    weights, biases
        float32, of the three layers: (inputs, h), (h, h), (h, width); inputs are the features, of a convolution those of
        several rows.
    skip
        float32, shape (inputs, width).
    centre
        float64, shape (features,), in steps: subtracted before anything is float32.
    spread
        float32, shape (features,), in steps.
    logistic
        The hidden units are logistic instead of GELU.
    winners
        So many latents of a row are kept, those of largest magnitude; 0: all.
    """

    weights: list[Float32]
    biases: list[Float32]
    skip: Float32
    centre: Float64
    spread: Float32
    logistic: bool = False
    winners: int = 0

    def codes(
        self, target: Float64, ignore: npt.NDArray[np.bool_] | None = None, near: Near | None = None
    ) -> npt.NDArray[np.int32]:
        """Return the codes, int32, shape (rows, width), of rows in steps, shape (rows, features); see `latents`."""
        return np.asarray(np.rint(self.latents(target, ignore, near)).clip(-(2**20), 2**20).astype(np.int32))

    def latents(self, target: Float64, ignore: npt.NDArray[np.bool_] | None = None, near: Near | None = None) -> Float32:
        """Return what the codes are rounded from, float32, shape (rows, width).

        Parameters
        ----------
        target, ignore
            Rows in steps and what is left out of them, (rows, features).
        near
            For a convolution: from first row and last, the rows that the encoder sees for each, (rows, neighbours).
        """
        out = np.empty((len(target), self.skip.shape[1]), np.float32)
        tile = max(1, TILE // max(1, len(self.skip)))
        for at in range(0, len(target), tile):
            index: Any = slice(at, at + tile) if near is None else near(at, at + tile)
            part = (target[index] - self.centre).astype(np.float32)
            if ignore is not None:
                part[ignore[index]] = 0
            part /= self.spread
            out[at : at + tile] = self.forward(part.reshape(len(part), -1))
        return out

    def forward(self, rows: Floating) -> Floating:
        """Return the latents, shape (rows, width), of normalized rows, shape (rows, inputs), in their precision."""
        activate = _logistic if self.logistic else _gelu
        hidden = activate(rows @ self.weights[0] + self.biases[0])
        hidden = activate(hidden @ self.weights[1] + self.biases[1])
        out: Floating = hidden @ self.weights[2] + self.biases[2] + rows @ self.skip
        if self.winners:
            losers = np.argpartition(np.abs(out), -self.winners, axis=1)[:, : -self.winners]
            np.put_along_axis(out, losers, 0, axis=1)
        return out


MOST_UNITS = 1 << 14  # hidden units of an encoder


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
        with np.errstate(over="ignore"):
            weights.append(np.ldexp(whole, -exponent).astype(np.float32))
        if not np.isfinite(weights[-1]).all():
            raise damaged
        if biased:
            biases.append(np.ldexp(cursor.wide(outputs, "<i8").astype(np.float64), -16).astype(np.float32))
    spread = np.exp2(cursor.int8(features).astype(np.float64)).astype(np.float32)
    centre = cursor.wide(features, "<i8").astype(np.float64) * 2.0**-FRACTION_BITS
    if cursor.at != len(data):
        raise CorruptFile("the encoder of the model has bytes left over: the file is damaged, get another copy")
    return FloatEncoder(weights[:3], biases, weights[3], centre, spread, logistic, kept)
