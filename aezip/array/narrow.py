"""Floats of one or two bytes that NumPy has not: bfloat16 and float8. All their values are values of float32.

Arithmetic is done in float32; here are the ways from bit patterns there and back. Reading needs no other library; ml_dtypes
(https://github.com/jax-ml/ml_dtypes), where it is installed, gives arrays these types.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import CorruptFile, InvalidInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRACTION = 23  # bits of float32
_BIAS = 127


@dataclass(frozen=True)
class Narrow:
    """A sign, an exponent and a fraction, as IEEE 754 has them.

    Parameters
    ----------
    name
        As in ml_dtypes.
    exponent, fraction
        Bits of each.
    infinite
        The largest exponent stands for infinities and NaN; else only all bits but the sign together stand for a NaN
        (Micikevicius et al. 2022, "FP8 formats for deep learning", arXiv:2209.05433).
    """

    name: str
    exponent: int
    fraction: int
    infinite: bool = True

    @property
    def plain(self) -> np.dtype[Any]:
        """Unsigned integers that hold the bits."""
        return np.dtype(f"<u{(1 + self.exponent + self.fraction) // 8}")

    @property
    def largest(self) -> int:
        """The bits of the largest finite value."""
        top = (1 << (self.exponent + self.fraction)) - 1
        return top - (1 << self.fraction) if self.infinite else top - 1

    @cached_property
    def _wide(self) -> NDArray[np.float32]:
        """The value of each bit pattern; NaN keep their fraction, as its leading bits."""
        half = np.arange(1 << (self.exponent + self.fraction), dtype=np.int64)
        exponent, fraction = half >> self.fraction, half & ((1 << self.fraction) - 1)
        bias = (1 << (self.exponent - 1)) - 1
        scale = np.maximum(exponent, 1) - bias - self.fraction
        whole = fraction + ((exponent > 0) * (1 << self.fraction))
        beyond = half > self.largest
        values = np.ldexp(np.where(beyond, 0.0, whole), scale).astype(np.float32)
        values[beyond] = (
            ((0xFF << _FRACTION) | (fraction[beyond] << (_FRACTION - self.fraction))).astype(np.uint32).view(np.float32)
        )
        return np.concatenate([values.view(np.uint32), values.view(np.uint32) | np.uint32(1 << 31)]).view(np.float32)

    @cached_property
    def _between(self) -> NDArray[np.float32]:
        """What lies half-way between values that are not negative."""
        values = self._wide[: self.largest + 1]
        return np.asarray(0.5 * values[:-1] + 0.5 * values[1:], np.float32)

    def widen(self, bits: NDArray[Any]) -> NDArray[np.float32]:
        """Return the values of bit patterns, same shape."""
        return np.asarray(self._wide[bits], np.float32)

    def narrow(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Return the bits of the nearest values, half-way the even ones; beyond the largest finite value is that one.

        Infinities, where there are any, and what `widen` made of NaN come back as they were.
        """
        wide = values.view(np.uint32)
        size = wide & np.uint32(0x7FFFFFFF)
        beyond = size >= np.uint32(0xFF << _FRACTION)
        shift = _FRACTION - self.fraction
        if self.exponent == 8:  # float32 with fewer bits
            bits = (size + np.uint32((1 << (shift - 1)) - 1) + ((size >> np.uint32(shift)) & np.uint32(1))) >> np.uint32(shift)
        else:
            middle = self._between
            bits = np.searchsorted(middle, size.view(np.float32)).astype(np.uint32)
            bits += (middle[np.minimum(bits, len(middle) - 1)] == size.view(np.float32)).astype(np.uint32) & bits & np.uint32(1)
        np.minimum(bits, np.uint32(self.largest), out=bits)
        kept = beyond if self.infinite else beyond & (size != np.uint32(0xFF << _FRACTION))
        if kept.any():
            mask = np.uint32((1 << (self.exponent + self.fraction)) - 1)
            bits[kept] = (size[kept] >> np.uint32(shift)) & mask
        bits |= (wide >> np.uint32(31)) << np.uint32(self.exponent + self.fraction)
        return bits.astype(self.plain)

    def rounded(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the nearest values of the type, float32."""
        return self.widen(self.narrow(values))

    def spacing(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return how far apart values of the type are at the size of each finite one."""
        _, exponent = np.frexp(values.astype(np.float64))
        least = 2 - (1 << (self.exponent - 1))
        place = np.where(values == 0, least, np.maximum(exponent - 1, least))
        return np.asarray(np.ldexp(1.0, place - self.fraction), np.float64)

    def dtype(self) -> np.dtype[Any]:
        """Return the type.

        Raises
        ------
        InvalidInput
            If ml_dtypes is not installed.
        """
        try:
            import ml_dtypes
        except ImportError as error:
            raise InvalidInput(f"arrays of {self.name} need the package ml_dtypes: pip install ml_dtypes") from error
        found: np.dtype[Any] = np.dtype(getattr(ml_dtypes, self.name))
        return found


NARROW = {
    kind.name: kind for kind in (Narrow("bfloat16", 8, 7), Narrow("float8_e4m3fn", 4, 3, False), Narrow("float8_e5m2", 5, 2))
}


def narrow_of(dtype: np.dtype[Any]) -> Narrow | None:
    """Return which of these a dtype of ml_dtypes is."""
    return NARROW.get(dtype.name) if dtype.type.__module__.partition(".")[0] == "ml_dtypes" else None


def narrow_named(name: Any, bits: np.dtype[Any]) -> Narrow | None:
    """Return the type that a header names; None where it names none.

    Raises
    ------
    CorruptFile
        If it is none of these, or does not fit the bits.
    """
    if name is None:
        return None
    found = NARROW.get(name) if isinstance(name, str) else None
    if found is None or found.plain != bits:
        raise CorruptFile(f"the type {str(name)[:40]!r} in the header is none that aezip writes: get another copy")
    return found
