"""Autoencoders of a variant that was asked for, or of every variant: on each layout that suits it, then other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.autoencoder.variants import AUTO, OVERCOMPLETE, VARIANTS, fits, width_for
from aezip.quantize.grid import Grid

from . import columns, context
from .autoencoder import differences, finish, network_sizes, resized, train
from .below import below_of
from .choice import AutoencoderChoice, Choice, Found, Wish, smallest
from .contexts import fitted_at_length, look, reporter
from .family import Family
from .layouts import candidates
from .learned import PROMISING
from .sample import FEWEST, Part, Sample

LAYOUTS = 4
REFINED = True  # whether the one asked for may be refined by context


class Variants(Family):
    """Every variant but the deep one, where all are to compete."""

    name = "variants"

    def full(self, sample: Sample, found: Found, wish: Wish) -> Sequence[AutoencoderChoice]:
        """Train the best of short trainings, if it is close."""
        if wish.variant != AUTO or found.learned is None:
            return []
        done = [_short(sample, name, thorough=False) for name in VARIANTS[1:]]
        other = smallest([c for c in done if c is not None], default=found.learned)
        close = other is not found.learned and other.size < PROMISING * min(found.learned.size, found.context_size)
        return [finish(sample, other)] if close else []


def of_variant(sample: Sample, variant: str) -> Choice[Any] | None:
    """Return the smallest plan with an autoencoder of a variant, refined by context or not.

    None if the array cannot be stored so: it is too small, its integers leave networks no room, or its rows are too short.
    """
    sample.drop_wide()
    if sum(p.x.size for p in sample.pieces) < FEWEST or not sample.wholes:
        return None
    trial = sample.attempt(variant, lambda: _short(sample, variant, thorough=True), None)
    if trial is None:
        return None
    best = finish(sample, trial)
    options: list[Choice[Any]] = [best]
    context_plan = sample.attempt("context networks", lambda: look(sample), None) if REFINED else None
    if context_plan is not None:
        none: list[Choice[Any]] = []
        above = sample.attempt("context networks at length", lambda: fitted_at_length(sample, context_plan, best, 0.0), none)
        inside = [(c, c.plan.with_codes()) for c in above]
        options += [c for c, below in inside if below is not None and below.variant == variant]
    return smallest(options)


def _short(sample: Sample, variant: str, *, thorough: bool) -> AutoencoderChoice | None:
    """Return the best of short trainings of a variant; other sizes are tried if `thorough`."""
    starts = _starts(sample, variant)
    if not starts:
        return None
    most = max(2, sample.preset.trials // 2) if thorough else 2
    done = [train(sample, plan, grid, sample.preset.trial_steps) for plan, grid in starts[:most]]
    best = smallest(done)
    if best.failed:
        return None
    return _climb(sample, best, sample.preset.trials - len(done)) if thorough else best


def _starts(sample: Sample, variant: str) -> list[tuple[AutoencoderPlan, Grid]]:
    """Return layouts and grids to begin with."""
    out: list[tuple[AutoencoderPlan, Grid]] = []
    grid, difference = differences(sample)[0]
    for layout in candidates(sample.shape)[:LAYOUTS]:
        if layout.features < 2 or not fits(variant, layout.features):
            continue
        for one, change in ([] if sample.fine is None else [(sample.fine, None)]) + [(grid, difference)]:
            sizes = network_sizes(layout, 4, 32, one)
            sizes = replace(sizes, width=width_for(variant, sizes.width, layout.features))
            out.append((AutoencoderPlan(layout, change, sizes, variant), one))
    return out


def _climb(sample: Sample, best: AutoencoderChoice, left: int) -> AutoencoderChoice:
    """Double or halve width (unless it follows from the features) and hidden units while the bytes fall."""
    moves = [(1.0, 2.0), (1.0, 0.5)]
    if best.plan.variant not in OVERCOMPLETE:
        moves = [(2.0, 1.0), (1.0, 2.0), (0.5, 1.0), (1.0, 0.5)]
    seen = {best.plan.sizes}
    for _ in range(left):
        options = [resized(best.plan, best.placed, *move) for move in moves]
        fresh = next((p for p in options if p.sizes not in seen), None)
        if fresh is None:
            break
        seen.add(fresh.sizes)
        tried = train(sample, fresh, best.placed, sample.preset.trial_steps)
        # a larger network also decodes more slowly: it has to save something
        if tried.size < best.size * 0.995:
            best = tried
    return best


def resumed(sample: Sample, start: Choice[Any]) -> Choice[Any]:
    """Train the networks of a plan on, the autoencoder below a context network first; of infinite size if that fails."""
    return sample.attempt("the model trained on", lambda: _resumed(sample, start), Choice(start.plan, start.grid, math.inf))


def _resumed(sample: Sample, start: Choice[Any]) -> Choice[Any]:
    plan, networks, grid, preset = start.plan, start.model, start.placed, sample.preset
    if plan.by_columns:
        return columns.resumed(sample, start)
    if networks.below is networks:
        return train(sample, plan, grid, preset.steps, final=True, start=start)
    below = None
    if networks.below is not None:
        first = Choice(plan.base, grid, 0.0, networks.below, b"", start.encoder)
        below = below_of(sample, train(sample, plan.base, grid, preset.steps, final=True, start=first), start)
    pieces, share = sample.part(Part.ALL)
    return context.train(
        grid, pieces, share, plan.sizes.order, plan.sizes.hidden, preset.context_steps, sample.seed,
        below=below, series=plan.series, scan=plan.sizes.scan, spike=plan.sizes.spike,
        resumed=(plan, networks.net), threads=sample.threads, report=reporter(sample, pieces[0], final=True, name=""),
    )  # fmt: skip
