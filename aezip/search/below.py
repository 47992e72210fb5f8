"""Autoencoders below a context network: the one that was found, one of half its width, or another that can be refined."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aezip.array.layout import Layout
from aezip.entropy import residual
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.networks import from_bytes, to_bytes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.autoencoder.variants import OVERCOMPLETE

from .autoencoder import network_sizes, train
from .choice import AutoencoderChoice, Choice, ContextChoice
from .context import Below
from .sample import Sample

WIDE_ROWS = 32  # features from which a row may have an autoencoder below a context network
WORTH = 1.5  # a trial larger than the best one times this is given up


def below_of(sample: Sample, learned: Choice[Any], refined: Choice[Any]) -> Below | None:
    """Return a trained autoencoder to refine, if its plan can be refined."""
    plan, model = learned.plan.with_codes(), learned.model
    if plan is None or plan is not learned.plan or model is None or learned.encoder is None:
        return None
    if plan.difference is not None or len(plan.sizes.groups) > 1 or learned.grid is not refined.grid:
        return None
    if plan.sizes.spiked and not plan.sizes.axes:
        return None
    grid, encoder = learned.placed, learned.encoder
    codes = [
        network.code(plan, grid.at(p.start), model.decoders, model.norm, encoder, p.x, p.masked).codes for p in sample.pieces
    ]
    # the residual's tables are of no use below a context network
    counts = model.book.counts(codes), residual.TableCounts(plan.sizes.contexts)
    data = to_bytes(plan.sizes, model.decoders, model.norm, model.book, *counts, model.spikes)
    return Below(plan, from_bytes(data, plan.sizes, len(sample.shape)), data, encoder)


def belows(sample: Sample, learned: Choice[Any], refined: ContextChoice) -> list[Below]:
    """Return autoencoders to refine: the one at hand, and one with half the codes, as contexts do a part of its job."""
    first = below_of(sample, learned, refined)
    if first is None:
        return _other(sample, learned, refined)
    old = first.plan.sizes
    if old.width < 4 or first.plan.variant in OVERCOMPLETE:
        return [first]
    plan = replace(first.plan, sizes=replace(old, width=old.width // 2))
    second = below_of(sample, train(sample, plan, learned.placed, sample.preset.steps // 2), refined)
    return [first] if second is None else [first, second]


def _other(sample: Sample, learned: Choice[Any], refined: ContextChoice) -> list[Below]:
    """Train an autoencoder that can be refined where the best one cannot: it sees differences, or another grid."""
    plan, features = learned.plan.with_codes(), sample.shape[-1]
    if plan is None or not plan.sizes.width or features < WIDE_ROWS or plan.variant in OVERCOMPLETE:
        return []
    layout = Layout((*(1,) * (len(sample.shape) - 1), features))
    other = AutoencoderPlan(layout, None, network_sizes(layout, 8, 32, refined.placed), plan.variant)
    trained: AutoencoderChoice = train(sample, other, refined.placed, sample.preset.steps // 2)
    below = below_of(sample, trained, refined)
    return [] if below is None else [below]
