"""Chunks encoded in another process: what of an encoder goes there, and what comes back. Knows no scheduler."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.metrics import Accumulator
from aezip.core.progress import Progress

from .encoder import ArrayEncoder, EncodedChunk, PlanFailed


@dataclass(frozen=True)
class Done:
    """A chunk that was encoded elsewhere, and what the encoder is to know of it.

    Parameters
    ----------
    failed
        Why the plan could not encode it; "" if it could.
    """

    chunk: EncodedChunk | None
    errors: Accumulator | None
    ideal: float = 0.0
    outliers: int = 0
    apart: bool = False
    failed: str = ""


class Window:
    """A run of the outer axis that stands where it lies in the whole array."""

    def __init__(self, values: npt.NDArray[Any], start: int) -> None:
        self._values, self._start = values, start

    def __getitem__(self, key: slice) -> npt.NDArray[Any]:
        """Return indices of the whole array that lie in the run."""
        return self._values[key.start - self._start : key.stop - self._start]


def portable(encoder: ArrayEncoder) -> ArrayEncoder:
    """Return a prepared encoder without what cannot, or need not, travel: values, locks, models beside the one chosen."""
    made = copy.copy(encoder)
    made.values = np.empty(0)
    made._admitted = replace(encoder._admitted, values=made.values)
    made._trained = made._from = made._recommend = None
    made._progress, made.shared, made.tried = Progress(None), {}, []
    made._errors, made._ideal = {}, {}
    made._beside, made._companions, made._kept = [], {}, None
    made._lock = None  # type: ignore[assignment]
    made.threads = 1
    return made


def encode(encoder: ArrayEncoder, index: int, values: npt.NDArray[Any]) -> Done:
    """Encode a chunk with an encoder that travelled; `values` are the chunk's."""
    own = copy.copy(encoder)
    own._lock, own._errors, own._ideal, own._outliers, own._apart = threading.Lock(), {}, {}, 0, False
    own.values = Window(np.asarray(values), own._chunks.bounds(index)[0])  # type: ignore[assignment]
    try:
        chunk = own.encode_chunk(index)
    except PlanFailed as failure:
        return Done(None, None, failed=str(failure.__cause__ or failure))
    return Done(chunk, own._errors[index], own._ideal[index], own._outliers, own._apart)


def take(encoder: ArrayEncoder, index: int, done: Done) -> EncodedChunk:
    """Return a chunk that was encoded elsewhere; the encoder knows of it from then on.

    Raises
    ------
    PlanFailed
        If the plan could not encode it.
    """
    if done.chunk is None or done.errors is None:
        raise PlanFailed from RuntimeError(done.failed)
    encoder._errors[index], encoder._ideal[index] = done.errors, done.ideal
    encoder._outliers += done.outliers
    encoder._apart |= done.apart
    return done.chunk
