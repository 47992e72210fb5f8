"""Trying one autoencoder, or columns: trained, frozen, the sample coded, its bytes counted, the model's included."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aezip.array.layout import Layout, Piece
from aezip.core.surroundings import restored
from aezip.entropy import residual
from aezip.entropy.codebook import CodeBook
from aezip.entropy.frames import pack
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.decoder import IntegerDecoder
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import NARROW_BITS, Norm, Sizes, Spikes, from_bytes, to_bytes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.autoencoder.rows import join, with_spikes
from aezip.plans.autoencoder.static import static_decoders
from aezip.quantize.grid import Grid

from .choice import AutoencoderChoice, Choice, smallest
from .sample import Sample, called

MANY_SPIKES = 0.1  # of the features must have one, for flags to be tried


def train(
    sample: Sample, plan: AutoencoderPlan, grid: Grid, steps: int, *, final: bool = False, start: AutoencoderChoice | None = None
) -> AutoencoderChoice:
    """Train for so many steps, or train on from `start`, and count bytes; infinite where that fails.

    0 steps: means and levels by feature take the place of a network.
    """
    failed = Choice(plan, grid, math.inf)
    return sample.attempt(
        called(plan, grid), lambda: sample.note(_trained(sample, plan, grid, steps, final=final, start=start)), failed
    )


def _trained(
    sample: Sample, plan: AutoencoderPlan, grid: Grid, steps: int, *, final: bool, start: AutoencoderChoice | None
) -> AutoencoderChoice:
    rows = join(_rows(sample, plan, grid), whole=grid.whole)
    if plan.sizes.spiked:
        rows = with_spikes(rows)
    grids = [plan.sites(p.x.shape) for p in sample.pieces]
    rows = replace(rows, sites=tuple(g for g in grids if g is not None))
    if not steps:
        zero = np.zeros(plan.sizes.features, np.int64)
        fixed = _Frozen(static_decoders(rows, plan.sizes), Norm(zero, zero, NARROW_BITS), None, rows.spikes)
        return fixed.measured(sample, plan, grid, {})
    with restored():
        from aezip.plans.autoencoder.training import fit as training  # torch is needed here alone

    faithful = sample.faithful and plan.variant == "deep" and bool(plan.sizes.width)
    schedule = training.Schedule(steps, sample.seed, device=sample.device, variant=plan.variant, faithful=faithful)
    begun = start is not None and start.model is not None
    frozen = training.Start(start.encoder, start.model.decoders, start.model.norm) if start is not None and begun else None
    fitted = training.fit(rows, plan.sizes, schedule, _reporter(sample, plan, final=final), frozen)
    rates = {"trained": fitted.rate, "held_out": fitted.rate_held_out, "held_out_float": fitted.rate_float}
    return _Frozen(fitted.decoders, fitted.norm, fitted.encoder, rows.spikes).measured(sample, plan, grid, rates)


def _rows(sample: Sample, plan: AutoencoderPlan, grid: Grid) -> list[network.PreparedRows]:
    return [network.prepare(plan, grid.at(p.start), p.x, p.masked) for p in sample.pieces]


def _reporter(sample: Sample, plan: AutoencoderPlan, *, final: bool) -> Callable[[int, int, int, float], None]:
    raw = 8.0 * sample.pieces[0].x.dtype.itemsize
    name = f"{plan.variant}, width {plan.sizes.width}, hidden {plan.sizes.hidden}"

    def report(step: int, steps: int, epoch: int, rate: float) -> None:
        message = f"epoch {epoch + 1}" if final else f"trying {name}"
        sample.progress("train" if final else "select", step, steps, raw / max(rate, 1e-9), message)

    return report


class _Frozen:
    """A network as a file would have it."""

    def __init__(self, decoders: list[IntegerDecoder], norm: Norm, encoder: FloatEncoder | None, spikes: Spikes | None) -> None:
        self.decoders, self.norm, self.encoder, self.spikes = decoders, norm, encoder, spikes

    def measured(self, sample: Sample, plan: AutoencoderPlan, grid: Grid, rates: dict[str, float]) -> AutoencoderChoice:
        """Code the sample; frequency tables by feature or shared, whichever is smaller."""
        options = [plan]
        if len(plan.sizes.groups) > 1:
            options = [replace(plan, sizes=replace(plan.sizes, by_feature=b)) for b in (False, True)]
        return smallest(self.count(sample, option, grid, rates) for option in options)

    def count(self, sample: Sample, plan: AutoencoderPlan, grid: Grid, rates: dict[str, float]) -> AutoencoderChoice:
        """Code the sample and count the bytes."""
        decoders, norm, encoder, spikes = self.decoders, self.norm, self.encoder, self.spikes
        coded = [network.code(plan, grid.at(p.start), decoders, norm, encoder, p.x, p.masked, spikes) for p in sample.pieces]
        book = CodeBook.choose([c.codes for c in coded], plan.sizes.axes)
        counts = residual.TableCounts(plan.sizes.contexts)
        for part in coded:
            for split in part.residual:
                counts.add(split.symbols, split.contexts)
        data = to_bytes(plan.sizes, decoders, norm, book, book.counts([c.codes for c in coded]), counts, spikes)
        model = from_bytes(data, plan.sizes, len(sample.shape))
        size = 0
        for part in coded:
            size += len(residual.encode(model.residual_tables, part.residual))
            size += len(residual.encode(model.code_tables, book.passes(part.codes)))
        total = size * sample.share + len(pack(data, 19))
        return Choice(plan, grid, total if math.isfinite(total) else math.inf, model, data, encoder, rates)


def spiky(sample: Sample, plan: AutoencoderPlan, grid: Grid) -> bool:
    """Tell whether flags for a most frequent number of each feature may pay."""
    if plan.difference is not None or not grid.whole or plan.sizes.features < 2:
        return False
    rows = join(_rows(sample, plan, grid), whole=True)
    spikes = with_spikes(rows).spikes
    return spikes is not None and bool(spikes.has.mean() >= MANY_SPIKES)


def differences(sample: Sample) -> list[tuple[Grid, Difference | None]]:
    """Return grids and differences, by the magnitude of what is left: smaller first."""
    key = "differences", *map(id, sample.wholes)
    if key not in sample.memo:
        sample.memo[key] = _differences(sample)
    return list(sample.memo[key])


def _differences(sample: Sample) -> list[tuple[Grid, Difference | None]]:
    shape = sample.shape
    scored: list[tuple[float, int, Grid, Difference | None]] = []
    head = sample.head(1 << 18)
    for grid in sample.wholes:
        base = _magnitude(head, grid, None)
        options: list[tuple[npt.NDArray[np.float64], Difference | None]] = [(base, None)]
        for axis in range(len(shape)):
            if shape[axis] < 2:
                continue
            whole = Difference(axis)
            options.append((_magnitude(head, grid, whole), whole))
            if axis < len(shape) - 1 and 2 <= shape[-1] <= 4096:
                better = options[-1][0] < base
                if better.any() and not better.all():
                    chosen = Difference(axis, tuple(bool(b) for b in better))
                    options.append((np.minimum(options[-1][0], base), chosen))
        scored += [(float(m.mean()), len(scored) + i, grid, d) for i, (m, d) in enumerate(options)]
    scored.sort(key=lambda s: s[:2])
    return [(grid, difference) for _, _, grid, difference in scored]


def _magnitude(pieces: list[Piece], grid: Grid, difference: Difference | None) -> npt.NDArray[np.float64]:
    """Return the mean log2 magnitude of each column (or of all values, if columns are many)."""
    total: list[npt.NDArray[np.float64]] = []
    for piece in pieces:
        k = grid.at(piece.start).integers(piece.x)
        if difference is not None:
            k = difference.forward(k, piece.masked)
        elif piece.masked is not None:
            k = np.where(piece.masked, 0, k)
        flat = k.reshape(-1, k.shape[-1]).astype(np.float64)
        center = np.median(flat, axis=0) if difference is None else 0.0
        total.append(np.log2(np.abs(flat - center) + 0.5).mean(axis=0))
    return np.asarray(np.mean(total, axis=0))


def network_sizes(layout: Layout, width: int, hidden: int, grid: Grid) -> Sizes:
    """Return sizes within what the layout and the format allow."""
    width = min(width, max(0, layout.features - 1), 64)
    hidden = min(hidden, 256)
    return Sizes((tuple(range(layout.features)),), width, hidden, min(hidden, 16), grid.whole)


def resized(plan: AutoencoderPlan, grid: Grid, wider: float, larger: float) -> AutoencoderPlan:
    """Return a plan with width and hidden units times a factor."""
    old = plan.sizes
    sizes = network_sizes(plan.layout, max(1, int(old.width * wider)), max(8, int(old.hidden * larger)), grid)
    width = sizes.width if wider != 1.0 else old.width
    return replace(plan, sizes=replace(sizes, width=width, spiked=old.spiked, axes=old.axes))


def finish(sample: Sample, learned: AutoencoderChoice) -> AutoencoderChoice:
    """Train an autoencoder, or columns, at full length; where that fails, what was tried will do."""
    # column by column, a step costs more and convergence is faster
    steps = sample.preset.steps if len(learned.plan.sizes.groups) == 1 else sample.preset.steps * 3 // 5
    full = train(sample, learned.plan, learned.placed, steps, final=True)
    return learned if full.failed else full
