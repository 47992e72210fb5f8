"""Decoders without a network: a mean, a level and the odds of a spike for each feature. Needs no torch."""

from __future__ import annotations

import numpy as np

from aezip.core.fixed import FLAG_BINS, FRACTION_BITS, LEVELS, LOG2_SCALE_MIN
from aezip.core.types import Float64, Mask
from aezip.entropy.residual import (
    ESCAPE,
    LEVELS_PER_OCTAVE,
    SHIFT_FROM,
    SHIFTS,
    TableCounts,
    ideal_bits,
    split,
    tables_from_bytes,
)
from aezip.plans.integer import IntegerLayer, odds_to_bins

from .decoder import IntegerDecoder
from .networks import NARROW_BITS, NARROW_TOP, WIDE_BITS, Sizes
from .rows import Rows, statistics

SHARPEST_VALUES = 1 << 18  # of a column that its level is chosen by


def static_decoders(rows: Rows, sizes: Sizes) -> list[IntegerDecoder]:
    """Return decoders without a network: a mean and a level for each feature."""
    centre, _, scale = statistics(rows)
    level = np.rint((scale.astype(np.float64) - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE)
    if len(sizes.groups) > 1 and rows.whole:
        for feature in range(sizes.features):
            column = rows.target[:, feature]
            kept = column if rows.ignore is None else column[~rows.ignore[:, feature]]
            if len(kept):
                centre[feature], level[feature] = _sharpest(kept, centre[feature], level[feature])
    return [
        constant_decoder(sizes, group, centre[list(features)], level[list(features)], rows.flagged)
        for group, features in enumerate(sizes.groups)
    ]


def _sharpest(column: Float64, centre: float, level: float) -> tuple[float, float]:
    """Return the centre and level that cost a column with a table of its own the fewest bits.

    A level leaves a scale's worth of steps to eight symbols; distributions that are not smooth are worth more of them.
    """
    options = []
    column = column[:: -(-len(column) // SHARPEST_VALUES)]
    for below in range(1 + min(6, max(0, int(level - SHIFT_FROM) // LEVELS_PER_OCTAVE + 1))):
        tried = max(0.0, level - below * LEVELS_PER_OCTAVE)
        reach = float((ESCAPE // 2 - 1) << int(SHIFTS[int(tried)]))  # frequent numbers come first, rare ones may escape
        for middle in {centre, np.rint((column.min() + column.max()) / 2.0), column.min() + reach}:
            away = (column - np.rint(middle)).clip(-(2.0**50), 2.0**50).astype(np.int64)
            part = split(away, np.full(len(away), tried, np.uint8), np.zeros(len(away), np.uint8))
            counts = TableCounts(1)
            counts.add(part.symbols, part.contexts)
            stored = counts.to_bytes()
            bits = ideal_bits(tables_from_bytes(stored, 1)[0], [part]) + 8.0 * len(stored)
            options.append((bits, float(middle), tried))
    return min(options)[1:]


def constant_decoder(sizes: Sizes, group: int, centre: Float64, level: Float64, flagged: Mask | None = None) -> IntegerDecoder:
    """Return the decoder of a group whose means, in steps, levels and odds of a spike do not change."""
    shapes = sizes.layers(group)
    zero = [IntegerLayer(np.zeros(shape, np.int8), np.zeros(shape[0], np.int8), np.zeros(shape[0], np.int32)) for shape in shapes]
    scale = IntegerLayer(zero[4].weight, zero[4].exponent, level.astype(np.int32))
    offset = np.rint(centre * 2.0**FRACTION_BITS).astype(np.int64)
    first, second, mean, skip = zero[:4]
    flag = None
    if flagged is not None:
        bins = np.rint(odds_to_bins(log_odds(flagged))).clip(0, FLAG_BINS - 1)
        flag = IntegerLayer(zero[5].weight, zero[5].exponent, bins.astype(np.int32))
    tops = NARROW_TOP, 1 << (NARROW_BITS + WIDE_BITS), LEVELS
    return IntegerDecoder(first, second, mean, skip, scale, offset, *tops, flag)


def log_odds(flagged: Mask) -> Float64:
    """Return the log-odds, in nats, that a value of each feature is its spike, shape (features,)."""
    hits = flagged.sum(axis=0, dtype=np.float64)
    return np.asarray(np.log((hits + 0.5) / (len(flagged) - hits + 0.5)))
