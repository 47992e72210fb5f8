"""What a file is taken apart into, and what it is put together from. Knows no format."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

LEAST = 128  # bytes from which on an array is worth an entry of its own
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
    bits : set
        Names of arrays whose integers stand for values of a type that NumPy has not: bounds have no meaning for them.
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
    bits: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)
    rest: Iterable[bytes] = ()


@dataclass(frozen=True)
class Decoded:
    """An array on its way back into a file.

    Parameters
    ----------
    pieces
        Gives its values, runs of the outer axis in order.
    attributes
        What its variable shall say of what was lost.
    """

    pieces: Callable[[], Iterator[npt.NDArray[Any]]]
    attributes: dict[str, Any]


def scratch_array(shape: tuple[int, ...], dtype: np.dtype[Any], folder: str) -> npt.NDArray[Any]:
    """Return an empty array, in memory or, if it is large, in a file of `folder`."""
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype)
    handle, path = tempfile.mkstemp(dir=folder)
    os.close(handle)
    return np.memmap(path, dtype, "w+", shape=shape)
