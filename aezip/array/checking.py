"""The one exact check: which decoded values break a bound.

Compares original and decoded values, both in the output dtype, in exact arithmetic: in float64 where that decides, and where an
error is rounded to the very bound, by the parts that rounding took away. There is no slack.
Knows tolerances and arrays only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.errors import InvalidInput
from aezip.core.fixed import LARGEST_FLOAT

from .specials import bits_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .bounds import Tolerance

_BLOCK = 1 << 16  # values per step: the temporaries stay in cache
_UINT64_MAX = (1 << 64) - 1
_LEAST_PRODUCT = 2.0**-900  # the parts of smaller ones fall below the smallest float64


def violations(
    original: NDArray[Any], decoded: NDArray[Any], tolerance: Tolerance, exact_mask: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return where `decoded` breaks the bound: the one exact check.

    Non-finite values and -0.0 of the original, and values under `exact_mask`, must be bit-identical.  PSNR is not
    a bound on single values: for it only those are checked, and that finite values stay finite.

    Parameters
    ----------
    original, decoded : ndarray
        Same shape and type (f2 f4 f8, i1 to i8, u1 to u8), any strides and byte order.
    tolerance : Tolerance
        Its `absolute` broadcasts against the values.
    exact_mask : ndarray of bool, optional
        Same shape: values that must be bit-identical.

    Returns
    -------
    ndarray of bool, same shape

    Raises
    ------
    InvalidInput
        If shapes or types differ.
    """
    if original.shape != decoded.shape or original.dtype.newbyteorder("=") != decoded.dtype.newbyteorder("="):
        raise InvalidInput(
            f"cannot compare {original.dtype} {original.shape} with {decoded.dtype} {decoded.shape}: "
            "give arrays of one shape and type"
        )
    if original.ndim == 0:
        mask = None if exact_mask is None else np.reshape(exact_mask, 1)
        return violations(np.reshape(original, 1), np.reshape(decoded, 1), tolerance, mask).reshape(())
    bad = np.empty(original.shape, dtype=np.bool_)
    for part in _parts(original):
        mask = None if exact_mask is None else exact_mask[part]
        bad[part] = _check(_native(original[part]), _native(decoded[part]), tolerance, mask)
    return bad


def _parts(values: NDArray[Any]) -> Iterator[tuple[slice, ...]]:
    """Cut into slices along the outer axis of about `_BLOCK` values."""
    if values.size <= _BLOCK:
        yield ()
        return
    step = max(1, _BLOCK // (values.size // values.shape[0]))
    for start in range(0, values.shape[0], step):
        yield (slice(start, start + step),)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _check(x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Check one block of native values."""
    if tolerance.kind == "lossless":
        return np.asarray(bits_of(x) != bits_of(y), dtype=np.bool_)
    if x.dtype.kind == "f":
        bad = _check_floats(x, y, tolerance)
    else:
        bad = _check_integers(x, y, tolerance)
    if mask is not None and mask.any():
        bad |= mask & (bits_of(x) != bits_of(y))
    return bad


def _check_floats(x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance) -> NDArray[np.bool_]:
    """Compare floats; NaN or infinity on either side fails the comparison and is then decided by its bits.

    Rounding keeps order, so that only an error that is rounded to the bound may lie beyond it.
    """
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if tolerance.kind == "psnr":
            good = np.isfinite(x) & np.isfinite(y)
        else:
            error = np.subtract(x, y, dtype=np.float64)
            np.abs(error, out=error)
            allowed = tolerance.absolute
            if tolerance.kind == "relative":
                allowed = np.abs(x, dtype=np.float64)
                allowed *= tolerance.relative
                np.minimum(allowed, LARGEST_FLOAT, out=allowed)
            good = error <= allowed
            equal = (error == allowed) & (error > 0)
            if equal.any():
                wide, close = (values[equal].astype(np.float64) for values in (x, y))
                lost = 0.0 if tolerance.kind == "absolute" else _lost_in_product(np.abs(wide), tolerance.relative)
                good[equal] = _lost_in_difference(wide, close) <= lost
    bad = np.logical_not(good)
    if bad.any():
        # Non-finite originals may only stay as they are; a finite one that failed cannot have equal bits.
        bad &= bits_of(x) != bits_of(y)
    sign = bits_of(x) == (1 << (8 * x.dtype.itemsize - 1))
    if sign.any():
        bad |= sign & (bits_of(x) != bits_of(y))
    return np.asarray(bad, dtype=np.bool_)


def _lost_in_difference(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``abs(x - y)`` less what float64 makes of it, exact (the sum of Knuth, TAOCP 2, section 4.2.2)."""
    high, low = np.maximum(x, y), np.minimum(x, y)
    rounded = high - low
    part = rounded - high
    return np.asarray((high - (rounded - part)) - (low + part), np.float64)


def _lost_in_product(x: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """Return ``x * factor`` less what float64 makes of it, for positive numbers; NaN where that is no number of float64.

    Exact (the product of Dekker, Numerische Mathematik 18, 1971).
    """
    rounded = x * factor
    (high, low), (major, minor) = _halves(x), _halves(np.float64(factor))
    lost = low * minor - (((rounded - high * major) - low * major) - high * minor)
    return np.where((rounded > _LEAST_PRODUCT) & (rounded < LARGEST_FLOAT), lost, np.nan)


def _halves(x: Any) -> tuple[Any, Any]:
    """Return two numbers of 26 bits whose sum is x (Veltkamp)."""
    split = x * (2.0**27 + 1.0)
    high = split - (split - x)
    return high, x - high


def _check_integers(x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance) -> NDArray[np.bool_]:
    """Compare exactly: differences of 64-bit integers are formed modulo 2**64."""
    if tolerance.kind == "psnr":
        return np.zeros(x.shape, dtype=np.bool_)
    if x.dtype.itemsize < 8:
        narrow = np.subtract(x, y, dtype=np.int64)
        np.abs(narrow, out=narrow)
        error = narrow.view(np.uint64)
    else:
        error = np.maximum(x, y).view(np.uint64) - np.minimum(x, y).view(np.uint64)
    if tolerance.kind == "relative":
        return np.asarray(error > _whole(_relative_limit(x, tolerance.relative)), dtype=np.bool_)
    return np.asarray(error > _whole(tolerance.absolute), dtype=np.bool_)


def _relative_limit(x: NDArray[Any], relative: float) -> NDArray[np.float64]:
    """Return float64 whose whole part is that of ``abs(x) * relative``; of x beyond 2^53 it may be less.

    Only a product that is rounded to a whole number may have a smaller whole part itself.
    """
    magnitude = np.abs(x.astype(np.float64))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):  # an infinite limit lets everything pass
        limit = np.asarray(magnitude * relative)
        above = (limit == np.floor(limit)) & (limit > 0) & np.isfinite(limit)
        if above.any():
            above[above] = ~(_lost_in_product(magnitude[above], relative) >= 0)
            limit[above] = np.nextafter(limit[above], 0.0)
        if x.dtype.itemsize == 8:
            limit[magnitude >= 2.0**53] *= 1.0 - 2.0**-51  # both roundings are less than that
    return limit


def _whole(limit: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the largest integers not above `limit`, cut to uint64."""
    large = limit >= 2.0**64
    whole = np.where(large, 0.0, limit).astype(np.uint64)
    return np.asarray(np.where(large, np.uint64(_UINT64_MAX), whole), dtype=np.uint64)
