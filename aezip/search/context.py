"""Trying context plans: orders of the axes, sizes, with an autoencoder below or without. Knows nothing of files."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.array.layout import Piece
from aezip.core.fixed import FRACTION_BITS
from aezip.core.parallel import ordered, within
from aezip.core.surroundings import restored
from aezip.entropy import residual
from aezip.entropy.codebook import CodeBook
from aezip.entropy.frames import pack
from aezip.entropy.residual import TableCounts
from aezip.plans.autoencoder.chunk import CodedRows
from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import Networks
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.context import builtin as builtins
from aezip.plans.context import plan as contextplan
from aezip.plans.context.bisection import Order
from aezip.plans.context.channels import Channels, Mixing
from aezip.plans.context.net import BITS, ContextNet, ContextSizes
from aezip.plans.context.plan import ContextPlan
from aezip.plans.context.raster import Axes
from aezip.plans.context.refit import Looped, loop, refitted
from aezip.plans.context.rows import ContextSample
from aezip.plans.context.signal import Signal
from aezip.plans.context.walk import Offset
from aezip.quantize.grid import Grid

from . import channels as by_channels
from .choice import Choice, ContextChoice

LONG = 1000  # steps from which a built-in network's neighbours are refreshed as often as others'
WORTH_FITTING = 20_000  # bytes from which better linear parts may be worth theirs
MOST_FITTED = 120_000  # rows they are fitted to
ADAPTED = 1.5e-3  # learning rate of built-in networks
MOST_LOOPED = 1 << 20  # values of channels that are coded for that
WIDE = 20  # precision where float32 cannot hold the contexts
NARROW_RANGE = 1 << 21  # largest distance from the origin, in 1/64 step, that float32 contexts hold with room to spare


@dataclass(frozen=True)
class Below:
    """A trained autoencoder that a context network refines."""

    plan: AutoencoderPlan
    model: Networks
    model_bytes: bytes
    encoder: FloatEncoder


class Begun(NamedTuple):
    """What a built-in network made of sampled chunks, and the chunks as it decoded them."""

    found: ContextChoice
    looped: Looped


def orders(shape: tuple[int, ...]) -> list[Order]:
    """Return the orders of the axes worth trying, the most usual first."""
    axes = [a for a, n in enumerate(shape) if n > 1]
    if len(axes) <= 1:
        return [(tuple(axes),)] if axes else []
    first, rest, last = axes[0], tuple(axes[1:]), axes[-1]
    out: list[Order] = [((first,), rest), (tuple(axes),), (rest,), ((last,), tuple(axes[:-1]))]
    if len(axes) == 2:
        out.append(((first,),))
    else:
        out.append(((first,), (axes[1],), tuple(axes[2:])))
        out.append(((last,), (first,), tuple(axes[1:-1])))
        out.append(((axes[1],), (first, *axes[2:])))
    good = [o for o in out if all(1 <= len(group) <= 4 for group in o)]
    return list(dict.fromkeys(good))


def find_spike(grid: Grid, piece: Piece) -> int | None:
    """Return a whole number that at least a sixth of a piece's values are; None if there is none."""
    if not grid.whole:
        return None
    k = grid.at(piece.start).integers(piece.x)
    kept = k.reshape(-1) if piece.masked is None else k[~piece.masked]
    if not kept.size:
        return None
    values, counts = np.unique(kept, return_counts=True)
    most = int(counts.argmax())
    return int(values[most]) if counts[most] * 6 >= kept.size and len(values) > 2 else None


@dataclass
class ContextPieces:
    """Sampled chunks as a context network sees them."""

    plan_whole: bool
    origin: int
    precision: int
    samples: list[ContextSample]
    codes: list[npt.NDArray[np.int64]]


def _given(grid: Grid, pieces: list[Piece]) -> list[by_channels.Given]:
    given = []
    for piece in pieces:
        target, whole = contextplan.targets(grid.at(piece.start), piece.x, piece.masked)
        if whole is not None and piece.masked is not None:
            target[piece.masked] = 0.0
        given.append(by_channels.Given(target, whole, piece.masked, piece.beside))
    return given


def mixed(grid: Grid, pieces: list[Piece], share: float, channels: Channels, *, scan: bool, seed: int, effort: int) -> Mixing:
    """Fit the sums of channels to sampled chunks; other parameters as in `train`."""
    return by_channels.fit(channels, _given(grid, pieces), share, scan=scan, seed=seed, effort=effort)


def _of_channels(grid: Grid, pieces: list[Piece], mixing: Mixing, seed: int = 0, most: float = math.inf) -> ContextPieces:
    """Return sampled chunks as channels, each relative to its sum of those before."""
    samples = by_channels.samples(_given(grid, pieces), mixing, seed, most)
    reach = max((float(np.abs(s.target * 2.0**FRACTION_BITS - s.base).max(initial=0.0)) for s in samples), default=0.0)
    return ContextPieces(grid.whole, 0, BITS if reach < NARROW_RANGE else WIDE, samples, [])


def _samples(grid: Grid, pieces: list[Piece], below: Below | None, series: Signal | None) -> ContextPieces:
    parts, codes = [], []
    low, high = math.inf, -math.inf
    for piece in pieces:
        target, whole = contextplan.targets(grid.at(piece.start), piece.x, piece.masked)
        if whole is not None and piece.masked is not None:
            target[piece.masked] = 0.0
        offset: Offset = 0
        left = target
        if below is not None:
            rows = contextplan.encode_codes(below.plan, grid.at(piece.start), below.encoder, piece.x, piece.masked)
            offset = contextplan.autoencoder_base(below.plan, below.model, rows, piece.x.shape)
            left = target - offset.mean * 2.0**-FRACTION_BITS
            codes.append(rows.reshape(*below.plan.layout.grid(piece.x.shape), -1))
        kept = left if piece.masked is None else left[~piece.masked]
        if kept.size:
            low, high = min(low, float(kept.min())), max(high, float(kept.max()))
        parts.append((target, whole, piece.masked, offset))
    unit = 2.0**FRACTION_BITS
    origin = 0 if below is not None else round((low + high) / 2.0 * unit)
    reach = max(abs(low * unit - origin), abs(high * unit - origin))
    samples: list[ContextSample] = [
        ContextSample(*contextplan.arranged(series, t, w, m), o if below is not None else origin) for t, w, m, o in parts
    ]
    return ContextPieces(grid.whole, origin, BITS if reach < NARROW_RANGE else WIDE, samples, codes)


def train(
    grid: Grid,
    pieces: list[Piece],
    share: float,
    order: Order,
    hidden: int,
    steps: int,
    seed: int,
    *,
    below: Below | None = None,
    series: Signal | None = None,
    scan: Axes = (),
    mixing: Mixing | None = None,
    spike: int | None = None,
    final: bool = True,
    resumed: tuple[ContextPlan, ContextNet] | None = None,
    builtin: int = 0,
    threads: int = 1,
    report: Callable[[int, int, int, float], None] | None = None,
) -> ContextChoice:
    """Train a context network on sampled chunks, code them, count the bytes.

    Parameters
    ----------
    share
        Values of the array over values sampled.
    final
        Refresh the neighbours by coding the sample while training.
    mixing
        The sums, where channels are decoded one after the other.
    resumed
        Train this network on, with the sizes and the origin of its plan.
    builtin
        Number of the built-in network to train on.
    threads
        On which chunks are coded.
    """
    with restored():
        from aezip.plans.context.training import fit as fitting  # torch is needed here alone

    ready = _samples(grid, pieces, below, series) if mixing is None else _of_channels(grid, pieces, mixing, seed)
    channels = None if mixing is None else mixing.channels
    columns = 0 if series is None else series.count(pieces[0].x.shape)
    sizes = ContextSizes(order, hidden, ready.precision, columns, spike, scan)
    origin, net = ready.origin, None
    if resumed is not None:
        sizes, origin, net = resumed[0].sizes, resumed[0].origin, resumed[1]
    if builtin:
        net = builtins.load(builtin, sizes)
    seen = sizes if mixing is None else sizes.stacked()
    refreshes = () if not final else (0.5,) if builtin and steps < LONG else (0.25, 0.5, 0.75)
    fitted = fitting.fit(
        seen,
        ready.samples,
        steps,
        seed,
        refreshes=refreshes,
        progress=report,
        resumed=None if net is None else replace(net, sizes=seen, types=None),
        threads=threads,
        adapt=bool(builtin),
        learning_rate=ADAPTED if builtin else 4e-3,
    )
    net = replace(fitted.net, sizes=sizes, types=None)
    plan = ContextPlan(sizes, grid.whole, origin, None if below is None else below.plan, series, channels=channels)
    if builtin:
        changes = replace(plan, builtin=builtin)
        plan = min((plan, changes), key=lambda p: len(pack(contextplan.net_bytes(p, net), 19)))
    return _count(plan, grid, pieces, share, net, below, threads, fitted.rate, mixing)


def use(
    grid: Grid,
    pieces: list[Piece],
    share: float,
    order: Order,
    *,
    series: Signal | None = None,
    scan: Axes = (),
    mixing: Mixing | None = None,
    fit: bool = False,
    threads: int = 1,
    begun: list[Begun],
) -> ContextChoice | None:
    """Code sampled chunks with the built-in network for a way over the axes, count the bytes; None: there is none.

    Nothing is trained; with `fit` linear parts are fitted where that pays. Other parameters as in `train`.

    Parameters
    ----------
    begun
        Of one way over some chunks: what was made without `fit` goes in, with `fit` it is gone on with.
    """
    columns = 0 if series is None else series.count(pieces[0].x.shape)
    number = builtins.number_for(ContextSizes(order, builtins.HIDDEN, BITS, columns, None, scan), whole=grid.whole)
    if not number:
        return None
    if mixing is None:
        channels, ready = None, _samples(grid, pieces, None, series)
    else:  # built-in networks do not know what to make of levels
        channels = replace(mixing.channels, levels=False)
        mixing = replace(mixing, channels=channels)
        ready = _of_channels(grid, pieces, mixing, most=MOST_LOOPED)
    sizes = ContextSizes(order, builtins.HIDDEN, ready.precision, columns, None, scan)
    plan = ContextPlan(sizes, grid.whole, ready.origin, None, series, number, channels)
    net = builtins.load(number, sizes)
    if mixing is not None:
        return _use_mixed(plan, grid, pieces, share, net, mixing, ready.samples, fit=fit, threads=threads)
    if not begun:
        looped = loop(net, ready.samples, threads, keep=True)
        found = _counted(plan, grid, pieces, share, looped)
        begun.append(Begun(found, looped._replace(coded=[replace(part, residual=[]) for part in looped.coded])))
    found, looped = begun[0]
    if not fit or found.size < WORTH_FITTING:
        return found
    begun.clear()
    fitted, _ = refitted(looped, ready.samples, 0, threads, MOST_FITTED, keep=True)
    if fitted.net is looped.net:
        return found
    return min(found, _counted(plan, grid, pieces, share, fitted), key=lambda r: r.size)


def _use_mixed(
    plan: ContextPlan,
    grid: Grid,
    pieces: list[Piece],
    share: float,
    net: ContextNet,
    mixing: Mixing,
    samples: list[ContextSample],
    *,
    fit: bool,
    threads: int,
) -> ContextChoice:
    """Code sampled chunks of channels with a built-in network, with linear parts fitted where that pays."""
    if fit and math.prod(pieces[0].x.shape) * share >= WORTH_FITTING:  # about a byte a value, as long as none was coded
        seen = replace(net, sizes=net.sizes.stacked(), types=None)
        fitted, _ = refitted(loop(seen, samples, threads), samples, 0, threads, MOST_FITTED)
        net = replace(fitted.net, sizes=net.sizes, types=None)
    return _count(plan, grid, pieces, share, net, None, threads, mixing=mixing)


def _counted(plan: ContextPlan, grid: Grid, pieces: list[Piece], share: float, looped: Looped) -> ContextChoice:
    """Count the bytes of what a network without an autoencoder made of the sample."""
    coded = [CodedRows(np.zeros((0, 0), np.int64), part.residual, np.zeros(0)) for part in looped.coded]
    return _sized(plan, grid, pieces, share, looped.net, None, coded)


def _count(
    plan: ContextPlan,
    grid: Grid,
    pieces: list[Piece],
    share: float,
    net: ContextNet,
    below: Below | None,
    threads: int,
    rate: float = 0.0,
    mixing: Mixing | None = None,
) -> ContextChoice:
    """Code the sample with a frozen network and count the bytes, the model's included."""
    encoder = None if below is None else below.encoder
    base = None if below is None else below.model

    def code(piece: Piece) -> CodedRows:
        workers = within(threads, len(pieces))
        return contextplan.code(
            plan, grid.at(piece.start), net, base, encoder, piece.x, piece.masked, workers, mixing, piece.beside
        )

    coded = list(ordered(code, pieces, min(threads, len(pieces))))
    return _sized(plan, grid, pieces, share, net, below, coded, rate, mixing)


def _sized(
    plan: ContextPlan,
    grid: Grid,
    pieces: list[Piece],
    share: float,
    net: ContextNet,
    below: Below | None,
    coded: list[CodedRows],
    rate: float = 0.0,
    mixing: Mixing | None = None,
) -> ContextChoice:
    encoder = None if below is None else below.encoder
    counts = TableCounts(plan.tables)
    for part in coded:
        for split in part.residual:
            counts.add(split.symbols, split.contexts)
    data = contextplan.model_to_bytes(plan, b"" if below is None else below.model_bytes, net, counts, mixing)
    model = contextplan.model_from_bytes(data, plan, len(pieces[0].x.shape))
    size = sum(len(residual.encode(model.residual_tables, c.residual)) for c in coded)
    if model.base is not None:
        book: CodeBook = model.base.book
        size += sum(len(residual.encode(model.base.code_tables, book.passes(c.codes))) for c in coded)
    return Choice(plan, grid, size * share + len(pack(data, 19)), model, data, encoder, {"trained": rate})
