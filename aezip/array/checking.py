"""The one exact check: which decoded values break a bound.

Compares original and decoded values, both in the output dtype, in float64 (integers: exactly) and without any slack.
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


def violations(original: NDArray[Any], decoded: NDArray[Any], tolerance: Tolerance,
               exact_mask: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
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
        raise InvalidInput(f"cannot compare {original.dtype} {original.shape} with {decoded.dtype} {decoded.shape}: "
                           "give arrays of one shape and type")
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


def _check(x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance,
           mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
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
    """Compare in float64; NaN or infinity on either side fails the comparison and is then decided by its bits."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if tolerance.kind == "psnr":
            good = np.isfinite(x) & np.isfinite(y)
        else:
            error = np.subtract(x, y, dtype=np.float64)
            np.abs(error, out=error)
            if tolerance.kind == "relative":
                allowed = np.abs(x, dtype=np.float64)
                allowed *= tolerance.relative
                np.minimum(allowed, LARGEST_FLOAT, out=allowed)
                good = error <= allowed
            else:
                good = error <= tolerance.absolute
    bad = np.logical_not(good)
    if bad.any():
        # Non-finite originals may only stay as they are; a finite one that failed cannot have equal bits.
        bad &= bits_of(x) != bits_of(y)
    sign = bits_of(x) == (1 << (8 * x.dtype.itemsize - 1))
    if sign.any():
        bad |= sign & (bits_of(x) != bits_of(y))
    return np.asarray(bad, dtype=np.bool_)


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
        magnitude = np.abs(x.astype(np.float64))
        with np.errstate(over="ignore"):  # an infinite limit lets everything pass
            magnitude *= tolerance.relative
        return np.asarray(error > _whole(magnitude), dtype=np.bool_)
    return np.asarray(error > _whole(tolerance.absolute), dtype=np.bool_)


def _whole(limit: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the largest integers not above `limit`, cut to uint64."""
    large = limit >= 2.0**64
    whole = np.where(large, 0.0, limit).astype(np.uint64)
    return np.asarray(np.where(large, np.uint64(_UINT64_MAX), whole), dtype=np.uint64)
