"""How an array is prepared for a codec that cannot take it as it is, and put back: holes, columns, integers.

Every byte that the way back needs is counted in ``View.extra``. Knows nothing of codecs or layouts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard

from aezip.tools.peers import smallest, to_dtype
from benchmarks.datasets import FLOATS_UP_TO, Array, Problem

MOST_DECIMALS = 9
HALF = 0.4995  # an integer may be missed by this much and still round to itself


@dataclass(frozen=True)
class View:
    """What a codec sees in place of the array.

    Attributes
    ----------
    label : str
        How it was made.
    values : ndarray
        The values to code, in the shape of the array.
    tolerance : float
        The error allowed on ``values``; 0 for bit-identical.
    extra : int
        Bytes that `restore` needs besides what the codec writes.
    restore : callable
        Decoded values to the original dtype, holes included.
    """

    label: str
    values: Array
    tolerance: float
    extra: int
    restore: Callable[[Array], Array]


def mask_bytes(special: npt.NDArray[np.bool_]) -> int:
    """Return the bytes of a bitmap of the holes, packed and compressed in the better of two axis orders."""
    packer = zstandard.ZstdCompressor(level=19)
    return min(len(packer.compress(np.packbits(special.ravel(order).view(np.uint8)).tobytes())) for order in ("C", "F"))


def fill_holes(array: Array, special: npt.NDArray[np.bool_], axis: int) -> Array:
    """Return a copy with each hole replaced by the last ordinary value before it along ``axis``, else the mean."""
    moved, holes = np.moveaxis(array, axis, 0), np.moveaxis(special, axis, 0)
    places = np.where(holes, -1, np.arange(len(moved)).reshape(-1, *[1] * (moved.ndim - 1)))
    places = np.maximum.accumulate(places, axis=0)
    filled = np.take_along_axis(moved, np.maximum(places, 0), axis=0)
    ordinary = array[~special]
    mean = ordinary.astype(np.float64).mean() if ordinary.size else 0.0
    filled = np.where(places < 0, np.asarray(mean).astype(array.dtype), filled)
    return np.ascontiguousarray(np.moveaxis(filled, 0, axis))


def _bases(problem: Problem) -> Iterator[View]:
    """Yield the array itself and, where it has holes, versions without them."""
    array, special = problem.array, problem.special
    if special is None or problem.lossless:
        yield View("as is", array, 0.0, 0, lambda y: y)
    if special is None:
        return
    holes = special
    extra = mask_bytes(holes) + array.dtype.itemsize

    def put_back(decoded: Array) -> Array:
        out = decoded.copy()
        out[holes] = array[holes][0]  # one value stands in all holes; the final check finds out where more do
        return out

    for axis in dict.fromkeys((0, array.ndim - 1)):
        yield View(f"holes filled along axis {axis}", fill_holes(array, holes, axis), 0.0, extra, put_back)


def _cast_then(base: View, dtype: np.dtype[Any]) -> Callable[[Array], Array]:
    return lambda decoded: base.restore(to_dtype(decoded, dtype))


def exact_views(problem: Problem, widths: tuple[int, ...]) -> Iterator[View]:
    """Yield views for codecs that return every bit; small integers as int32 where a codec does not take them."""
    if not problem.lossless:
        return
    for base in _bases(problem):
        dtype = base.values.dtype
        if dtype.kind in "iu" and dtype.itemsize < 4 and dtype.itemsize not in widths:
            wide = base.values.astype(np.int32)
            yield View(f"{base.label}, int32", wide, 0.0, base.extra, _cast_then(base, dtype))
        else:
            yield base


def float_views(problem: Problem, factor: float) -> Iterator[View]:
    """Yield views for codecs that take floats and an absolute tolerance; ``factor`` loosens or tightens it."""
    integer = problem.array.dtype.kind in "iu"
    if problem.lossless and not integer:
        return
    error = np.floor(problem.error) + HALF if integer else problem.error
    for base in _bases(problem):
        values, dtype = base.values, base.values.dtype
        if integer:
            small = max(abs(int(values.max())), abs(int(values.min()))) <= FLOATS_UP_TO
            values = values.astype(np.float32 if small else np.float64)
        if error.ndim == 0:
            yield View(base.label, values, float(error) * factor, base.extra, _cast_then(base, dtype))
            continue
        yield _scaled(values, error, factor, dtype, base)


def _scaled(values: Array, error: Array, factor: float, dtype: np.dtype[Any], base: View) -> View:
    """Return columns divided by their bound, so that one tolerance serves them all; 8 bytes a column."""
    moving = error > 0
    scale = np.where(moving, error, 1.0)
    constants = np.where(moving, 0.0, values.reshape(-1, len(error))[0])
    scaled = np.where(moving, values / scale, 0.0).astype(values.dtype)

    def restore(decoded: Array) -> Array:
        return base.restore(to_dtype(np.where(moving, decoded.astype(np.float64) * scale, constants), dtype))

    return View(f"{base.label}, columns over their bounds", scaled, factor, base.extra + 8 * len(error), restore)


def integer_views(problem: Problem, factor: float) -> Iterator[View]:
    """Yield views of quantized integers: whole steps of twice the bound, or decimals where the array holds those."""
    for base in _bases(problem):
        if base.values.dtype.kind in "iu":
            yield _whole(base, 2 * np.floor(problem.error).astype(np.int64) + 1, problem.columns)
            continue
        if not problem.lossless:
            yield _stepped(base, problem, factor)
        if np.isfinite(base.values).all():
            decimal = _decimal(base, problem)
            if decimal is not None:
                yield decimal


def _whole(base: View, step: Array, columns: int) -> View:
    """Return integers divided by an odd step, exact to half of it rounded down."""
    dtype = base.values.dtype
    quantized = np.floor_divide(base.values.astype(np.int64) + step // 2, step)

    def restore(decoded: Array) -> Array:
        return base.restore(to_dtype(decoded.astype(np.int64) * step, dtype))

    return View(base.label, smallest(quantized), 0.0, base.extra + 8 * max(columns, 1), restore)


def _stepped(base: View, problem: Problem, factor: float) -> View:
    """Return floats as whole steps of twice the bound."""
    dtype = base.values.dtype
    step = np.where(problem.error > 0, 2 * problem.error * factor, 1.0)
    constants = base.values.reshape(-1, base.values.shape[-1])[0].astype(np.float64)
    moving = np.broadcast_to(problem.error > 0, step.shape)
    quantized = np.where(moving, np.rint(base.values / step), 0.0).astype(np.int64)

    def restore(decoded: Array) -> Array:
        return base.restore(to_dtype(np.where(moving, decoded * step, constants), dtype))

    return View(f"{base.label}, steps", smallest(quantized), 0.0, base.extra + 8 * max(problem.columns, 1), restore)


def decimals(column: Array) -> tuple[int, bool] | None:
    """Return the number of decimals that all of a column has, and whether only in float32; None if there is none."""
    wide = column.astype(np.float64)
    negative_zero = bool((np.signbit(wide) & (wide == 0)).any())
    if negative_zero or np.abs(wide).max(initial=0.0) > 2.0**40:
        return None
    sample = wide[:: max(1, len(wide) // 1000)]
    for narrow in (False, True):
        for digits in range(MOST_DECIMALS + 1):
            if all(_is_decimal(part, digits, narrow, column.dtype) for part in (sample, wide)):
                return digits, narrow
    return None


def _is_decimal(wide: Array, digits: int, narrow: bool, dtype: np.dtype[Any]) -> bool:
    return bool((_from_decimal(np.rint(wide * 10.0**digits), 10.0**digits, narrow, dtype) == wide).all())


def _from_decimal(integers: Array, scale: Array | float, narrow: bool, dtype: np.dtype[Any]) -> Array:
    value = np.asarray(integers / scale)
    with np.errstate(over="ignore"):
        return (value.astype(np.float32) if narrow else value).astype(dtype)


def _decimal(base: View, problem: Problem) -> View | None:
    """Return floats as whole multiples of a power of ten (one for each column when lossless), where all are."""
    values, dtype = base.values, base.values.dtype
    rows = values.reshape(-1, values.shape[-1])
    if values.ndim == 1 or rows.shape[1] > 256:
        rows = values.reshape(-1, 1)
    found = [decimals(np.ascontiguousarray(c)) for c in rows.T]
    known = [f for f in found if f is not None]
    if len(known) < len(found) or len({n for _, n in known}) > 1:
        return None
    digits = np.array([d for d, _ in known])
    if not problem.lossless and problem.error.ndim == 0:
        digits[:] = digits.max()
    scale = 10.0 ** (digits if len(digits) > 1 else digits[0])
    step = 2 * np.floor(problem.error * scale * (1 - 1e-9)).astype(np.int64) + 1
    narrow = known[0][1]
    quantized = np.floor_divide(np.rint(values * scale).astype(np.int64) + step // 2, step)

    def restore(decoded: Array) -> Array:
        return base.restore(_from_decimal((decoded.astype(np.int64) * step).astype(np.float64), scale, narrow, dtype))

    extra = base.extra + len(digits) + 8 * max(problem.columns, 1)
    return View(f"{base.label}, decimals", smallest(quantized), 0.0, extra, restore)
