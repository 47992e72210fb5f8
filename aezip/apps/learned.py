"""What an autoencoder learned: how its decoder responds to each code, and where codes are large. Knows no files and no pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from aezip.core.fixed import FRACTION_BITS, HALF
from aezip.core.types import Float64, Int64
from aezip.plans.autoencoder import chunk as network

if TYPE_CHECKING:
    from aezip.codec.decoder import ArrayDecoder

SHOWN = 8  # codes, those with the largest responses


@dataclass(frozen=True)
class Code:
    """One code of the bottleneck.

    Attributes
    ----------
    number : int
        Which one.
    response : ndarray of float64, shape of a block
        By how much the decoder's values rise with one standard deviation more of the code, the other codes at their typical
        values; unit of the data.
    places : ndarray of float64, shape of the grid of blocks
        The code of each block, in standard deviations from its typical value.
    """

    number: int
    response: Float64
    places: Float64


@dataclass(frozen=True)
class Learned:
    """The codes with the largest responses, the largest first, and how many there are; axes are those of the array.

    `differences` tells that blocks hold differences, not values.
    """

    codes: list[Code]
    width: int
    differences: bool


def learned(decoder: ArrayDecoder, codes: Int64) -> Learned | None:
    """Return what an autoencoder learned; None for plans without one, and for those whose codes act on more than their block.

    Parameters
    ----------
    decoder
        Of the array.
    codes
        Those of all its chunks, shape (blocks, width).
    """
    found = decoder.autoencoder
    if found is None or found[0].sizes.axes or not len(codes):
        return None
    plan, model = found
    grid, block = decoder.grid, plan.layout.block
    shape = decoder.work_shape(0)
    if grid is None or (block[-1] < shape[-1] and not _uniform(grid)):
        return None
    typical, spread = np.median(codes, axis=0), np.maximum(1.0, codes.std(axis=0))
    width = codes.shape[1]
    asked = np.repeat(np.rint(typical)[None], 2 * width, axis=0)
    for number in range(width):
        asked[2 * number : 2 * number + 2, number] += np.rint(spread[number]) * np.array([1, -1])
    rows = (2 * width * block[0], *block[1:])
    asked = np.clip(asked.astype(np.int64), codes.min(), codes.max())
    mean, _ = network.predictions(plan, model, asked, rows)
    k = plan.layout.array((mean + HALF) >> FRACTION_BITS if grid.whole else mean, rows)
    values = grid.at(0).values(k, decoder.work_type).astype(np.float64).reshape(2 * width, *block)
    responses = (values[::2] - values[1::2]) / 2.0
    inner = plan.layout.grid(shape)[1:]
    order = np.argsort([-float(np.square(one).sum()) for one in responses], kind="stable")[:SHOWN]
    places = (codes - typical) / spread
    made = [Code(int(n), responses[n], places[:, n].reshape(-1, *inner)) for n in order]
    return Learned([one for one in made if one.response.any()], width, plan.difference is not None)


def _uniform(grid: object) -> bool:
    """Tell whether a grid has one step for all columns."""
    return np.size(getattr(grid, "step", 1.0)) == 1
