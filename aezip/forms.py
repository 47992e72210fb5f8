"""The forms a lattice can take: exact rules between stored values and the integers that stand for them.

Everything is elementwise IEEE float64 or int64 arithmetic (+ - * / rint floor, casts), so that every machine gives the
same bits; no logarithm, exponential or power takes part in going from integers to values.  Knows nothing of how a
lattice is found (`lattice`) or of error bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.errors import CorruptFile
from aezip.packing import pack_numbers, unpack_numbers
from aezip.specials import bits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    Integers64 = NDArray[np.int64]

LARGEST = float(1 << 52)  # integers beyond this never stand for a value
_BLOCK = 1 << 16
_DENSE = 1 << 22  # span of patch keys up to which they are looked up in a dense table


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
class Whole(Lattice):
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
        low = max(-((self.offset - limits.min) // self.step), -(1 << 63))
        high = min((limits.max - self.offset) // self.step, (1 << 63) - 1)
        wide = np.clip(integers, low, high)
        if self.step != 1:
            wide *= self.step
        if self.offset:
            with np.errstate(over="ignore"):
                wide += _wrapped(self.offset)
        return wide.view(np.uint64) if kind == np.uint64 else wide.astype(kind)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "step": self.step, "offset": self.offset}


def _wrapped(number: int) -> np.int64:
    return np.int64((number + (1 << 63)) % (1 << 64) - (1 << 63))


@dataclass(frozen=True)
class Linear(Lattice):
    """``x = cast((k * scale + shift) / divisor)`` in float64 for floating-point types.

    Decimals are ``k / 10**d``, dyadic fractions ``k / 2**p``, packed data ``k * scale + shift``.

    Attributes
    ----------
    scale, shift, divisor : ndarray of float64, shape (1,) or one for every entry of `axis`
        `scale` and `divisor` are positive.
    narrow : bool
        The value passes through float32 before it becomes float64.
    axis : int or None
        None: one rule for all values; -1: one for every entry of the last axis; 0: one for every index of the outer.
    keys : ndarray of int64, sorted
        Integers (times columns, plus the column, if `axis` is -1) whose values the rule misses by a few units in the
        last place: sources that parse or scale numbers carelessly do so in the same way each time.
    deltas : ndarray of int8
        What to add to the bits of those values.
    """

    kind: ClassVar[str] = "linear"
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]
    divisor: NDArray[np.float64]
    narrow: bool = False
    axis: int | None = None
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    deltas: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, np.int8))

    def _blocks(self, values: NDArray[Any], start: int) -> Iterator[tuple[slice, list[NDArray[np.float64]]]]:
        """Cut `_rows` of the values into blocks, each with scale, shift and divisor that broadcast against it."""
        rules = [self.scale, self.shift, self.divisor]
        if self.axis is not None and rules[0].size < (start + values.shape[0] if self.axis == 0 else values.shape[-1]):
            raise CorruptFile("the lattice does not fit the shape: the file is damaged, get another copy")
        step = max(1, _BLOCK // max(1, values.size // max(1, values.shape[0])))
        for first in range(0, values.shape[0], step):
            part = slice(first, min(first + step, values.shape[0]))
            if self.axis == 0:
                yield part, [rule[start + part.start:start + part.stop, None] for rule in rules]
            else:
                yield part, rules

    def _rows(self, values: NDArray[Any]) -> NDArray[Any]:
        """Reshape to (values,), (rows, columns) or (outer, rest), whatever the rule broadcasts against."""
        if self.axis is None:
            return values.reshape(-1)
        return values.reshape(-1, values.shape[-1]) if self.axis == -1 else values.reshape(values.shape[0], -1)

    @cached_property
    def _unit(self) -> tuple[bool, bool, bool]:
        """Which of scale, shift, divisor do nothing."""
        return bool(np.all(self.scale == 1.0)), not self.shift.any(), bool(np.all(self.divisor == 1.0))

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the nearest lattice integers, cut to +-2**52; 0 for NaN."""
        if not values.size:
            return np.zeros(values.shape, dtype=np.int64)
        flat = self._rows(np.ascontiguousarray(values))
        integers = np.empty(flat.shape, dtype=np.int64)
        no_scale, no_shift, no_divisor = self._unit
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            for part, (scale, shift, divisor) in self._blocks(flat, start):
                work = flat[part].astype(np.float64)
                if not no_divisor:
                    work *= divisor
                if not no_shift:
                    work -= shift
                if not no_scale:
                    work /= scale
                np.rint(work, out=work)
                integers[part] = _whole(work)
        return integers.reshape(values.shape)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values of a floating-point type."""
        kind = np.dtype(dtype)
        if not integers.size:
            return np.zeros(integers.shape, dtype=kind)
        flat = self._rows(np.ascontiguousarray(integers))
        values = np.empty(flat.shape, dtype=kind)
        no_scale, no_shift, no_divisor = self._unit
        with np.errstate(over="ignore", under="ignore"):
            for part, (scale, shift, divisor) in self._blocks(flat, start):
                work = flat[part].astype(np.float64)
                if not no_scale:
                    work *= scale
                if not no_shift:
                    work += shift
                if not no_divisor:
                    work /= divisor
                values[part] = work.astype(np.float32) if self.narrow else work
                if self.keys.size:
                    self._patch(flat[part], values[part])
        return values.reshape(integers.shape)

    @cached_property
    def _dense(self) -> NDArray[np.int8] | None:
        """Return deltas by key from the first to the last, between a zero at either end, or None if too far apart."""
        if int(self.keys[-1]) - int(self.keys[0]) >= _DENSE:
            return None
        table = np.zeros(int(self.keys[-1] - self.keys[0]) + 3, dtype=np.int8)
        table[self.keys - self.keys[0] + 1] = self.deltas
        return table

    def _patch(self, integers: Integers64, values: NDArray[Any]) -> None:
        """Add the deltas to the bits of the values, in place."""
        keys = integers
        if self.axis == -1:
            keys = keys * np.int64(self.scale.size) + np.arange(self.scale.size)
        if self._dense is not None:
            place = np.clip(keys, self.keys[0] - 1, self.keys[-1] + 1) - (self.keys[0] - 1)
            delta = self._dense[place]
        else:
            place = np.minimum(np.searchsorted(self.keys, keys), self.keys.size - 1)
            delta = np.where(self.keys[place] == keys, self.deltas[place], np.int8(0))
        bits = bits_of(values)
        bits += delta.astype(bits.dtype)

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        data: dict[str, Any] = {"kind": self.kind, "axis": self.axis, "narrow": self.narrow}
        for name in ("scale", "shift", "divisor", "keys", "deltas"):
            numbers = getattr(self, name)
            data[name] = pack_numbers(np.diff(numbers, prepend=np.int64(0)) if name == "keys" else numbers)
        return data

    @classmethod
    def read(cls, data: dict[str, Any]) -> Linear:
        """Return the lattice that `to_json` wrote; raises CorruptFile, KeyError or TypeError if it is malformed."""
        rules = [unpack_numbers(data[name], "f8") for name in ("scale", "shift", "divisor")]
        keys = np.cumsum(unpack_numbers(data["keys"], "i8"))
        deltas, axis, narrow = unpack_numbers(data["deltas"], "i1"), data["axis"], data["narrow"]
        good = (len({rule.size for rule in rules}) == 1 and (rules[0].size == 1 or axis is not None) and rules[0].size
                and all(np.isfinite(rule).all() for rule in rules) and (rules[0] > 0).all() and (rules[2] > 0).all()
                and keys.size == deltas.size and (np.diff(keys) > 0).all() and axis in (None, -1, 0)
                and (axis is None or type(axis) is int) and isinstance(narrow, bool))
        if not good:
            raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
        return cls(rules[0], rules[1], rules[2], narrow, axis, keys, deltas)


def _whole(work: NDArray[np.float64]) -> Integers64:
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
        return (np.array([float(10**max(q, 0)) for q in exponents]),
                np.array([float(10**max(-q, 0)) for q in exponents]))

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
        return _whole(work)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values of a floating-point type."""
        multiplier, divisor = self._tables
        tenth = 10**(self.digits - 1)
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
        "f2", "f4" or "f8".
    """

    kind: ClassVar[str] = "ordered"
    type: str

    def to_integers(self, values: NDArray[Any], start: int = 0) -> Integers64:
        """Return the integers of the nearest values of the type; finite ones are within +-2**(bits - 1)."""
        with np.errstate(over="ignore", under="ignore"):
            narrow = values.astype(self.type)
        bits = narrow.view(f"i{narrow.dtype.itemsize}").astype(np.int64)
        top = -(1 << (8 * narrow.dtype.itemsize - 1))
        return np.where(bits < 0, np.int64(top) - bits, bits)

    def from_integers(self, integers: Integers64, dtype: DTypeLike, start: int = 0) -> NDArray[Any]:
        """Return the values, cut to the finite range of the type."""
        kind = np.dtype(self.type)
        signed = np.dtype(f"i{kind.itemsize}")
        largest = int(np.array(np.finfo(kind).max, dtype=kind).view(signed))
        bits = np.clip(integers, -largest, largest)
        bits = np.where(bits < 0, np.int64(np.iinfo(signed).min) - bits, bits)
        return np.asarray(bits.astype(signed).view(kind).astype(dtype))

    def to_json(self) -> dict[str, Any]:
        """Return the lattice as a JSON object."""
        return {"kind": self.kind, "type": self.type}
