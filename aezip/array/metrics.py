"""How far decoded values are from the originals: maximum, RMSE, NRMSE, PSNR and relative error.

Counts what it is given, chunk by chunk; knows nothing of bounds, files or how the values were coded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.fixed import LARGEST_FLOAT

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BLOCK = 1 << 16  # values per step: the temporaries stay in cache


@dataclass(frozen=True)
class Metrics:
    """The achieved errors over the finite, unmasked values.

    Attributes
    ----------
    max_abs_error : float
        Largest ``abs(x - y)``, unit of the data.
    rmse : float
        Root of the mean squared error, unit of the data.
    nrmse : float
        `rmse` divided by the value range; 0 where both are 0.
    psnr : float
        ``20 log10(range) - 10 log10(mse)``, dB; infinite if there is no error.
    max_rel_error : float
        Largest ``abs(x - y) / abs(x)``; infinite if a zero did not stay zero.
    count : int
        Values that were compared.
    """

    max_abs_error: float
    rmse: float
    nrmse: float
    psnr: float
    max_rel_error: float
    count: int

    def to_json(self) -> dict[str, float | int | None]:
        """Return the metrics as a JSON object; what is not finite becomes None."""
        return {name: value if math.isfinite(value) else None for name, value in vars(self).items()}


class Accumulator:
    """Collects errors chunk by chunk; the result depends only on the chunks and their order."""

    def __init__(self) -> None:
        self._count = 0
        self._minimum: float | int = math.inf
        self._maximum: float | int = -math.inf
        self._max_error = 0.0
        self._max_relative = 0.0
        self._rmse = 0.0  # of the values so far: the sum of squares could overflow

    def update(self, original: NDArray[Any], decoded: NDArray[Any], exact_mask: NDArray[np.bool_] | None = None) -> None:
        """Take in one chunk.

        Parameters
        ----------
        original, decoded : ndarray
            Same shape and type (f2 f4 f8, i1 to i8, u1 to u8), any strides and byte order.
        exact_mask : ndarray of bool, optional
            Same shape: values to leave out, such as fill values.  Non-finite originals are left out in any case.
        """
        if original.shape != decoded.shape:
            raise ValueError(f"shapes differ: {original.shape} and {decoded.shape}")
        x, y = np.atleast_1d(original), np.atleast_1d(decoded)
        mask = None if exact_mask is None else np.atleast_1d(exact_mask)
        step = max(1, _BLOCK // max(1, x.size // max(1, x.shape[0])))
        for start in range(0, x.shape[0], step):
            part = slice(start, start + step)
            self._block(x[part], y[part], None if mask is None else mask[part])

    def _block(self, x: NDArray[Any], y: NDArray[Any], mask: NDArray[np.bool_] | None) -> None:
        if mask is not None and mask.any():
            x, y = x[~mask], y[~mask]
        if x.dtype.kind == "f":
            finite = np.isfinite(x)
            if not finite.all():
                x, y = x[finite], y[finite]
        if not x.size:
            return
        before, self._count = self._count, self._count + x.size
        self._rmse *= math.sqrt(before / self._count)
        self._minimum = min(self._minimum, x.min().item())
        self._maximum = max(self._maximum, x.max().item())
        error = difference(x, y)
        largest = float(error.max())
        if largest > 0.0 or math.isnan(largest):
            self._errors(x, error, largest)

    def _errors(self, x: NDArray[Any], error: NDArray[np.float64], largest: float) -> None:
        """Take in one block that has errors; a decoded NaN counts as an infinite error."""
        if not math.isfinite(largest):
            self._max_error = self._rmse = self._max_relative = math.inf
            return
        self._max_error = max(self._max_error, largest)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore", under="ignore"):
            relative = error / np.abs(x.astype(np.float64))
            self._max_relative = max(self._max_relative, float(np.fmax.reduce(relative, axis=None)))  # 0/0: no error
            scaled = (error / largest).reshape(-1)
            part = largest * math.sqrt(float(np.sum(scaled * scaled)) / self._count)
            self._rmse = math.hypot(self._rmse, part)

    def merge(self, other: Accumulator) -> None:
        """Take in what another accumulator has collected; merge in one order to get one result."""
        if not other._count:
            return
        before, self._count = self._count, self._count + other._count
        self._rmse = math.hypot(self._rmse * math.sqrt(before / self._count), other._rmse * math.sqrt(other._count / self._count))
        self._minimum = min(self._minimum, other._minimum)
        self._maximum = max(self._maximum, other._maximum)
        self._max_error = max(self._max_error, other._max_error)
        self._max_relative = max(self._max_relative, other._max_relative)

    def result(self) -> Metrics:
        """Return the errors so far; of no values at all: no error."""
        if not self._count:
            return Metrics(0.0, 0.0, 0.0, math.inf, 0.0, 0)
        spread = _spread(self._minimum, self._maximum)
        rmse = self._rmse
        if rmse == 0.0:
            return Metrics(self._max_error, 0.0, 0.0, math.inf, self._max_relative, self._count)
        nrmse = rmse / spread if spread else math.inf
        psnr = 20.0 * (math.log10(spread) - math.log10(rmse)) if spread and math.isfinite(rmse) else -math.inf
        return Metrics(self._max_error, rmse, nrmse, psnr, self._max_relative, self._count)


def _spread(minimum: float, maximum: float) -> float:
    """Return the value range; one that overflows is taken as the largest float."""
    return min(float(maximum - minimum), LARGEST_FLOAT)


def difference(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``abs(x - y)`` as float64; differences of 64-bit integers are formed exactly before."""
    if x.dtype.kind != "f" and x.dtype.itemsize == 8:
        x, y = (part.astype(part.dtype.newbyteorder("="), copy=False) for part in (x, y))
        whole = np.maximum(x, y).view(np.uint64) - np.minimum(x, y).view(np.uint64)
        return np.asarray(whole, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        error: NDArray[np.float64] = np.subtract(x, y, dtype=np.float64)
        np.abs(error, out=error)
    return error
