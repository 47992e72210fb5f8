"""NumPy basic indexing of an array that is decoded chunk by chunk."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import InvalidInput

if TYPE_CHECKING:
    from aezip.codec.decoder import ArrayDecoder

_BASIC = "only integers, slices and Ellipsis index an archive: use oindex for lists and masks, an axis each"


@dataclass(frozen=True)
class Selection:
    """A parsed index.

    Parameters
    ----------
    outer
        The outer indices wanted, ascending.
    single
        The outer axis was indexed with an integer and disappears.
    backwards
        They were wanted in descending order.
    inner
        The index of the other axes.
    shape
        Shape of the whole array.
    """

    outer: range
    single: bool
    backwards: bool
    inner: tuple[Any, ...]
    shape: tuple[int, ...]

    @staticmethod
    def parse(key: Any, shape: tuple[int, ...]) -> Selection:
        """Parse an index.

        Raises
        ------
        InvalidInput
            If it is not made of integers, slices and one Ellipsis.
        IndexError
            If an integer is out of range.
        """
        keys = list(key) if isinstance(key, tuple) else [key]
        if sum(k is Ellipsis for k in keys) > 1:
            raise InvalidInput("an index may hold only one Ellipsis")
        if any(k is Ellipsis for k in keys):
            at = next(i for i, k in enumerate(keys) if k is Ellipsis)
            keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + 1)
        keys = [_plain(k) for k in keys]
        if len(keys) > len(shape):
            raise InvalidInput(f"the index has {len(keys)} axes, the array {len(shape)}")
        keys += [slice(None)] * (len(shape) - len(keys))
        if not shape:
            return Selection(range(1), False, False, (), shape)
        first, inner = keys[0], tuple(keys[1:])
        if isinstance(first, int):
            place = first + shape[0] if first < 0 else first
            if not 0 <= place < shape[0]:
                raise IndexError(f"index {first} is out of range for an axis of {shape[0]}")
            return Selection(range(place, place + 1), True, False, inner, shape)
        chosen = range(*first.indices(shape[0]))
        backwards = chosen.step < 0
        return Selection(chosen[::-1] if backwards else chosen, False, backwards, inner, shape)

    def chunks(self, decoder: ArrayDecoder) -> list[int]:
        """Return the chunks that hold wanted indices."""
        wanted = []
        for index in range(decoder.chunk_count):
            start, stop = decoder.chunk_range(index)
            if len(self._inside(start, stop)):
                wanted.append(index)
        return wanted

    def _inside(self, start: int, stop: int) -> range:
        """Return the wanted indices from `start` up to `stop`."""
        step = self.outer.step
        first = max(0, -(-(start - self.outer.start) // step))
        last = max(0, -(-(stop - self.outer.start) // step))
        return self.outer[first:last]

    def part(self, start: int, stop: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what is wanted of a chunk."""
        inside = self._inside(start, stop)
        local = slice(inside[0] - start, inside[-1] - start + 1, inside.step)
        return np.asarray(values[(local, *self.inner)])

    def join(self, parts: list[npt.NDArray[Any]], dtype: np.dtype[Any]) -> Any:
        """Return the result from the parts of all chunks; a single value as an array without axes, all its bits kept."""
        if not parts:
            empty = np.empty((0, *self.shape[1:]), dtype)
            return empty[(slice(None), *self.inner)]
        whole = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if self.single:
            return whole[0, ...]
        return whole[::-1] if self.backwards else whole


def orthogonal(key: Any, shape: tuple[int, ...]) -> tuple[list[npt.NDArray[np.intp]], tuple[Any, ...]]:
    """Return the indices wanted along each axis, and the index that takes away the axes of single integers.

    Raises
    ------
    InvalidInput
        If the index is not made of integers, slices, one Ellipsis, and lists or arrays of integers or booleans, each
        for one axis.
    IndexError
        If an integer is out of range.
    """
    keys = list(key) if isinstance(key, tuple) else [key]
    if sum(k is Ellipsis for k in keys) > 1 or len(keys) - any(k is Ellipsis for k in keys) > len(shape):
        raise InvalidInput(f"the index has too many axes: the array has {len(shape)}")
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[at : at + 1] = [slice(None)] * (len(shape) - len(keys) + (at < len(keys)))
    return [_indices(k, n) for k, n in zip(keys, shape, strict=True)], tuple(slice(None) if _spans(k) else 0 for k in keys)


def _spans(key: Any) -> bool:
    return isinstance(key, slice) or np.ndim(key) > 0


def _indices(key: Any, size: int) -> npt.NDArray[np.intp]:
    if isinstance(key, slice):
        return np.arange(size)[key]
    values = np.asarray(key)
    if values.dtype == np.bool_ and values.shape == (size,):
        return np.flatnonzero(values)
    if (values.dtype.kind not in "iu" and values.size) or values.ndim > 1:
        raise InvalidInput("an orthogonal index is made of integers, slices, and one list of integers or booleans for an axis")
    found = np.atleast_1d(values).astype(np.intp)
    wrong = found[(found < -size) | (found >= size)]
    if len(wrong):
        raise IndexError(f"index {wrong[0]} is out of range for an axis of {size}")
    return np.where(found < 0, found + size, found)


def _plain(key: Any) -> Any:
    if isinstance(key, slice) or key is Ellipsis:
        return key
    if key is None or isinstance(key, bool | np.bool_):
        raise InvalidInput(_BASIC)
    try:
        return operator.index(key)
    except TypeError:
        raise InvalidInput(_BASIC) from None
