"""Plans with means, levels and frequency tables by feature, and no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aezip.array.layout import Layout
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.base import Plan
from aezip.quantize.grid import Grid

from .autoencoder import differences, spiky, train
from .choice import AutoencoderChoice, Choice, Found
from .family import Family
from .layouts import candidates
from .sample import Sample

MOST_COLUMNS = 40  # columns predicted one after the other
SPIKY = 1.1  # how much larger a plan with spikes may be for networks to be tried with them


class Static(Family):
    """Autoencoder plans of width 0 without hidden units."""

    name = "tables"

    def static(self, sample: Sample, found: Found) -> Sequence[AutoencoderChoice]:
        """Return them; notes on which grids spikes pay."""
        made = static_plans(sample)
        rivals: list[Choice[Plan]] = [found.plain, *(c for c in made if c.plan.sizes.features > 1)]
        found.spiked = tuple(
            c.placed for c in made if c.plan.sizes.spiked and c.size < SPIKY * min(o.size for o in rivals if o.grid is c.grid)
        )
        return made


def static_plans(sample: Sample) -> list[AutoencoderChoice]:
    """Return plans of one row of tables a feature: of the data as they are, of differences, by name."""
    options: list[AutoencoderChoice] = []
    layout = candidates(sample.shape)[0]
    trials = [(g, d) for g, d in differences(sample)[:3]]
    if sample.fine is not None:
        trials.append((sample.fine, None))
    for grid, difference in trials:
        plan = AutoencoderPlan(layout, difference, Sizes((tuple(range(layout.features)),), 0, 1, 0, grid.whole))
        options.append(train(sample, plan, grid, 0))
        if spiky(sample, plan, grid):
            options.append(train(sample, replace(plan, sizes=replace(plan.sizes, spiked=True)), grid, 0))
    options += by_name(sample)
    if any(p.masked is not None for p in sample.pieces):  # where little is known, one mean and level for all is little to store
        single = Layout((1,) * len(sample.shape))
        plan = AutoencoderPlan(single, None, Sizes(((0,),), 0, 1, 0, sample.wholes[0].whole))
        options.append(train(sample, plan, sample.wholes[0], 0))
    return options


def by_name(sample: Sample) -> list[AutoencoderChoice]:
    """Return plans with means, levels and tables by column, for numbers in order and by frequency."""
    if not 2 <= sample.shape[-1] <= MOST_COLUMNS:
        return []
    layout = columns_layout(sample.shape)
    sizes = Sizes(tuple((f,) for f in range(layout.features)), 0, 1, 0, True)
    out = []
    for grid in sample.wholes[:1]:
        named: list[Grid] = [grid, *sample.named(grid)]
        out += [train(sample, AutoencoderPlan(layout, None, sizes), one, 0) for one in named]
    return out


def columns_layout(shape: tuple[int, ...]) -> Layout:
    """Return the layout whose rows are those of a table."""
    return Layout((*(1,) * (len(shape) - 1), shape[-1]))
