"""Which number stands for a value: the linear grid of a lossy bound, or the hidden lattice of lossless data.

A *fine* grid codes x as mean + q steps, wherever the mean lies (in 1/64 step): nothing is lost when the mean is
within the bound. A *whole* grid codes the integer k that stands for x. All arithmetic that decoding needs is one
rounding each of float64 products and sums, the same on every machine. Knows nothing of networks or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.bounds import Tolerance
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FRACTION_BITS
from aezip.core.types import Float64, Int64

from .lattice import Lattice
from .registry import lattice_from_json

MARGIN = 1.0 - 2.0**-40
DIGITS = 6  # of a step: what rounding down takes is no bit of any value
MIN_ULPS = 4.0  # a bound below so many units in the last place is met losslessly


@dataclass(frozen=True)
class LinearGrid:
    """Values offset + k * step.

    Parameters
    ----------
    step, offset
        float64, shape () or (columns,), in units of the data.
    whole
        k is a whole number; else a multiple of 1/64.
    """

    step: Float64
    offset: Float64
    whole: bool

    def at(self, start: int) -> LinearGrid:
        """Return itself: the grid is the same for every chunk."""
        return self

    def coordinates(self, x: npt.NDArray[Any]) -> Float64:
        """Return values in steps, float64, same shape."""
        with np.errstate(all="ignore"):
            return np.asarray((x.astype(np.float64) - self.offset) / self.step)

    def integers(self, x: npt.NDArray[Any]) -> Int64:
        """Return the nearest whole numbers of steps; what is not finite becomes anything."""
        with np.errstate(all="ignore"):
            rounded = np.rint(self.coordinates(x))
            return np.nan_to_num(rounded, nan=0.0).clip(-(2.0**60), 2.0**60).astype(np.int64)

    def values(self, k: Int64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the values of `k` (whole steps, or 1/64 steps), cast to `dtype`."""
        unit = self.step if self.whole else self.step * 2.0**-FRACTION_BITS
        with np.errstate(all="ignore"):
            value = k * unit
            value += self.offset
            if dtype.kind == "f":
                return value.astype(dtype)
            return cast_integers(np.rint(value, out=value), np.iinfo(dtype), dtype)

    def to_json(self) -> dict[str, Any]:
        """Return the grid; arrays by column are lists."""
        return {
            "kind": "linear",
            "whole": self.whole,
            "step": self.step.tolist(),
            "offset": self.offset.tolist(),
        }


def cast_integers(value: Float64, info: np.iinfo[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Cast whole float64 values to an integer type, saturating; float64 cannot hold the largest int64."""
    if dtype.itemsize < 8:
        return np.clip(value, float(info.min), float(info.max), out=value).astype(dtype)
    top = 2.0**64 if dtype.kind == "u" else 2.0**63
    inside = (value >= float(info.min)) & (value < top)
    out = np.where(inside, value, 0.0).astype(dtype)
    out[value >= top] = info.max
    out[value < float(info.min)] = info.min
    return out


@dataclass(frozen=True)
class HiddenGrid:
    """Data whose values stand for integers of a lattice: lossless, or point-relative.

    Parameters
    ----------
    lattice
        Maps values to integers and back.
    start
        Outer index of the first row of the chunk at hand: some lattices differ by outer index.
    """

    lattice: Lattice
    start: int = 0
    whole: bool = True

    def at(self, start: int) -> HiddenGrid:
        """Return the grid for a chunk that begins at outer index `start`."""
        return HiddenGrid(self.lattice, start)

    def integers(self, x: npt.NDArray[Any]) -> Int64:
        """Return the integers that stand for values, int64, same shape."""
        return self.lattice.to_integers(x, self.start)

    def coordinates(self, x: npt.NDArray[Any]) -> Float64:
        """Return the integers as float64."""
        return self.integers(x).astype(np.float64)

    def values(self, k: Int64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the values that integers stand for."""
        return self.lattice.from_integers(k, dtype, self.start)

    def to_json(self) -> dict[str, Any]:
        """Return the grid."""
        return {"kind": "hidden", "lattice": self.lattice.to_json()}


Grid = LinearGrid | HiddenGrid


def _short(values: Float64, steps: Float64 | None = None) -> Float64:
    """Return values of `DIGITS` decimal digits, or of as many as tell `steps` apart: a header keeps them as text."""
    with np.errstate(all="ignore"):
        digits = np.full(values.shape, DIGITS) if steps is None else 1 + np.ceil(np.log10(np.abs(values) / steps))
    count = np.nan_to_num(digits).clip(1, 17).astype(int).reshape(-1).tolist()
    short = [float(f"{value:.{n}g}") for value, n in zip(values.reshape(-1).tolist(), count, strict=True)]
    return np.array(short, np.float64).reshape(values.shape)


def grid_from_json(value: Any, shape: tuple[int, ...]) -> Grid:
    """Read a grid for arrays of `shape`.

    Raises
    ------
    CorruptFile
        If it is malformed.
    """
    try:
        if value["kind"] == "hidden":
            return HiddenGrid(lattice_from_json(value["lattice"]))
        step = np.array(value["step"], np.float64)
        offset = np.array(value["offset"], np.float64)
        whole = value["whole"]
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptFile("the grid in the header is malformed: the file is damaged") from error
    good = step.shape == shape[len(shape) - step.ndim :] and offset.shape == step.shape and isinstance(whole, bool)
    if not good or value["kind"] != "linear" or not np.isfinite(step).all() or not np.isfinite(offset).all():
        raise CorruptFile("the grid in the header is malformed: the file is damaged")
    return LinearGrid(step, offset, whole)


def linear_grid(
    tolerance: Tolerance, minimum: Float64, maximum: Float64, dtype: np.dtype[Any], shrink: float
) -> LinearGrid | None:
    """Return the fine grid for a lossy bound, or None where the bound is too tight for one.

    Parameters
    ----------
    tolerance
        Of kind absolute or psnr.
    minimum, maximum
        float64, shape () or (columns,), of the ordinary values.
    shrink
        Factor of the step for a PSNR.
    """
    bound = np.broadcast_to(tolerance.absolute, minimum.shape).astype(np.float64)
    if tolerance.kind == "psnr":
        bound = np.full(minimum.shape, shrink * np.sqrt(3.0 * tolerance.mse))
    constant = maximum <= minimum
    with np.errstate(over="ignore"):
        if not np.isfinite(maximum - minimum).all():
            return None
    top = np.maximum(np.abs(minimum), np.abs(maximum))
    if dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):
            ulp = np.nan_to_num(np.spacing(top.astype(dtype)).astype(np.float64), nan=1e300, posinf=1e300)
        # the cast to the output type may move a value by half an ulp
        with np.errstate(over="ignore"):  # bounds near the largest float
            step = 2.0 * (bound - 0.5 * ulp - 1e-15 * top) * MARGIN
        tight = (bound < MIN_ULPS * ulp) & ~constant
    else:
        # whole numbers: 2 floor(bound) + 1 of them share one representative
        with np.errstate(over="ignore"):
            step = (2.0 * np.floor(bound) + 1.0) * MARGIN
        tight = ((bound < 1.0) | (np.spacing(top) > bound)) & ~constant  # float64 may not tell whole numbers apart
    if not np.isfinite(step).all() or tight.mean() > 0.5:
        return None
    step = np.where(constant | (step <= 0), np.maximum(ulp if dtype.kind == "f" else 1.0, 2.0**-1000), step)
    offset = np.where(constant, minimum, 0.5 * minimum + 0.5 * maximum)
    if ((maximum - minimum) / step > 2.0**46).any():
        return None
    if dtype.kind == "f":
        wide = maximum - minimum > 2.0 * step  # all values within a step of the middle stay there
        step = np.where(constant, step, _short(step * (1.0 - 5.0 * 10.0**-DIGITS)))
        offset = np.where(wide, _short(offset, step / 64.0), offset)
    return LinearGrid(np.asarray(step, np.float64), np.asarray(offset, np.float64), False)
