"""The plan `bytes`: the values themselves, by zstd.

It is always a candidate, so that an array for which no network pays is stored without one. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.planes import shuffle, unshuffle
from aezip.core.types import Array, Mask
from aezip.quantize.grid import Grid

from .base import MALFORMED, Coded, Plan, Sampled


@dataclass(frozen=True)
class BytesPlan(Plan):
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

    kinds: ClassVar[tuple[str, ...]] = ("bytes",)
    gridless: ClassVar[bool] = True

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan."""
        shuffled, changes = said.get("shuffled"), said.get("changes", False)
        if not isinstance(shuffled, bool) or not isinstance(changes, bool):
            raise CorruptFile(MALFORMED)
        return cls(shuffled, changes)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {"kind": "bytes", "shuffled": self.shuffled, "changes": self.changes}

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "bytes" + ", shuffled" * self.shuffled + ", changes" * self.changes

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        """Yield the three forms."""
        return [(cls(*how), None) for how in ((False, False), (True, False), (True, True))]

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        """Return the stream of a chunk."""
        return Coded({"data": self.pack(x)}, x.copy())

    def pack(self, x: npt.NDArray[Any]) -> bytes:
        """Return the bytes of a chunk."""
        data = np.asarray(x, x.dtype.newbyteorder("<")).tobytes()
        if self.shuffled:
            data = shuffle(data, x.dtype.itemsize)
        return np.diff(np.frombuffer(data, np.uint8), prepend=np.uint8(0)).tobytes() if self.changes else data

    def decode(
        self,
        grid: Grid | None,
        networks: Any,
        streams: Mapping[str, bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        masked: Mask | None,
        workers: int = 1,
    ) -> Array:
        """Return the chunk of `shape` and native `dtype`.

        Raises
        ------
        CorruptFile
            If the number of bytes is wrong.
        """
        data = streams["data"]
        if len(data) != int(np.prod(shape)) * dtype.itemsize:
            raise CorruptFile("a chunk has the wrong number of bytes: the file is damaged")
        if self.changes:
            data = np.cumsum(np.frombuffer(data, np.uint8), dtype=np.uint8).tobytes()
        if self.shuffled:
            data = unshuffle(data, dtype.itemsize)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
