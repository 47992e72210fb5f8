"""Lattices for point-relative bounds: equal steps of a piecewise-linear logarithm, and their counterpart for integers.

The logarithm of base 2 is replaced by straight lines between 1024 points an octave; the points come from square roots
and products alone, which IEEE fixes to the last bit.  Knows nothing of the data but its smallest magnitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .lattice import LARGEST, Lattice

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Integers64 = NDArray[np.int64]

_SEGMENTS = 1024
_BLOCK = 1 << 15
_LINEAR_RUNS = 32  # integer lattices grow their spacing by 2 this many times before they turn logarithmic


@lru_cache(maxsize=1)
def _points() -> NDArray[np.float64]:
    """Return 2**(s / 1024) for s = 0..1024, from correctly rounded square roots and products only."""
    roots = [2.0]
    while len(roots) <= 10:
        roots.append(math.sqrt(roots[-1]))
    points = np.ones(_SEGMENTS + 1)
    for bit, root in enumerate(reversed(roots)):
        points[(np.arange(_SEGMENTS + 1) >> bit) & 1 == 1] *= root
    points.setflags(write=False)
    return points


def _power_of_two(exponent: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 2**exponent for -1022..1023 by its bits."""
    return ((exponent + 1023) << 52).view(np.float64)


@dataclass(frozen=True)
class Logarithm(Lattice):
    """``abs(x)`` on equal steps of the logarithm, 0 for 0, the sign kept.

    Attributes
    ----------
    steps : int
        Steps in `octaves` octaves.
    octaves : int
        1 or 64.
    base : int
        Step just below the smallest magnitude: integers are counted from it.
    """

    kind: ClassVar[str] = "log"
    steps: int
    octaves: int
    base: int

    def _place(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Return the step (whole float) nearest to the logarithm of positive finite float64 values."""
        points = _points()
        mantissa, exponent = np.frexp(values)
        mantissa *= 2.0
        octave = exponent.astype(np.float64) - 1.0
        segment = np.clip(np.floor(np.log2(mantissa) * _SEGMENTS), 0, _SEGMENTS - 1).astype(np.int64)
        low = points[segment]
        fraction = (segment + (mantissa - low) / (points[segment + 1] - low)) / _SEGMENTS
        # Whole periods first: they are exact, and the rest keeps all its digits.
        period = np.floor(octave / self.octaves)
        rest = (octave - period * self.octaves + fraction) * (self.steps / self.octaves)
        place: NDArray[np.float64] = period * float(self.steps) + np.rint(rest)
        return place

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the nearest lattice integers; 0 for values that are not finite."""
        flat = np.ascontiguousarray(values).reshape(-1)
        integers = np.empty(flat.size, dtype=np.int64)
        for first in range(0, flat.size, _BLOCK):
            with np.errstate(invalid="ignore"):  # signalling NaNs
                part = flat[first : first + _BLOCK].astype(np.float64)
            size = np.abs(part)
            nothing = ~(np.isfinite(size) & (size > 0.0))
            if nothing.any():
                size[nothing] = 1.0
            place = np.maximum(self._place(size) - float(self.base), 1.0)
            np.copysign(place, part, out=place)
            place[nothing] = 0.0
            integers[first : first + _BLOCK] = place
        return integers.reshape(values.shape)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values of a floating-point type, cut to its finite range."""
        kind = np.dtype(dtype)
        flat = np.ascontiguousarray(integers).reshape(-1)
        values = np.empty(flat.size, dtype=kind)
        largest = float(np.finfo(kind).max)
        points = _points()
        for first in range(0, flat.size, _BLOCK):
            part = flat[first : first + _BLOCK]
            place = np.minimum(np.abs(part.astype(np.float64)), LARGEST) + float(self.base)
            period = np.floor(place / self.steps)
            rest = place - period * float(self.steps)
            # The division may have been rounded up to the next whole number.
            below = rest < 0.0
            period -= below
            rest += below * float(self.steps)
            line = rest * float(self.octaves) / self.steps
            octave = np.floor(line)
            line = (line - octave) * _SEGMENTS
            segment = line.astype(np.int64)
            low = points[segment]
            size = low + (line - segment) * (points[np.minimum(segment + 1, _SEGMENTS)] - low)
            exponent = np.clip(period * self.octaves + octave, -2040.0, 1024.0).astype(np.int64)
            half = exponent >> 1
            with np.errstate(over="ignore", under="ignore"):
                size *= _power_of_two(half)
                size *= _power_of_two(exponent - half)
            np.minimum(size, largest, out=size)
            np.copysign(size, part, out=size)
            size[part == 0] = 0.0
            with np.errstate(under="ignore"):
                values[first : first + _BLOCK] = size
        return values.reshape(integers.shape)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "steps": self.steps, "octaves": self.octaves, "base": self.base}


def float_logarithm(relative: float, smallest: float, dtype: DTypeLike) -> Logarithm | None:
    """Return the coarsest logarithm that keeps a relative bound after the cast, or None if the type is too coarse.

    Parameters
    ----------
    relative : float
        Bound on ``abs(x - y) / abs(x)``; taken as 1/2 where larger.
    smallest : float
        Smallest non-zero magnitude of the data.
    dtype : dtype
        Floating-point type of the data.
    """
    epsilon = float(np.finfo(np.dtype(dtype)).eps)
    bound = min(relative, 0.5) - epsilon * 0.5001 - 1e-15
    if bound < epsilon or bound < 1e-12:
        return None
    # The steepest line of all sets the step; against the true logarithm that costs 0.04 %.
    octave = _SEGMENTS * math.expm1(math.log(2.0) / _SEGMENTS) / (2.0 * math.log1p(bound)) * (1.0 + 1e-9)
    octaves = 64 if bound > 1e-5 else 1
    lattice = Logarithm(math.ceil(octave * octaves), octaves, 0)
    first = int(lattice._place(np.array([max(abs(smallest), 5e-324)]))[0])
    return Logarithm(lattice.steps, octaves, first - 1)


@dataclass(frozen=True)
class Staircase(Lattice):
    """Integers under a relative bound: spacing 1, then 3, 5, ... where the bound allows, in the end logarithmic.

    Attributes
    ----------
    starts : tuple of int
        First magnitude of every run of equal spacing 1, 3, 5, ...; the first is 0.
    tail : Logarithm
        For magnitudes from the last start on.
    """

    kind: ClassVar[str] = "staircase"
    starts: tuple[int, ...]
    tail: Logarithm

    @cached_property
    def _tables(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """First magnitude of every run, and the number of points before it."""
        starts = np.array(self.starts, dtype=np.float64)
        spacing = 2.0 * np.arange(starts.size - 1) + 1.0
        counts = np.concatenate([[0.0], np.cumsum(np.floor((np.diff(starts) - 1.0) / spacing) + 1.0)])
        return starts, counts

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the integers of nearest points."""
        starts, counts = self._tables
        signed = values.astype(np.float64)
        size = np.abs(signed)
        run = np.searchsorted(starts, size, side="right") - 1
        # A point stands in the middle of its 2 * run + 1 values.
        place = counts[run] + np.floor((size - starts[run]) / (2.0 * run + 1.0))
        far = run == starts.size - 1
        if far.any():
            place[far] = counts[-1] + np.maximum(self.tail.to_integers(size[far]) - 1, 0)
        return np.copysign(place, signed).astype(np.int64)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values, cut to the range of the type."""
        kind = np.dtype(dtype)
        starts, counts = self._tables
        place = np.minimum(np.abs(integers.astype(np.float64)), LARGEST)
        run = np.searchsorted(counts, place, side="right") - 1
        size = starts[run] + (place - counts[run]) * (2.0 * run + 1.0) + run
        # The last point of a run must not reach into the next.
        size = np.minimum(size, np.append(starts[1:], np.inf)[run] - 1.0)
        far = run == starts.size - 1
        if far.any():
            beyond = self.tail.from_integers((place[far] - counts[-1]).astype(np.int64) + 1, np.float64)
            size[far] = np.maximum(np.rint(beyond), starts[-1])
        limits = np.iinfo(kind)
        # The largest floats that the type can hold: 2**63 - 1 itself is none.
        high = float(limits.max) if kind.itemsize < 8 else float(limits.max - (limits.max >> 53))
        return np.clip(np.copysign(size, integers), float(limits.min), high).astype(kind)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "starts": list(self.starts), "tail": self.tail.to_json()}


def integer_staircase(relative: float) -> Staircase | None:
    """Return the lattice that keeps a relative bound on integers, or None if it is too tight to gain anything."""
    bound = min(relative, 0.5)
    if bound < 1e-11:
        return None
    # Run j begins where the bound first allows an error of j everywhere from there on.
    starts = [0]
    for error in range(1, _LINEAR_RUNS + 1):
        first = math.ceil(error / bound)
        starts.append(first if bound * first >= error else first + 1)
    # Rounding to whole numbers takes half a unit of what is allowed.
    tail = float_logarithm(bound - 0.51 / starts[-1], starts[-1], np.float64)
    return None if tail is None else Staircase(tuple(starts), tail)
