"""Choosing the plan by measured bytes.

Candidates are tried on sampled chunks: plans without a network, then layouts and differences with a short training,
then widths and hidden sizes around the best. Bytes are those of the streams really made, model included, scaled to
the whole array. The winner is trained at full length and must still beat the best plan without a network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from . import contextual, network, residual
from .codes import CodeBook
from .contextplan import ContextModel, ContextPlan
from .contextual import Below, Refinement
from .encoder import FloatEncoder
from .frames import pack
from .integer import IntegerDecoder
from .layout import Layout, Piece, activity, candidates, crop
from .model import NARROW_BITS, Model, Norm, Sizes, from_bytes, to_bytes
from .network import Difference, NetworkPlan
from .passes import Order
from .plain import BytesPlan, DifferencePlan
from .progress import Progress
from .quantizer import Grid
from .series import series_for

Plan = NetworkPlan | ContextPlan | BytesPlan | DifferencePlan


MOST_COLUMNS = 40  # columns predicted one after the other
WIDEST = 1 << 50  # integers beyond this are left to plans without a network
MEASURED = 1 << 20  # values that plans without a network are measured on
WORTH = 1.5  # a trial larger than the best one times this is given up
HIDDEN_16, HIDDEN_32 = 400_000, 4_000_000  # bytes up to which a context network has so many hidden units
PROMISING = 1.2  # the same, for an autoencoder after a trial: a full training gains so much
PROMISING_COLUMNS = 1.05  # and for columns
SMALL = 6000  # bytes: no network pays where there is less to save than it costs itself


@dataclass(frozen=True)
class Preset:
    """Effort: training steps, candidates, zstd level; the same for context networks."""

    steps: int
    trial_steps: int
    trials: int
    zstd: int
    context_steps: int
    context_trial: int
    context_trials: int
    crop: int  # values that a trial of a context network looks at


PRESETS = {
    "fast": Preset(1200, 200, 4, 9, context_steps=500, context_trial=60, context_trials=3, crop=1 << 17),
    "balanced": Preset(5000, 400, 8, 19, context_steps=2000, context_trial=120, context_trials=6, crop=1 << 18),
    "best": Preset(20000, 1200, 24, 22, context_steps=12000, context_trial=600, context_trials=8, crop=1 << 20),
}


@dataclass(frozen=True)
class Choice:
    """A plan ready to encode with.

    Parameters
    ----------
    model, model_bytes, encoder
        None for plans without a network; `encoder` also for a width of 0.
    size
        Bytes, measured on the sample, scaled to the array.
    """

    plan: Plan
    grid: Grid | None
    size: float
    model: Model | ContextModel | None = None
    model_bytes: bytes = b""
    encoder: FloatEncoder | None = None
    rates: dict[str, float] = field(default_factory=dict)


@dataclass
class Selector:
    """Tries candidates and remembers their bytes.

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
    tried: list[tuple[str, float]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sampled chunk."""
        return self.pieces[0].x.shape

    def choose(self) -> Choice:
        """Return the plan with the fewest bytes."""
        plain = self._plain()
        count = sum(p.x.size for p in self.pieces)
        self.wholes = [g for g in self.wholes if self._fits(g)]
        if count < 256 or not self.wholes:
            return plain
        best = self._static(plain)
        if best.size < SMALL:
            return best
        refined = self._contexts()
        learned = self._learned(math.inf if refined is None else refined.size * WORTH)
        options = [best]
        if learned is not None and (refined is None or learned.size < refined.size * _promise(learned)):
            options.append(self._finish(learned))
        if refined is not None:
            options += self._refined(refined, options[-1], min(c.size for c in options))
        return min(options, key=lambda c: c.size)

    def _finish(self, learned: Choice) -> Choice:
        """Train an autoencoder, or columns, at full length."""
        assert isinstance(learned.plan, NetworkPlan)
        assert learned.grid is not None
        # column by column, a step costs more and convergence is faster
        steps = self.preset.steps if len(learned.plan.sizes.groups) == 1 else self.preset.steps * 3 // 5
        return self._train(learned.plan, learned.grid, steps, final=True)

    @property
    def _values(self) -> float:
        """Values of the whole array."""
        return self.share * sum(p.x.size for p in self.pieces)

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
        """Return the best context plan of short trainings on a part of the sample."""
        done: list[Refinement] = []
        grids = [g for g in (self.fine, *self.wholes[:1]) if g is not None]
        tried = contextual.orders(self.context_pieces[0].x.shape)[: self.preset.context_trials]
        for order in tried:
            done.append(self._context(grids[0], order, 16, self.preset.context_trial))
        if series_for(self._crop.x.shape):
            done.append(self._context(grids[0], (), 16, self.preset.context_trial))
        if len(grids) > 1 and done:  # which grid is better shows late: train longer
            order = min(done, key=lambda r: r.size).plan.sizes.order  # of a signal: ()
            done = [self._context(grid, order, 16, 4 * self.preset.context_trial, more=True) for grid in grids]
        if done:
            best = min(done, key=lambda r: r.size)
            spike = contextual.find_spike(grids[-1], self._crop)
            if spike is not None:
                order, steps = best.plan.sizes.order, 4 * self.preset.context_trial
                if len(grids) == 1:
                    done = [self._context(grids[0], order, 16, steps, more=True)]
                done.append(self._context(grids[-1], order, 16, steps, spike=spike, more=True))
        return min(done, key=lambda r: r.size, default=None)

    def _context(
        self, grid: Grid, order: Order, hidden: int, steps: int, *, below: Below | None = None,
        spike: int | None = None, final: bool = False, more: bool = False,
    ) -> Refinement:
        pieces = self.context_pieces if final else [self._crop]
        whole = sum(p.x.size for p in self.context_pieces)
        share = self._values / (whole if final else whole * self._crop_share)
        raw = 8.0 * pieces[0].x.dtype.itemsize
        name = ">".join("+".join(map(str, axes)) for axes in order) or "along a signal"
        series = None if order else series_for(pieces[0].x.shape)[0]

        def report(step: int, of: int, epoch: int, rate: float) -> None:
            stage = "train" if final else "select"
            self.progress(stage, step, of, raw / max(rate, 1e-9), "" if final else f"trying context {name}")

        refined = contextual.train(
            grid, pieces, share, order, hidden, steps, self.seed, below=below, series=series, spike=spike,
            final=final or more, report=report,
        )
        self._note(_as_choice(refined))
        return refined

    def _below(self, learned: Choice, refined: Refinement) -> Below | None:
        """Return a trained autoencoder to refine, if its plan can be refined."""
        plan, model = learned.plan, learned.model
        if not isinstance(plan, NetworkPlan) or not isinstance(model, Model) or learned.encoder is None:
            return None
        if plan.difference is not None or len(plan.sizes.groups) > 1 or learned.grid is not refined.grid:
            return None
        codes = [
            network.code(plan, learned.grid.at(p.start), model.decoders, model.norm, learned.encoder, p.x, p.masked).codes
            for p in self.pieces
        ]
        # the residual's tables are of no use below a context network
        counts = model.book.counts(codes), residual.TableCounts(plan.sizes.contexts)
        data = to_bytes(model.decoders, model.norm, model.book, *counts)
        return Below(plan, from_bytes(data, plan.sizes, len(self.shape)), data, learned.encoder)

    def _refined(self, refined: Refinement, learned: Choice, best: float) -> list[Choice]:
        """Train the best context plan, with and without an autoencoder, at full length where it may win."""
        sizes = refined.plan.sizes
        steps = self.preset.context_steps

        def full(size: float, below: Below | None) -> Choice:
            hidden = 16 if size < HIDDEN_16 else 32 if size < HIDDEN_32 else 64
            return _as_choice(
                self._context(refined.grid, sizes.order, hidden, steps, below=below, spike=sizes.spike, final=True)
            )

        trials = []
        few = 3 * self.preset.context_trial
        for below in self._belows(learned, refined) if refined.plan.series is None else []:
            trial = self._context(refined.grid, sizes.order, 16, few, below=below, spike=sizes.spike, final=True)
            trials.append((trial, below))
        out = []
        with_codes, chosen = min(trials, key=lambda t: t[0].size, default=(None, None))
        if with_codes is not None and with_codes.size < refined.size * 1.05:
            out.append(full(with_codes.size, chosen))
        if (with_codes is None or with_codes.size > refined.size * 0.9) and refined.size < best * WORTH:
            out.append(full(refined.size, None))
        return out

    def _belows(self, learned: Choice, refined: Refinement) -> list[Below]:
        """Return autoencoders to refine: the one at hand, and one with half the codes, as contexts do a part of its job."""
        first = self._below(learned, refined)
        if first is None:
            return []
        assert learned.grid is not None
        old = first.plan.sizes
        if old.width < 4:
            return [first]
        plan = replace(first.plan, sizes=replace(old, width=old.width // 2))
        second = self._below(self._train(plan, learned.grid, self.preset.steps // 2), refined)
        return [first] if second is None else [first, second]

    def _fits(self, grid: Grid) -> bool:
        """Tell whether a grid's integers leave networks room for 1/64 steps."""
        for piece in self.pieces:
            k = grid.at(piece.start).integers(piece.x)
            kept = k if piece.masked is None else k[~piece.masked]
            if kept.size and (int(kept.max()) >= WIDEST or int(kept.min()) <= -WIDEST):
                return False
        return True

    def _note(self, choice: Choice) -> Choice:
        fine = choice.grid is not None and not choice.grid.whole
        self.tried.append((f"{choice.plan.describe()}{', fine' if fine else ''}", choice.size))
        return choice

    def _plain(self) -> Choice:
        """Return the best plan of zstd alone."""
        options: list[Choice] = []
        level = self.preset.zstd
        small = self._head(1 << 19)
        scale = self.share * sum(p.x.size for p in self.pieces) / max(1, sum(p.x.size for p in small))
        for shuffled, changes in ((False, False), (True, False), (True, True)):
            plan = BytesPlan(shuffled, changes)
            size = sum(len(pack(plan.encode(p.x), level)) for p in small)
            options.append(self._note(Choice(plan, None, size * scale)))
        for grid in self.wholes:
            for axis in (None, *range(len(self.shape))):
                if axis is not None and self.shape[axis] < 2:
                    continue
                difference = DifferencePlan(axis)
                size = sum(len(pack(difference.encode(grid.at(p.start), p.x, p.masked)[0], level)) for p in small)
                options.append(self._note(Choice(difference, grid, size * scale)))
        return self._measured(min(options, key=lambda c: c.size))

    def _measured(self, plain: Choice) -> Choice:
        """Return a plan without a network with the bytes of the whole sample: a part of it may mislead."""
        pieces = self.pieces if sum(p.x.size for p in self.pieces) <= MEASURED else self._head(MEASURED // 2)
        level, plan = self.preset.zstd, plain.plan
        if isinstance(plan, BytesPlan):
            size = sum(len(pack(plan.encode(p.x), level)) for p in pieces)
        else:
            assert isinstance(plan, DifferencePlan)
            assert plain.grid is not None
            size = sum(len(pack(plan.encode(plain.grid.at(p.start), p.x, p.masked)[0], level)) for p in pieces)
        return self._note(replace(plain, size=size * self._values / sum(p.x.size for p in pieces)))

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
    def _magnitude(
        pieces: list[Piece], grid: Grid, difference: Difference | None
    ) -> npt.NDArray[np.float64]:
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

    def _static(self, plain: Choice) -> Choice:
        """Return the best plan without a network: zstd alone, or means and levels by feature."""
        options = [plain]
        layout = candidates(self.shape)[0]
        trials = [(g, d) for g, d in self._differences()[:3]]
        if self.fine is not None:
            trials.append((self.fine, None))
        for grid, difference in trials:
            plan = NetworkPlan(layout, difference, Sizes((tuple(range(layout.features)),), 0, 1, 0, grid.whole))
            options.append(self._train(plan, grid, 0))
        return min(options, key=lambda c: c.size)

    def _learned(self, hopeless: float) -> Choice | None:
        """Search layouts, differences and groups first, then the sizes of the network; or not, from so many bytes on."""
        transforms = self._differences()
        tops = transforms[:1] + [t for t in transforms[1:4] if t[1] is not None and t[1].columns is None][:1]
        starts: list[tuple[NetworkPlan, Grid]] = []
        for layout in candidates(self.shape)[:4]:
            if self.fine is not None:
                starts.append((NetworkPlan(layout, None, self._sizes(layout, 4, 32, self.fine)), self.fine))
            grid, difference = transforms[0]
            starts.append((NetworkPlan(layout, difference, self._sizes(layout, 4, 32, grid)), grid))
        starts = [s for s in starts if s[0].sizes.width]
        left = self.preset.trials
        tries = starts[: max(2, left // 2)]
        if 2 <= self.shape[-1] <= MOST_COLUMNS:
            pairs = [(self.fine, None), *tops] if self.fine is not None else [*tops, (tops[0][0], None)]
            tries = [*self._by_columns(pairs), *tries[:3]]
        done: list[Choice] = []
        for plan, grid in tries:
            done.append(self._train(plan, grid, self.preset.trial_steps))
            if len(done) == 2 and min(c.size for c in done) > 2.0 * hopeless:
                break
        if not done:
            return None
        best = min(done, key=lambda c: c.size)
        if best.size > 1.5 * hopeless:
            return best
        assert isinstance(best.plan, NetworkPlan)
        if len(best.plan.sizes.groups) > 1:
            return self._resize(best)
        return self._refine(best, left - len(done))

    def _resize(self, best: Choice) -> Choice:
        """Try other hidden sizes of the best plan by columns: small data affords few weights."""
        assert isinstance(best.plan, NetworkPlan)
        assert best.grid is not None
        start = best.plan
        for hidden in (8, 4) if best.size < 1 << 19 else (32,):
            sizes = replace(start.sizes, hidden=hidden, scale_hidden=min(hidden, 16))
            tried = self._train(replace(start, sizes=sizes), best.grid, self.preset.trial_steps)
            if tried.size >= best.size:
                break
            best = tried
        return best

    def _by_columns(self, pairs: Sequence[tuple[Grid | None, Difference | None]]) -> list[tuple[NetworkPlan, Grid]]:
        """Return plans that predict each column from the columns before it."""
        layout = Layout((*(1,) * (len(self.shape) - 1), self.shape[-1]))
        groups = tuple((f,) for f in range(layout.features))
        out: dict[tuple[bool, Difference | None], tuple[NetworkPlan, Grid]] = {}
        for grid, difference in pairs:
            if grid is not None:
                sizes = Sizes(groups, 0, 16, 16, grid.whole)
                out.setdefault((grid.whole, difference), (NetworkPlan(layout, difference, sizes), grid))
        return list(out.values())

    def _refine(self, best: Choice, left: int) -> Choice:
        """Double or halve width and hidden size while the bytes fall."""
        moves = [(2, 1), (1, 2), (0.5, 1), (1, 0.5)]
        seen = set()
        improved = True
        while improved and left > 0:
            improved = False
            for wider, larger in moves:
                assert isinstance(best.plan, NetworkPlan)
                assert best.grid is not None
                old = best.plan.sizes
                sizes = self._sizes(
                    best.plan.layout, max(1, int(old.width * wider)), max(8, int(old.hidden * larger)), best.grid
                )
                if sizes in seen or sizes == old or left <= 0:
                    continue
                seen.add(sizes)
                left -= 1
                plan = NetworkPlan(best.plan.layout, best.plan.difference, sizes)
                tried = self._train(plan, best.grid, self.preset.trial_steps)
                # a larger network also decodes more slowly: it has to save something
                if tried.size < best.size * (1.0 if larger < 1 else 0.995):
                    best, improved = tried, True
                    break
        return best

    @staticmethod
    def _sizes(layout: Layout, width: int, hidden: int, grid: Grid) -> Sizes:
        width = min(width, max(0, layout.features - 1), 64)
        hidden = min(hidden, 256)
        return Sizes((tuple(range(layout.features)),), width, hidden, min(hidden, 16), grid.whole)

    def _rows(self, plan: NetworkPlan, grid: Grid) -> list[network.Prepared]:
        return [network.prepare(plan, grid.at(p.start), p.x, p.masked) for p in self.pieces]

    def _train(self, plan: NetworkPlan, grid: Grid, steps: int, *, final: bool = False) -> Choice:
        """Train, code the sample, count bytes."""
        from . import training  # torch is needed here alone

        prepared = self._rows(plan, grid)
        rows = training.join(prepared, whole=grid.whole)
        encoder: FloatEncoder | None = None
        rates: dict[str, float] = {}
        if steps:
            schedule = training.Schedule(steps, self.seed, device=self.device)
            report = self._reporter(plan, final=final)
            fitted = training.fit(rows, plan.sizes, schedule, report)
            encoder, decoders, norm = fitted.encoder, fitted.decoders, fitted.norm
            rates = {
                "trained": fitted.rate, "held_out": fitted.rate_held_out, "held_out_float": fitted.rate_float
            }
        else:
            decoders = training.static_decoders(rows, plan.sizes)
            norm = Norm(np.zeros(0, np.int64), np.zeros(0, np.int64), NARROW_BITS)
        return self._note(self._measure(plan, grid, decoders, norm, encoder, rates))

    def _reporter(
        self, plan: NetworkPlan, *, final: bool
    ) -> Callable[[int, int, int, float], None]:
        raw = 8.0 * self.pieces[0].x.dtype.itemsize
        name = f"width {plan.sizes.width}, hidden {plan.sizes.hidden}"

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
    ) -> Choice:
        """Code the sample with a frozen network; frequency tables by feature or shared, whichever is smaller."""
        options = [plan]
        if len(plan.sizes.groups) > 1:
            options = [replace(plan, sizes=replace(plan.sizes, by_feature=b)) for b in (False, True)]
        done = [self._count(option, grid, decoders, norm, encoder, rates) for option in options]
        return min(done, key=lambda c: c.size)

    def _count(
        self,
        plan: NetworkPlan,
        grid: Grid,
        decoders: list[IntegerDecoder],
        norm: Norm,
        encoder: FloatEncoder | None,
        rates: dict[str, float],
    ) -> Choice:
        coded = [network.code(plan, grid.at(p.start), decoders, norm, encoder, p.x, p.masked) for p in self.pieces]
        book = CodeBook.choose([c.codes for c in coded])
        counts = residual.TableCounts(plan.sizes.contexts)
        for part in coded:
            for split in part.residual:
                counts.add(split.symbols, split.contexts)
        data = to_bytes(decoders, norm, book, book.counts([c.codes for c in coded]), counts)
        model = from_bytes(data, plan.sizes, len(self.shape))
        size = 0
        for part in coded:
            size += len(residual.encode(model.residual_tables, part.residual))
            size += len(residual.encode(model.code_tables, book.passes(part.codes)))
        total = size * self.share + len(pack(data, 19))
        return Choice(plan, grid, total if math.isfinite(total) else math.inf, model, data, encoder, rates)


def _promise(learned: Choice) -> float:
    """Return how much larger than the best context plan a plan may be after a short training, to be trained on."""
    assert isinstance(learned.plan, NetworkPlan)
    return PROMISING if learned.plan.sizes.width else PROMISING_COLUMNS


def _as_choice(refined: Refinement) -> Choice:
    return Choice(
        refined.plan, refined.grid, refined.size, refined.model, refined.model_bytes, refined.encoder, {"trained": refined.rate}
    )
