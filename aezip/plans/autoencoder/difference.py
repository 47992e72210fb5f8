"""Differences along an axis, taken before an autoencoder sees the values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aezip.array.missing import fill_forward
from aezip.core.errors import CorruptFile
from aezip.core.types import Int64, Mask


@dataclass(frozen=True)
class Difference:
    """Differences along an axis, of whole grids only.

    Parameters
    ----------
    axis
        The axis.
    columns
        Which entries of the last axis are differenced; None: all.
    """

    axis: int
    columns: tuple[bool, ...] | None = None

    def _chosen(self, k: Int64) -> Any:
        return slice(None) if self.columns is None else np.array(self.columns)

    def forward(self, k: Int64, ignore: Mask | None) -> Int64:
        """Return the differences; ignored values count as equal to the one before."""
        if ignore is not None:
            k = fill_forward(k, ignore, self.axis)
        out = k.copy()
        chosen = self._chosen(k)
        out[..., chosen] = np.diff(k[..., chosen], axis=self.axis, prepend=0)
        return out

    def backward(self, d: Int64) -> Int64:
        """Undo `forward`."""
        chosen = self._chosen(d)
        if self.columns is None:
            return d.cumsum(axis=self.axis)
        d[..., chosen] = d[..., chosen].cumsum(axis=self.axis)
        return d

    def to_json(self) -> dict[str, Any]:
        """Return the transform."""
        columns = None if self.columns is None else [int(c) for c in self.columns]
        return {"axis": self.axis, "columns": columns}

    @staticmethod
    def from_json(value: Any, shape: tuple[int, ...]) -> Difference | None:
        """Read a transform for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        if value is None:
            return None
        try:
            axis, columns = value["axis"], value["columns"]
            good = isinstance(axis, int) and 0 <= axis < len(shape)
            if columns is not None:
                good = good and len(columns) == shape[-1] and axis != len(shape) - 1
                columns = tuple(bool(c) for c in columns)
        except (KeyError, TypeError) as error:
            raise CorruptFile("the transform in the header is malformed") from error
        if not good:
            raise CorruptFile("the transform in the header does not fit the array")
        return Difference(axis, columns)
