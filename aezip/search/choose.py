"""Choosing the plan by measured bytes.

Candidates are tried on sampled chunks: plans without a network, then orders of axes, layouts and differences with a
short training, then sizes around the best. Bytes are those of the streams really made, model included, scaled to the
whole array. The winners are trained at full length and must still beat the best plan without a network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from aezip.array.layout import Layout
from aezip.core.errors import InvalidInput
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.base import Plan
from aezip.plans.bytes import BytesPlan
from aezip.plans.delta import DifferencePlan
from aezip.quantize.grid import Grid

from .choice import Choice
from .context import Refinement
from .context_trials import WORTH, as_choice, way_of
from .convolution import ConvolutionTrials, is_image
from .layouts import candidates
from .presets import PRESETS, Preset
from .sample import network_sizes

__all__ = ["PRESETS", "BytesPlan", "Choice", "DifferencePlan", "Plan", "Preset", "Selector"]

MOST_COLUMNS = 40  # columns predicted one after the other
PROMISING = 1.2  # an autoencoder so much larger than a context plan after a trial is trained on: it gains more
PROMISING_COLUMNS = 1.05  # the same for columns, and for convolutions
SPIKY = 1.1  # how much larger a plan with spikes may be for networks to be tried with them
LEAST = 200  # bytes that a plan takes for a built-in network to be looked at
CLOSE = 1.3  # how much larger it may seem on a part of the sample to be tried on all
SMALL = 6000  # bytes: no network pays where there is less to save than it costs itself


class Selector(ConvolutionTrials):
    """Chooses which plans to try, and the one with the fewest bytes."""

    _spiked: tuple[Grid, ...] = ()  # on which flags for spikes pay

    def choose(self, *, every_variant: bool = False, learned_only: bool = False) -> Choice:
        """Return the plan with the fewest bytes.

        Parameters
        ----------
        every_variant
            Try autoencoders of every variant.
        learned_only
            Take a plan without a network only if no other can be had: what is trained will serve other arrays too.
        """
        plain = self._attempt("plans of zstd alone", self._plain, Choice(BytesPlan(False), None, self._raw))
        count = sum(p.x.size if p.masked is None else int((~p.masked).sum()) for p in self.pieces)
        self._drop_wide()
        if count < 256 or not self.wholes:
            return plain
        best = self._attempt("plans without networks", lambda: self._static(plain), plain)
        if learned_only and not self.preset.trains:
            raise InvalidInput("the preset instant trains nothing: use fast, balanced or best for models")
        if not learned_only and (best.size < SMALL or not self.preset.trains):
            return self._attempt("built-in networks", lambda: self._as_they_are(best), best)
        trained = self._attempt("networks", lambda: self._networks(best, every_variant, learned_only), list[Choice]())
        options = [c for c in trained if math.isfinite(c.size)]
        return min(options if learned_only and options else [best, *options], key=lambda c: c.size)

    def _as_they_are(self, best: Choice) -> Choice:
        """Return the best plan without training: the best without a network, or a built-in network as it is."""
        if best.size < LEAST:
            return best
        untrained = self if not self.preset.trains else replace(self, preset=PRESETS["instant"])
        refined = untrained._contexts()
        if refined is None or refined.size > best.size * CLOSE:
            return best
        made = untrained._as_it_is(refined.grid, way_of(refined), final=True, fit=True)
        return best if made is None else min(best, as_choice(made), key=lambda c: c.size)

    def _networks(self, best: Choice, every_variant: bool, learned_only: bool) -> list[Choice]:
        """Return plans with networks trained at full length, those that may be smaller than the best plan without one."""
        refined = self._attempt("context networks", self._contexts, None)
        context = math.inf if refined is None else refined.size
        learned = self._attempt("autoencoders", lambda: self._learned(context * WORTH), None)
        options = [] if learned_only else [best]
        if learned is not None and self._worth_convolving(learned, refined):
            learned = self._convolved(learned, context * PROMISING_COLUMNS)
        if learned is not None and (refined is None or learned.size < refined.size * _promise(learned)):
            options.append(self._finish(learned))
        if every_variant and learned is not None:
            other = self._attempt("variants", self._best_variant, None)
            if other is not None and other.size < PROMISING * min(learned.size, context):
                options.append(self._finish(other))
        if refined is not None:
            below = min((c for c in options if c is not best), key=lambda c: c.size, default=best)
            least = min((c.size for c in options), default=math.inf)
            options += self._attempt("context networks at length", lambda: self._refined(refined, below, least), list[Choice]())
        return [c for c in options if c is not best]

    @staticmethod
    def _worth_convolving(learned: Choice, refined: Refinement | None) -> bool:
        """Tell whether rows that extend along the last two axes are good enough for convolutions to be tried."""
        assert isinstance(learned.plan, NetworkPlan)
        return is_image(learned.plan.layout) and (refined is None or learned.size < refined.size * PROMISING)

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
            if self._spiky(plan, grid):
                options.append(self._train(replace(plan, sizes=replace(plan.sizes, spiked=True)), grid, 0))
        options += self._by_name()
        self._spiked = tuple(
            c.grid
            for c in options
            if c.grid is not None
            and isinstance(c.plan, NetworkPlan)
            and c.plan.sizes.spiked
            and c.size < SPIKY * min(o.size for o in options if o.grid is c.grid)
        )
        if any(p.masked is not None for p in self.pieces):  # where little is known, one mean and level for all is little to store
            single = Layout((1,) * len(self.shape))
            plan = NetworkPlan(single, None, Sizes(((0,),), 0, 1, 0, self.wholes[0].whole))
            options.append(self._train(plan, self.wholes[0], 0))
        return min(options, key=lambda c: c.size)

    def _by_name(self) -> list[Choice]:
        """Return plans with means, levels and tables by column, for numbers in order and by frequency."""
        if not 2 <= self.shape[-1] <= MOST_COLUMNS:
            return []
        layout = Layout((*(1,) * (len(self.shape) - 1), self.shape[-1]))
        sizes = Sizes(tuple((f,) for f in range(layout.features)), 0, 1, 0, True)
        out = []
        for grid in self.wholes[:1]:
            out.append(self._train(NetworkPlan(layout, None, sizes), grid, 0))
            out += [self._train(NetworkPlan(layout, None, sizes), named, 0) for named in self._named(grid)]
        return out

    def _learned(self, hopeless: float) -> Choice | None:
        """Search layouts, differences and groups first, then the sizes of the network; or not, from so many bytes on."""
        transforms = self._differences()
        tops = transforms[:1] + [t for t in transforms[1:4] if t[1] is not None and t[1].columns is None][:1]
        starts: list[tuple[NetworkPlan, Grid]] = []
        for layout in candidates(self.shape)[:4]:
            if self.fine is not None:
                starts.append((NetworkPlan(layout, None, network_sizes(layout, 4, 32, self.fine)), self.fine))
            grid, difference = transforms[0]
            starts.append((NetworkPlan(layout, difference, network_sizes(layout, 4, 32, grid)), grid))
        for grid in self._spiked[:1]:
            layout = candidates(self.shape)[0]
            sizes = replace(network_sizes(layout, 2, 4, grid), spiked=True)
            starts.insert(0, (NetworkPlan(layout, None, sizes), grid))
        starts = [s for s in starts if s[0].sizes.width]
        left = self.preset.trials
        tries = starts[: max(2, left // 2)]
        if 2 <= self.shape[-1] <= MOST_COLUMNS:
            pairs = [(self.fine, None), *tops] if self.fine is not None else [*tops, (tops[0][0], None)]
            tries = [*self._by_columns(pairs), *tries[:3]]
        done: list[Choice] = []
        for plan, grid in tries:
            done.append(self._train(plan, grid, self.preset.trial_steps))
            if min(c.size for c in done) > (1.5 if len(done) == 1 else 1.0) * hopeless and len(done) <= 2:
                break
        if not done:
            return None
        best = min(done, key=lambda c: c.size)
        if not math.isfinite(best.size):
            return None
        if best.size > hopeless:
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
                plan = self._moved(best.plan, best.grid, wider, larger)
                if plan.sizes in seen or plan.sizes == best.plan.sizes or left <= 0:
                    continue
                seen.add(plan.sizes)
                left -= 1
                tried = self._train(plan, best.grid, self.preset.trial_steps)
                # a larger network also decodes more slowly: it has to save something
                if tried.size < best.size * (1.0 if larger < 1 else 0.995):
                    best, improved = tried, True
                    break
        return best


def _promise(learned: Choice) -> float:
    """Return how much larger than the best context plan a plan may be after a short training, to be trained on."""
    assert isinstance(learned.plan, NetworkPlan)
    return PROMISING if learned.plan.sizes.width else PROMISING_COLUMNS
