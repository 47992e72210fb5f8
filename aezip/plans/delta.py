"""The plan `difference`: whole grid values, or their differences along an axis, by zstd. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aezip.array.missing import filled
from aezip.core.errors import CorruptFile
from aezip.core.planes import shuffle, unshuffle
from aezip.core.types import Mask
from aezip.quantize.grid import Grid

from .base import MALFORMED, Plan, Sampled, WholePlan


@dataclass(frozen=True)
class DeltaPlan(WholePlan):
    """Whole grid values, differenced along one axis or none, in as few bytes as they need.

    Parameters
    ----------
    axis
        Axis of the differences; None: the values themselves.
    """

    axis: int | None

    kinds: ClassVar[tuple[str, ...]] = ("difference",)

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan."""
        axis = said.get("axis")
        if axis is not None and not (isinstance(axis, int) and 0 <= axis < len(shape)):
            raise CorruptFile(MALFORMED)
        return cls(axis)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {"kind": "difference", "axis": self.axis}

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "values" if self.axis is None else f"difference {self.axis}"

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        """Yield values, and differences along each axis, on each whole grid."""
        axes = (None, *(a for a, n in enumerate(sample.shape) if n > 1))
        return [(cls(axis), grid) for grid in sample.wholes for axis in axes]

    def pack(self, grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> tuple[bytes, npt.NDArray[Any]]:
        """Return the bytes of a chunk and the chunk as decoded.

        Layout: int64 base; uint8 bytes a value (1, 2, 4, 8); the values minus the base, shuffled.
        """
        k = grid.integers(x)
        k = filled(k, masked)
        decoded = grid.values(k, x.dtype)
        if self.axis is not None:
            k = np.diff(k, axis=self.axis, prepend=0)
        base = int(k.min()) if k.size else 0
        top = int(k.max()) - base if k.size else 0
        size = next(s for s in (1, 2, 4, 8) if top < 1 << (8 * s))
        left = (k - np.int64(base)).astype(np.uint64).astype(f"<u{size}")
        head = np.array([base], "<i8").tobytes() + bytes([size])
        return head + shuffle(left.tobytes(), size), decoded

    def unpack(self, grid: Grid, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the chunk of `shape`.

        Raises
        ------
        CorruptFile
            If the number of bytes is wrong.
        """
        size = data[8] if len(data) > 8 else 0
        count = int(np.prod(shape))
        if size not in (1, 2, 4, 8) or len(data) != 9 + count * size:
            raise CorruptFile("a chunk has the wrong number of bytes: the file is damaged")
        base = np.frombuffer(data, "<i8", 1)[0]
        left = np.frombuffer(unshuffle(data[9:], size), f"<u{size}")
        k = (left.astype(np.uint64).view(np.int64) + base).reshape(shape)
        if self.axis is not None:
            k = k.cumsum(axis=self.axis, dtype=np.int64)
        return grid.values(k, dtype)
