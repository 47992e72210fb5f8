"""What a search ends with: a plan, its grid and its networks, measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import Networks
from aezip.plans.base import Plan
from aezip.plans.context.plan import ContextNetworks
from aezip.quantize.grid import Grid


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
    model: Networks | ContextNetworks | None = None
    model_bytes: bytes = b""
    encoder: FloatEncoder | None = None
    rates: dict[str, float] = field(default_factory=dict)
