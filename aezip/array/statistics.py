"""The range of the data and of its columns, and its special values, in one pass of bounded memory.

Knows plain numeric arrays, also memory-mapped ones; nothing of what the statistics are used for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.core.fixed import LARGEST_FLOAT

from .specials import Specials, SpecialsCollector, ordinary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .missing import ValidRange

BLOCK = 1 << 20
_MAX_COLUMNS = 65536
_FEW_COLUMNS = 16  # below this, a reduction of one strided column at a time is faster than one over all


@dataclass(frozen=True)
class Statistics:
    """What is known of an array; "ordinary" values are the finite ones that are not missing.

    Attributes
    ----------
    size : int
        Number of values.
    count : int
        Number of ordinary values.
    minimum, maximum : float, or int for integer types
        Of the ordinary values, exact; 0 if there are none.
    columns : int
        Number of features: product of the trailing axes, 1 for a 1-D array.
    column_minimum, column_maximum : ndarray of float64 (64-bit integers for those), shape of the columns, or None
        0 for columns without ordinary values; None for a 1-D array or more than 65536 columns.
    column_range : ndarray of float64, shape of the columns, or None
        ``column_maximum - column_minimum``, without intermediate overflow of integers; may be infinite for floats.
    specials : Specials
        The values that must come back bit-identical.
    """

    size: int
    count: int
    minimum: float | int
    maximum: float | int
    columns: int
    column_minimum: NDArray[Any] | None
    column_maximum: NDArray[Any] | None
    column_range: NDArray[np.float64] | None
    specials: Specials

    @property
    def range(self) -> float:
        """``maximum - minimum``, unit of the data; one that overflows is the largest float."""
        return min(float(self.maximum - self.minimum), LARGEST_FLOAT)


def blocks(values: NDArray[Any], size: int = BLOCK) -> Iterator[NDArray[Any]]:
    """Cut an array of at least one axis into C-contiguous native blocks of about `size` values, in C order.

    The last axis stays whole as long as it is not longer than `size`.
    """
    if not values.size:
        return
    row = values.size // values.shape[0]
    if row > size and values.ndim > 1:
        for part in values:
            yield from blocks(part, size)
        return
    step = max(1, size // row)
    for start in range(0, values.shape[0], step):
        part = values[start : start + step]
        yield np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("="))


def measure(
    values: NDArray[Any],
    fill: NDArray[Any] | None = None,
    valid: ValidRange | None = None,
    *,
    trailing: int = 1,
    block: int = BLOCK,
) -> Statistics:
    """Return the statistics of an array in one pass over blocks.

    Parameters
    ----------
    values : ndarray
        Plain numeric type, at least 1-D, any byte order; may be memory-mapped.
    fill : ndarray, shape (count,), or scalar, optional
        Fill values, of the type of the values.
    valid : ValidRange, optional
        What lies outside is missing.
    trailing : int
        How many last axes make up the features.
    block : int
        Values in memory at a time.
    """
    if fill is not None:
        fill = np.atleast_1d(np.asarray(fill, dtype=values.dtype.newbyteorder("=")))
    columns = math.prod(values.shape[-trailing:]) if values.ndim > trailing else 1
    by_column = values.ndim > trailing and 0 < columns <= min(_MAX_COLUMNS, max(block, 1))
    collector, extremes = SpecialsCollector(fill, valid), _Extremes(values.dtype, columns if by_column else 1)
    count = 0
    for part in blocks(values, max(block, columns if by_column else 1)):
        flat = part.reshape(-1, columns) if by_column else part.reshape(-1, 1)
        special, left_out = ordinary(flat, fill, valid)
        collector.update(flat, special)
        missing = int(np.count_nonzero(left_out))
        count += flat.size - missing
        extremes.update(flat, left_out if missing else None)
    low, high = extremes.result()
    has = extremes.seen
    if by_column:
        shape = values.shape[-trailing:]
        return Statistics(
            values.size,
            count,
            _overall(low[has], min),
            _overall(high[has], max),
            columns,
            low.reshape(shape),
            high.reshape(shape),
            _range(low, high).reshape(shape),
            collector.result(),
        )
    return Statistics(
        values.size, count, _overall(low[has], min), _overall(high[has], max), columns, None, None, None, collector.result()
    )


def _overall(extremes: NDArray[Any], best: Any) -> float | int:
    number: float | int = best(extremes.tolist(), default=extremes.dtype.type(0).item())
    return number


def _range(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float64]:
    """Return high - low as float64."""
    if low.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.asarray(high - low, dtype=np.float64)
    return (high.view(np.uint64) - low.view(np.uint64)).astype(np.float64)


class _Extremes:
    """Running minimum and maximum of every column."""

    def __init__(self, dtype: np.dtype[Any], columns: int) -> None:
        wide = np.dtype(f"{dtype.kind}8")
        bottom, top = (-np.inf, np.inf) if dtype.kind == "f" else (np.iinfo(wide).min, np.iinfo(wide).max)
        self._low = np.full(columns, top, dtype=wide)
        self._high = np.full(columns, bottom, dtype=wide)
        self._bottom, self._top = (bottom, top) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which columns had ordinary values."""
        return np.asarray(self._low <= self._high, dtype=np.bool_)

    def update(self, flat: NDArray[Any], left_out: NDArray[np.bool_] | None) -> None:
        """Take in rows x columns of native values."""
        lows = highs = flat
        if left_out is not None:
            lows = np.where(left_out, flat.dtype.type(self._top), flat)
            highs = np.where(left_out, flat.dtype.type(self._bottom), flat)
        if flat.shape[1] <= _FEW_COLUMNS:
            low = np.array([lows[:, column].min() for column in range(flat.shape[1])])
            high = np.array([highs[:, column].max() for column in range(flat.shape[1])])
        else:
            low, high = lows.min(axis=0), highs.max(axis=0)
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)

    def result(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return minimum and maximum of every column, 0 for those without values; -0.0 counts as 0."""
        seen = self.seen
        zero = self._low.dtype.type(0)
        return np.where(seen, self._low, zero) + zero, np.where(seen, self._high, zero) + zero
