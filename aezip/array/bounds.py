"""The error bounds a user can ask for, and what they allow for given data.

Knows arrays and numbers only: nothing of layouts, networks, streams or files.  A bound is first *resolved* against
the statistics of the data, which gives a ``Tolerance``; ``violations`` then checks decoded values against that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aezip.core.errors import CorruptFile, InvalidInput, UnsupportedVersion
from aezip.core.fixed import LARGEST_FLOAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from .statistics import Statistics


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

    @property
    def share_of_range(self) -> float | None:
        """Error allowed as a share of the range of the values; None if it does not depend on that."""
        return None


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

    @property
    def share_of_range(self) -> float:
        """Error allowed as a share of the range of the values."""
        return self.value


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

    @property
    def share_of_range(self) -> float:
        """Root mean squared error allowed as a share of the range of the values."""
        return float(10.0 ** (-self.db / 20.0))


@dataclass(frozen=True)
class NRMSE(Bound):
    """Root mean squared error of at most `value` times (max - min) of the finite, unmasked values.

    Raises
    ------
    InvalidInput
        If the value is not a positive finite number.
    """

    kind: ClassVar[str] = "nrmse"
    value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _positive(self.value, "the normalized RMSE"))

    def to_json(self) -> dict[str, Any]:
        """Return the bound as a JSON object."""
        return {"kind": self.kind, "value": self.value}

    @property
    def share_of_range(self) -> float:
        """Root mean squared error allowed as a share of the range of the values."""
        return self.value


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
        if kind == NRMSE.kind:
            return NRMSE(data["value"])
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
        "lossless", "absolute", "relative" or "psnr" (of a mean squared error).
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
    if isinstance(bound, NRMSE):
        allowed = min(statistics.range, 1e154) * min(bound.value, 1.0)  # no error is larger than the range
        return Tolerance("psnr", nothing, mse=allowed * allowed * (1.0 - 1e-12))  # the mean is rounded when it is measured
    raise InvalidInput(
        f"{type(bound).__name__} is not a bound: use Absolute, RangeRelative, PointRelative, PSNR, NRMSE or Lossless"
    )


def _range_tolerance(bound: RangeRelative, statistics: Statistics) -> NDArray[np.float64]:
    """Return the largest float64 that is not above bound times range, shape () or that of the columns; finite."""
    spans: Any = [(statistics.minimum, statistics.maximum)]
    shape: tuple[int, ...] = ()
    if bound.per_feature and statistics.columns > 1:
        if statistics.column_range is None:
            raise InvalidInput(
                f"a bound per feature is limited to 65536 features, the data has {statistics.columns}: "
                "use the bound without per-feature, or reshape"
            )
        shape = statistics.column_range.shape
        assert statistics.column_minimum is not None and statistics.column_maximum is not None  # noqa: PT018
        spans = zip(statistics.column_minimum.reshape(-1).tolist(), statistics.column_maximum.reshape(-1).tolist(), strict=True)
    share = Fraction(bound.value)
    return np.array([_not_above(share * (Fraction(high) - Fraction(low))) for low, high in spans]).reshape(shape)


def _not_above(exact: Fraction) -> float:
    """Return the largest finite float64 that is not above a number that is not negative."""
    if exact >= LARGEST_FLOAT:
        return LARGEST_FLOAT
    nearest = float(exact)
    return nearest if nearest <= exact else math.nextafter(nearest, 0.0)
