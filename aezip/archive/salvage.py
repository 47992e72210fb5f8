"""What stands in for values that are lost: the fill value of the array, NaN, NaT, or 0 where a type has none of these.

Knows dtypes and shapes only, nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admit, parse_dtype, restore
from aezip.array.narrow import Narrow


@dataclass(frozen=True)
class Lost:
    """A run of the outer axis that could not be decoded.

    Attributes
    ----------
    start, stop : int
        First outer index, and the one after the last.
    reason : str
        What is wrong, one line.
    """

    start: int
    stop: int
    reason: str

    def __str__(self) -> str:
        """Return one line."""
        return f"outer indices {self.start} to {self.stop - 1} are lost: {self.reason}"


def stand_in(dtype: str, shape: tuple[int, ...], fill: npt.NDArray[Any] | None, narrow: Narrow | None = None) -> npt.NDArray[Any]:
    """Return an array that stands for lost values.

    Parameters
    ----------
    dtype
        Of the array, as the header has it.
    shape
        Of what is lost.
    fill
        The array's fill values, of its plain native type, shape (count,); None: it has none.
    narrow
        The type whose bits the values are.

    Returns
    -------
    ndarray
        Of the fill value; else of NaN, NaT, or 0.
    """
    kind = parse_dtype(dtype)
    if narrow is not None:
        return np.full(shape, narrow.narrow(np.full(1, np.nan, np.float32))[0], kind)
    plain = admit(np.zeros(0, kind)).values.dtype.newbyteorder("=")
    if fill is None:
        empty: Any = np.nan if plain.kind == "f" else np.iinfo(np.int64).min if kind.kind in "mM" else 0
        fill = np.full(1, empty, plain)
    parts = 2 if kind.kind == "c" else 1
    values = np.empty((*shape, parts), plain)
    values[...] = fill if parts == fill.size == 2 and fill[0] != fill[1] else fill[:1]
    return restore(values, shape, dtype)
