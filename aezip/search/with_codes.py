"""Choosing a plan that has codes, for those who want features: the best autoencoder, even where another plan is smaller.

A row, and with it a code vector, is one index of the outer axis if that has few values, else one entry of the axes
before the last. Codes describe values, never differences. Knows nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from aezip.array.layout import Layout
from aezip.core.errors import InvalidInput
from aezip.core.fixed import MOST_CODES
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.quantize.grid import Grid

from .autoencoder import finish, train
from .below import belows
from .choice import AutoencoderChoice, Choice, ContextChoice, smallest
from .contexts import look, way_of
from .contexts import train as train_context
from .convolution import convolved, is_image
from .layouts import candidates
from .sample import Sample

MOST_FEATURES = 4096  # values of a row
FEW, START_HIDDEN = 16, 32  # codes of a row at least, if no width is given; hidden units to begin with
CONTEXT_WORTH = 1.5  # an autoencoder so much smaller than a context plan is not refined
REMEDY = "leave --codes and --width (codes=) away"


def row_layout(shape: tuple[int, ...]) -> Layout:
    """Return the layout whose rows have one code vector each."""
    inner = math.prod(shape[1:])
    if len(shape) > 1 and 2 <= inner <= MOST_FEATURES:
        return Layout((1, *shape[1:]))
    if len(shape) > 1 and 2 <= shape[-1] <= MOST_FEATURES:
        return Layout((*(1,) * (len(shape) - 1), shape[-1]))
    return candidates(shape)[0]


def choose_with_codes(sample: Sample, codes: bool | int) -> Choice[Any]:
    """Return the plan with codes that has the fewest bytes; it is of the variant `deep`.

    Parameters
    ----------
    sample
        Of the array.
    codes
        Width of the bottleneck; True: at least 16, or half the values of a row; more where that saves bytes.

    Raises
    ------
    InvalidInput
        If no autoencoder can be trained on the array, or none of that width.
    """
    sample, width = replace(sample, faithful=True), None if codes is True else int(codes)
    sample.drop_wide()
    layout = row_layout(sample.shape)
    rows = sum(math.prod(layout.grid(p.x.shape)) for p in sample.pieces)
    if rows < 4 or layout.features < 2 or not sample.wholes:
        raise InvalidInput(f"the array is too small or too irregular for an autoencoder: {REMEDY}")
    if width is not None and width >= layout.features:
        raise InvalidInput(f"{width} codes are no bottleneck for rows of {layout.features} values: give a smaller width")
    started = smallest(_tried(sample, layout, g, width or _fewest(layout.features), START_HIDDEN) for g in sample.grids)
    if started.failed:
        raise InvalidInput(f"no autoencoder could be trained on the array ({sample.tried[-1][0]}): {REMEDY}")
    learned = _climb(sample, started, width)
    if width is None and len(sample.shape) == 3 and is_image(layout):
        learned = convolved(sample, learned)  # the codes of an image are those of all its blocks
    learned = finish(sample, learned)
    none: list[ContextChoice] = []
    above = sample.attempt("context networks", lambda: _above(sample, learned, width), none)
    options: list[Choice[Any]] = [learned, *above]
    return smallest(options)


def _tried(sample: Sample, layout: Layout, grid: Grid, width: int, hidden: int) -> AutoencoderChoice:
    sizes = Sizes((tuple(range(layout.features)),), width, hidden, min(hidden, 16), grid.whole)
    return train(sample, AutoencoderPlan(layout, None, sizes), grid, sample.preset.trial_steps)


def _climb(sample: Sample, best: AutoencoderChoice, given: int | None) -> AutoencoderChoice:
    """Double or halve width (unless it is given), or double the hidden size, while the bytes fall.

    Fewer hidden units are not tried: rows are compared by what the decoder makes of their codes.
    """
    widths = () if given else ((2.0, 1.0), (0.5, 1.0))
    seen: set[tuple[int, int]] = set()
    moves = [*widths, (1.0, 2.0)]
    while len(seen) < sample.preset.trials:
        for wider, larger in moves:
            old = best.plan.sizes
            width = min(max(given or _fewest(old.features), int(old.width * wider)), MOST_CODES, old.features - 1)
            key = (width, min(max(8, int(old.hidden * larger)), 256))
            if key in seen or key == (old.width, old.hidden) or len(seen) >= sample.preset.trials:
                continue
            seen.add(key)
            tried = _tried(sample, best.plan.layout, best.placed, *key)
            if tried.size < best.size * 0.998:
                best = tried
                break
        else:
            break
    return best


def _above(sample: Sample, learned: AutoencoderChoice, given: int | None) -> list[ContextChoice]:
    """Return context plans that refine the autoencoder, where they may win."""
    refined = look(replace(sample, any_extent=True))  # channels have no autoencoder below
    if refined is None or refined.plan.series is not None or learned.size * CONTEXT_WORTH < refined.size:
        return []
    width = given or (1 if learned.plan.sizes.axes else _fewest(learned.plan.sizes.features))
    lower = [b for b in belows(sample, learned, refined) if b.plan.sizes.width >= width]
    grid, way, spike, preset = refined.placed, way_of(refined), refined.plan.sizes.spike, sample.preset
    tried = ((train_context(sample, grid, way, 16, 3 * preset.context_trial, below=b, spike=spike, final=True), b) for b in lower)
    trials = [(made, below) for made, below in tried if made is not None]
    best, below = min(trials, key=lambda t: t[0].size, default=(None, None))
    if best is None or best.size > learned.size * 1.05:
        return []
    full = train_context(sample, grid, way, 16, preset.context_steps, below=below, spike=spike, final=True)
    return [best if full is None else full]


def _fewest(features: int) -> int:
    return min(FEW, max(1, features // 2))


def parse_codes(codes: bool | int) -> bool | int:
    """Return the option `codes`: False, True, or a width.

    Raises
    ------
    InvalidInput
        If it is none of these.
    """
    if isinstance(codes, bool):
        return codes
    if not isinstance(codes, int) or not 1 <= codes <= MOST_CODES:
        raise InvalidInput(f"codes must be True, False or a width from 1 to {MOST_CODES}, not {codes!r}")
    return codes
