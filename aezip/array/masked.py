"""Masked arrays as plain ones and back: each masked element becomes a bit pattern that no other element has.

Knows NumPy's masked arrays and bit patterns; nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile, InvalidInput
from aezip.core.types import Mask

_BOOL = 2  # of a byte that is neither true nor false
_SEARCHED = 16  # bits of an integer type all of whose values are looked through


@dataclass(frozen=True)
class Masking:
    """How a masked array is stored.

    Attributes
    ----------
    pattern : bytes
        What each masked element is stored as, in the array's own type and byte order; empty: nothing is masked.
    fill_value : bytes
        The array's fill value, in the same type.
    """

    pattern: bytes
    fill_value: bytes

    def to_json(self) -> dict[str, str]:
        """Return both in hexadecimal."""
        return {"pattern": self.pattern.hex(), "fill_value": self.fill_value.hex()}

    @classmethod
    def from_json(cls, data: Any, dtype: np.dtype[Any]) -> Masking:
        """Return what `to_json` wrote.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        try:
            found = cls(bytes.fromhex(data["pattern"]), bytes.fromhex(data["fill_value"]))
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile("the mask in the header is malformed: the file is damaged, get another copy") from error
        if len(found.pattern) not in (0, dtype.itemsize) or len(found.fill_value) != dtype.itemsize:
            raise CorruptFile("the mask in the header does not fit the type: the file is damaged, get another copy")
        return found

    def mask(self, values: npt.NDArray[Any]) -> Mask:
        """Return which elements are masked."""
        if not self.pattern:
            return np.zeros(values.shape, np.bool_)
        return np.asarray((_bytes_of(values) == np.frombuffer(self.pattern, np.uint8)).all(axis=-1), np.bool_)

    def filled(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values with the fill value where they are masked."""
        mask = self.mask(values)
        if not mask.any():
            return values
        out = np.ascontiguousarray(values).copy().reshape(values.shape)
        _bytes_of(out)[mask] = np.frombuffer(self.fill_value, np.uint8)
        return out

    def masked_array(self, values: npt.NDArray[Any]) -> np.ma.MaskedArray[Any, Any]:
        """Return the masked array as it was."""
        fill = np.frombuffer(self.fill_value, values.dtype)[0]
        mask = self.mask(values)
        return np.ma.MaskedArray(self.filled(values), mask if self.pattern else np.ma.nomask, fill_value=fill)


def unmasked(array: np.ma.MaskedArray[Any, Any]) -> tuple[npt.NDArray[Any], Masking]:
    """Return a plain array in which masked elements have a pattern of their own, and how it is stored.

    Parameters
    ----------
    array
        Of any type that is admitted. Where nothing is masked, its data are returned as they are.

    Raises
    ------
    InvalidInput
        If the type has no value left that could stand for masked elements.
    """
    data = np.asarray(array.data)
    fill = np.asarray(array.fill_value, data.dtype)
    mask = np.ma.getmaskarray(array)
    if not mask.any():
        return data, Masking(b"", fill.tobytes())
    plain = np.ascontiguousarray(data).copy().reshape(data.shape)
    part = _part(data.dtype)
    valid = np.ascontiguousarray(plain[~mask]).view(part).reshape(-1)
    pattern = _unused(valid.astype(part.newbyteorder("=")), _own(fill, part))
    stored = pattern.astype(part).tobytes() * (data.dtype.itemsize // part.itemsize)
    _bytes_of(plain)[mask] = np.frombuffer(stored, np.uint8)
    return plain, Masking(stored, fill.tobytes())


def _own(fill: npt.NDArray[Any], part: np.dtype[Any]) -> Any:
    """Return the fill value as a plain native number; None of booleans and complex numbers."""
    if fill.dtype.kind in "bc":
        return None
    return fill.reshape(1).view(part).astype(part.newbyteorder("="))[0]


def _unused(valid: npt.NDArray[Any], fill: Any) -> npt.NDArray[Any]:
    """Return a number, shape (1,), that none of the valid ones is: the fill value if it can be."""
    kind = valid.dtype
    if fill is not None and np.isfinite(fill) and fill != 0 and not (valid == fill).any():
        return np.asarray([fill], kind)
    if kind.kind == "f":
        bits = np.dtype(f"u{kind.itemsize}")
        nan = int(np.array([np.nan], kind).view(bits)[0])
        taken = set(np.unique(valid[np.isnan(valid)].view(bits)).tolist())
        free = next((nan + k for k in range(1, 1 << 9) if nan + k not in taken), None)
        if free is None:
            raise InvalidInput("the array holds every NaN that could stand for masked elements: fill it first")
        return np.array([free], bits).view(kind)
    if kind.kind == "u" and kind.itemsize == 1 and fill is None:
        return np.array([_BOOL], kind)
    ends = np.iinfo(kind)
    present = np.unique(valid)
    least, most = (int(present[0]), int(present[-1])) if present.size else (0, 0)
    if most < ends.max or least > ends.min:
        return np.array([most + 1 if most < ends.max else least - 1], kind)
    gaps = (
        np.flatnonzero(np.diff(present.astype(object)) > 1)
        if kind.itemsize * 8 > _SEARCHED
        else np.flatnonzero(np.diff(present.astype(np.int64)) > 1)
    )
    if not gaps.size:
        raise InvalidInput(f"the array holds every value of {kind}: none is left for masked elements, widen it with astype()")
    return np.array([int(present[gaps[0]]) + 1], kind)


def _part(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the plain type of which elements are made, in the same byte order."""
    if dtype.kind == "c":
        return np.dtype(f"{dtype.str[0]}f{dtype.itemsize // 2}")
    return np.dtype(np.uint8) if dtype.kind == "b" else np.dtype(f"{dtype.str[0]}i8") if dtype.kind in "mM" else dtype


def _bytes_of(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View a C-contiguous array as bytes, shape (*shape, item size); others are copied."""
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).reshape(*values.shape, values.dtype.itemsize)
