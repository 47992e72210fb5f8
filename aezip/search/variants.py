"""Trying autoencoders of a variant that was asked for, or of every variant: on each layout that suits it, then other sizes."""

from __future__ import annotations

import math
from dataclasses import replace

from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.autoencoder.variants import OVERCOMPLETE, VARIANTS, fits, width_for
from aezip.plans.context.plan import ContextNetworks, ContextPlan
from aezip.quantize.grid import Grid

from . import context as contextual
from .choice import Choice
from .context_trials import ContextTrials, as_choice
from .layouts import candidates
from .sample import network_sizes

LEAST_VALUES = 256  # an array smaller than this has no use for a network
LAYOUTS = 4


class VariantTrials(ContextTrials):
    """Tries autoencoders of the variants."""

    refine_variants = True  # whether the one asked for may be refined by context

    def of_variant(self, variant: str) -> Choice | None:
        """Return the smallest plan with an autoencoder of a variant, refined by context or not.

        None if the array cannot be stored so: it is too small, its integers leave networks no room, or its rows are too short.
        """
        self._drop_wide()
        if sum(p.x.size for p in self.pieces) < LEAST_VALUES or not self.wholes:
            return None
        trial = self._attempt(variant, lambda: self._variant(variant, math.inf), None)
        if trial is None:
            return None
        best = self._finish(trial)
        options = [best]
        refined = self._attempt("context networks", self._contexts, None) if self.refine_variants else None
        if refined is not None:
            above = self._attempt("context networks at length", lambda: self._refined(refined, best, 0.0), list[Choice]())
            inside = [(c, c.plan.with_codes()) for c in above]
            options += [c for c, below in inside if below is not None and below.variant == variant]
        return min(options, key=lambda c: c.size)

    def _best_variant(self) -> Choice | None:
        """Return the best of short trainings of every variant but the deep one, which was tried before."""
        done = [self._variant(name, 0.0) for name in VARIANTS[1:]]
        return min((c for c in done if c is not None), key=lambda c: c.size, default=None)

    def _variant(self, variant: str, thorough: float) -> Choice | None:
        """Return the best of short trainings of a variant; other sizes are tried unless `thorough` is 0."""
        starts = self._starts(variant)
        if not starts:
            return None
        most = max(2, self.preset.trials // 2) if thorough else 2
        done = [self._train(plan, grid, self.preset.trial_steps) for plan, grid in starts[:most]]
        best = min(done, key=lambda c: c.size)
        if not math.isfinite(best.size):
            return None
        return self._resized(best, self.preset.trials - len(done)) if thorough else best

    def _starts(self, variant: str) -> list[tuple[NetworkPlan, Grid]]:
        """Return layouts and grids to begin with."""
        out: list[tuple[NetworkPlan, Grid]] = []
        grid, difference = self._differences()[0]
        for layout in candidates(self.shape)[:LAYOUTS]:
            if layout.features < 2 or not fits(variant, layout.features):
                continue
            for one, change in ([] if self.fine is None else [(self.fine, None)]) + [(grid, difference)]:
                sizes = network_sizes(layout, 4, 32, one)
                sizes = replace(sizes, width=width_for(variant, sizes.width, layout.features))
                out.append((NetworkPlan(layout, change, sizes, variant), one))
        return out

    def _resized(self, best: Choice, left: int) -> Choice:
        """Double or halve width (unless it follows from the features) and hidden units while the bytes fall."""
        moves = [(1.0, 2.0), (1.0, 0.5)]
        assert isinstance(best.plan, NetworkPlan)
        if best.plan.variant not in OVERCOMPLETE:
            moves = [(2.0, 1.0), (1.0, 2.0), (0.5, 1.0), (1.0, 0.5)]
        seen = {best.plan.sizes}
        for _ in range(left):
            plan, grid = best.plan, best.grid
            assert isinstance(plan, NetworkPlan)
            assert grid is not None
            options = [self._moved(plan, grid, *move) for move in moves]
            fresh = next((p for p in options if p.sizes not in seen), None)
            if fresh is None:
                break
            seen.add(fresh.sizes)
            tried = self._train(fresh, grid, self.preset.trial_steps)
            # a larger network also decodes more slowly: it has to save something
            if tried.size < best.size * 0.995:
                best = tried
        return best

    @staticmethod
    def _moved(plan: NetworkPlan, grid: Grid, wider: float, larger: float) -> NetworkPlan:
        old = plan.sizes
        sizes = network_sizes(plan.layout, max(1, int(old.width * wider)), max(8, int(old.hidden * larger)), grid)
        width = sizes.width if wider != 1.0 else old.width
        return replace(plan, sizes=replace(sizes, width=width, spiked=old.spiked, axes=old.axes))

    def resumed(self, start: Choice) -> Choice:
        """Train the networks of a plan on, the autoencoder below a context network first; of infinite size if that fails."""
        return self._attempt("the model trained on", lambda: self._resumed(start), Choice(start.plan, start.grid, math.inf))

    def _resumed(self, start: Choice) -> Choice:
        plan, grid, steps = start.plan, start.grid, self.preset
        assert grid is not None
        if isinstance(plan, NetworkPlan):
            return self._train(plan, grid, steps.steps, final=True, start=start)
        assert isinstance(plan, ContextPlan)
        assert isinstance(start.model, ContextNetworks)
        below = None
        if plan.base is not None:
            inner = Choice(plan.base, grid, 0.0, start.model.base, b"", start.encoder)
            below = self._below(self._train(plan.base, grid, steps.steps, final=True, start=inner), start)
        share = self._values / sum(p.x.size for p in self.context_pieces)
        report = self._context_reporter(self.context_pieces[0], final=True, name="")
        return as_choice(
            contextual.train(
                grid, self.context_pieces, share, plan.sizes.order, plan.sizes.hidden, steps.context_steps, self.seed,
                below=below, series=plan.series, scan=plan.sizes.scan, spike=plan.sizes.spike,
                resumed=(plan, start.model.net), threads=self.threads, report=report,
            )
        )  # fmt: skip

    def _finish(self, learned: Choice) -> Choice:
        """Train an autoencoder, or columns, at full length; where that fails, what was tried will do."""
        assert isinstance(learned.plan, NetworkPlan)
        assert learned.grid is not None
        # column by column, a step costs more and convergence is faster
        steps = self.preset.steps if len(learned.plan.sizes.groups) == 1 else self.preset.steps * 3 // 5
        full = self._train(learned.plan, learned.grid, steps, final=True)
        return full if math.isfinite(full.size) else learned
