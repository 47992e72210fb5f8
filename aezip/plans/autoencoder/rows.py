"""Rows to train on or to describe: what of them is coded, and what is known of each feature without a network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from aezip.core.fixed import LOG2_SCALE_MIN
from aezip.core.types import Float32, Float64, Mask

from .chunk import PreparedRows
from .networks import Spikes
from .sites import Sites

SPIKE_SHARE = 0.25  # of a feature's values that its spike takes at least


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Parameters
    ----------
    target
        float64, shape (rows, features), in steps.
    ignore
        Values that are not coded (masked or padding), or None.
    whole
        Targets are whole numbers coded without loss.
    spikes
        What flags tell; None where there are none.
    sites
        Of a convolution: the grids of the chunks that the rows come from, one after the other.
    """

    target: Float64
    ignore: Mask | None
    whole: bool
    spikes: Spikes | None = None
    sites: tuple[Sites, ...] = ()

    @property
    def flagged(self) -> Mask | None:
        """Which values are their feature's spike and not ignored, or None without spikes."""
        if self.spikes is None:
            return None
        hits = self.spikes.hits(self.target.astype(np.int64))
        return hits if self.ignore is None else hits & ~self.ignore

    @property
    def left_out(self) -> Mask | None:
        """Which values have no residual."""
        flagged = self.flagged
        if flagged is None:
            return self.ignore
        return flagged if self.ignore is None else flagged | self.ignore


def statistics(rows: Rows) -> tuple[Float64, Float32, Float32]:
    """Return centre, spread (a power of two) and log2 scale of each feature, shape (features,)."""
    target, left_out = rows.target, rows.left_out
    if left_out is None:
        centre = np.median(target, axis=0)
        distance = np.abs(target - centre)
        deviation = np.sqrt(np.square(target - target.mean(axis=0)).mean(axis=0))
        mean = distance.mean(axis=0)
    else:
        kept = np.where(left_out, np.nan, target)
        empty = left_out.all(axis=0)
        kept[0, empty] = 0.0
        centre = np.nanmedian(kept, axis=0)
        mean = np.nanmean(np.abs(kept - centre), axis=0)
        deviation = np.nanstd(kept, axis=0)
    spread = np.exp2(np.rint(np.log2(np.maximum(deviation, 2.0**-6))))
    scale = np.log2(np.maximum(mean / 1.386, 2.0**LOG2_SCALE_MIN))
    return centre.astype(np.float64), spread.astype(np.float32), scale.astype(np.float32)


def with_spikes(rows: Rows) -> Rows:
    """Return whole rows with the most frequent number of each feature as its spike, where it is frequent enough."""
    features = rows.target.shape[1]
    has, value = np.zeros(features, np.bool_), np.zeros(features, np.int64)
    for feature in range(features):
        column = rows.target[:, feature]
        kept = column if rows.ignore is None else column[~rows.ignore[:, feature]]
        values, counts = np.unique(kept.astype(np.int64), return_counts=True)
        most = int(counts.argmax()) if len(counts) else 0
        if len(counts) > 1 and counts[most] >= SPIKE_SHARE * len(kept) and abs(int(values[most])) < 1 << 50:
            has[feature], value[feature] = True, values[most]
    return replace(rows, spikes=Spikes(has, value))


def join(prepared: list[PreparedRows], *, whole: bool) -> Rows:
    """Return the rows of several chunks as one set, at most about 8 million values of them."""
    target = np.concatenate([p.target for p in prepared])
    ignore = None
    if any(p.ignore is not None for p in prepared):
        ignore = np.concatenate([np.zeros(p.target.shape, np.bool_) if p.ignore is None else p.ignore for p in prepared])
    return Rows(target, ignore, whole)
