"""Values that no arithmetic may touch: NaN payloads, infinities, -0.0 and fill values, as a table of bit patterns.

Knows bit patterns of plain numeric types only; nothing of what surrounds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import CorruptFile

from .missing import MOST_FILLS, ValidRange, beside

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

EXCEPTION = 255  # class of a special value that is not in the table: the caller stores it exactly
_CAPACITY = EXCEPTION - 1
_BLOCK = 1 << 16
_MOST_OUTSIDE = 64  # different values outside of a declared range that are listed
MORE_FILLS = 5  # that stand beside those asked for: both zeros, infinities out of range, masked elements
_FEW = 8  # tables up to this size are matched pattern by pattern, which runs at memory speed


@dataclass(frozen=True)
class Specials:
    """A table of up to 254 bit patterns that must come back bit-identical.

    Attributes
    ----------
    patterns : tuple of bytes
        Little-endian, all of one length: fill values, +inf, -inf, -0.0 as far as they occur, then NaNs in the
        order of their bits.  Class ``i`` of `classify` is ``patterns[i - 1]``.
    fills : int
        How many of the first patterns stand for missing values: fill values, and values outside of the valid range.
    valid : ValidRange or None
        The declared range: what lies outside is missing.
    apart : bool
        Values of class 0 were moved off what stands for missing ones: see `separate`.
    """

    patterns: tuple[bytes, ...] = ()
    fills: int = 0
    valid: ValidRange | None = None
    apart: bool = False

    @classmethod
    def scan(cls, blocks: Iterable[NDArray[Any]], fill: NDArray[Any] | None = None, valid: ValidRange | None = None) -> Specials:
        """Collect the special values of blocks of native values; memory is bounded by the table.

        Parameters
        ----------
        blocks : iterable of ndarray
            Of one native plain type.
        fill : ndarray, shape (count,), optional
            Fill values of the same type.
        valid : ValidRange, optional
            The declared range.
        """
        collector = SpecialsCollector(fill, valid)
        for block in blocks:
            for part in _parts(np.ascontiguousarray(block).reshape(-1)):
                collector.update(part, _candidates(part, collector.fill_bits, valid))
        return collector.result()

    def classify(self, chunk: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the class of every value: 0 ordinary, i for ``patterns[i - 1]``, 255 for a special not in the table.

        Parameters
        ----------
        chunk : ndarray
            Native plain type, any shape.

        Returns
        -------
        ndarray of uint8, same shape
        """
        flat = np.ascontiguousarray(chunk).reshape(-1)
        classes = np.zeros(flat.size, dtype=np.uint8)
        if flat.dtype.kind == "f" or self.patterns or self.valid is not None:
            table = self._table(flat.dtype)
            for start in range(0, flat.size, _BLOCK):
                self._classify(flat[start : start + _BLOCK], table, classes[start : start + _BLOCK])
        return classes.reshape(chunk.shape)

    def _classify(self, part: NDArray[Any], table: NDArray[Any], classes: NDArray[np.uint8]) -> None:
        """Classify one block into `classes`, which is zero before."""
        candidates = _candidates(part, table[: self.fills], self.valid)
        left = np.count_nonzero(candidates)
        bits = bits_of(part)
        for index, pattern in enumerate(table[:_FEW], start=1):
            if not left:
                return
            equal = bits == pattern
            found = np.count_nonzero(equal)
            if found:
                classes += equal.view(np.uint8) * np.uint8(index)
                left -= found
        if left:
            where = np.flatnonzero(candidates & (classes == 0))
            order = np.argsort(table, kind="stable")
            place = np.searchsorted(table, bits[where], sorter=order)
            if not table.size:
                classes[where] = EXCEPTION
                return
            found_at = order[np.minimum(place, table.size - 1)]
            classes[where] = np.where(table[found_at] == bits[where], found_at + 1, EXCEPTION)

    def _table(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return the patterns as unsigned integers of the size of `dtype`."""
        if any(len(pattern) != dtype.itemsize for pattern in self.patterns):
            raise CorruptFile(f"the special values do not fit the type {dtype}: the file is damaged, get another copy")
        kind = np.dtype(f"u{dtype.itemsize}")
        return np.frombuffer(b"".join(self.patterns), dtype=kind.newbyteorder("<")).astype(kind)

    def masked(self, classes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return where a class stands for a missing value: what is left out of ranges and of metrics."""
        missing = (classes >= 1) & (classes <= self.fills)
        if self.valid is not None:  # more values than the table holds may lie outside
            missing |= classes == EXCEPTION
        return np.asarray(missing, dtype=np.bool_)

    def separate(self, classes: NDArray[np.uint8] | None, out: NDArray[Any]) -> bool:
        """Move values of class 0 that would pass for missing ones to the next value that does not, in place.

        First into the valid range, then from each fill value to the next greater value of the type that is neither a fill
        value nor outside the range; where there is none, to the next smaller one.

        Parameters
        ----------
        classes : ndarray of uint8, or None
            None: all are 0.
        out : ndarray
            Decoded values: native plain type, same shape, writable.

        Returns
        -------
        bool
            Whether any was moved.
        """
        moved = False
        if self.valid is not None:
            outside = self._ordinary(self.valid.outside(out), classes)
            if outside.any():
                out[outside] = np.clip(out[outside], self.valid.low, self.valid.high)
                moved = True
        for fill, place in beside(self._table(out.dtype)[: self.fills].view(out.dtype), self.valid):
            equal = self._ordinary(out == fill, classes)
            if equal.any():
                out[equal] = place
                moved = True
        return moved

    def confused(self, classes: NDArray[np.uint8], out: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where decoded values of class 0 pass for missing ones all the same."""
        wrong = np.zeros(out.shape, np.bool_) if self.valid is None else self.valid.outside(out)
        for fill in self._table(out.dtype)[: self.fills].view(out.dtype):
            wrong |= out == fill
        return self._ordinary(wrong, classes)

    @staticmethod
    def _ordinary(where: NDArray[np.bool_], classes: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
        return where if classes is None else where & (classes == 0)

    def restore(self, classes: NDArray[np.uint8], out: NDArray[Any]) -> None:
        """Write the pattern of every class 1 to 254 into `out`, in place; classes 0 and 255 are left alone.

        Parameters
        ----------
        classes : ndarray of uint8
        out : ndarray
            Native plain type, same shape, any strides, writable.

        Raises
        ------
        CorruptFile
            If a class is not in the table.
        """
        if not classes.any():
            return
        count = len(self.patterns)
        if bool(np.any((classes > count) & (classes != EXCEPTION))):
            raise CorruptFile(f"a special value is none of the {count} of the header: the file is damaged, get another copy")
        lookup = np.zeros(256, dtype=f"u{out.dtype.itemsize}")
        lookup[1 : count + 1] = self._table(out.dtype)
        np.copyto(bits_of(out), lookup[classes], where=(classes != 0) & (classes != EXCEPTION))

    def to_json(self) -> dict[str, Any]:
        """Return the table as a JSON object; patterns are hexadecimal."""
        found: dict[str, Any] = {"fills": self.fills, "patterns": [pattern.hex() for pattern in self.patterns]}
        if self.valid is not None:
            ends = (self.valid.low, self.valid.high)
            found["valid"] = [end.astype(end.dtype.newbyteorder("<")).tobytes().hex() for end in ends]
        return {**found, "apart": True} if self.apart else found

    @classmethod
    def from_json(cls, data: dict[str, Any], dtype: np.dtype[Any]) -> Specials:
        """Return the table that `to_json` wrote.

        Parameters
        ----------
        data
            Of the header.
        dtype : dtype
            The native plain type of the values.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        problem = CorruptFile("the special values in the header are malformed: get another copy")
        try:
            patterns = tuple(bytes.fromhex(text) for text in data["patterns"])
            fills, apart = data["fills"], data.get("apart", False)
            ends = [bytes.fromhex(text) for text in data.get("valid", ())]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise problem from error
        if (
            len(patterns) > _CAPACITY
            or len(set(patterns)) != len(patterns)
            or type(fills) is not int
            or type(apart) is not bool
            or not 0 <= fills <= min(MOST_FILLS + _MOST_OUTSIDE + MORE_FILLS, len(patterns))
        ):
            raise problem
        if any(len(pattern) != dtype.itemsize for pattern in (*patterns, *ends)):
            raise CorruptFile("the special values do not fit the type: the file is damaged")
        if len(ends) not in (0, 2) or (ends and dtype.kind not in "fiu"):
            raise problem
        valid = ValidRange(*(np.frombuffer(end, dtype.newbyteorder("<")).astype(dtype)[0] for end in ends)) if ends else None
        if valid is not None and not valid.low <= valid.high:
            raise problem
        return cls(patterns, fills, valid, apart)


class SpecialsCollector:
    """Gathers the special values of a stream of blocks; see `Specials.scan`."""

    def __init__(self, fill: NDArray[Any] | None = None, valid: ValidRange | None = None) -> None:
        self.fill, self.valid = fill, valid
        self._outside: set[int] | None = set()  # None: too many to be listed
        self.fill_bits = None if fill is None else bits_of(fill)
        self._named: set[int] = set()
        self._nans: set[int] = set()
        self._size = 0 if fill is None else fill.dtype.itemsize

    def update(self, part: NDArray[Any], candidates: NDArray[np.bool_]) -> None:
        """Take in one block of native values and where they are special."""
        self._size = part.dtype.itemsize
        if not candidates.any():
            return
        special = part[candidates]
        if self.valid is not None:
            outside = self.valid.outside(special)
            self._list(special[outside])
            special = special[~outside]
        if part.dtype.kind != "f":
            return
        nan = np.isnan(special)
        self._named.update(np.unique(bits_of(special[~nan])).tolist())
        if nan.any() and len(self._nans) <= _CAPACITY:
            # Which ones are kept must not depend on the blocks: always the smallest bit patterns.
            self._nans.update(np.unique(bits_of(special[nan])).tolist())
            self._nans = set(sorted(self._nans)[:_CAPACITY])

    def _list(self, outside: NDArray[Any]) -> None:
        """Remember values outside of the range, unless there are too many; infinities are named anyway."""
        if outside.dtype.kind == "f":
            infinite = np.isinf(outside)
            self._named.update(np.unique(bits_of(outside[infinite])).tolist())
            outside = outside[~infinite]
        if self._outside is not None:
            self._outside.update(np.unique(bits_of(outside)).tolist())
            if len(self._outside) > _MOST_OUTSIDE:
                self._outside = None

    def result(self) -> Specials:
        """Return the table: what stands for missing values, then other named values, then NaNs."""
        fills = [] if self.fill_bits is None else list(dict.fromkeys(self.fill_bits.tolist()))
        fills = list(dict.fromkeys([*fills, *sorted(self._outside or ())]))
        chosen = list(dict.fromkeys([*fills, *sorted(self._named), *sorted(self._nans)]))[:_CAPACITY]
        return Specials(tuple(bits.to_bytes(self._size, "little") for bits in chosen), len(fills), self.valid)


def bits_of(values: NDArray[Any]) -> NDArray[Any]:
    """View native values as unsigned integers of their size."""
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def _parts(flat: NDArray[Any]) -> Iterable[NDArray[Any]]:
    return (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))


def _candidates(part: NDArray[Any], fill_bits: NDArray[Any] | None, valid: ValidRange | None = None) -> NDArray[np.bool_]:
    """Return where native values are special: not finite, -0.0, a fill value, or outside of the valid range."""
    bits = bits_of(part)
    if part.dtype.kind == "f":
        special: NDArray[np.bool_] = np.logical_not(np.isfinite(part))
        special |= bits == bits.dtype.type(1 << (8 * part.dtype.itemsize - 1))
    else:
        special = np.zeros(part.shape, dtype=np.bool_)
    for pattern in () if fill_bits is None else fill_bits:
        special |= bits == pattern
    if valid is not None:
        special |= valid.outside(part)
    return special


def ordinary(
    part: NDArray[Any], fill: NDArray[Any] | None, valid: ValidRange | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where values are special, and where they are left out of ranges: the same but for -0.0, which is 0.

    Parameters
    ----------
    part : ndarray
        Native plain type.
    fill : ndarray or None
        Fill values of that type.
    valid : ValidRange or None
        The declared range.
    """
    special = _candidates(part, None if fill is None else bits_of(fill), valid)
    if part.dtype.kind != "f" or not special.any():
        return special, special
    negative_zero = special & (part == 0)
    if (fill is not None and bool(np.any(fill == 0))) or (valid is not None and not valid.low <= 0 <= valid.high):
        return special, special
    return special, special & ~negative_zero
