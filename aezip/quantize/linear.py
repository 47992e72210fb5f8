"""Floats on a linear lattice: decimals, dyadic fractions, counts of a converter, packed fields; one rule or many.

The arithmetic is elementwise IEEE float64 (+ - * / rint, casts) and gives the same bits on every machine.  Knows nothing
of how a lattice is found.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.array.specials import bits_of
from aezip.core.errors import CorruptFile
from aezip.core.planes import pack_numbers, unpack_numbers

from .lattice import Lattice, clip_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    Integers64 = NDArray[np.int64]

_BLOCK = 1 << 16
_FURTHEST = 1 << 62
_DENSE = 1 << 22  # span of patch keys up to which they are looked up in a dense table


@dataclass(frozen=True, eq=False)
class LinearLattice(Lattice):
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
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    deltas: NDArray[np.int8] = field(default_factory=lambda: np.zeros(0, dtype=np.int8))

    def _blocks(self, values: NDArray[Any], start: int) -> Iterator[tuple[slice, list[NDArray[np.float64]]]]:
        """Cut `_rows` of the values into blocks, each with scale, shift and divisor that broadcast against it."""
        rules = [self.scale, self.shift, self.divisor]
        if self.axis is not None and rules[0].size < (start + values.shape[0] if self.axis == 0 else values.shape[-1]):
            raise CorruptFile("the lattice does not fit the shape: the file is damaged, get another copy")
        step = max(1, _BLOCK // max(1, values.size // max(1, values.shape[0])))
        for first in range(0, values.shape[0], step):
            part = slice(first, min(first + step, values.shape[0]))
            if self.axis == 0:
                yield part, [rule[start + part.start : start + part.stop, None] for rule in rules]
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
                integers[part] = clip_whole(work)
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
    def read(cls, data: dict[str, Any]) -> LinearLattice:
        """Return the lattice that `to_json` wrote; raises CorruptFile, KeyError or TypeError if it is malformed."""
        rules = [unpack_numbers(data[name], "f8") for name in ("scale", "shift", "divisor")]
        keys = np.cumsum(unpack_numbers(data["keys"], "i8"))
        deltas, axis, narrow = unpack_numbers(data["deltas"], "i1"), data["axis"], data["narrow"]
        fits = rules[0].size and len({rule.size for rule in rules}) == 1 and (rules[0].size == 1 or axis is not None)
        finite = all(np.isfinite(rule).all() for rule in rules) and (rules[0] > 0).all() and (rules[2] > 0).all()
        sorted_keys = keys.size == deltas.size and (np.diff(keys) > 0).all() and (np.abs(keys) < _FURTHEST).all()
        known = (axis is None or (type(axis) is int and axis in (-1, 0))) and isinstance(narrow, bool)
        if not (fits and finite and sorted_keys and known):
            raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
        return cls(rules[0], rules[1], rules[2], narrow, axis, keys, deltas)
