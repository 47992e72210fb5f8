"""Values that no arithmetic may touch: NaN payloads, infinities, -0.0 and fill values, as a table of bit patterns.

Knows bit patterns of plain numeric types only; nothing of what surrounds them.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import CorruptFile, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

EXCEPTION = 255  # class of a special value that is not in the table: the caller stores it exactly
_CAPACITY = EXCEPTION - 1
_BLOCK = 1 << 16
_FEW = 8  # tables up to this size are matched pattern by pattern, which runs at memory speed


def values_of_fill(fill_value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the fill value(s) in the plain native type that stands for `dtype`.

    Parameters
    ----------
    fill_value : scalar
        Floats are rounded to the type; integers must be exact.
    dtype : dtype
        Type of the original array.

    Returns
    -------
    ndarray, shape (1,) or, of a complex value with different parts, (2,)

    Raises
    ------
    InvalidInput
        If the type cannot hold the value.
    """
    problem = InvalidInput(f"the fill value {str(fill_value)[:40]!r} is no value of {dtype}: "
                           "give one that the array can hold")
    item = fill_value.item() if isinstance(fill_value, np.ndarray) and fill_value.size == 1 else fill_value
    if isinstance(item, str | bytes):
        raise problem
    try:
        with np.errstate(over="ignore"):
            if dtype.kind in "fc":
                number = complex(item)
                if dtype.kind == "f" and number.imag:
                    raise problem
                parts = [number.real] if dtype.kind == "f" else [number.real, number.imag]
                plain = np.dtype(f"f{dtype.itemsize if dtype.kind == 'f' else dtype.itemsize // 2}")
                fill = np.array(parts, dtype=plain)
                if np.any(np.isinf(fill) & np.isfinite(np.array(parts))):
                    raise problem
                return fill[:1] if fill[:1].tobytes() == fill[-1:].tobytes() else fill
            if dtype.kind in "mM":
                return np.array([item], dtype=dtype.newbyteorder("=")).view(np.int64)
            whole = int(item) if dtype.kind == "b" or float(item).is_integer() else operator.index(item)
            return np.array([whole], dtype=np.uint8 if dtype.kind == "b" else dtype.newbyteorder("="))
    except (TypeError, ValueError, OverflowError) as error:
        raise problem from error


@dataclass(frozen=True)
class Specials:
    """A table of up to 254 bit patterns that must come back bit-identical.

    Attributes
    ----------
    patterns : tuple of bytes
        Little-endian, all of one length: fill values, +inf, -inf, -0.0 as far as they occur, then NaNs in the
        order of their bits.  Class ``i`` of `classify` is ``patterns[i - 1]``.
    fills : int
        How many of the first patterns are fill values.
    """

    patterns: tuple[bytes, ...] = ()
    fills: int = 0

    @classmethod
    def scan(cls, blocks: Iterable[NDArray[Any]], fill: NDArray[Any] | None = None) -> Specials:
        """Collect the special values of blocks of native values; memory is bounded by the table.

        Parameters
        ----------
        blocks : iterable of ndarray
            Of one native plain type.
        fill : ndarray, shape (1,) or (2,), optional
            Fill values of the same type.
        """
        collector = Collector(fill)
        for block in blocks:
            for part in _parts(np.ascontiguousarray(block).reshape(-1)):
                collector.update(part, _candidates(part, collector.fill_bits))
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
        if flat.dtype.kind == "f" or self.patterns:
            table = self._table(flat.dtype)
            for start in range(0, flat.size, _BLOCK):
                self._classify(flat[start:start + _BLOCK], table, classes[start:start + _BLOCK])
        return classes.reshape(chunk.shape)

    def _classify(self, part: NDArray[Any], table: NDArray[Any], classes: NDArray[np.uint8]) -> None:
        """Classify one block into `classes`, which is zero before."""
        candidates = _candidates(part, table[:self.fills])
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
        """Return where a class is a fill value: what is left out of ranges and of metrics."""
        return np.asarray((classes >= 1) & (classes <= self.fills), dtype=np.bool_)

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
        lookup[1:count + 1] = self._table(out.dtype)
        np.copyto(bits_of(out), lookup[classes], where=(classes != 0) & (classes != EXCEPTION))

    def to_json(self) -> dict[str, Any]:
        """Return the table as a JSON object; patterns are hexadecimal."""
        return {"fills": self.fills, "patterns": [pattern.hex() for pattern in self.patterns]}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Specials:
        """Return the table that `to_json` wrote.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        try:
            patterns = tuple(bytes.fromhex(text) for text in data["patterns"])
            fills = data["fills"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile("the special values in the header are malformed: get another copy") from error
        if (len(patterns) > _CAPACITY or len(set(patterns)) != len(patterns) or type(fills) is not int
                or not 0 <= fills <= min(2, len(patterns)) or len({len(pattern) for pattern in patterns} - {0}) > 1):
            raise CorruptFile("the special values in the header are malformed: get another copy")
        return cls(patterns, fills)


class Collector:
    """Gathers the special values of a stream of blocks; see `Specials.scan`."""

    def __init__(self, fill: NDArray[Any] | None = None) -> None:
        self.fill = fill
        self.fill_bits = None if fill is None else bits_of(fill)
        self._named: set[int] = set()
        self._nans: set[int] = set()
        self._size = 0 if fill is None else fill.dtype.itemsize

    def update(self, part: NDArray[Any], candidates: NDArray[np.bool_]) -> None:
        """Take in one block of native values and where they are special."""
        self._size = part.dtype.itemsize
        if part.dtype.kind != "f" or not candidates.any():
            return
        special = part[candidates]
        nan = np.isnan(special)
        self._named.update(np.unique(bits_of(special[~nan])).tolist())
        if nan.any() and len(self._nans) <= _CAPACITY:
            # Which ones are kept must not depend on the blocks: always the smallest bit patterns.
            self._nans.update(np.unique(bits_of(special[nan])).tolist())
            self._nans = set(sorted(self._nans)[:_CAPACITY])

    def result(self) -> Specials:
        """Return the table: fill values, then other named values, then NaNs."""
        fills = [] if self.fill_bits is None else list(dict.fromkeys(self.fill_bits.tolist()))
        chosen = list(dict.fromkeys([*fills, *sorted(self._named), *sorted(self._nans)]))[:_CAPACITY]
        return Specials(tuple(bits.to_bytes(self._size, "little") for bits in chosen), len(fills))


def bits_of(values: NDArray[Any]) -> NDArray[Any]:
    """View native values as unsigned integers of their size."""
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def _parts(flat: NDArray[Any]) -> Iterable[NDArray[Any]]:
    return (flat[start:start + _BLOCK] for start in range(0, flat.size, _BLOCK))


def _candidates(part: NDArray[Any], fill_bits: NDArray[Any] | None) -> NDArray[np.bool_]:
    """Return where native values are special: not finite, -0.0 or a fill value."""
    bits = bits_of(part)
    if part.dtype.kind == "f":
        special: NDArray[np.bool_] = np.logical_not(np.isfinite(part))
        special |= bits == bits.dtype.type(1 << (8 * part.dtype.itemsize - 1))
    else:
        special = np.zeros(part.shape, dtype=np.bool_)
    for pattern in () if fill_bits is None else fill_bits:
        special |= bits == pattern
    return special


def ordinary(part: NDArray[Any], fill: NDArray[Any] | None) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where values are special, and where they are left out of ranges: the same but for -0.0, which is 0.

    Parameters
    ----------
    part : ndarray
        Native plain type.
    fill : ndarray or None
        Fill values of that type.
    """
    special = _candidates(part, None if fill is None else bits_of(fill))
    if part.dtype.kind != "f" or not special.any():
        return special, special
    negative_zero = special & (part == 0)
    if fill is not None and bool(np.any(fill == 0)):
        return special, special
    return special, special & ~negative_zero
