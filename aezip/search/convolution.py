"""Trying convolutional autoencoders: small blocks of the last two axes that see the codes of the blocks around them."""

from __future__ import annotations

import math
from dataclasses import replace

from aezip.array.layout import Layout
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import AutoencoderPlan

from .autoencoder import spiky, train
from .choice import AutoencoderChoice
from .sample import Sample

BLOCK = 4  # pixels along each axis
LEAST = 2 * BLOCK  # pixels of an axis that is convolved
SIZES = ((2, 32), (2, 64), (4, 64))  # codes of a block, hidden units: as long as the bytes fall
SMALLER = 0.995  # a larger network also decodes more slowly: it has to save something


def image_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes along which an array is convolved: the last two, if they are long enough."""
    return (len(shape) - 2, len(shape) - 1) if len(shape) >= 2 and min(shape[-2:]) >= LEAST else ()


def is_image(layout: Layout) -> bool:
    """Tell whether the rows of a layout extend along the last two axes."""
    return len(layout.block) >= 2 and min(layout.block[-2:]) > 1


def convolved(sample: Sample, rival: AutoencoderChoice, hopeless: float = math.inf) -> AutoencoderChoice:
    """Return the best convolutional autoencoder of short trainings, or the rival if none is smaller, or of `hopeless` bytes."""
    return sample.attempt("convolutions", lambda: _smaller(sample, rival, hopeless), rival)


def _smaller(sample: Sample, rival: AutoencoderChoice, hopeless: float) -> AutoencoderChoice:
    axes, grid, best = image_axes(sample.shape), rival.placed, rival
    if not axes:
        return rival
    layout = Layout((*(1,) * (len(sample.shape) - 2), BLOCK, BLOCK))
    for width, hidden in SIZES:
        sizes = Sizes((tuple(range(layout.features)),), width, hidden, hidden, grid.whole, axes=axes)
        plan = AutoencoderPlan(layout, None, sizes)
        if spiky(sample, plan, grid):
            plan = replace(plan, sizes=replace(sizes, spiked=True))
        trial = train(sample, plan, grid, sample.preset.trial_steps)
        if trial.size >= hopeless or trial.size >= best.size * (1.0 if best is rival else SMALLER):
            break
        best = trial
    return best
