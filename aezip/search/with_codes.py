"""Choosing a plan that has codes, for those who want features: the best autoencoder, even where another plan is smaller.

A row, and with it a code vector, is one index of the outer axis if that has few values, else one entry of the axes
before the last. Codes describe values, never differences. Knows nothing of files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import ClassVar

from aezip.array.layout import Layout
from aezip.core.errors import InvalidInput
from aezip.core.fixed import MOST_CODES
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.quantize.grid import Grid

from .choice import Choice
from .choose import Selector
from .context_trials import as_choice, way_of
from .convolution import is_image
from .layouts import candidates

MOST_FEATURES = 4096  # values of a row
FEW, START_HIDDEN = 16, 32  # codes of a row at least, if no width is given; hidden units to begin with
CONTEXT_WORTH = 1.5  # an autoencoder so much smaller than a context plan is not refined
REMEDY = "leave --codes and --width (codes=) away"


def row_layout(shape: tuple[int, ...]) -> Layout:
    """Return the layout whose rows have one code vector each."""
    inner = math.prod(shape[1:])
    if len(shape) > 1 and 2 <= inner <= MOST_FEATURES:
        return Layout((1, *shape[1:]))
    if len(shape) > 1 and 2 <= shape[-1] <= MOST_FEATURES:
        return Layout((*(1,) * (len(shape) - 1), shape[-1]))
    return candidates(shape)[0]


@dataclass
class CodedSelector(Selector):
    """Chooses among plans with codes alone.

    Parameters
    ----------
    width
        Of the bottleneck; None: at least 16, or half the values of a row; more where that saves bytes.
    """

    width: int | None = None
    faithful: ClassVar[bool] = True

    def choose(self, *, every_variant: bool = False, learned_only: bool = False) -> Choice:
        """Return the plan with codes that has the fewest bytes; it is of the variant `deep`, and learned, whatever is asked.

        Raises
        ------
        InvalidInput
            If no autoencoder can be trained on the array, or none of that width.
        """
        self._drop_wide()
        layout = row_layout(self.shape)
        rows = sum(math.prod(layout.grid(p.x.shape)) for p in self.pieces)
        if rows < 4 or layout.features < 2 or not self.wholes:
            raise InvalidInput(f"the array is too small or too irregular for an autoencoder: {REMEDY}")
        if self.width is not None and self.width >= layout.features:
            raise InvalidInput(f"{self.width} codes are no bottleneck for rows of {layout.features} values: give a smaller width")
        started = self._started(layout)
        if not math.isfinite(started.size):
            raise InvalidInput(f"no autoencoder could be trained on the array ({self.tried[-1][0]}): {REMEDY}")
        learned = self._sized(started)
        if self.width is None and len(self.shape) == 3 and is_image(layout):
            learned = self._convolved(learned)  # the codes of an image are those of all its blocks
        learned = self._finish(learned)
        above = self._attempt("context networks", lambda: self._above(learned), list[Choice]())
        return min([learned, *above], key=lambda c: c.size)

    def _try(self, layout: Layout, grid: Grid, width: int, hidden: int) -> Choice:
        sizes = Sizes((tuple(range(layout.features)),), width, hidden, min(hidden, 16), grid.whole)
        return self._train(NetworkPlan(layout, None, sizes), grid, self.preset.trial_steps)

    def _started(self, layout: Layout) -> Choice:
        """Return the better grid after a short training."""
        width = self.width or _fewest(layout.features)
        grids = [g for g in (self.fine, *self.wholes[:1]) if g is not None]
        return min((self._try(layout, g, width, START_HIDDEN) for g in grids), key=lambda c: c.size)

    def _sized(self, best: Choice) -> Choice:
        """Double or halve width (unless it is given), or double the hidden size, while the bytes fall.

        Fewer hidden units are not tried: rows are compared by what the decoder makes of their codes.
        """
        widths = () if self.width else ((2.0, 1.0), (0.5, 1.0))
        seen: set[tuple[int, int]] = set()
        moves = [*widths, (1.0, 2.0)]
        while len(seen) < self.preset.trials:
            for wider, larger in moves:
                assert isinstance(best.plan, NetworkPlan)
                assert best.grid is not None
                old = best.plan.sizes
                width = min(max(self.width or _fewest(old.features), int(old.width * wider)), MOST_CODES, old.features - 1)
                key = (width, min(max(8, int(old.hidden * larger)), 256))
                if key in seen or key == (old.width, old.hidden) or len(seen) >= self.preset.trials:
                    continue
                seen.add(key)
                tried = self._try(best.plan.layout, best.grid, *key)
                if tried.size < best.size * 0.998:
                    best = tried
                    break
            else:
                break
        return best

    def _above(self, learned: Choice) -> list[Choice]:
        """Return context plans that refine the autoencoder, where they may win."""
        refined = self._contexts()
        assert isinstance(learned.plan, NetworkPlan)
        if refined is None or refined.plan.series is not None or learned.size * CONTEXT_WORTH < refined.size:
            return []
        width = self.width or (1 if learned.plan.sizes.axes else _fewest(learned.plan.sizes.features))
        belows = [b for b in self._belows(learned, refined) if b.plan.sizes.width >= width]
        way, spike = way_of(refined), refined.plan.sizes.spike
        tried = (
            (self._context(refined.grid, way, 16, 3 * self.preset.context_trial, below=b, spike=spike, final=True), b)
            for b in belows
        )
        trials = [(made, below) for made, below in tried if made is not None]
        best, below = min(trials, key=lambda t: t[0].size, default=(None, None))
        if best is None or best.size > learned.size * 1.05:
            return []
        steps = self.preset.context_steps
        full = self._context(refined.grid, way, 16, steps, below=below, spike=spike, final=True)
        return [as_choice(best if full is None else full)]


def _fewest(features: int) -> int:
    return min(FEW, max(1, features // 2))


def parse_codes(codes: bool | int) -> bool | int:
    """Return the option `codes`: False, True, or a width.

    Raises
    ------
    InvalidInput
        If it is none of these.
    """
    if isinstance(codes, bool):
        return codes
    if not isinstance(codes, int) or not 1 <= codes <= MOST_CODES:
        raise InvalidInput(f"codes must be True, False or a width from 1 to {MOST_CODES}, not {codes!r}")
    return codes


def with_codes(selector: Selector, codes: int) -> CodedSelector:
    """Return the selector that a selector becomes if codes are wanted: True, or of a width."""
    common = {f.name: getattr(selector, f.name) for f in fields(selector)}
    return CodedSelector(**common, width=None if codes is True else codes)
