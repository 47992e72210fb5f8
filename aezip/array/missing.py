"""Which values stand for none: fill values, and what lies outside of a declared range (CF conventions, section 2.5.1).

What integers stand in for them. Knows plain numeric types; nothing of tables, layout or files.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from aezip.core.types import Int64, Mask

MOST_FILLS = 64  # of one array


def values_of_fill(fill_value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the fill values in the plain native type that stands for `dtype`, each once; of floats, 0 has both signs.

    Parameters
    ----------
    fill_value : scalar or sequence of scalars
        Floats are rounded to the type; integers must be exact.
    dtype : dtype
        Type of the original array.

    Returns
    -------
    ndarray, shape (count,)
        Of a complex value with different parts both.

    Raises
    ------
    InvalidInput
        If the type cannot hold a value, or there are more than 64.
    """
    several = isinstance(fill_value, list | tuple) or (isinstance(fill_value, np.ndarray) and fill_value.ndim == 1)
    items = list(fill_value) if several else [fill_value]
    if not 0 < len(items) <= MOST_FILLS:
        raise InvalidInput(f"{len(items)} fill values for one array: give 1 to {MOST_FILLS}")
    found = np.concatenate([_values_of(item, dtype) for item in items])
    if found.dtype.kind == "f" and bool((found == 0).any()):
        found = np.concatenate([found, np.array([0.0, -0.0], found.dtype)])
    bits = found.view(f"u{found.dtype.itemsize}")
    first = np.sort(np.unique(bits, return_index=True)[1])
    return np.asarray(found[first])


def _values_of(fill_value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return one fill value, shape (1,) or, of a complex value with different parts, (2,)."""
    problem = InvalidInput(f"the fill value {str(fill_value)[:40]!r} is no value of {dtype}: give one that the array can hold")
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
class ValidRange:
    """The values from `low` to `high`, both included, of a plain native type; all others are missing."""

    low: Any  # NumPy scalars of the type
    high: Any

    @classmethod
    def of(cls, limits: Any, dtype: np.dtype[Any]) -> ValidRange:
        """Return a range for the values of a type: its ends are values of the type, no wider than asked for.

        Parameters
        ----------
        limits : pair of numbers
            None on one side: no limit there.
        dtype : dtype
            Type of the original array: floats or integers.

        Raises
        ------
        InvalidInput
            If it is no such pair, no value of the type lies between, or the type has no order.
        """
        try:
            low, high = (None if limit is None else _number(limit) for limit in limits)
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"the valid range {str(limits)[:60]!r} is no pair of numbers: give LOW,HIGH") from error
        if dtype.kind not in "fiu":
            raise InvalidInput(f"arrays of {dtype} have no valid range: leave it away (--valid-range, valid_range=)")
        plain = dtype.newbyteorder("=")
        least, most = _extremes(plain)
        bottom = least if low is None or low <= least else _inside(low, plain, up=True)
        top = most if high is None or high >= most else _inside(high, plain, up=False)
        if not bottom <= top:
            raise InvalidInput(f"the valid range {str(limits)[:60]!r} leaves no value of {dtype}: give LOW,HIGH, LOW first")
        return cls(plain.type(bottom), plain.type(top))

    def outside(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where values are beyond the range; NaN is not."""
        return np.asarray((values < self.low) | (values > self.high), np.bool_)


def _number(limit: Any) -> int | float:
    number: int | float = limit.item() if isinstance(limit, np.generic | np.ndarray) else limit
    if not isinstance(number, int | float) or isinstance(number, bool) or math.isnan(number):
        raise ValueError(limit)
    return number


def _extremes(dtype: np.dtype[Any]) -> tuple[Any, Any]:
    """Return the least and the largest finite value of a type."""
    info: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return (info.min.item(), info.max.item()) if dtype.kind == "f" else (info.min, info.max)


def _inside(limit: int | float, dtype: np.dtype[Any], *, up: bool) -> Any:
    """Return the value of a type that is next to a limit, on the side that is meant; the limit itself if it is one."""
    if dtype.kind != "f":
        least, most = _extremes(dtype)
        whole = most + 1 if limit > most else least - 1 if limit < least else math.ceil(limit) if up else math.floor(limit)
        return min(max(whole, least - 1), most + 1)
    with np.errstate(over="ignore"):
        found = dtype.type(limit)
    if (found.item() < limit) if up else (found.item() > limit):
        found = np.nextafter(found, dtype.type(math.inf if up else -math.inf))
    return found.item()


def beside(fills: NDArray[Any], valid: ValidRange | None) -> list[tuple[Any, Any]]:
    """Return each fill value with the value that takes its place: the next greater one that is missing under no rule.

    Where there is none, the next smaller one; fill values for which there is neither are left out.
    """
    least, most = _extremes(fills.dtype) if valid is None else (valid.low, valid.high)
    taken = set(fills.tolist())
    found = []
    for fill in fills:
        if not np.isfinite(fill) or not least <= fill <= most:
            continue
        for step in (_up, _down):
            place, before = step(fill), fill
            while place.item() in taken and place != before:
                place, before = step(place), place
            if np.isfinite(place) and least <= place <= most and place.item() not in taken:
                found.append((fill, place))
                break
    return found


def _stepping(whole: int, towards: float) -> Callable[[Any], Any]:
    def step(value: Any) -> Any:
        if value.dtype.kind == "f":
            return np.nextafter(value, value.dtype.type(towards))
        ends = np.iinfo(value.dtype)
        return value.dtype.type(min(max(value.item() + whole, ends.min), ends.max))

    return step


_up, _down = _stepping(1, math.inf), _stepping(-1, -math.inf)


def filled(k: Int64, masked: Mask | None) -> Int64:
    """Return integers whose masked ones are the least of the others, or 0 if there are none."""
    if masked is None:
        return k
    return np.where(masked, k[~masked].min() if not masked.all() else 0, k)


def fill_forward(k: Int64, ignore: Mask, axis: int) -> Int64:
    """Replace ignored values by the last one along `axis` that is not (0 if there is none)."""
    shape = [1] * k.ndim
    shape[axis] = k.shape[axis]
    index = np.where(ignore, -1, np.arange(k.shape[axis]).reshape(shape))
    index = np.maximum.accumulate(index, axis=axis)
    filled = np.take_along_axis(k, index.clip(0), axis=axis)
    return np.where(index < 0, 0, filled)
