"""Integers that stand in for values that are masked."""

from __future__ import annotations

import numpy as np

from aezip.core.types import Int64, Mask


def filled(k: Int64, masked: Mask | None) -> Int64:
    """Return integers whose masked ones are the least of the others, or 0 if there are none."""
    if masked is None:
        return k
    return np.where(masked, k[~masked].min() if not masked.all() else 0, k)


def fill_forward(k: Int64, ignore: Mask, axis: int) -> Int64:
    """Replace ignored values by the last one along `axis` that is not (0 if there is none)."""
    shape = [1] * k.ndim
    shape[axis] = k.shape[axis]
    index = np.where(ignore, -1, np.arange(k.shape[axis]).reshape(shape))
    index = np.maximum.accumulate(index, axis=axis)
    filled = np.take_along_axis(k, index.clip(0), axis=axis)
    return np.where(index < 0, 0, filled)
