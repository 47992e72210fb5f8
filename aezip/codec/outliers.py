"""Values stored exactly: a small stream of a chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.planes import split_bytes, unshuffle


def pack(x: npt.NDArray[Any], wrong: npt.NDArray[np.bool_]) -> bytes:
    """Return positions and exact values of the marked entries of a chunk.

    Layout: uint32 positions, as differences, by significance; the values' little-endian bytes, by significance.
    """
    position = np.flatnonzero(wrong)
    if not len(position):
        return b""
    gaps = np.diff(position, prepend=0).astype(np.uint32)
    return split_bytes(gaps) + split_bytes(x.reshape(-1)[position])


def restore(data: bytes, out: npt.NDArray[Any]) -> None:
    """Write exact values into a decoded chunk, in place.

    Raises
    ------
    CorruptFile
        If a position lies outside the chunk.
    """
    if not data:
        return
    size = 4 + out.dtype.itemsize
    if len(data) % size:
        raise CorruptFile("the outliers are cut short: the file is damaged")
    count = len(data) // size
    gaps = np.frombuffer(unshuffle(data[: 4 * count], 4), "<u4")
    position = gaps.cumsum(dtype=np.int64)
    if int(position[-1]) >= out.size:
        raise CorruptFile("an outlier lies outside its chunk: the file is damaged")
    values = unshuffle(data[4 * count :], out.dtype.itemsize)
    out.reshape(-1)[position] = np.frombuffer(values, out.dtype.newbyteorder("<"))
