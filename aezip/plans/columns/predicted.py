"""Networks as predictors of columns: mean and level of a column from those before it, row by row; the rest as residual.

The networks are the decoders of an autoencoder without codes, one for each column that has one (`autoencoder/networks`).
Knows nothing of other predictors or files.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.missing import fill_forward
from aezip.core.fixed import FRACTION_BITS, HALF
from aezip.core.types import U8, Int64, Mask
from aezip.entropy import residual
from aezip.plans.autoencoder.chunk import GroupedRows
from aezip.plans.autoencoder.networks import Networks, Sizes


class Predictor:
    """The networks of a chunk, whose columns become known one after the other.

    Parameters
    ----------
    sizes, networks
        Of the plan.
    differenced
        Columns of which networks see, and predict, differences of rows.
    rows
        How many there are.
    ignore
        Values that are not coded, shape (rows, columns), or None.
    """

    def __init__(self, sizes: Sizes, networks: Networks, differenced: tuple[bool, ...], rows: int, ignore: Mask | None) -> None:
        self._sizes, self._ignore, self._differenced = sizes, ignore, differenced
        self._decoders = dict(zip(sizes.networked, networks.decoders, strict=True))
        self._rows = GroupedRows(
            sizes, networks.norm, np.zeros((rows, 0), np.int64), ignore, np.empty((rows, sizes.features), np.int64)
        )

    def has(self, place: int) -> bool:
        """Tell whether a column has a network."""
        return place in self._decoders

    def encode(self, place: int, column: Int64, target: npt.NDArray[Any]) -> tuple[residual.Split, Int64]:
        """Return the residual of a column, and the column as it will be known.

        Parameters
        ----------
        column
            int64, shape (rows,): the whole numbers to code, where the grid is whole.
        target
            float64, shape (rows,): the values in steps, where it is fine; else of no matter.
        """
        mean, level, ignored = self._guess(place)
        if self._sizes.whole:
            left = self._seen(place, column) - ((mean + HALF) >> FRACTION_BITS)
        else:
            left = np.rint(target - mean * 2.0**-FRACTION_BITS).clip(-(2.0**52), 2.0**52).astype(np.int64)
        known = left if ignored is None else left[~ignored]
        split = residual.split(known, *self._contexts(place, mean, level, ignored))
        return split, self._value(place, mean, left, ignored)

    def decode(self, place: int, reader: residual.ResidualReader) -> Int64:
        """Return a column, shape (rows,)."""
        mean, level, ignored = self._guess(place)
        left = reader.decode(*self._contexts(place, mean, level, ignored))
        if ignored is not None:
            kept, left = left, np.zeros(len(mean), np.int64)
            left[~ignored] = kept
        return self._value(place, mean, left, ignored)

    def store(self, place: int, column: Int64) -> None:
        """Take in a column that is known."""
        value = self._seen(place, column) << FRACTION_BITS if self._sizes.whole else column
        self._rows.store(place, value[:, None])

    def _guess(self, place: int) -> tuple[Int64, U8, Mask | None]:
        mean, level, _ = self._rows.predict(place, self._decoders[place])
        return mean[:, 0], level[:, 0], None if self._ignore is None else self._ignore[:, place]

    def _contexts(self, place: int, mean: Int64, level: U8, ignored: Mask | None) -> tuple[U8, npt.NDArray[np.integer[Any]]]:
        return self._rows.contexts(place, mean[:, None], level[:, None], None if ignored is None else ignored[:, None])

    def _seen(self, place: int, column: Int64) -> Int64:
        return np.diff(column, prepend=0) if self._differenced[place] else column

    def _value(self, place: int, mean: Int64, left: Int64, ignored: Mask | None) -> Int64:
        """Return the column, given what the network leaves of it."""
        if self._sizes.whole:
            value = left + ((mean + HALF) >> FRACTION_BITS)
        else:
            value = (left << FRACTION_BITS) + mean
        if self._differenced[place]:
            if ignored is not None:
                value[ignored] = 0
            return value.cumsum()
        return value if ignored is None else fill_forward(value, ignored, 0)
