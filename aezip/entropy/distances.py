"""Distances as symbols: sign, exponent and one bit below it, the rest plainly, so that heavy tails cost what they are worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.types import Int64

from . import residual
from .plainbits import unzigzag, zigzag

DIRECT = 16  # distances up to this have a bucket of their own
FAR = 1 << 44  # distances from here on are stored whole
TOP_SYMBOL = 1 + 2 * (DIRECT + 2 * (43 - 4) + 1) + 1
SHIFT_OF = np.array([(b - DIRECT) // 2 + 3 if b >= DIRECT else 0 for b in range(TOP_SYMBOL)], np.int64)


def buckets(value: Int64, context: npt.NDArray[np.uint16]) -> residual.Split:
    """Return values as symbols in the tables of their contexts, and plain low bits; those from 2**44 on are escapes."""
    far = (value >= FAR) | (value <= -FAR)  # the smallest integer has no magnitude
    size = np.abs(np.where(far, 1, value)) - 1
    exponent = np.frexp(np.maximum(size, 1).astype(np.float64))[1].astype(np.int64) - 1
    shift = np.where(size >= DIRECT, exponent - 1, 0)
    bucket = np.where(size >= DIRECT, DIRECT + 2 * (exponent - 4) + ((size >> shift.clip(0)) & 1), size)
    symbol = np.where(value == 0, 0, 1 + 2 * bucket + (value < 0))
    low = np.where(shift > 0, size & ((np.int64(1) << shift) - 1), 0)
    return residual.Split(np.where(far, value, unzigzag(symbol)), context, low, shift)


def from_buckets(reader: residual.ResidualReader, context: npt.NDArray[np.uint16]) -> Int64:
    """Return the values of one pass; raises CorruptFile for symbols that stand for nothing."""
    high = reader.decode(np.zeros(len(context), np.uint8), context)
    far = (high >= FAR) | (high <= -FAR)
    symbol = np.where(far, 0, zigzag(high))
    if int(symbol.max(initial=0)) > TOP_SYMBOL or int(symbol.min(initial=0)) < 0:
        raise CorruptFile("a distance is impossible: the file is damaged")
    bucket = (symbol - 1).clip(0) >> 1
    shift = SHIFT_OF[bucket]
    size = np.where(bucket >= DIRECT, (2 + (bucket & 1)) << shift, bucket)
    for value in np.unique(shift):
        if value:
            where = np.flatnonzero(shift == value)
            size[where] += reader.low(int(value), len(where))
    size += 1
    return np.where(symbol == 0, high * far, np.where((symbol - 1) & 1, -size, size))
