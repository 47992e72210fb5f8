"""Everything a report shows beside the ledger: digests, errors against the original, their histogram, pictures.

Knows archives; nothing of pages or terminals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.archive.comparing import Comparison, Pair, matched
from aezip.array.bounds import Tolerance
from aezip.array.metrics import Metrics, difference
from aezip.core.errors import CorruptFile
from aezip.core.progress import Progress, ProgressEvent

from . import pictures
from .quality import Middle, Quality

if TYPE_CHECKING:
    from aezip.apps.learned import Learned
    from aezip.archive.reading import Archive

BINS = 49  # odd: one of them around no error
RMS_SHOWN = 4.0  # a bound on the mean: errors are shown up to this many times the RMSE allowed


@dataclass(frozen=True)
class Histogram:
    """Errors (decoded minus original) in equal steps from -`reach` to `reach` times what is allowed, and those beyond.

    `counts` has `BINS` + 2 entries: the first and the last are the errors beyond the reach.
    """

    counts: npt.NDArray[np.int64]
    reach: float


@dataclass(frozen=True)
class Pictures:
    """A plane of an array as PNG files: original, decoded, error; where it lies, and the scales of the colours."""

    original: bytes
    decoded: bytes
    error: bytes
    key: tuple[Any, ...]
    shape: tuple[int, ...]
    low: float
    high: float
    limit: float


@dataclass(frozen=True)
class Compared:
    """What the original of an array shows."""

    metrics: Metrics
    quality: Quality
    wrong: int
    within: bool
    histogram: Histogram | None
    pictures: Pictures | None


@dataclass(frozen=True)
class Inspection:
    """Whether every digest was checked, what the originals show, and what autoencoders learned, by name."""

    verified: bool
    arrays: dict[str, Compared]
    learned: dict[str, Learned] = field(default_factory=dict)

    @property
    def within(self) -> bool:
        """Whether no original shows a broken bound."""
        return all(compared.within for compared in self.arrays.values())


Told = Callable[[ProgressEvent], None] | None


def inspect(archive: Archive, originals: Mapping[str, Any] | None, *, verify: bool, progress: Told = None) -> Inspection:
    """Check every digest, unless `verify` is False, and compare with originals, if there are any.

    Raises
    ------
    CorruptFile
        If the file is damaged.
    InvalidInput
        If the originals do not correspond.
    """
    compared = {} if originals is None else matched(originals, archive)
    damage = archive.damage(progress) if verify else []
    if damage:
        more = f", and {len(damage) - 1} more" if len(damage) > 1 else ""
        raise CorruptFile(f"{damage[0]}{more}: get another copy, or see aezip test and aezip decompress --salvage")
    shown = {name: _compared(comparison, progress) for name, comparison in compared.items()}
    return Inspection(verify, shown, _learned(archive) if verify else {})


def _learned(archive: Archive) -> dict[str, Learned]:
    """Return what the autoencoders of an archive learned, by array."""
    found = {name: view.learned() for name, view in archive.items()}
    return {name: one for name, one in found.items() if one is not None and one.codes}


def measured(
    archive: Archive, originals: Mapping[str, Any], error_map: Any = None, progress: Told = None
) -> dict[str, tuple[Metrics, Quality]]:
    """Compare each array with its original, value by value; return its errors, and how like the values are.

    Raises
    ------
    BoundViolated
        If a value breaks the bound that was asked for.
    InvalidInput
        If the arrays do not correspond.
    """
    found = {}
    for name, comparison in matched(originals, archive, error_map).items():
        middle = Middle(comparison.shape)
        for pair in _pairs(comparison, progress):
            middle.update(pair.original, pair.decoded, pair.masked)
        comparison.check()
        found[name] = comparison.metrics, middle.result()
    return found


def errors_json(metrics: Metrics, quality: Quality) -> dict[str, Any]:
    """Return what was measured of an array as one JSON object."""
    return {**quality.to_json(), "quality_count": quality.count, **metrics.to_json()}


def _pairs(comparison: Comparison, progress: Told) -> Iterator[Pair]:
    """Decode, compare and yield one chunk after the other, and tell how far that is."""
    tell, view, done = Progress(progress), comparison.view, 0
    for pair in comparison.pairs():
        yield pair
        done += pair.original.size
        tell("verify", done, max(1, math.prod(comparison.shape)), None, view.name, view.nbytes)


def _compared(comparison: Comparison, progress: Told) -> Compared:
    """Compare an array with its original."""
    middle = Middle(comparison.shape)
    counts = np.zeros(BINS + 2, np.int64)
    reach = RMS_SHOWN if comparison.tolerance.kind == "psnr" else 1.0
    for pair in _pairs(comparison, progress):
        middle.update(pair.original, pair.decoded, pair.masked)
        if comparison.tolerance.kind != "lossless":
            counts += _counted(pair, comparison.tolerance, reach)
    histogram = Histogram(counts, reach) if counts.any() else None
    quality = middle.result()
    return Compared(comparison.metrics, quality, comparison.wrong, comparison.within, histogram, _pictures(comparison))


def _counted(pair: Pair, tolerance: Tolerance, reach: float) -> npt.NDArray[np.int64]:
    """Count the errors of ordinary values over what is allowed."""
    x, y = pair.original, pair.decoded
    with np.errstate(all="ignore"):
        if tolerance.kind == "relative":
            allowed = np.abs(x.astype(np.float64)) * tolerance.relative
        else:
            allowed = np.asarray(tolerance.absolute if tolerance.kind == "absolute" else np.sqrt(tolerance.mse))
        size = difference(x, y)
        share = np.where(size == 0, 0.0, size / allowed) * np.where(y < x, -1.0, 1.0) / reach
        share = share[np.isfinite(x) & ~pair.masked]
        share = np.where(np.isnan(share), np.inf, share)  # a finite value that did not stay so
        inside = np.clip(np.floor((np.clip(share, -1, 1) + 1) * (BINS / 2)), 0, BINS - 1).astype(np.int64) + 1
    place = np.where(share < -1, 0, np.where(share > 1, BINS + 1, inside))
    return np.bincount(place.reshape(-1), minlength=BINS + 2)


def _pictures(comparison: Comparison) -> Pictures | None:
    """Draw a plane in the middle of an array; None where it has none."""
    shape = comparison.view.shape
    key = pictures.plane(shape)
    if key is None:
        return None
    fill = comparison.view._decoder.fill
    x, y = (pictures.numbers(np.asarray(values[key]), fill) for values in (comparison.original, comparison.view))
    known = x[np.isfinite(x)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    with np.errstate(all="ignore"):
        error = y - x
    limit = float(np.max(np.abs(error), initial=0.0, where=np.isfinite(error)))
    drawn = (pictures.values_png(x, low, high), pictures.values_png(y, low, high), pictures.errors_png(error, limit))
    return Pictures(*drawn, key, shape, low, high, limit)
