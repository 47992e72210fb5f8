"""The plan `bytes`: the values themselves, by zstd.

It is always a candidate, so that an array for which no network pays is stored without one. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.planes import shuffle, unshuffle


@dataclass(frozen=True)
class BytesPlan:
    """The values' little-endian bytes.

    Parameters
    ----------
    shuffled
        By significance.
    changes
        Each byte minus the one before it, modulo 256 (of shuffled bytes: slow changes of the leading ones).
    """

    shuffled: bool
    changes: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {"kind": "bytes", "shuffled": self.shuffled, "changes": self.changes}

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "bytes" + ", shuffled" * self.shuffled + ", changes" * self.changes

    def encode(self, x: npt.NDArray[Any]) -> bytes:
        """Return the bytes of a chunk."""
        data = np.asarray(x, x.dtype.newbyteorder("<")).tobytes()
        if self.shuffled:
            data = shuffle(data, x.dtype.itemsize)
        return np.diff(np.frombuffer(data, np.uint8), prepend=np.uint8(0)).tobytes() if self.changes else data

    def decode(self, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the chunk of `shape` and native `dtype`.

        Raises
        ------
        CorruptFile
            If the number of bytes is wrong.
        """
        if len(data) != int(np.prod(shape)) * dtype.itemsize:
            raise CorruptFile("a chunk has the wrong number of bytes: the file is damaged")
        if self.changes:
            data = np.cumsum(np.frombuffer(data, np.uint8), dtype=np.uint8).tobytes()
        if self.shuffled:
            data = unshuffle(data, dtype.itemsize)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
