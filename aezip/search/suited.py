"""Whether a model that was trained elsewhere suits an array: its bytes on a sample beside those of plans without training.

A small sample tells whether to look closer, a larger one decides. Needs no torch; knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from aezip.array.layout import Piece
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.quantize.grid import Grid, LinearGrid

from .choice import Choice
from .choose import Selector
from .presets import PRESETS

LOOKED_AT, CONFIRMED_AT = 1 << 16, 1 << 19  # values on which all plans are compared, and then the best of them
FEWEST = 1 << 12  # values: nothing is told by fewer
CLOSE = 1.1  # of the trained plan's bytes: worth a closer look; zstd alone gains with the size of the sample
BETTER = 0.98  # to be taken instead


def grids_like(grid: Grid) -> tuple[Grid | None, list[Grid]]:
    """Return the fine grid and the whole ones that other plans may use where a trained plan uses a grid."""
    if isinstance(grid, LinearGrid) and not grid.whole:
        return grid, [LinearGrid(grid.step, grid.offset, True)]
    return None, [grid]


def untrained(selector: Selector, encoded: Callable[[Piece], int], extra: int) -> Choice | None:
    """Return the best plan without training, if it is smaller than a trained one.

    Parameters
    ----------
    selector
        Knows the sample, and the grids of `grids_like`.
    encoded
        Gives the bytes of a piece under the trained plan.
    extra
        Bytes that the trained plan puts into the file besides: its model.
    """
    small, larger = (_head(selector, values) for values in (LOOKED_AT, CONFIRMED_AT))
    if sum(p.x.size for p in small.pieces) < FEWEST:
        return None
    small.wholes = larger.wholes = [g for g in selector.wholes if small._fits(g)]
    plain = small._plain()
    options = [plain, small._static(plain)] if small.wholes else [plain]
    own = _size(small, encoded, extra)
    close = {id(o): o for o in options if o.size < CLOSE * own}  # the static one may be the plain one
    if not close:
        return None
    found = min((_again(larger, option) for option in close.values()), key=lambda c: c.size)
    return found if found.size < BETTER * _size(larger, encoded, extra) else None


def _head(selector: Selector, values: int) -> Selector:
    """Return a selector on less of the sample, with the effort of the preset `fast`."""
    pieces = selector._head(values)
    share = selector._values / sum(p.x.size for p in pieces)
    return replace(selector, pieces=pieces, share=share, preset=PRESETS["fast"])


def _size(selector: Selector, encoded: Callable[[Piece], int], extra: int) -> float:
    """Return the bytes of a trained plan, scaled to the array."""
    return selector.share * sum(map(encoded, selector.pieces)) + extra


def _again(selector: Selector, found: Choice) -> Choice:
    """Return a plan without training with tables and bytes of another sample."""
    plan, grid = found.plan, found.grid
    if isinstance(plan, NetworkPlan) and grid is not None:
        return selector._train(plan, grid, 0)
    return selector._measured(found)
