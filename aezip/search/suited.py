"""Whether a model that was trained elsewhere suits an array: its bytes on a sample beside those of plans without training.

A small sample tells whether to look closer, a larger one decides. Needs no torch; knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aezip.array.layout import Piece
from aezip.quantize.grid import Grid, LinearGrid

from .autoencoder import train
from .choice import Choice, Found, smallest
from .sample import Sample
from .static import static_plans
from .untrained import Untrained, measured

LOOKED_AT, CONFIRMED_AT = 1 << 16, 1 << 19  # values on which all plans are compared, and then the best of them
FEWEST = 1 << 12  # values: nothing is told by fewer
CLOSE = 1.1  # of the trained plan's bytes: worth a closer look; zstd alone gains with the size of the sample
BETTER = 0.98  # to be taken instead


def grids_like(grid: Grid) -> tuple[Grid | None, list[Grid]]:
    """Return the fine grid and the whole ones that other plans may use where a trained plan uses a grid."""
    if isinstance(grid, LinearGrid) and not grid.whole:
        return grid, [LinearGrid(grid.step, grid.offset, True)]
    return None, [grid]


def untrained(sample: Sample, encoded: Callable[[Piece], int], extra: int) -> Choice[Any] | None:
    """Return the best plan without training, if it is smaller than a trained one.

    Parameters
    ----------
    sample
        Of the array, with the grids of `grids_like`.
    encoded
        Gives the bytes of a piece under the trained plan.
    extra
        Bytes that the trained plan puts into the file besides: its model.
    """
    small, larger = (sample.reduced(values) for values in (LOOKED_AT, CONFIRMED_AT))
    if sum(p.x.size for p in small.pieces) < FEWEST:
        return None
    small.wholes = larger.wholes = [g for g in sample.wholes if small.fits(g)]
    most = CLOSE * _size(small, encoded, extra)
    close: list[Choice[Any]] = []
    plain = [c for c in Untrained().untrained(small, Found([])) if not c.failed]
    if plain and smallest(plain).size < most:
        close.append(measured(larger, smallest(plain)))
    tables = static_plans(small) if small.wholes else []
    if tables and smallest(tables).size < min([most, *(c.size for c in plain)]):
        best = smallest(tables)
        close.append(train(larger, best.plan, best.placed, 0))
    if not close:
        return None
    found = smallest(close)
    return found if found.size < BETTER * _size(larger, encoded, extra) else None


def _size(sample: Sample, encoded: Callable[[Piece], int], extra: int) -> float:
    """Return the bytes of a trained plan, scaled to the array."""
    return sample.share * sum(map(encoded, sample.pieces)) + extra
