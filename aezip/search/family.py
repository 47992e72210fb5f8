"""What a family of plans does in a search, stage by stage; each is a class of its own, `registry` lists them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from enum import Enum
from typing import Any, ClassVar

from .choice import Choice, Found, Wish
from .sample import Sample


class Stage(Enum):
    """The stages of a search, in this order; an array goes through those that may pay."""

    UNTRAINED = "plans of zstd alone"
    STATIC = "plans without networks"
    BUILT_IN = "built-in networks"
    SHORT = "short trainings"
    FULL = "trainings at length"


class Family(ABC):
    """Plans that are tried alike; does nothing in the stages that it does not say."""

    name: ClassVar[str]

    def untrained(self, sample: Sample, found: Found) -> Sequence[Choice[Any]]:
        """Return plans whose streams zstd makes small."""
        return ()

    def static(self, sample: Sample, found: Found) -> Sequence[Choice[Any]]:
        """Return plans with tables and no network."""
        return ()

    def built_in(self, sample: Sample, found: Found) -> Sequence[Choice[Any]]:
        """Return plans with networks that nothing trains."""
        return ()

    def short(self, sample: Sample, found: Found, wish: Wish) -> None:  # noqa: B027
        """Try networks shortly; put the best into `found`."""

    def full(self, sample: Sample, found: Found, wish: Wish) -> Sequence[Choice[Any]]:
        """Return networks trained at full length, those that may be smaller than all that was found."""
        return ()

    def tried(self, stage: Stage, sample: Sample, found: Found, wish: Wish) -> Sequence[Choice[Any]]:
        """Return what a stage makes."""
        match stage:
            case Stage.UNTRAINED:
                return self.untrained(sample, found)
            case Stage.STATIC:
                return self.static(sample, found)
            case Stage.BUILT_IN:
                return self.built_in(sample, found)
            case Stage.SHORT:
                self.short(sample, found, wish)
                return ()
            case Stage.FULL:
                return self.full(sample, found, wish)
