"""Blocks and the blocks around them: what makes a network on rows a convolution.

    codes (sites, width) -> unfold: of a site and those around it (sites, 9 * width)
                         -> dense layers -> the site's block (sites, features)

On a grid of blocks, dense layers that see the codes of a site's 3 x 3 neighbourhood and give the values of its block are a
3 x 3 convolution of the codes, 1 x 1 convolutions, and a shuffle of the last one's channels to pixels (Shi et al., "Real-time
single image and video super-resolution using an efficient sub-pixel convolutional neural network", arXiv:1609.05158). The
encoder likewise sees 3 x 3 blocks: a convolution whose stride is the block. All of it is unfolding and matrix products, exact
in integers. Knows nothing of networks or files.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from aezip.core.errors import CorruptFile
from aezip.core.types import Int64

MOST_AXES = 3  # convolved


@dataclass(frozen=True)
class Sites:
    """A grid of blocks in C order, and which blocks are next to each.

    Parameters
    ----------
    grid
        Blocks along each axis.
    axes
        The axes along which the blocks before and after are neighbours, rising.
    """

    grid: tuple[int, ...]
    axes: tuple[int, ...]

    def near(self, start: int, stop: int) -> Int64:
        """Return the sites around those from `start` on, (rows, 3 ** axes), each itself in the middle.

        Offsets come in lexicographic order; beyond the edge it is the site at the edge, as if repeated.
        """
        index = np.arange(start, min(stop, math.prod(self.grid)))
        places = np.unravel_index(index, self.grid)
        strides = [math.prod(self.grid[a + 1 :]) for a in range(len(self.grid))]
        moves = [  # along each axis: by how much the number of the site changes for -1, 0, 1
            np.stack([(places[a] > 0) * -strides[a], places[a] * 0, (places[a] + 1 < self.grid[a]) * strides[a]])
            for a in self.axes
        ]
        offsets = itertools.product(range(3), repeat=len(self.axes))
        around = [index + sum(m[o] for m, o in zip(moves, offset, strict=True)) for offset in offsets]
        return np.stack(around, axis=1)


def unfold(sites: Sites | None, codes: Int64, part: slice) -> Int64:
    """Return what the network of each site of a run sees of the codes, (rows, width): shape (run, neighbours * width)."""
    if sites is None:
        return codes[part]
    near = sites.near(part.start, part.stop)
    return codes[near].reshape(len(near), -1)


def axes_from_json(value: Any, axes: int) -> tuple[int, ...]:
    """Read the axes of a convolution of an array of so many axes.

    Raises
    ------
    CorruptFile
        If they are none of the array's.
    """
    good = isinstance(value, list) and 1 <= len(value) <= MOST_AXES and all(type(a) is int and 0 <= a < axes for a in value)
    if not good or value != sorted(set(value)):
        raise CorruptFile("the axes of the convolution do not fit the array: the file is damaged")
    return tuple(value)
