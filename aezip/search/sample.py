"""Trying plans on sampled chunks: their streams are really made and their bytes counted, the model included.

Knows plans without a network, and networks on rows; `context_trials` knows the others, `choose` which to try.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from aezip.array.layout import Layout, Piece
from aezip.core.errors import InvalidInput, ModelMismatch
from aezip.core.progress import Progress
from aezip.core.surroundings import restored
from aezip.entropy import residual
from aezip.entropy.codebook import CodeBook
from aezip.entropy.frames import pack
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.decoder import IntegerDecoder
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import NARROW_BITS, Networks, Norm, Sizes, Spikes, from_bytes, to_bytes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.autoencoder.rows import join, with_spikes
from aezip.plans.autoencoder.static import static_decoders
from aezip.plans.base import Plan, WholePlan
from aezip.plans.buckets import BucketPlan
from aezip.plans.bytes import BytesPlan
from aezip.plans.columns.plan import RecallPlan, is_table
from aezip.plans.delta import DifferencePlan
from aezip.quantize.grid import Grid, HiddenGrid, LinearGrid
from aezip.quantize.ranks import Ranks

from .choice import Choice
from .columns import moved
from .presets import Preset

Made = TypeVar("Made")
MANY_SPIKES = 0.1  # of the features must have one, for flags to be tried
WIDEST = 1 << 50  # integers beyond this are left to plans without a network
FEW = 1 << 16  # values by which it is told whether coding by column may pay
PROMISING_RECALL, PROMISING_TABLE = 1.3, 2.0  # how much larger coding by column may be on so few values to be tried on more
CLOSE = 1.1  # how much larger a plan without a network may be than the smallest on a part of the sample
MEASURED = 1 << 20  # values that plans without a network are measured on


@dataclass
class Trials:
    """Tries candidates and remembers their bytes; one that fails drops out: its bytes are infinite.

    Parameters
    ----------
    pieces
        Sampled runs of the outer axis.
    context_pieces
        Sampled chunks of context plans, or the middle of them.
    share
        Values of the array over values sampled in `pieces`.
    fine, wholes
        Grids: the fine one of a lossy bound, or None; whole ones, the preferred first.
    threads
        On which a trained network codes the sample: the bytes do not depend on them.
    """

    pieces: list[Piece]
    share: float
    context_pieces: list[Piece]
    fine: Grid | None
    wholes: list[Grid]
    preset: Preset
    seed: int
    device: str
    progress: Progress
    tried: list[tuple[str, float]] = field(default_factory=list)  # an infinite size: dropped out, and why is in the name
    threads: int = 1
    faithful: ClassVar[bool] = False  # codes are wanted as features

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sampled chunk."""
        return self.pieces[0].x.shape

    @property
    def _values(self) -> float:
        """Values of the whole array."""
        return self.share * sum(p.x.size for p in self.pieces)

    def _fits(self, grid: Grid) -> bool:
        """Tell whether a grid's integers leave networks room for 1/64 steps."""
        for piece in self.pieces:
            k = grid.at(piece.start).integers(piece.x)
            kept = k if piece.masked is None else k[~piece.masked]
            if kept.size and (int(kept.max()) >= WIDEST or int(kept.min()) <= -WIDEST):
                return False
        return True

    def _drop_wide(self) -> None:
        """Leave out whole grids on which networks cannot compute."""
        self.wholes = [grid for grid in self.wholes if self._attempt("a grid", partial(self._fits, grid), False)]

    def _note(self, choice: Choice) -> Choice:
        self.tried.append((_called(choice.plan, choice.grid), choice.size))
        return choice

    def _attempt(self, name: str, make: Callable[[], Made], otherwise: Made) -> Made:
        """Return what is made, or something else where that fails: no candidate ends a command.

        What the caller's callback raises, and what asks to stop, goes on.
        """
        try:
            return make()
        except (InvalidInput, ModelMismatch):  # an option that cannot be met, an installation that lacks a network
            raise
        except Exception as error:
            if error is self.progress.raised:
                raise
            self.tried.append(dropped_out(name, error))
            return otherwise

    def _plain(self) -> Choice:
        """Return the best plan of zstd alone."""
        small = self._head(1 << 19)
        options = [self._plainly(BytesPlan(*how), small) for how in ((False, False), (True, False), (True, True))]
        axes = (None, *(a for a, n in enumerate(self.shape) if n > 1))
        for grid in self.wholes:
            options += [self._of(DifferencePlan(axis), grid, small) for axis in axes]
        options += self._attempt("buckets", lambda: self._bucketed(options, small), [])
        options += self._attempt("columns", lambda: self._recalled(options, small), [])
        kinds = {type(c.plan): c for c in sorted(options, key=lambda c: -c.size)}  # the smallest of each
        most = CLOSE * min(c.size for c in options)
        close = (self._measured(c) for c in kinds.values() if c.size <= most)
        return min(close, key=lambda c: c.size, default=Choice(BytesPlan(False), None, self._raw))

    @property
    def _raw(self) -> float:
        """Bytes of the whole array."""
        return self._values * self.pieces[0].x.dtype.itemsize

    def _plainly(self, plan: BytesPlan, pieces: list[Piece]) -> Choice:
        """Return a plan of zstd alone, its bytes measured on pieces."""

        def packed() -> Choice:
            size = sum(len(pack(plan.pack(p.x), self.preset.zstd)) for p in pieces)
            return self._note(Choice(plan, None, size * self._values / max(1, sum(p.x.size for p in pieces))))

        return self._attempt(_called(plan, None), packed, Choice(plan, None, math.inf))

    def _of(self, plan: WholePlan, grid: Grid, pieces: list[Piece]) -> Choice:
        """Return a plan without a model, its bytes measured on pieces."""
        coded = lambda: self._note(Choice(plan, grid, self._coded(plan, grid, pieces)))  # noqa: E731
        return self._attempt(_called(plan, grid), coded, Choice(plan, grid, math.inf))

    def _bucketed(self, options: list[Choice], small: list[Piece]) -> list[Choice]:
        """Return plans by buckets on the grid and along the axis that suit zstd best, and along a second axis, if they fit."""
        known = [c for c in options if isinstance(c.plan, DifferencePlan)]
        best = min(known, key=lambda c: c.size, default=None)
        if best is None or best.grid is None or not self._fits(best.grid):
            return []
        assert isinstance(best.plan, DifferencePlan)
        first = () if best.plan.axis is None else (best.plan.axis,)
        ways = [first, *[(*first, a) for a, n in enumerate(self.shape) if n > 1 and first and a not in first]]
        plans = [BucketPlan(axes) for axes in ways]
        return [self._of(plan, best.grid, small) for plan in plans]

    def _recalled(self, options: list[Choice], small: list[Piece]) -> list[Choice]:
        """Return plans that code by column: on grids that suit, where columns repeat most, and on ranks by frequency."""
        if not self.wholes:
            return []
        first = self._head(FEW)
        known = min((c for c in options if isinstance(c.plan, DifferencePlan)), key=lambda c: c.size)
        grids = [g for i, g in enumerate(self.wholes) if self._fits(g) and (i == 0 or g is known.grid)]
        grids += [named for g in grids for named in self._named(g)]
        if grids and is_table(self.shape) and isinstance(grids[0], LinearGrid):
            grids.append(moved(grids[0], first[0].x, first[0].masked))
        plan = RecallPlan(recent=is_table(self.shape), classed=True)
        sizes = [self._coded(plan, g, first) for g in grids]
        most = (PROMISING_TABLE if is_table(self.shape) else PROMISING_RECALL) * min([*sizes, *(c.size for c in options)])
        good = [(g, size) for g, size in zip(grids, sizes, strict=True) if size < most]
        if sum(p.x.size for p in small) > sum(p.x.size for p in first):
            good = [(g, self._coded(plan, g, small)) for g, _ in good]
        return [self._note(Choice(plan, g, size)) for g, size in good]

    def _named(self, grid: Grid) -> list[Grid]:
        """Return the grid of ranks by frequency, if a grid is one of ranks."""
        if not isinstance(grid, HiddenGrid) or not isinstance(grid.lattice, Ranks):
            return []
        return [HiddenGrid(grid.lattice.by_frequency((p.start, p.x, p.masked) for p in self.pieces))]

    def _measured(self, plain: Choice) -> Choice:
        """Return a plan without a network with the bytes of the whole sample: a part of it may mislead."""
        pieces = self.pieces if sum(p.x.size for p in self.pieces) <= MEASURED else self._head(MEASURED // 2)
        plan = plain.plan
        if isinstance(plan, BytesPlan):
            return self._plainly(plan, pieces)
        assert isinstance(plan, WholePlan)
        assert plain.grid is not None
        grid, whole = plain.grid, plan

        def measured() -> Choice:
            streams = [self._stream(whole, grid, p) for p in pieces]
            size = sum(len(pack(data, self.preset.zstd)) for data in streams) * self._values / sum(p.x.size for p in pieces)
            slim = whole.trimmed(streams, self.shape)
            return self._note(replace(plain, plan=slim, size=size))

        return self._attempt(_called(plan, grid), measured, replace(plain, size=math.inf))

    def _coded(self, plan: WholePlan, grid: Grid, pieces: list[Piece]) -> float:
        """Return the bytes of pieces under a plan without a model, scaled to the array."""
        size = sum(len(pack(self._stream(plan, grid, p), self.preset.zstd)) for p in pieces)
        return size * self._values / sum(p.x.size for p in pieces)

    @staticmethod
    def _stream(plan: WholePlan, grid: Grid, piece: Piece) -> bytes:
        return plan.pack(grid.at(piece.start), piece.x, piece.masked)[0]

    def _head(self, values: int) -> list[Piece]:
        """Return pieces of about `values` values, cut short along the outer axis if need be."""
        each = max(1, values // len(self.pieces))
        out = []
        for piece in self.pieces:
            inner = max(1, piece.x.size // piece.x.shape[0])
            stop = max(1, min(piece.x.shape[0], each // inner))
            masked = None if piece.masked is None else piece.masked[:stop]
            out.append(Piece(piece.x[:stop], masked, piece.start))
        return out

    def _differences(self) -> list[tuple[Grid, Difference | None]]:
        """Return grids and differences, by the magnitude of what is left: smaller first."""
        scored: list[tuple[float, int, Grid, Difference | None]] = []
        head = self._head(1 << 18)
        for grid in self.wholes:
            base = self._magnitude(head, grid, None)
            options: list[tuple[npt.NDArray[np.float64], Difference | None]] = [(base, None)]
            for axis in range(len(self.shape)):
                if self.shape[axis] < 2:
                    continue
                whole = Difference(axis)
                options.append((self._magnitude(head, grid, whole), whole))
                if axis < len(self.shape) - 1 and 2 <= self.shape[-1] <= 4096:
                    better = options[-1][0] < base
                    if better.any() and not better.all():
                        chosen = Difference(axis, tuple(bool(b) for b in better))
                        options.append((np.minimum(options[-1][0], base), chosen))
            scored += [(float(m.mean()), len(scored) + i, grid, d) for i, (m, d) in enumerate(options)]
        scored.sort(key=lambda s: s[:2])
        return [(grid, difference) for _, _, grid, difference in scored]

    @staticmethod
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

    def _spiky(self, plan: NetworkPlan, grid: Grid) -> bool:
        """Tell whether flags for a most frequent number of each feature may pay."""
        if plan.difference is not None or not grid.whole or plan.sizes.features < 2:
            return False
        rows = join(self._rows(plan, grid), whole=True)
        spikes = with_spikes(rows).spikes
        return spikes is not None and bool(spikes.has.mean() >= MANY_SPIKES)

    def _rows(self, plan: NetworkPlan, grid: Grid) -> list[network.Prepared]:
        return [network.prepare(plan, grid.at(p.start), p.x, p.masked) for p in self.pieces]

    def _train(self, plan: NetworkPlan, grid: Grid, steps: int, *, final: bool = False, start: Choice | None = None) -> Choice:
        """Train, or train on, code the sample, count bytes."""
        failed = Choice(plan, grid, math.inf)
        return self._attempt(_called(plan, grid), lambda: self._trained(plan, grid, steps, final=final, start=start), failed)

    def _trained(self, plan: NetworkPlan, grid: Grid, steps: int, *, final: bool, start: Choice | None) -> Choice:
        prepared = self._rows(plan, grid)
        rows = join(prepared, whole=grid.whole)
        if plan.sizes.spiked:
            rows = with_spikes(rows)
        grids = [plan.sites(p.x.shape) for p in self.pieces]
        rows = replace(rows, sites=tuple(g for g in grids if g is not None))
        encoder: FloatEncoder | None = None
        rates: dict[str, float] = {}
        if steps:
            with restored():
                from aezip.plans.autoencoder.training import fit as training  # torch is needed here alone

            faithful = self.faithful and plan.variant == "deep" and bool(plan.sizes.width)
            schedule = training.Schedule(steps, self.seed, device=self.device, variant=plan.variant, faithful=faithful)
            report = self._reporter(plan, final=final)
            frozen = None
            if start is not None and isinstance(start.model, Networks):
                frozen = training.Start(start.encoder, start.model.decoders, start.model.norm)
            fitted = training.fit(rows, plan.sizes, schedule, report, frozen)
            encoder, decoders, norm = fitted.encoder, fitted.decoders, fitted.norm
            rates = {"trained": fitted.rate, "held_out": fitted.rate_held_out, "held_out_float": fitted.rate_float}
        else:
            decoders = static_decoders(rows, plan.sizes)
            zero = np.zeros(plan.sizes.features, np.int64)
            norm = Norm(zero, zero, NARROW_BITS)
        return self._note(self._measure(plan, grid, decoders, norm, encoder, rates, rows.spikes))

    def _reporter(self, plan: NetworkPlan, *, final: bool) -> Callable[[int, int, int, float], None]:
        raw = 8.0 * self.pieces[0].x.dtype.itemsize
        name = f"{plan.variant}, width {plan.sizes.width}, hidden {plan.sizes.hidden}"

        def report(step: int, steps: int, epoch: int, rate: float) -> None:
            message = f"epoch {epoch + 1}" if final else f"trying {name}"
            self.progress("train" if final else "select", step, steps, raw / max(rate, 1e-9), message)

        return report

    def _measure(
        self,
        plan: NetworkPlan,
        grid: Grid,
        decoders: list[IntegerDecoder],
        norm: Norm,
        encoder: FloatEncoder | None,
        rates: dict[str, float],
        spikes: Spikes | None,
    ) -> Choice:
        """Code the sample with a frozen network; frequency tables by feature or shared, whichever is smaller."""
        options = [plan]
        if len(plan.sizes.groups) > 1:
            options = [replace(plan, sizes=replace(plan.sizes, by_feature=b)) for b in (False, True)]
        done = [self._count(option, grid, decoders, norm, encoder, rates, spikes) for option in options]
        return min(done, key=lambda c: c.size)

    def _count(
        self,
        plan: NetworkPlan,
        grid: Grid,
        decoders: list[IntegerDecoder],
        norm: Norm,
        encoder: FloatEncoder | None,
        rates: dict[str, float],
        spikes: Spikes | None,
    ) -> Choice:
        coded = [network.code(plan, grid.at(p.start), decoders, norm, encoder, p.x, p.masked, spikes) for p in self.pieces]
        book = CodeBook.choose([c.codes for c in coded], plan.sizes.axes)
        counts = residual.TableCounts(plan.sizes.contexts)
        for part in coded:
            for split in part.residual:
                counts.add(split.symbols, split.contexts)
        data = to_bytes(decoders, norm, book, book.counts([c.codes for c in coded]), counts, spikes)
        model = from_bytes(data, plan.sizes, len(self.shape))
        size = 0
        for part in coded:
            size += len(residual.encode(model.residual_tables, part.residual))
            size += len(residual.encode(model.code_tables, book.passes(part.codes)))
        total = size * self.share + len(pack(data, 19))
        return Choice(plan, grid, total if math.isfinite(total) else math.inf, model, data, encoder, rates)


def dropped_out(name: str, error: BaseException) -> tuple[str, float]:
    """Return how a candidate that failed is listed among those tried."""
    reason = " ".join(str(error).split())[:100] or "nothing was said"
    return f"{name} dropped out, {type(error).__name__}, {reason}", math.inf


def _called(plan: Plan, grid: Grid | None) -> str:
    """Return what a candidate is called."""
    return f"{plan.describe()}{', fine' if grid is not None and not grid.whole else ''}"


def network_sizes(layout: Layout, width: int, hidden: int, grid: Grid) -> Sizes:
    """Return sizes within what the layout and the format allow."""
    width = min(width, max(0, layout.features - 1), 64)
    hidden = min(hidden, 256)
    return Sizes((tuple(range(layout.features)),), width, hidden, min(hidden, 16), grid.whole)
