"""Small number arrays inside a JSON header: byte planes, deflate, base64; sizes are checked before memory is taken.

Knows nothing of what the numbers mean.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import CorruptFile

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST = 1 << 20  # numbers in one array
_FEW = 4  # arrays up to this length are written as plain JSON numbers


def pack_numbers(numbers: NDArray[Any]) -> Any:
    """Return a 1-D array of float64, int64 or int8 as a JSON value."""
    if numbers.size <= _FEW:
        return numbers.tolist()
    little = np.ascontiguousarray(numbers.astype(numbers.dtype.newbyteorder("<")))
    planes = little.view(np.uint8).reshape(numbers.size, -1).T
    return {"count": numbers.size, "zlib": base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")}


def unpack_numbers(data: Any, dtype: str) -> NDArray[Any]:
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
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(kind.itemsize, count)
    return np.ascontiguousarray(planes.T).reshape(-1).view(kind.newbyteorder("<")).astype(kind)
