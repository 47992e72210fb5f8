"""Trying context plans: which order of the axes, which grid, with an autoencoder below or without."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property, partial
from typing import NamedTuple

from aezip.array.layout import Layout, Piece, activity, crop
from aezip.entropy import residual
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.networks import Networks, from_bytes, to_bytes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.autoencoder.variants import OVERCOMPLETE
from aezip.plans.context import builtin as builtins
from aezip.plans.context.bisection import Order
from aezip.plans.context.plan import way_name
from aezip.plans.context.raster import Axes, scans
from aezip.plans.context.signal import Series, series_for
from aezip.quantize.grid import Grid

from . import context as contextual
from .choice import Choice
from .context import Below, Refinement
from .sample import Trials, network_sizes

WIDE_ROWS = 32  # features from which a row may have an autoencoder below a context network
CLOSE = 1.15  # of built-in networks: how much larger one may be on a part of the sample to be the best on all
SURE = 3  # ways that are compared on all
SMALL_NETWORK = 40_000  # bytes up to which a small network of its own may be better than a built-in one trained on
WORTH = 1.5  # a trial larger than the best one times this is given up
HIDDEN = ((15_000, 8), (200_000, 16), (4_000_000, 32))  # bytes up to which a context network has so many hidden units


class Way(NamedTuple):
    """How a context network goes over an array: groups of axes bisected, or axes scanned; neither: along a signal.

    `beside`: columns of the signal are side by side, and none sees another.
    """

    order: Order
    scan: Axes = ()
    beside: bool = False

    def series(self, shape: tuple[int, ...]) -> Series | None:
        """Return the signal of chunks of `shape`; None if it is none."""
        if self.order or self.scan:
            return None
        found = series_for(shape)[0]
        return replace(found, columns=None) if self.beside else found

    @property
    def name(self) -> str:
        """Return a short name."""
        return way_name(self.order, self.scan) or f"along a signal{', columns apart' * self.beside}"


def way_of(refined: Refinement) -> Way:
    """Return how a trained context network goes over an array."""
    sizes, series = refined.plan.sizes, refined.plan.series
    return Way(sizes.order, sizes.scan, series is not None and series.columns is None)


class ContextTrials(Trials):
    """Tries context plans and remembers their bytes."""

    @cached_property
    def _seen(self) -> dict[tuple[int, Way, bool, bool], Refinement | None]:
        """What came of built-in networks: by grid, way, whether on all of the sample, whether fitted."""
        return {}

    @cached_property
    def _crop(self) -> Piece:
        """A part of a chunk on which trials of context networks are made."""
        return crop(self.context_pieces[0], self.preset.crop)

    @cached_property
    def _crop_share(self) -> float:
        """What part of all that changes in the chunks changes there (lossless: what part it is, as noise is everywhere)."""
        if self.fine is None:
            return self._crop.x.size / sum(p.x.size for p in self.context_pieces)
        whole = sum(activity(p.x, p.masked) for p in self.context_pieces)
        part = activity(self._crop.x, self._crop.masked)
        size = self._crop.x.size / sum(p.x.size for p in self.context_pieces)
        return max(size, part / whole) if whole > 0.0 else size

    def _contexts(self) -> Refinement | None:
        """Return the best context plan on a part of the sample: with built-in networks, or after a short training."""
        if self._crop.masked is not None and self._crop.masked.all():
            return None  # nothing to learn from
        grids = [g for g in (self.fine, *self.wholes[:1]) if g is not None]
        ways = [Way(order) for order in contextual.orders(self.context_pieces[0].x.shape)[: self.preset.context_trials]]
        ways += [Way((), scan) for scan in scans(self._crop.x.shape)]
        signals = series_for(self._crop.x.shape)
        ways += [Way((), (), beside) for s in signals for beside in ((False, True) if s.columns is not None else (True,))]
        done = self._made(self._looked_at(grids[0], way) for way in ways)
        if len(grids) > 1 and done:
            ranked = [way_of(r) for r in sorted(done, key=lambda r: r.size)]
            again = ranked[:1] if ranked[0].scan else [*ranked[:1], *[way for way in ranked if way.scan][:1]]
            done += self._made(self._looked_at(grids[1], way) for way in again)  # scans are better on whole numbers
        best = self._sure(done)
        if best is None or not self.preset.trains:
            return best
        return self._spiked_context(best, grids[-1]) or best

    def _sure(self, done: list[Refinement]) -> Refinement | None:
        """Return the best context plan; where built-in networks are close, by all of the sample, linear parts fitted.

        What training makes of a network is nearer to that than to the network as it is.
        """
        ranked = sorted(done, key=lambda r: r.size)
        close = [r for r in ranked if r.plan.builtin and r.size < CLOSE * ranked[0].size][:SURE]
        if len(close) < 2 or close[0] is not ranked[0]:
            return ranked[0] if ranked else None
        final = ((self._as_it_is(r.grid, way_of(r), final=True, fit=True), r) for r in close)
        sizes = [(made.size, number, r) for number, (made, r) in enumerate(final) if made is not None]
        return min(sizes)[2] if sizes else ranked[0]

    def _looked_at(self, grid: Grid, way: Way) -> Refinement | None:
        """Return a context plan on the part for trials: with a built-in network, where there is none after a short training."""
        made = self._as_it_is(grid, way)
        if made is None and self.preset.trains:
            made = self._context(grid, way, 16, self.preset.context_trial)
        return made

    def _as_it_is(self, grid: Grid, way: Way, *, final: bool = False, fit: bool = False) -> Refinement | None:
        """Code the part for trials, or the sample, with a built-in network; None where there is none, or it fails."""
        key = (id(grid), way, final, fit)
        if key in self._seen:
            return self._seen[key]

        def make() -> Refinement | None:
            pieces, share = self._part(final=final)
            series = way.series(pieces[0].x.shape)
            made = contextual.use(grid, pieces, share, way.order, series=series, scan=way.scan, fit=fit, threads=self.threads)
            if made is not None:
                self._note(as_choice(made))
            return made

        self._seen[key] = self._attempt(f"context {way.name}, built in", make, None)
        return self._seen[key]

    def _spiked_context(self, best: Refinement, grid: Grid) -> Refinement | None:
        """Return a context plan with the most frequent number apart, where it is better after training than without."""
        spike = contextual.find_spike(grid, self._crop)
        if spike is None:
            return None
        way, steps = way_of(best), 4 * self.preset.context_trial
        without, apart = (self._context(grid, way, 16, steps, spike=s, longer=True) for s in (None, spike))
        return apart if apart is not None and (without is None or apart.size < min(without.size, best.size)) else None

    def _part(self, *, final: bool) -> tuple[list[Piece], float]:
        """Return the sample, or the part for trials, and values of the array over values there."""
        pieces = self.context_pieces if final else [self._crop]
        whole = sum(p.x.size for p in self.context_pieces)
        return pieces, self._values / (whole if final else whole * self._crop_share)

    @staticmethod
    def _made(tried: Iterable[Refinement | None]) -> list[Refinement]:
        """Return those that did not drop out."""
        return [refined for refined in tried if refined is not None]

    def _context(
        self,
        grid: Grid,
        way: Way,
        hidden: int,
        steps: int,
        *,
        below: Below | None = None,
        spike: int | None = None,
        final: bool = False,
        longer: bool = False,
        builtin: int = 0,
    ) -> Refinement | None:
        """Train a context network, code the sample or the part for trials, count bytes; None if that fails."""
        name = f"context {way.name}, hidden {hidden}"
        make = partial(
            self._trained_context, grid, way, hidden, steps, below=below, spike=spike, final=final, longer=longer, builtin=builtin
        )
        return self._attempt(name, make, None)

    def _trained_context(
        self,
        grid: Grid,
        way: Way,
        hidden: int,
        steps: int,
        *,
        below: Below | None,
        spike: int | None,
        final: bool,
        longer: bool,
        builtin: int,
    ) -> Refinement:
        pieces, share = self._part(final=final)
        series = way.series(pieces[0].x.shape)
        report = self._context_reporter(pieces[0], final=final, name=way.name)
        refined = contextual.train(
            grid,
            pieces,
            share,
            way.order,
            hidden,
            steps,
            self.seed,
            below=below,
            series=series,
            scan=way.scan,
            spike=spike,
            final=final or longer,
            builtin=builtin,
            threads=self.threads,
            report=report,
        )
        self._note(as_choice(refined))
        return refined

    def _context_reporter(self, piece: Piece, *, final: bool, name: str) -> Callable[[int, int, int, float], None]:
        raw = 8.0 * piece.x.dtype.itemsize

        def report(step: int, of: int, epoch: int, rate: float) -> None:
            stage = "train" if final else "select"
            self.progress(stage, step, of, raw / max(rate, 1e-9), "" if final else f"trying context {name}")

        return report

    def _refined(self, refined: Refinement, learned: Choice, best: float) -> list[Choice]:
        """Train the best context plan, with and without an autoencoder, at full length where it may win."""
        sizes = refined.plan.sizes
        steps = self.preset.context_steps

        def full(size: float, below: Below | None) -> list[Choice]:
            if below is None and refined.plan.builtin:
                return self._adapted(refined)
            hidden = next((units for most, units in HIDDEN if size < most), 64)
            made = self._context(refined.grid, way_of(refined), hidden, steps, below=below, spike=sizes.spike, final=True)
            return [] if made is None else [as_choice(made)]

        trials = []
        few = 3 * self.preset.context_trial
        for below in self._belows(learned, refined) if refined.plan.series is None else []:
            trial = self._context(refined.grid, way_of(refined), 16, few, below=below, spike=sizes.spike, final=True)
            if trial is not None:
                trials.append((trial, below))
        out: list[Choice] = []
        with_codes, chosen = min(trials, key=lambda t: t[0].size, default=(None, None))
        if with_codes is not None and with_codes.size < refined.size * 1.05:
            out += full(with_codes.size, chosen)
        if (with_codes is None or with_codes.size > refined.size * 0.9) and refined.size < best * WORTH:
            out += full(refined.size, None)
        return out

    def _adapted(self, refined: Refinement) -> list[Choice]:
        """Return a built-in network as it is, and trained on; where little is left, a small one of its own too."""
        grid, way = refined.grid, way_of(refined)
        made = [self._as_it_is(grid, way, final=True)]
        if self.preset.trains:
            made.append(self._context(
                grid, way, builtins.HIDDEN, self.preset.adapt_steps, final=True, builtin=refined.plan.builtin
            ))  # fmt: skip
            if refined.size < SMALL_NETWORK:
                made.append(self._context(grid, way, HIDDEN[0][1], self.preset.context_steps, final=True))
        return [as_choice(one) for one in self._made(made)]

    def _below(self, learned: Choice, refined: Refinement | Choice) -> Below | None:
        """Return a trained autoencoder to refine, if its plan can be refined."""
        plan, model = learned.plan, learned.model
        if not isinstance(plan, NetworkPlan) or not isinstance(model, Networks) or learned.encoder is None:
            return None
        if plan.difference is not None or len(plan.sizes.groups) > 1 or learned.grid is not refined.grid:
            return None
        if plan.sizes.spiked and not plan.sizes.axes:
            return None
        assert learned.grid is not None
        codes = [
            network.code(plan, learned.grid.at(p.start), model.decoders, model.norm, learned.encoder, p.x, p.masked).codes
            for p in self.pieces
        ]
        # the residual's tables are of no use below a context network
        counts = model.book.counts(codes), residual.TableCounts(plan.sizes.contexts)
        data = to_bytes(model.decoders, model.norm, model.book, *counts, model.spikes)
        return Below(plan, from_bytes(data, plan.sizes, len(self.shape)), data, learned.encoder)

    def _belows(self, learned: Choice, refined: Refinement) -> list[Below]:
        """Return autoencoders to refine: the one at hand, and one with half the codes, as contexts do a part of its job."""
        first = self._below(learned, refined)
        if first is None:
            return self._other_below(learned, refined)
        assert learned.grid is not None
        old = first.plan.sizes
        if old.width < 4 or first.plan.variant in OVERCOMPLETE:
            return [first]
        plan = replace(first.plan, sizes=replace(old, width=old.width // 2))
        second = self._below(self._train(plan, learned.grid, self.preset.steps // 2), refined)
        return [first] if second is None else [first, second]

    def _other_below(self, learned: Choice, refined: Refinement) -> list[Below]:
        """Train an autoencoder that can be refined where the best one cannot: it sees differences, or another grid."""
        plan, features = learned.plan, self.shape[-1]
        if not isinstance(plan, NetworkPlan) or not plan.sizes.width or features < WIDE_ROWS or plan.variant in OVERCOMPLETE:
            return []
        layout = Layout((*(1,) * (len(self.shape) - 1), features))
        other = NetworkPlan(layout, None, network_sizes(layout, 8, 32, refined.grid), plan.variant)
        below = self._below(self._train(other, refined.grid, self.preset.steps // 2), refined)
        return [] if below is None else [below]


def as_choice(refined: Refinement) -> Choice:
    """Return a trained context network as a choice."""
    return Choice(
        refined.plan, refined.grid, refined.size, refined.model, refined.model_bytes, refined.encoder, {"trained": refined.rate}
    )
