"""Bytes of numbers by significance, as equal high bytes compress, and numbers packed so: in JSON headers and in models.

Sizes are checked before memory is taken. Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import CorruptFile
from .types import Array

_MOST = 1 << 20  # numbers in one array
_FEW = 4  # arrays up to this length are written as plain JSON numbers


def shuffle(data: bytes, size: int) -> bytes:
    """Order bytes by their significance: all first bytes of `size`-byte values, all second ones, …."""
    return np.frombuffer(data, np.uint8).reshape(-1, size).T.tobytes()


def unshuffle(data: bytes, size: int) -> bytes:
    """Undo `shuffle`."""
    return np.frombuffer(data, np.uint8).reshape(size, -1).T.tobytes()


def pack_numbers(numbers: Array) -> Any:
    """Return a 1-D array of float64, int64 or int8 as a JSON value."""
    if numbers.size <= _FEW:
        return numbers.tolist()
    return {"count": numbers.size, "zlib": base64.b64encode(zlib.compress(split_bytes(numbers), 9)).decode("ascii")}


def unpack_numbers(data: Any, dtype: str) -> Array:
    """Return the array that `pack_numbers` wrote, of the native type `dtype`.

    Raises
    ------
    CorruptFile
        If the value is malformed, or holds another number of bytes than it says.
    """
    kind = np.dtype(dtype)
    try:
        if isinstance(data, list):
            if not all(type(item) is int or (type(item) is float and kind.kind == "f") for item in data):
                raise TypeError("not numbers")
            return np.array(data, dtype=kind)
        count = data["count"]
        if type(count) is not int or not 0 <= count <= _MOST:
            raise ValueError("count")
        packed = base64.b64decode(data["zlib"], validate=True)
        inflater = zlib.decompressobj()
        raw = inflater.decompress(packed, count * kind.itemsize + 1)
        if len(raw) != count * kind.itemsize or not inflater.eof or inflater.unused_data:
            raise ValueError("size")
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error, zlib.error) as error:
        raise CorruptFile("numbers in the header are malformed: the file is damaged, get another copy") from error
    return np.frombuffer(unshuffle(raw, kind.itemsize), kind.newbyteorder("<")).astype(kind)


def split_bytes(value: Array) -> bytes:
    """Return the bytes of numbers by significance."""
    return shuffle(value.astype(value.dtype.newbyteorder("<")).tobytes(), value.itemsize)


class Cursor:
    """Reads a model from front to back."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        """Return the next bytes; raises CorruptFile if there are too few."""
        if self.at + size > len(self.data):
            raise CorruptFile("the model is cut short: the file is damaged")
        self.at += size
        return self.data[self.at - size : self.at]

    def int8(self, *shape: int) -> npt.NDArray[np.int8]:
        """Return the next bytes as an array."""
        return np.frombuffer(self.take(int(np.prod(shape))), np.int8).reshape(shape)

    def wide(self, count: int, kind: str) -> npt.NDArray[np.signedinteger]:
        """Return integers of several bytes that were stored by significance."""
        size = np.dtype(kind).itemsize
        planes = np.frombuffer(self.take(count * size), np.uint8).reshape(size, count)
        out: npt.NDArray[np.signedinteger] = np.ascontiguousarray(planes.T).view(kind).reshape(count).astype(kind[1:])
        return out
