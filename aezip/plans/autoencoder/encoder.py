"""The encoder half as NumPy: rows to codes. It needs no exactness, for codes are stored as they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.types import Float32, Float64

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

    def latents(
        self, target: Float64, ignore: npt.NDArray[np.bool_] | None = None, near: Near | None = None
    ) -> Float32:
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
