"""What a search ends with: a plan, its grid and its networks, measured; and what it has found on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.base import Plan
from aezip.plans.context.plan import ContextPlan
from aezip.quantize.grid import Grid

P = TypeVar("P", bound=Plan, covariant=True)


@dataclass(frozen=True)
class Choice(Generic[P]):
    """A plan ready to encode with.

    Parameters
    ----------
    model, model_bytes, encoder
        Networks, and the stream that holds them: none for plans without; `encoder` also none for a width of 0.
    size
        Bytes, measured on the sample, scaled to the array; infinite: it failed.
    rates
        Bits a value that training ended with, by what they were measured on.
    """

    plan: P
    grid: Grid | None
    size: float
    model: Any = None
    model_bytes: bytes = b""
    encoder: FloatEncoder | None = None
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def placed(self) -> Grid:
        """The grid, of a plan that needs one."""
        assert self.grid is not None
        return self.grid

    @property
    def failed(self) -> bool:
        """Whether it dropped out."""
        return not math.isfinite(self.size)


AutoencoderChoice = Choice[AutoencoderPlan]
ContextChoice = Choice[ContextPlan]


def smallest(options: Iterable[Choice[P]], *, default: Choice[P] | None = None) -> Choice[P]:
    """Return the choice of the fewest bytes, the first of equals.

    Raises
    ------
    ValueError
        If there is none and no default.
    """
    listed = list(options)
    return min(listed, key=lambda c: c.size) if default is None else min(listed, key=lambda c: c.size, default=default)


@dataclass
class Found:
    """What the stages of a search have found so far.

    Parameters
    ----------
    untrained, trained
        Ready to encode with.
    by_class
        The best of each class of plans without networks.
    context, learned
        The best of short trainings: a context plan, an autoencoder or columns.
    spiked
        Grids on which flags for spikes pay.
    """

    untrained: list[Choice[Plan]]
    trained: list[Choice[Plan]] = field(default_factory=list)
    by_class: dict[type[Plan], Choice[Any]] = field(default_factory=dict)
    context: ContextChoice | None = None
    learned: AutoencoderChoice | None = None
    spiked: tuple[Grid, ...] = ()

    @property
    def plain(self) -> Choice[Plan]:
        """The best plan without a network."""
        return smallest(self.untrained)

    @property
    def context_size(self) -> float:
        """Bytes of the context plan."""
        return math.inf if self.context is None else self.context.size


@dataclass(frozen=True)
class Wish:
    """What is wanted beside few bytes.

    Parameters
    ----------
    codes
        A plan with codes: True, or how many.
    variant
        An autoencoder of this variant; "deep": whatever is smallest; "auto": those of every variant compete.
    learned_only
        A plan without a network only if no other can be had: what is trained will serve other arrays too.
    start
        A trained plan to train on.
    """

    codes: bool | int = False
    variant: str = "deep"
    learned_only: bool = False
    start: Choice[Plan] | None = None
