"""What a linear autoencoder could do, by principal components: tells in a moment where rows have features to share.

Source: the optimal linear autoencoder spans the first principal components (Baldi and Hornik, "Neural networks and principal
component analysis", 1989). Codes and what is left over are counted as Gaussians of their variances on rows not looked at.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from aezip.array.layout import Layout, Piece
from aezip.core.types import Float64
from aezip.quantize.grid import Grid

from .layouts import candidates
from .sample import Sample

ROWS = 1024  # that components are found on, and as many that they are tried on
MOST_FEATURES = 512
FEWEST = 4  # rows a feature: fewer tell nothing
WIDTHS = (0, 1, 2, 4, 8, 16, 32, 64)
NOISE = 1.0 / 12.0  # variance of rounding to whole steps


class Estimate(NamedTuple):
    """About how many bytes rows of the best layout take by a linear autoencoder, and the width of each; 0: it cannot be told."""

    size: float
    widths: dict[Layout, int]


def estimate(sample: Sample) -> Estimate:
    """Return what a linear autoencoder could do."""
    if any(p.masked is not None for p in sample.pieces):
        return Estimate(0.0, {})
    layouts = [layout for layout in candidates(sample.shape)[:4] if 2 <= layout.features <= MOST_FEATURES]
    steps = [_steps(sample.grids[0].at(p.start), p) for p in sample.pieces] if layouts else []
    found = {layout: _bits(rows) for layout in layouts if (rows := _rows(layout, steps)) is not None}
    size = min((bits for bits, _ in found.values()), default=0.0) * sample.values / 8.0
    return Estimate(size, {layout: width for layout, (_, width) in found.items()})


def _steps(grid: Grid, piece: Piece) -> Float64:
    return grid.integers(piece.x).astype(np.float64) if grid.whole else grid.coordinates(piece.x)


def _rows(layout: Layout, steps: list[Float64]) -> Float64 | None:
    """Return evenly chosen rows of values in steps, (rows, features); None: too few."""
    parts = [layout.rows(part) for part in steps]
    count = sum(map(len, parts))
    if count < FEWEST * layout.features:
        return None
    every = max(1, count // (2 * ROWS))
    return np.concatenate([part[::every] for part in parts])[: 2 * ROWS]


def _bits(rows: Float64) -> tuple[float, int]:
    """Return bits a value at the best of several widths, and that width."""
    known, other = rows[::2], rows[1::2]
    mean = known.mean(axis=0)
    known, other = known - mean, other - mean
    features = rows.shape[1]
    _, vectors = np.linalg.eigh(known.T @ known)  # the last bits may differ with the machine: nothing is that close
    codes = other @ vectors[:, ::-1][:, : max(WIDTHS)]
    best, left, whole = (math.inf, 0), other, 0
    for width in (w for w in WIDTHS if w < min(features, len(known))):
        left = left - codes[:, whole:width] @ vectors[:, ::-1][:, whole:width].T
        whole = width
        spread = (left**2).mean(axis=0) + NOISE
        step = max(1.0, float(spread.mean()))  # codes are as coarse as what is left over is large
        coded = _gaussian((codes[:, :width] ** 2).mean(axis=0) / step + NOISE).sum()
        best = min(best, (float(_gaussian(spread).sum() + coded) / features, width))
    return best


def _gaussian(variance: Float64) -> Float64:
    """Return the bits of whole numbers of a variance."""
    return np.maximum(0.5 * np.log2(2.0 * math.pi * math.e * variance), 0.02)
