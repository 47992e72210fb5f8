"""Signals: an axis is decoded from its beginning to its end.

Each value is predicted from the values before it and from the columns already decoded at the same index. The axis
is cut into many segments that advance together, so that a pass still holds many values. Against bisection this keeps
what is periodic or resonant (vibrations, daily cycles). Knows nothing of networks or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile

Scalar = TypeVar("Scalar", bound=np.generic)
Float = npt.NDArray[Any]
LAGS = 32
MOST_COLUMNS = 16
_SEGMENT = 512  # most indices of a segment: each is a pass over all segments
START = 8  # indices of a segment whose lags are cut short


@dataclass(frozen=True)
class Signal:
    """Which axis is the signal's, which holds its columns, and into how many segments it is cut.

    Parameters
    ----------
    axis
        The axis decoded in order.
    columns
        The axis whose entries are decoded one after the other, or None; all other axes are side by side.
    segments
        Number of segments of `axis`.
    """

    axis: int
    columns: int | None
    segments: int

    def to_json(self) -> dict[str, Any]:
        """Return the series."""
        return {"axis": self.axis, "columns": self.columns, "segments": self.segments}

    @staticmethod
    def from_json(value: Any, shape: tuple[int, ...]) -> Signal:
        """Read a series for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        try:
            axis, columns, segments = value["axis"], value["columns"], value["segments"]
        except (KeyError, TypeError) as error:
            raise CorruptFile("the plan in the header is malformed: the file is damaged") from error
        good = type(axis) is int and 0 <= axis < len(shape) and type(segments) is int and 1 <= segments < 1 << 31
        if columns is not None:
            good = good and type(columns) is int and 0 <= columns < len(shape) and columns != axis
            good = good and 1 <= shape[columns] <= MOST_COLUMNS and columns != 0
        if not good:
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        return Signal(axis, columns, segments)

    def count(self, shape: tuple[int, ...]) -> int:
        """Return the number of columns."""
        return 1 if self.columns is None else shape[self.columns]

    def length(self, shape: tuple[int, ...]) -> int:
        """Return the number of indices of a segment in a chunk of `shape`."""
        return -(-shape[self.axis] // self.segments)

    def _moved(self, array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return a view with the axes (signal, others, columns)."""
        if self.columns is None:
            return np.moveaxis(array, self.axis, 0)[..., None]
        return np.moveaxis(array, (self.axis, self.columns), (0, -1))

    def split(self, array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
        """Return the segments side by side, (length, segments * others, columns), the last continued by its end."""
        moved = self._moved(array)
        total, columns = moved.shape[0], moved.shape[-1]
        flat = moved.reshape(total, -1, columns)
        length = self.length(array.shape)
        missing = length * self.segments - total
        if missing:
            flat = np.concatenate([flat, np.repeat(flat[-1:], missing, axis=0)])
        parts = flat.reshape(self.segments, length, -1, columns).transpose(1, 0, 2, 3)
        return np.ascontiguousarray(parts).reshape(length, -1, columns)

    def join(self, parts: npt.NDArray[Scalar], shape: tuple[int, ...]) -> npt.NDArray[Scalar]:
        """Undo `split`."""
        length, columns = parts.shape[0], parts.shape[-1]
        turned = parts.reshape(length, self.segments, -1, columns).transpose(1, 0, 2, 3)
        flat = turned.reshape(length * self.segments, -1, columns)
        moved = self._moved(np.empty(shape, np.int8)).shape
        whole = flat[: shape[self.axis]].reshape(moved)
        if self.columns is None:
            return np.ascontiguousarray(np.moveaxis(whole[..., 0], 0, self.axis))
        return np.ascontiguousarray(np.moveaxis(whole, (0, -1), (self.axis, self.columns)))

    def padding(self, shape: tuple[int, ...]) -> npt.NDArray[np.bool_] | None:
        """Return which values of `split` are continuations only; None if none is."""
        length = self.length(shape)
        if length * self.segments == shape[self.axis]:
            return None
        moved = self._moved(np.empty(shape, np.int8)).shape
        real = np.arange(length * self.segments) < shape[self.axis]
        one = np.broadcast_to(~real[:, None, None], (length * self.segments, math.prod(moved[1:-1]), moved[-1]))
        return np.ascontiguousarray(one.reshape(self.segments, length, -1, moved[-1]).transpose(1, 0, 2, 3)).reshape(
            length, -1, moved[-1]
        )


def series_for(shape: tuple[int, ...]) -> list[Signal]:
    """Return the series worth trying for chunks of `shape`: along its longest axis."""
    axis = max(range(len(shape)), key=lambda a: shape[a])
    if shape[axis] < 1024:
        return []
    columns = len(shape) - 1
    found = columns if columns not in (axis, 0) and 1 < shape[columns] <= MOST_COLUMNS else None
    segments = max(1, -(-shape[axis] // _SEGMENT), min(64, shape[axis] // 64))
    return [Signal(axis, found, segments)]


def slot_count(columns: int) -> int:
    """Return the number of inputs: lags of the own column, changes of the other ones."""
    return LAGS + columns - 1


def kind_count(columns: int) -> int:
    """Return the number of classes: the first index; each column near the start of a segment, and beyond."""
    return 1 + 2 * columns


@dataclass(frozen=True)
class SignalPass:
    """All segments' values at one index of one column."""

    index: int
    column: int
    columns: int

    @property
    def targets(self) -> tuple[slice, ...]:
        """The index of the values decoded."""
        return slice(self.index, self.index + 1), slice(None), slice(self.column, self.column + 1)

    @property
    def kind(self) -> int:
        """The class."""
        if not self.index:
            return 0
        return 1 + self.column + (self.columns if self.index >= START else 0)

    @property
    def active(self) -> tuple[int, ...]:
        """Which slots hold decoded values."""
        if not self.index:
            return ()
        return tuple(range(LAGS + self.column))

    def gather(self, context: Float) -> Float:
        """Return the inputs of all segments, (active slots, segments), from values (length, segments, columns)."""
        t, c = self.index, self.column
        out = np.empty((len(self.active), context.shape[1]), context.dtype)
        if not t:
            return out
        most = min(LAGS, t)
        out[:most] = context[t - most : t, :, c][::-1]
        out[most:LAGS] = context[0, :, c]
        if c:  # what the others did since the index before, from the own value there
            change = context[t, :, :c] - context[t - 1, :, :c]
            out[LAGS:] = change.T + context[t - 1, :, c]
        return out

    def errors(self, errors: Float) -> tuple[Float, Float]:
        """Return sums of errors: of the own column's last two, of the other columns'; (segments,) each."""
        t, c = self.index, self.column
        own = errors[max(0, t - 2) : t, :, c].sum(axis=0, dtype=np.float32)
        return own, errors[t, :, :c].sum(axis=1, dtype=np.float32)
