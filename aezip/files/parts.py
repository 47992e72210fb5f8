"""What a file is taken apart into, and what it is put together from. Knows no format."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.narrow import NARROW

NO_BOUND = "of a type that takes no bound: convert it to float32 first"
LEAST = 128  # bytes from which on an array is worth an entry of its own
PIECE = 1 << 22  # bytes of a skeleton, at once
_IN_MEMORY = 1 << 26


@dataclass
class Parts:
    """A file taken apart.

    Attributes
    ----------
    arrays : dict
        Arrays of numbers by name.
    fills, valid : dict
        Of arrays: the fill values and the valid range that the file states.
    lossy : dict
        Of arrays that went through lossy compression before: a few words.
    coordinates : set
        Names of what says where values are: kept lossless unless named.
    exact : dict
        Of arrays that take no bound: what they are instead.
    narrow : dict
        Of arrays that hold the bits of floats that NumPy has not: the name of their type in `aezip.array.narrow`.
    others : dict
        What is left in `rest`: name, and what it holds; "" for a few numbers.
    refused : dict
        What cannot be kept, with the reason.
    elsewhere : list
        What refers to other files.
    rest : iterable of bytes
        The file without the values of its arrays.
    """

    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    fills: dict[str, Any] = field(default_factory=dict)
    valid: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    lossy: dict[str, str] = field(default_factory=dict)
    coordinates: set[str] = field(default_factory=set)
    exact: dict[str, str] = field(default_factory=dict)
    narrow: dict[str, str] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    rest: Iterable[bytes] = ()

    def numbers(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays with floats that NumPy has not widened to those that it has."""
        return self.arrays | {name: NARROW[kind].widen(self.arrays[name]) for name, kind in self.narrow.items()}


@dataclass(frozen=True)
class Decoded:
    """An array on its way back into a file.

    Parameters
    ----------
    pieces
        Gives its values, runs of the outer axis in order.
    attributes
        What its variable shall say of what was lost.
    shape, dtype
        Those of the array.
    """

    pieces: Callable[[], Iterator[npt.NDArray[Any]]]
    attributes: dict[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def scratch_array(shape: tuple[int, ...], dtype: np.dtype[Any], folder: str) -> npt.NDArray[Any]:
    """Return an empty array, in memory or, if it is large, in a file of `folder` that goes with it; "": where such files go."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder or None) as file:  # the map holds it on
        return np.memmap(file, dtype, "w+", shape=shape)


def fill(out: Any, array: Decoded) -> None:
    """Write the values of an array into what takes slices."""
    start = 0
    for values in array.pieces():
        out[start : start + len(values)] = values
        start += len(values)


def joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that are worth a frame each."""
    kept: list[bytes] = []
    held = 0
    for part in parts:
        kept.append(part)
        held += len(part)
        if held >= PIECE:
            yield b"".join(kept)
            kept, held = [], 0
    if kept:
        yield b"".join(kept)
