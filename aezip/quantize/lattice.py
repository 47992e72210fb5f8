"""The forms a lattice can take: exact rules between stored values and the integers that stand for them.

Everything is elementwise IEEE float64 or int64 arithmetic (+ - * / rint floor, casts), so that every machine gives the
same bits; no logarithm, exponential or power takes part in going from integers to values.  Knows nothing of how a
lattice is found (`find`) or of error bounds.  `linear` and `logarithm` have further forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.array.narrow import NARROW

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

    Integers64 = NDArray[np.int64]

LARGEST = float(1 << 52)  # integers beyond this never stand for a value


@dataclass(frozen=True)
class Lattice:
    """Base of all forms.  `start` is the index on the outer axis of the first row given; most forms ignore it."""

    kind: ClassVar[str] = ""

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the nearest lattice integers of native values, same shape; anything for values that are not finite."""
        raise NotImplementedError

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values of `dtype` that the integers stand for, same shape; integer types saturate."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        raise NotImplementedError


@dataclass(frozen=True)
class IntegerLattice(Lattice):
    """``x = k * step + offset`` for integer types, exact modulo 2**64.

    Attributes
    ----------
    step, offset : int
        `step` is positive.
    """

    kind: ClassVar[str] = "integer"
    step: int = 1
    offset: int = 0

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the nearest lattice integers; values further than 2**63 from the offset wrap."""
        wide = values.view(np.int64) if values.dtype == np.uint64 else values.astype(np.int64)
        if self.offset:
            with np.errstate(over="ignore"):
                wide = wide - _wrapped(self.offset)
        if self.step == 1:
            return wide.copy() if np.shares_memory(wide, values) else wide
        return np.asarray((wide + np.int64(self.step // 2)) // np.int64(self.step), dtype=np.int64)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values, cut to the range of the type."""
        kind = np.dtype(dtype)
        limits = np.iinfo(kind)
        wide = np.clip(
            integers, _clipped(-((self.offset - limits.min) // self.step)), _clipped((limits.max - self.offset) // self.step)
        )
        if self.step != 1:
            wide *= self.step
        if self.offset:
            with np.errstate(over="ignore"):
                wide += _wrapped(self.offset)
        return wide.view(np.uint64) if kind == np.uint64 else wide.astype(kind)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "step": self.step, "offset": self.offset}


def _clipped(number: int) -> int:
    """Cut to the range of int64."""
    return min(max(number, -(1 << 63)), (1 << 63) - 1)


def _wrapped(number: int) -> np.int64:
    return np.int64((number + (1 << 63)) % (1 << 64) - (1 << 63))


def clip_whole(work: NDArray[np.float64]) -> Integers64:
    """Cast whole floats to int64 in place of them, cut to +-2**52; NaN becomes 0."""
    np.clip(work, -LARGEST, LARGEST, out=work)
    missing = np.isnan(work)
    if missing.any():
        work[missing] = 0.0
    return work.astype(np.int64)


@dataclass(frozen=True)
class Digits(Lattice):
    """Decimal numbers of `digits` significant digits: ``x = cast(m * 10**q)``, the unit grows with every decade.

    Attributes
    ----------
    digits : int
        1 to 15.
    lowest : int
        Exponent q of the smallest unit; numbers too small for all digits have fewer.
    narrow : bool
        The value passes through float32 before it becomes float64.
    """

    kind: ClassVar[str] = "digits"
    digits: int
    lowest: int
    narrow: bool = False

    @cached_property
    def _tables(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Multiplier and divisor of every decade; powers of ten up to 10**22 are exact."""
        exponents = range(self.lowest, 23)
        return (np.array([float(10 ** max(q, 0)) for q in exponents]), np.array([float(10 ** max(-q, 0)) for q in exponents]))

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the nearest lattice integers."""
        multiplier, divisor = self._tables
        turn = 10.0**self.digits
        with np.errstate(over="ignore", invalid="ignore", under="ignore", divide="ignore"):
            size = np.abs(values, dtype=np.float64)
            size[~np.isfinite(size)] = 0.0
            decade = np.floor(np.log10(np.maximum(size, 1e-300))) - (self.digits - 1 + self.lowest)
            index = np.clip(decade, 0, multiplier.size - 1).astype(np.int64)
            mantissa = np.rint(size * divisor[index] / multiplier[index])
            carry = (mantissa >= turn) & (index < multiplier.size - 1)
            index += carry
            mantissa = np.rint(size * divisor[index] / multiplier[index])
            work = np.copysign(index * (0.9 * turn) + mantissa, values)
        return clip_whole(work)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values of a floating-point type."""
        multiplier, divisor = self._tables
        tenth = 10 ** (self.digits - 1)
        size = np.abs(integers)
        index = np.clip((size - tenth) // (9 * tenth), 0, multiplier.size - 1)
        work = (size - index * (9 * tenth)).astype(np.float64)
        work *= multiplier[index]
        work /= divisor[index]
        np.copysign(work, integers, out=work)
        with np.errstate(over="ignore", under="ignore"):
            return np.asarray(work.astype(np.float32) if self.narrow else work).astype(dtype)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "digits": self.digits, "lowest": self.lowest, "narrow": self.narrow}


@dataclass(frozen=True)
class Ordered(Lattice):
    """The bits of a float as an integer that rises with the value; ``type`` may be narrower than the data.

    Attributes
    ----------
    type : str
        "f2", "f4", "f8", or one of `NARROW`.
    """

    kind: ClassVar[str] = "ordered"
    type: str

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the integers of the nearest values of the type; finite ones are within +-2**(bits - 1)."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if self.type in NARROW:
                narrow = NARROW[self.type].narrow(np.ascontiguousarray(values, np.float32))
            else:
                narrow = values.astype(self.type)
        bits = narrow.view(f"i{narrow.dtype.itemsize}").astype(np.int64)
        top = -(1 << (8 * narrow.dtype.itemsize - 1))
        return np.where(bits < 0, np.int64(top) - bits, bits)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values, cut to the finite range of the type."""
        narrow = NARROW.get(self.type)
        kind = np.dtype(self.type) if narrow is None else narrow.plain
        signed = np.dtype(f"i{kind.itemsize}")
        largest = int(np.array(np.finfo(kind).max, dtype=kind).view(signed)) if narrow is None else narrow.largest
        bits = np.clip(integers, -largest, largest)
        bits = np.where(bits < 0, np.int64(np.iinfo(signed).min) - bits, bits)
        values = bits.astype(signed).view(kind)
        return np.asarray((values if narrow is None else narrow.widen(values)).astype(dtype))

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "type": self.type}
