"""Plans without networks: whatever a class of `PLANS` without a model proposes for a sample is encoded and measured."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from aezip.array.layout import Piece
from aezip.core.parallel import ordered
from aezip.plans import registry
from aezip.plans.base import Plan
from aezip.quantize.grid import Grid

from .choice import Choice, Found
from .family import Family
from .sample import Sample, called

HEAD = 1 << 19  # values that all are tried on; a fourth where nothing is trained
CLOSE = 1.1  # how much larger than the smallest on these one may be
MEASURED = 1 << 20  # values that those are measured on; a fourth where nothing is trained


class Untrained(Family):
    """All classes of plans that have no model."""

    name = "plans without a model"

    def untrained(self, sample: Sample, found: Found) -> Sequence[Choice[Plan]]:
        """Return the best of each class, if it is close to the best of all."""
        small = sample.head(HEAD if sample.preset.trains else HEAD // 4)
        best: dict[type[Plan], Choice[Plan]] = {}
        nothing: list[Choice[Any]] = []
        for plan in registry.PLANS:
            options = sample.attempt(plan.kinds[0], partial(proposed, sample, plan, best, small), nothing)
            if options:
                best[plan] = min(options, key=lambda c: c.size + _told(c))
        found.by_class = best
        most = CLOSE * min((c.size for c in best.values()), default=math.inf)
        ranked = sorted(best.values(), key=lambda c: -c.size)
        return [measured(sample, c) for c in ranked if c.size <= most and not c.failed]


def _told(choice: Choice[Any]) -> int:
    """Return about how many bytes plan and grid take in a header."""
    grid = None if choice.grid is None else choice.grid.to_json()
    return len(zlib.compress(json.dumps([choice.plan.to_json(), grid]).encode()))


def proposed(sample: Sample, plan: type[Plan], best: dict[type[Plan], Choice[Plan]], pieces: list[Piece]) -> list[Choice[Any]]:
    """Return what a class of plans proposes, measured on pieces."""
    options = list(plan.proposals(sample, best))
    if plan.together and sample.side_by_side > 1 and len(options) > 1:

        def ready(option: tuple[Plan, Grid | None]) -> None:
            with suppress(Exception):  # it is told of where it is tried in its turn
                sample.cost(*option, pieces)

        list(ordered(ready, options, min(sample.side_by_side, len(options))))
    return [tried(sample, one, grid, pieces) for one, grid in options]


def tried(sample: Sample, plan: Plan, grid: Grid | None, pieces: list[Piece]) -> Choice[Plan]:
    """Return a plan with its bytes on pieces."""
    failed = Choice(plan, grid, math.inf)
    return sample.attempt(called(plan, grid), lambda: sample.note(Choice(plan, grid, sample.cost(plan, grid, pieces))), failed)


def measured(sample: Sample, choice: Choice[Plan]) -> Choice[Plan]:
    """Return a plan with the bytes of the whole sample: a part of it may mislead."""
    most = MEASURED if sample.preset.trains else MEASURED // 4
    pieces = sample.pieces if sum(p.x.size for p in sample.pieces) <= most else sample.head(most // 2)

    def make() -> Choice[Plan]:
        streams = sample.streams(choice.plan, choice.grid, pieces)
        slim = choice.plan.trimmed(streams, sample.shape)
        return sample.note(replace(choice, plan=slim, size=sample.scaled(streams, pieces)))

    return sample.attempt(called(choice.plan, choice.grid), make, replace(choice, size=math.inf))
