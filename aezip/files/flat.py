"""Files that are a header and runs of values at known places: taken apart and put together byte by byte.

The skeleton is the file's bytes without the runs that are coded. It begins with the header, which tells the places again
when the file is put together; so a file whose arrays are lossless comes back byte for byte.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile, InvalidInput

from .datasets import lossy_before, usable_fills, usable_range
from .parts import LEAST, NO_BOUND, PIECE, Decoded, Parts, fill, joined


@dataclass(frozen=True)
class Run:
    """Where the values of an array lie: `count` records of `bytes` each, `stride` bytes apart; records are outer indices."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    bytes: int
    count: int = 1
    stride: int = 0
    attributes: dict[str, list[Any]] = field(default_factory=dict)  # of numbers

    @property
    def values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def view(self, whole: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Return the array inside the bytes of the file."""
        strides = [math.prod(self.shape[axis + 1 :]) * self.dtype.itemsize for axis in range(len(self.shape))]
        if self.count > 1:
            strides[0] = self.stride
        return np.ndarray(self.shape, self.dtype, whole, self.offset, tuple(strides))


@dataclass(frozen=True)
class Header:
    """What the beginning of a file tells.

    Parameters
    ----------
    size
        Bytes of the header.
    runs
        The arrays, by name.
    coordinates
        Names of what says where values are.
    bits, narrow
        As in `Parts`.
    others
        What is no array of numbers: name and what it holds.
    """

    size: int
    runs: dict[str, Run]
    coordinates: frozenset[str] = frozenset()
    bits: frozenset[str] = frozenset()
    narrow: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Extended:
    """A header with more in it: its bytes, up to where values begin, and by how much those moved."""

    data: bytes
    moved: int


Extend = Callable[[bytes, dict[str, dict[str, Any]]], Extended | None]  # a header, and attributes by array; None: no room
Parser = Callable[[bytes], Header | None]  # of the first bytes; None: more are needed


def header(parser: Parser, read: Callable[[int], bytes], path: str) -> Header:
    """Read a header from as many bytes as it takes.

    Raises
    ------
    InvalidInput
        If it is malformed.
    """
    size = 1 << 16
    while True:
        begin = read(size)
        try:
            found = parser(begin)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidInput(f"{path} is no sound file of its format ({str(error)[:60]}): check the file") from error
        if found is not None:
            return found
        if len(begin) < size:
            raise InvalidInput(f"{path} is cut short: get another copy")
        size *= 8


def take_apart(path: str, parser: Parser) -> Parts:
    """Take a file apart.

    Raises
    ------
    InvalidInput
        If it is malformed.
    """
    with open(path, "rb") as file:
        found = header(parser, lambda size: (file.seek(0), file.read(size))[1], path)
    size = os.path.getsize(path)
    last = max((run.offset + (run.count - 1) * run.stride + run.bytes for run in found.runs.values()), default=0)
    if last > size:
        raise InvalidInput(f"{path} is cut short: it ends before its last array; get another copy")
    whole = np.memmap(path, np.uint8, "r")
    coded = {name: run for name, run in found.runs.items() if run.values * run.dtype.itemsize >= LEAST}
    arrays = {name: run.view(whole) for name, run in coded.items()}
    others = {**found.others, **dict.fromkeys(found.runs.keys() - coded, "")}
    exact = dict.fromkeys(found.bits, NO_BOUND)
    parts = Parts(arrays=arrays, coordinates=set(found.coordinates), exact=exact, others=others)
    parts.narrow = {name: kind for name, kind in found.narrow.items() if name in coded}
    for name, run in coded.items():
        fills = usable_fills((v for key in ("_FillValue", "missing_value") for v in run.attributes.get(key, ())), run.dtype)
        limits = None if "_Unsigned" in run.attributes else usable_range(run.attributes, run.dtype)
        words = lossy_before(run.attributes)
        parts.lossy |= {name: words} if words else {}
        parts.fills |= {name: fills} if fills else {}
        parts.valid |= {name: limits} if limits is not None else {}
    cuts = _cuts(coded.values(), size)
    parts.rest = joined(whole[at : min(end, at + PIECE)].tobytes() for start, end in cuts for at in range(start, end, PIECE))
    return parts


def put_together(
    rest: Iterable[bytes], arrays: dict[str, Decoded], path: Path, parser: Parser, size: int, extend: Extend | None = None
) -> bool:
    """Write a file of `size` bytes from its skeleton and its arrays; more where it has room for their attributes.

    Returns
    -------
    bool
        Whether there was room for the attributes, or there are none.

    Raises
    ------
    CorruptFile
        If they do not fit together.
    """
    place = path.with_name(path.name + ".rest")
    try:
        with open(place, "wb+") as kept:
            for part in rest:
                kept.write(part)
            try:
                found = header(parser, lambda most: (kept.seek(0), kept.read(most))[1], "the skeleton")
            except InvalidInput as error:
                raise CorruptFile("the skeleton of the file is malformed: get another copy") from error
            coded = {name: found.runs[name] for name in arrays if name in found.runs}
            if len(coded) != len(arrays):
                raise CorruptFile("the arrays do not fit the skeleton of the file: get another copy")
            told = {name: array.attributes for name, array in arrays.items() if array.attributes}
            kept.seek(0)
            made = extend(kept.read(found.size), told) if extend is not None and told else None
            moved = 0 if made is None else made.moved
            with open(path, "wb") as out:
                kept.seek(0)
                for start, stop in _cuts(coded.values(), size):
                    out.seek(start + moved)
                    _copy(kept, out, stop - start)
                out.truncate(size + moved)
                out.seek(0)
                out.write(b"" if made is None else made.data)
        if size:
            whole = np.memmap(path, np.uint8, "r+")
            for name, array in arrays.items():
                run = coded[name]
                fill(replace(run, offset=run.offset + moved).view(whole), array)
            whole.flush()
        return made is not None or not told
    finally:
        place.unlink(missing_ok=True)


def _copy(source: Any, target: Any, count: int) -> None:
    while count:
        part = source.read(min(count, PIECE))
        if not part:
            raise CorruptFile("the skeleton of the file is cut short: get another copy")
        target.write(part)
        count -= len(part)


def _cuts(runs: Iterable[Run], size: int) -> list[tuple[int, int]]:
    """Return where the file is kept, between the runs that are coded."""
    taken = sorted((run.offset + number * run.stride, run.bytes) for run in runs for number in range(run.count))
    found, at = [], 0
    for start, length in taken:
        if start < at:
            raise InvalidInput("two arrays of the file share bytes: it is malformed, check it")
        if start > at:
            found.append((at, start))
        at = start + length
    return [*found, (at, size)] if at < size else found
