"""The error bounds a user can ask for, and the one exact check of them.

Knows arrays and numbers only: nothing of layouts, networks, streams or files.  A bound is first *resolved* against
the statistics of the data, which gives a ``Tolerance``; ``violations`` then compares original and decoded values, both
in the output dtype, in float64 (64-bit integers: exactly) and without any slack.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.errors import CorruptFile, InvalidInput, UnsupportedVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from aezip.admission import Statistics

_BLOCK = 1 << 16  # values per step of the check: the temporaries stay in cache
_LARGEST = sys.float_info.max
_UINT64_MAX = (1 << 64) - 1


def _positive(value: object, name: str) -> float:
    """Return `value` as a float if it is a positive finite number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise InvalidInput(f"{name} must be a number, not {type(value).__name__}: give a positive finite number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number) or number <= 0.0:
        raise InvalidInput(f"{name} must be positive and finite, not {number:g}: for no error at all use Lossless")
    return number


@dataclass(frozen=True)
class Bound:
    """Base of all bounds; ask for one of the subclasses."""

    kind: ClassVar[str] = ""

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object; `bound_from_json` reads it."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class Absolute(Bound):
    """``abs(x - y) <= value`` for every finite value; complex values: for each part.

    Raises
    ------
    InvalidInput
        If the value is not a positive finite number.
    """

    kind: ClassVar[str] = "absolute"
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "the absolute bound"))

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        return {"kind": self.kind, "value": self.value}


@dataclass(frozen=True)
class RangeRelative(Bound):
    """``abs(x - y) <= value * (max - min)`` over the finite, unmasked values.

    Parameters
    ----------
    value : float
        Fraction of the value range.
    per_feature : bool
        Every entry of the last axis (column) has its own range.  A 1-D array is one feature.

    Raises
    ------
    InvalidInput
        If the value is not a positive finite number.
    """

    kind: ClassVar[str] = "range_relative"
    value: float
    per_feature: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "the range-relative bound"))
        object.__setattr__(self, "per_feature", bool(self.per_feature))

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        return {"kind": self.kind, "value": self.value, "per_feature": self.per_feature}


@dataclass(frozen=True)
class PointRelative(Bound):
    """``abs(x - y) <= value * abs(x)`` for every finite value; zeros stay zero.

    Raises
    ------
    InvalidInput
        If the value is not a positive finite number.
    """

    kind: ClassVar[str] = "point_relative"
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "the point-relative bound"))

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        return {"kind": self.kind, "value": self.value}


@dataclass(frozen=True)
class PSNR(Bound):
    """Peak signal-to-noise ratio over the value range of at least `db` decibels.

    Raises
    ------
    InvalidInput
        If `db` is not a positive finite number.
    """

    kind: ClassVar[str] = "psnr"
    db: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "db", _positive(self.db, "the PSNR"))

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        return {"kind": self.kind, "db": self.db}


@dataclass(frozen=True)
class Lossless(Bound):
    """Every value comes back bit-identical."""

    kind: ClassVar[str] = "lossless"


def bound_from_json(data: Mapping[str, Any]) -> Bound:
    """Return the bound that `Bound.to_json` wrote.

    Raises
    ------
    CorruptFile
        If the object is malformed.
    UnsupportedVersion
        If the kind of bound is not known.
    """
    try:
        kind = data["kind"]
        if kind == Lossless.kind:
            return Lossless()
        if kind == PSNR.kind:
            return PSNR(data["db"])
        if kind == Absolute.kind:
            return Absolute(data["value"])
        if kind == PointRelative.kind:
            return PointRelative(data["value"])
        if kind == RangeRelative.kind:
            if not isinstance(data["per_feature"], bool):
                raise CorruptFile("the bound in the header is malformed: the file is damaged, get another copy")
            return RangeRelative(data["value"], data["per_feature"])
    except (KeyError, TypeError, InvalidInput) as error:
        raise CorruptFile("the bound in the header is malformed: the file is damaged, get another copy") from error
    raise UnsupportedVersion(f"the kind of bound {str(kind)[:40]!r} is not known: update aezip")


@dataclass(frozen=True)
class Tolerance:
    """A bound resolved against the data.

    Attributes
    ----------
    kind : str
        "lossless", "absolute", "relative" or "psnr".
    absolute : ndarray of float64, shape () or that of the columns
        Largest ``abs(x - y)`` allowed, in the unit of the data, for kind "absolute"; finite, may be 0; else 0.
        Broadcasts against the values.
    relative : float
        Largest ``abs(x - y) / abs(x)`` for kind "relative", else 0.
    mse : float
        Largest mean squared error for kind "psnr", finite, may be 0; else 0.
    """

    kind: str
    absolute: NDArray[np.float64]
    relative: float = 0.0
    mse: float = 0.0


def resolve(bound: Bound, statistics: Statistics) -> Tolerance:
    """Return what `bound` allows for data with these statistics.

    Raises
    ------
    InvalidInput
        If a bound per feature is asked of more columns than statistics are kept for.
    """
    nothing = np.zeros((), dtype=np.float64)
    if isinstance(bound, Lossless):
        return Tolerance("lossless", nothing)
    if isinstance(bound, Absolute):
        return Tolerance("absolute", np.array(bound.value, dtype=np.float64))
    if isinstance(bound, PointRelative):
        return Tolerance("relative", nothing, relative=bound.value)
    if isinstance(bound, RangeRelative):
        return Tolerance("absolute", _range_tolerance(bound, statistics))
    if isinstance(bound, PSNR):
        # Squares that overflow are cut down and those that underflow become 0: both only make the target stricter.
        spread = min(statistics.range, 1e154)
        return Tolerance("psnr", nothing, mse=spread * spread * 10.0 ** max(-bound.db / 10.0, -400.0))
    raise InvalidInput(f"{type(bound).__name__} is not a bound: use Absolute, RangeRelative, PointRelative, PSNR or Lossless")


def _range_tolerance(bound: RangeRelative, statistics: Statistics) -> NDArray[np.float64]:
    """Return bound times range, finite, shape () or that of the columns."""
    spread: NDArray[np.float64] = np.array(statistics.range, dtype=np.float64)
    if bound.per_feature and statistics.columns > 1:
        if statistics.column_range is None:
            raise InvalidInput(f"a bound per feature is limited to 65536 features, the data has {statistics.columns}: "
                               "use the bound without per-feature, or reshape")
        spread = statistics.column_range
    with np.errstate(over="ignore"):
        return np.asarray(np.minimum(bound.value * spread, _LARGEST), dtype=np.float64)


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
    bad = np.empty(original.shape, dtype=np.bool_)
    for part in _parts(original):
        mask = None if exact_mask is None else exact_mask[part]
        bad[part] = _check(_native(original[part]), _native(decoded[part]), tolerance, mask)
    return bad


def _parts(values: NDArray[Any]) -> Iterator[tuple[slice, ...]]:
    """Cut into slices along the outer axis of about `_BLOCK` values."""
    if values.ndim == 0 or values.size <= _BLOCK:
        yield ()
        return
    step = max(1, _BLOCK // (values.size // values.shape[0]))
    for start in range(0, values.shape[0], step):
        yield (slice(start, start + step),)


def _native(values: NDArray[Any]) -> NDArray[Any]:
    return values if values.dtype.isnative else values.astype(values.dtype.newbyteorder("="))


def _bits(values: NDArray[Any]) -> NDArray[Any]:
    """View the values as unsigned integers of their size."""
    return values.view(np.dtype(f"u{values.dtype.itemsize}"))


def _check(x: NDArray[Any], y: NDArray[Any], tolerance: Tolerance,
           mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Check one block of native values."""
    if tolerance.kind == "lossless":
        return np.asarray(_bits(x) != _bits(y), dtype=np.bool_)
    if x.dtype.kind == "f":
        bad = _check_floats(x, y, tolerance)
    else:
        bad = _check_integers(x, y, tolerance)
    if mask is not None and mask.any():
        bad |= mask & (_bits(x) != _bits(y))
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
                np.minimum(allowed, _LARGEST, out=allowed)
                good = error <= allowed
            else:
                good = error <= tolerance.absolute
    bad = np.logical_not(good)
    if bad.any():
        # Non-finite originals may only stay as they are; a finite one that failed cannot have equal bits.
        bad &= _bits(x) != _bits(y)
    sign = _bits(x) == (1 << (8 * x.dtype.itemsize - 1))
    if sign.any():
        bad |= sign & (_bits(x) != _bits(y))
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
        magnitude *= tolerance.relative
        return np.asarray(error > _whole(magnitude), dtype=np.bool_)
    return np.asarray(error > _whole(tolerance.absolute), dtype=np.bool_)


def _whole(limit: NDArray[np.float64]) -> NDArray[np.uint64]:
    """Return the largest integers not above `limit`, cut to uint64."""
    large = limit >= 2.0**64
    whole = np.where(large, 0.0, limit).astype(np.uint64)
    return np.asarray(np.where(large, np.uint64(_UINT64_MAX), whole), dtype=np.uint64)
