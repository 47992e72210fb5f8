"""Arrays of one file that are coded with others: which may be known to which, and what they count. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.core import memory
from aezip.core.types import Array, Float64
from aezip.plans.context.channels import Companion

if TYPE_CHECKING:
    from .encoder import ArrayEncoder

FEWEST = 4096  # values of an array that is worth one
MOST = 8  # arrays that are known to another
SHARE = 8  # of the memory there is: decoded values that are kept
LOOKED_AT = 1 << 16  # values that origin and scale are of
SCALE = 64.0  # a standard deviation in units of a companion's numbers


@dataclass(frozen=True)
class Known:
    """An array that was encoded: its values as decoded, and which stand for missing ones."""

    name: str
    values: Array
    fills: npt.NDArray[Any] | None

    def companion(self) -> Companion | None:
        """Return how its values count: about their mean, by their spread; None where they say nothing."""
        flat = self.values.reshape(-1)
        some = flat[:: max(1, flat.size // LOOKED_AT)].astype(np.float64)
        if self.fills is not None:
            some = some[~np.isin(some, self.fills)]
        some = some[np.isfinite(some)]
        if not some.size:
            return None
        middle, spread = float(np.float32(np.median(some))), float(np.float32(_spread(some) / SCALE))
        return Companion(self.name, middle, spread) if np.isfinite(middle) and 0.0 < spread < np.inf else None


def _spread(values: Float64) -> float:
    """Return the standard deviation, but for outliers."""
    low, high = np.quantile(values, (0.005, 0.995))
    with np.errstate(over="ignore", invalid="ignore"):
        return float(np.clip(values, low, high).std())


def kept_together(encoders: Iterable[ArrayEncoder]) -> None:
    """Let arrays of one shape keep what they decode to, for those after them, as far as memory allows."""
    groups: dict[tuple[int, ...], list[ArrayEncoder]] = {}
    for encoder in encoders:
        if encoder.plain and encoder.values.size >= FEWEST:
            groups.setdefault(encoder.values.shape, []).append(encoder)
    left = memory.memory() // SHARE
    for group in groups.values():
        for encoder in group[:-1]:
            if encoder.raw_bytes <= left:
                left -= encoder.raw_bytes
                encoder.keep()


def suited(encoder: ArrayEncoder, known: Sequence[Known]) -> list[Known]:
    """Return the arrays that may be known to one."""
    if not encoder.plain or encoder.values.size < FEWEST:
        return []
    return [one for one in known if one.values.shape == encoder.values.shape][-MOST:]


def numbers(companions: Iterable[Companion], known: Iterable[Known], start: int, stop: int) -> tuple[Float64, ...]:
    """Return what companions count in a run of the outer axis."""
    named = {one.name: one for one in known}
    return tuple(c.numbers(named[c.name].values[start:stop], named[c.name].fills) for c in companions)
