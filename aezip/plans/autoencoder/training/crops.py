"""Crops of grids of sites, on which a convolutional autoencoder is trained. Knows no network.

A crop's codes are made together; the sites whose neighbours are all inside it, or beyond the edge of the grid, are predicted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aezip.core.types import Int64
from aezip.plans.autoencoder.sites import Sites

CROP_VALUES = 4096  # of a crop, at most


@dataclass(frozen=True)
class Crops:
    """All places of a box of sites in the grids of several chunks.

    Parameters
    ----------
    near
        Shape (sites, neighbours): the sites next to each, itself included.
    corners
        Shape (crops,): the first site of each crop.
    offsets
        Shape (box,): its other sites, relative to the first.
    local
        Shape (box, neighbours): the places in the box of the sites next to each, cut to the box.
    """

    near: Int64
    corners: Int64
    offsets: Int64
    local: Int64


def crops(grids: tuple[Sites, ...], features: int) -> Crops:
    """Return the crops of the grids of some chunks, which differ at most in their length along the first axis."""
    axes, first = grids[0].axes, grids[0].grid
    side = max(3, round((CROP_VALUES / features) ** (1.0 / len(axes))))
    lengths = [s.grid[0] for s in grids]
    enough = min(3, max(lengths))  # shorter grids have no crop
    least = (min(n for n in lengths if n >= enough), *first[1:])
    box = tuple(min(side, n) if a in axes else 1 for a, n in enumerate(least))
    strides = np.array([math.prod(first[a + 1 :]) for a in range(len(first))])
    offsets = np.indices(box).reshape(len(box), -1).T @ strides
    near, corners, start = [], [], 0
    for sites in grids:
        count = math.prod(sites.grid)
        near.append(sites.near(0, count) + start)
        free = tuple(max(0, n - b + 1) for n, b in zip(sites.grid, box, strict=True))
        corners.append(np.indices(free).reshape(len(free), -1).T @ strides + start)
        start += count
    local = Sites(box, axes).near(0, math.prod(box))
    return Crops(np.concatenate(near), np.concatenate(corners), offsets, local)
