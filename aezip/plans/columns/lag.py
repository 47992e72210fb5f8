"""The lag of each value of a column: how many rows back what it is like stands.

The encoder picks the lag whose bits and whose distance's bits are fewest together (LZ77, Ziv & Lempel 1977, with a remainder;
the choice by prices found in rounds is that of optimal parsing). The decoder follows all chains of lags at once by pointer
jumping (Wyllie 1979), so that no loop runs over values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.errors import CorruptFile
from aezip.core.native import address
from aezip.core.types import Float64, Int64

WINDOW = 254  # rows a lag reaches back; a symbol each
LAG_TABLES = 8  # of distances, by the octave of their lag
ROUNDS = 3


def octave(lag: Int64) -> npt.NDArray[np.uint16]:
    """Return which table the distances of a lag have."""
    octave: npt.NDArray[np.uint16] = np.minimum(np.frexp(lag.astype(np.float64))[1] - 1, LAG_TABLES - 1).astype(np.uint16)
    return octave


def find_lags(k: Int64) -> Int64:
    """Return the lag of each value, 1 to WINDOW and not beyond the first, which has 1."""
    k = np.ascontiguousarray(k)
    count = len(k)
    reach = min(WINDOW, count - 1)
    price_lag = np.full(reach + 1, 8.0)
    price_size = 1.5 + 1.1 * np.arange(65.0)  # by exponent of the distance
    price_size[0] = 1.0
    lag = np.ones(count, np.int64)
    for _ in range(ROUNDS):
        _cheapest(k, price_lag, price_size, lag)
        away = k - k[np.maximum(np.arange(count) - lag, 0)]
        sizes = np.bincount(np.frexp(away.astype(np.float64))[1], minlength=65) + 0.5
        price_size = -np.log2(sizes / sizes.sum()) + np.arange(65)
        lags = np.bincount(lag, minlength=reach + 1) + 0.5
        price_lag = -np.log2(lags / lags.sum())
    return lag


def _cheapest(k: Int64, price_lag: Float64, price_size: Float64, lag: Int64) -> None:
    """Fill in the lags that cost least, given the bits of each lag and of each exponent of a distance."""
    reach = len(price_lag) - 1
    if native.available(len(k)):
        native.call(
            "lags_of", address(k, "i8"), len(k), reach, address(price_lag, "f8"), address(price_size, "f8"), address(lag, "i8")
        )
        return
    best = np.full(len(k), np.inf)
    for tried in range(1, reach + 1):
        price = price_size[np.frexp((k[tried:] - k[:-tried]).astype(np.float64))[1]] + price_lag[tried]
        better = price < best[tried:]
        best[tried:][better] = price[better]
        lag[tried:][better] = tried


def follow(distance: Int64, lag: Int64) -> Int64:
    """Return the values whose distances from those `lag` rows before are given; the first is its own.

    Raises
    ------
    CorruptFile
        If a lag reaches beyond the first row.
    """
    count = len(distance)
    parent = np.arange(count) - lag
    parent[0] = count
    if count > 1 and (int(parent[1:].min()) < 0 or int(lag[1:].min()) < 1):
        raise CorruptFile("a lag reaches beyond the chunk: the file is damaged")
    value = np.append(distance, 0)
    parent = np.append(parent, count)
    while (parent != count).any():
        value += value[parent]
        parent = parent[parent]
    return value[:count]
