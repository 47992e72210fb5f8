"""Choosing the plan by measured bytes: what is tried, in which order, and when enough is tried.

Candidates are tried on sampled chunks; their bytes are those of the streams really made, model included, scaled to the array.
Five stages, each for all families of plans in turn:

1. plans of zstd alone: always;
2. means, levels and tables by feature: where there are values enough, and a grid on which networks can compute;
3. built-in networks as they are: where too few bytes are left to pay for a network, or where nothing is trained (preset instant:
   then before the tables, which may be left out); then the search ends;
4. short trainings: which way over the axes, which layout and size, an autoencoder or not;
5. trainings at full length of what was close; they must beat the best plan without a network.

A family that fails in a stage drops out of it, and the rest go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from aezip.core.errors import InvalidInput
from aezip.plans.autoencoder.variants import insisted
from aezip.plans.base import Plan
from aezip.plans.bytes import BytesPlan

from . import registry
from .choice import Choice, Found, Wish, smallest
from .family import Stage
from .presets import PRESETS, Preset
from .sample import FEWEST, Sample
from .variants import of_variant, resumed
from .with_codes import choose_with_codes

__all__ = ["PRESETS", "Choice", "Preset", "Sample", "Wish", "choose", "search", "stages"]

LITTLE = 2000  # bytes: tables take as much as they save
FAR = 0.9  # a built-in network so much smaller than zstd is not reached by tables, which are left out where time counts
SMALL = 6000  # bytes: no network pays where there is less to save than it costs itself
TOO_EARLY = "the preset instant trains nothing: use fast, balanced or best for models"


def choose(sample: Sample, wish: Wish) -> Choice[Any]:
    """Return the plan with the fewest bytes among those wanted; any plan where none of those can be had.

    Raises
    ------
    InvalidInput
        If codes are wanted and cannot be had, or a model of a preset that trains nothing.
    """
    wanted: Choice[Any] | None = None
    if wish.start is not None:
        wanted = resumed(sample, wish.start)
    elif insisted(wish.variant):
        wanted = of_variant(sample, wish.variant)
    if wanted is not None and not wanted.failed:
        return wanted
    return choose_with_codes(sample, wish.codes) if wish.codes else search(sample, wish)


def search(sample: Sample, wish: Wish) -> Choice[Plan]:
    """Return the plan with the fewest bytes."""
    found = Found([Choice(BytesPlan(False), None, sample.raw)])
    nothing: Sequence[Choice[Any]] = ()
    for stage in stages(sample, found, wish):
        families = registry.FAMILIES if stage is not Stage.FULL else registry.FAMILIES[::-1]
        for family in families:
            make = partial(family.tried, stage, sample, found, wish)
            made = [c for c in sample.attempt(f"{family.name}, {stage.value}", make, nothing) if not c.failed]
            (found.untrained if stage in (Stage.UNTRAINED, Stage.STATIC) else found.trained).extend(made)
        if stage is Stage.UNTRAINED and len(found.untrained) > 1:
            del found.untrained[0]  # bytes as they are: only where nothing else could be measured
    if wish.learned_only and found.trained:
        return smallest(found.trained)
    return smallest([found.plain, *found.trained])


def stages(sample: Sample, found: Found, wish: Wish) -> Iterator[Stage]:
    """Yield the stages that may pay, given what those before have found."""
    yield Stage.UNTRAINED
    sample.drop_wide()
    if sample.known < FEWEST or not sample.wholes:
        return
    if wish.learned_only and not sample.preset.trains:
        raise InvalidInput(TOO_EARLY)
    if not sample.preset.trains:
        yield Stage.BUILT_IN
        if found.plain.size > LITTLE and smallest([found.plain, *found.trained]).size > FAR * found.plain.size:
            yield Stage.STATIC
        return
    yield Stage.STATIC
    if not wish.learned_only and found.plain.size < SMALL:
        yield Stage.BUILT_IN
        return
    yield Stage.SHORT
    yield Stage.FULL
