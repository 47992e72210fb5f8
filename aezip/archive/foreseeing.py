"""What compressing would make: bytes and seconds for every preset, from samples, before anything is written.

The bytes of the preset instant are those that its search expects of the whole array. A part of the largest array is compressed
with instant and fast: what training gains there is expected of all arrays, seconds of coding grow with the values, those of
training do not. Longer presets train as much longer as their steps are; what that gains is not known before.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.bounds import Absolute, Bound, Lossless
from aezip.array.foreign import as_numpy
from aezip.array.layout import middle
from aezip.codec.encoder import ArrayEncoder
from aezip.core.progress import ProgressEvent
from aezip.search.presets import PRESETS

from .reading import thread_count
from .target import CONTAINER, own
from .writing import compress

PART = 1 << 17  # values that are compressed to see


@dataclass(frozen=True)
class Foreseen:
    """What a preset is expected to make.

    Attributes
    ----------
    preset : str
        Its name.
    bytes : float
        Of the file.
    at_most : bool
        Whether the file is expected to be no larger than that, not of just that size.
    ratio : float
        Raw bytes over those of the file.
    seconds : float
        From call to file, on this machine.
    """

    preset: str
    bytes: float
    at_most: bool
    ratio: float
    seconds: float


@dataclass(frozen=True)
class _Made:
    """A part that was compressed: bytes of its streams but for the model, those of the model, seconds of search and of coding."""

    streams: int
    model: int
    search: float
    coding: float


def foresee(
    arrays: Mapping[str, Any],
    bounds: Bound | Mapping[str, Bound] | None = None,
    *,
    fill_value: Any = None,
    valid_range: Any = None,
    threads: int | None = None,
    beside: int = 0,
) -> list[Foreseen]:
    """Return what each preset is expected to make of arrays, one after the other.

    Parameters
    ----------
    arrays
        By name, of any shape.
    bounds, fill_value, valid_range, threads
        As in `aezip.compress`.
    beside
        Bytes that the file has beside the arrays.

    Raises
    ------
    InvalidInput
        If an array or a bound cannot be used.
    """
    count = thread_count(threads)
    plain = {name: np.asanyarray(as_numpy(array)) for name, array in arrays.items()}
    about = {
        name: {"fill_value": own(fill_value, name), "valid_range": own(valid_range, name), "threads": count} for name in plain
    }
    raw, expected, search = sum(array.nbytes for array in plain.values()), 0.0, 0.0
    wanted: dict[str, Bound | None] = {}
    for name, array in plain.items():
        began = time.perf_counter()
        encoder = ArrayEncoder(array, own(bounds, name) or Lossless(), preset="instant", name=name, **about[name])
        encoder.prepare()
        expected += encoder.chosen.size
        search += time.perf_counter() - began
        tolerance = encoder.tolerance
        absolute = tolerance.kind == "absolute" and tolerance.absolute.ndim == 0 and tolerance.absolute > 0
        wanted[name] = Absolute(float(tolerance.absolute)) if absolute else own(bounds, name)
    beside += CONTAINER
    largest = max(plain, key=lambda name: plain[name].nbytes, default=None)
    if largest is None or not plain[largest].size:
        return [Foreseen(preset, beside, False, raw / beside, search) for preset in PRESETS]
    part = plain[largest][middle(plain[largest].shape, PART) or ...]
    instant, fast = (_compressed(part, wanted[largest], preset, about[largest]) for preset in ("instant", "fast"))
    more = sum(array.size for array in plain.values()) / part.size
    trained = expected * min(1.0, fast.streams / max(1, instant.streams)) + fast.model * len(plain)
    found = [
        Foreseen("instant", expected + beside, False, 0.0, search + more * instant.coding),
        Foreseen("fast", min(expected, trained) + beside, False, 0.0, len(plain) * fast.search + more * fast.coding),
    ]
    for name in list(PRESETS)[2:]:
        longer = PRESETS[name].context_steps / PRESETS["fast"].context_steps
        seconds = len(plain) * longer * fast.search + more * fast.coding
        found.append(Foreseen(name, found[1].bytes, True, 0.0, seconds))
    return [replace(one, ratio=raw / one.bytes) for one in found]


def _compressed(part: npt.NDArray[Any], bound: Bound | None, preset: str, about: Mapping[str, Any]) -> _Made:
    coding = began = time.perf_counter()

    def follow(event: ProgressEvent) -> None:
        nonlocal coding
        if event.phase in ("scan", "select", "train"):
            coding = time.perf_counter()

    _, report = compress(part, None, bound=bound, preset=preset, progress=follow, **about)
    end = time.perf_counter()
    streams = sum(size for name, size in report.bytes.items() if name not in ("container", "model"))
    return _Made(streams, report.bytes.get("model", 0), coding - began, end - coding)
