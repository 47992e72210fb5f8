"""What a file may ask of this machine: the memory that decoding would take, compared before anything is allocated.

A file of 3 kB may truly hold 10**9 equal values, so that no ratio tells a bomb from an honest file: what counts is
whether this process can have the memory. Knows sizes only, nothing of streams or files.
"""

from __future__ import annotations

import math
import os
from typing import Protocol

from .errors import CorruptFile, UnsafeFile

VALUE = 40  # bytes of work for each decoded value, padding included; measured: 16 to 53
SCANNED = 24  # more for each value of a chunk in raster order: its place, its turn
CODE = 24  # for each code, or each that a network sees
CODED = 72  # more for each block of a convolution: what was coded of it and of those around it
MOST_ROWS = 1 << 16  # that a network predicts at a time
WEIGHT = 24  # for each weight of a network: int8, the proof of exactness in int64, the float array
TABLE = 256 * 24 + 4096 * 4  # for each frequency table
SPARSE = 16  # a layout may pad a chunk to so many times its values
FREE = 1 << 20  # values that it may always pad to
MOST_INDICES = 4096  # of a segment of a signal: each is a pass


class _Blocks(Protocol):
    def padded(self, shape: tuple[int, ...]) -> tuple[int, ...]: ...
    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]: ...


def memory() -> int:
    """Return how many bytes this process may have: what the machine has, or the limit it was given if that is less."""
    try:
        most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not every system tells
        most = 1 << 62
    try:
        import resource
    except ImportError:  # not on Windows
        return most
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft = resource.getrlimit(kind)[0]
        most = most if soft == resource.RLIM_INFINITY else min(most, soft)
    return most


def check(need: int, what: str) -> None:
    """Refuse what needs more memory than this process may have.

    Parameters
    ----------
    need
        Bytes.
    what
        The thing that needs them, for the message.

    Raises
    ------
    UnsafeFile
        If they are more than there are.
    """
    have = memory()
    if need > have:
        raise UnsafeFile(
            f"{what} needs about {need / 1e9:.3g} GB of memory, this process may have {have / 1e9:.3g} GB: "
            "use a larger machine, or do not trust this file"
        )


def check_array(shape: tuple[int, ...], itemsize: int) -> None:
    """Refuse to decode a whole array into memory that cannot hold it.

    Raises
    ------
    UnsafeFile
        If it cannot.
    """
    need, have = math.prod(shape) * itemsize, memory()
    if need > have:
        raise UnsafeFile(
            f"the array has {need / 1e9:.3g} GB, this process may have {have / 1e9:.3g} GB of memory: "
            "read slices of it, or decompress it to a file"
        )


def check_chunk(shape: tuple[int, ...], itemsize: int, layout: _Blocks | None = None, width: int = 0, near: int = 1) -> None:
    """Refuse a chunk that cannot be decoded in the memory there is.

    Parameters
    ----------
    shape
        Of the largest chunk.
    itemsize
        Bytes of a value.
    layout, width
        Blocks that the chunk is padded to, and codes of each.
    near
        Blocks whose codes a network sees at once.

    Raises
    ------
    CorruptFile
        If the layout has nothing to do with the shape.
    UnsafeFile
        If there is not that much memory.
    """
    values = math.prod(shape)
    need = values * (VALUE + 2 * itemsize)
    if layout is not None:
        padded = math.prod(layout.padded(shape))
        if padded > SPARSE * values + FREE:
            raise CorruptFile("the layout does not fit the array: the file is damaged")
        blocks = math.prod(layout.grid(shape))
        need = padded * VALUE + 2 * values * itemsize + blocks * width * CODE
        if near > 1:
            need += blocks * CODED + min(blocks, MOST_ROWS) * near * width * CODE
    check(need, f"a chunk of {values} values")


def check_model(weights: int, tables: int) -> None:
    """Refuse a model that cannot be held in the memory there is.

    Raises
    ------
    UnsafeFile
        If there is not that much memory.
    """
    check(weights * WEIGHT + tables * TABLE, "the model")


def check_series(length: int, values: int, padded: int) -> None:
    """Refuse a signal cut in a way that only a hostile file has.

    Parameters
    ----------
    length
        Indices of a segment of the largest chunk.
    values, padded
        Values of the chunk, and with the last segment filled up.

    Raises
    ------
    CorruptFile
        If the segments are too long or too many.
    """
    if length > MOST_INDICES or padded > SPARSE * values + FREE:
        raise CorruptFile("the segments of the signal do not fit the array: the file is damaged")


def check_scan(values: int) -> None:
    """Refuse a chunk in raster order whose places cannot be held in the memory there is.

    Raises
    ------
    CorruptFile
        If there are more values than places are numbered for.
    UnsafeFile
        If there is not that much memory.
    """
    if values >= 1 << 31:
        raise CorruptFile("the chunks are larger than any aezip scans: the file is damaged")
    check(values * (VALUE + SCANNED), f"a chunk of {values} values")


def threads(wanted: int, shape: tuple[int, ...], itemsize: int) -> int:
    """Return how many chunks of a shape may be decoded at a time."""
    need = max(1, math.prod(shape) * (VALUE + 2 * itemsize))
    return max(1, min(wanted, memory() // 2 // need))
