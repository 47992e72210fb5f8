"""Autoencoders, and networks column by column: layouts and differences first, then sizes, each after a short training."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aezip.array.layout import Layout
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.columns.plan import ColumnPlan
from aezip.quantize.grid import Grid

from . import linear
from .autoencoder import differences, finish, network_sizes, resized, train
from .below import WORTH
from .choice import AutoencoderChoice, Choice, Found, Wish, smallest
from .columns import by_column, order_of, with_networks
from .convolution import convolved, is_image
from .family import Family
from .layouts import candidates
from .sample import Sample
from .static import MOST_COLUMNS, columns_layout

FAR = 1.35  # a linear autoencoder so much larger than a context plan: rows have no features to share
PROMISING = 1.2  # an autoencoder so much larger than a context plan after a trial is trained on: it gains more
HOPELESS = 1.5  # networks of all columns so much larger after a trial than columns without: what some would save is little
PROMISING_COLUMNS = 1.05  # the same for columns, and for convolutions


class Autoencoders(Family):
    """Autoencoders of the variant deep, and columns."""

    name = "autoencoders"

    def short(self, sample: Sample, found: Found, wish: Wish) -> None:
        """Try layouts and sizes; of images, convolutions too."""
        linearly = linear.estimate(sample)
        shared = found.context is None or linearly.size < FAR * found.context_size
        order = order_of(sample, found.by_class.get(ColumnPlan))
        learned = search(sample, found.spiked, found.context_size * WORTH, rows=shared, widths=linearly.widths, order=order)
        if learned is not None and is_image(learned.plan.layout) and learned.size < found.context_size * PROMISING:
            learned = convolved(sample, learned, found.context_size * PROMISING_COLUMNS)
        found.learned = learned

    def full(self, sample: Sample, found: Found, wish: Wish) -> Sequence[Choice[Any]]:
        """Train what is close to the context plan."""
        learned = found.learned
        if learned is None:
            return []
        promise = PROMISING if learned.plan.sizes.width else PROMISING_COLUMNS
        if learned.size >= found.context_size * promise:
            return []
        if by_column(learned.plan) and learned.size > HOPELESS * found.plain.size and not wish.learned_only:
            return []
        full = finish(sample, learned)
        return [with_networks(sample, full, found.by_class.get(ColumnPlan))] if by_column(full.plan) else [full]


def search(
    sample: Sample,
    spiked: Sequence[Grid] = (),
    hopeless: float = math.inf,
    *,
    rows: bool = True,
    widths: Mapping[Layout, int] | None = None,
    order: tuple[int, ...] = (),
) -> AutoencoderChoice | None:
    """Return the best autoencoder (if `rows`), or columns, of short trainings; no sizes are searched from `hopeless` bytes on.

    `widths`: those to begin with, of layouts; `order`: of columns that are predicted one after the other.
    """
    left = sample.preset.trials
    done: list[AutoencoderChoice] = []
    for plan, grid in _starts(sample, spiked, widths or {}, order, rows=rows):
        done.append(train(sample, plan, grid, sample.preset.trial_steps))
        if min(c.size for c in done) > (1.5 if len(done) == 1 else 1.0) * hopeless and len(done) <= 2:
            break
    if not done or smallest(done).failed:
        return None
    best = smallest(done)
    if best.size > hopeless:
        return best
    return _other_hidden(sample, best) if len(best.plan.sizes.groups) > 1 else _climb(sample, best, left - len(done))


def _starts(
    sample: Sample, spiked: Sequence[Grid], widths: Mapping[Layout, int], order: tuple[int, ...], *, rows: bool
) -> list[tuple[AutoencoderPlan, Grid]]:
    """Return layouts, differences and groups to begin with; without `rows`, groups alone."""
    transforms = differences(sample)
    tops = transforms[:1] + [t for t in transforms[1:4] if t[1] is not None and t[1].columns is None][:1]
    starts: list[tuple[AutoencoderPlan, Grid]] = []
    for layout in candidates(sample.shape)[:4]:
        width = max(4, widths.get(layout, 4))
        if sample.fine is not None:
            starts.append((AutoencoderPlan(layout, None, network_sizes(layout, width, 32, sample.fine)), sample.fine))
        grid, difference = transforms[0]
        starts.append((AutoencoderPlan(layout, difference, network_sizes(layout, width, 32, grid)), grid))
    for grid in spiked[:1]:
        layout = candidates(sample.shape)[0]
        sizes = replace(network_sizes(layout, 2, 4, grid), spiked=True)
        starts.insert(0, (AutoencoderPlan(layout, None, sizes), grid))
    starts = [s for s in starts if s[0].sizes.width and rows]
    if 2 <= sample.shape[-1] <= MOST_COLUMNS:
        pairs = [(sample.fine, None), *tops] if sample.fine is not None else [*tops, (tops[0][0], None)]
        return [*by_columns(sample, pairs, order), *starts[: max(2, sample.preset.trials // 2)][:3]]
    return starts[: max(2, sample.preset.trials // 2)]


def by_columns(
    sample: Sample, pairs: Sequence[tuple[Grid | None, Difference | None]], order: tuple[int, ...] = ()
) -> list[tuple[AutoencoderPlan, Grid]]:
    """Return plans that predict each column from the columns before it, in an order, or as they stand."""
    layout = columns_layout(sample.shape)
    groups = tuple((f,) for f in order or range(layout.features))
    out: dict[tuple[bool, Difference | None], tuple[AutoencoderPlan, Grid]] = {}
    for grid, difference in pairs:
        if grid is not None:
            sizes = Sizes(groups, 0, 16, 16, grid.whole)
            out.setdefault((grid.whole, difference), (AutoencoderPlan(layout, difference, sizes), grid))
    return list(out.values())


def _other_hidden(sample: Sample, best: AutoencoderChoice) -> AutoencoderChoice:
    """Try other hidden sizes of the best plan by columns: small data affords few weights."""
    start = best.plan
    for hidden in (8, 4) if best.size < 1 << 19 else (32,):
        sizes = replace(start.sizes, hidden=hidden, scale_hidden=min(hidden, 16))
        tried = train(sample, replace(start, sizes=sizes), best.placed, sample.preset.trial_steps)
        if tried.size >= best.size:
            break
        best = tried
    return best


def _climb(sample: Sample, best: AutoencoderChoice, left: int) -> AutoencoderChoice:
    """Double or halve width and hidden size while the bytes fall."""
    moves = [(2, 1), (1, 2), (0.5, 1), (1, 0.5)]
    seen = set()
    improved = True
    while improved and left > 0:
        improved = False
        for wider, larger in moves:
            plan = resized(best.plan, best.placed, wider, larger)
            if plan.sizes in seen or plan.sizes == best.plan.sizes or left <= 0:
                continue
            seen.add(plan.sizes)
            left -= 1
            tried = train(sample, plan, best.placed, sample.preset.trial_steps)
            # a larger network also decodes more slowly: it has to save something
            if tried.size < best.size * (1.0 if larger < 1 else 0.995):
                best, improved = tried, True
                break
    return best
