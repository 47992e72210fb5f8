"""The smallest error at which a file is not larger than asked: the bound is searched, first on samples, then on whole files.

What presets make of whole files differs from what is expected of samples by a factor that hardly depends on the bound, so one or
two whole files tell it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aezip.array.bounds import Bound, Lossless, RangeRelative
from aezip.codec.encoder import ArrayEncoder
from aezip.core import atomic
from aezip.core.errors import InvalidInput

from .comparing import by_name
from .reading import thread_count
from .report import Report
from .writing import compress

LOOSEST, TIGHTEST = 0.5, 1e-9  # of the range of the values
SMALL_ENOUGH = 0.97  # of the bytes asked for: a file above it is near enough
AIM = 0.99  # of the bytes asked for, as estimates are not exact
CLOSER = 0.985  # by what the aim is lowered after each file that was too large
LOOKS, FILES = 24, 5  # samples and whole files, at most
CONTAINER = 700  # bytes of an array beside its streams, about


@dataclass
class _Expected:
    """Bytes that the preset `instant` is expected to make of arrays, by bound."""

    named: Mapping[str, Any]
    options: Mapping[str, Any]
    per_feature: bool
    known: dict[float, float] = field(default_factory=dict)

    def at(self, share: float) -> float:
        """Return the bytes at a bound of so much of the range."""
        if share not in self.known:
            self.known[share] = self.of(RangeRelative(share, self.per_feature))
        return self.known[share]

    def of(self, bound: Bound) -> float:
        """Return the bytes at a bound."""
        total, threads = 0.0, thread_count(self.options.get("threads"))
        for name, array in self.named.items():
            about = {key: own(self.options.get(key), name) for key in ("fill_value", "valid_range")}
            total += expected_bytes(array, bound, name=name, threads=threads, **about)
        return total

    def share(self, size: float) -> float:
        """Return the bound at which so many bytes are expected; the loosest one where there is none."""
        if self.at(LOOSEST) > size:
            return LOOSEST
        while len(self.known) < LOOKS:
            large = max((share for share, made in self.known.items() if made > size), default=TIGHTEST)
            small = min(share for share, made in self.known.items() if made <= size)
            if SMALL_ENOUGH + 0.02 < self.known[small] / size or small < 1.01 * large:
                break
            middle = _rounded(self._between(large, small, size))
            if middle in self.known:
                break
            self.at(middle)
        return min(share for share, made in self.known.items() if made <= size)

    def _between(self, large: float, small: float, size: float) -> float:
        """Return a bound between one that makes too much and one that does not: bytes fall about as a power of the bound."""
        low, high = math.log(large), math.log(small)
        if large not in self.known:
            return math.exp((2.0 * high + low) / 3.0)
        wide, narrow = math.log(self.known[large]), math.log(self.known[small])
        part = (wide - math.log(AIM * size)) / max(1e-9, wide - narrow)
        return math.exp(low + (high - low) * min(max(part, 0.05), 0.95))


def expected_bytes(array: Any, bound: Bound, **options: Any) -> float:
    """Return the bytes that the preset `instant` is expected to make of an array; options are those of `ArrayEncoder`."""
    encoder = ArrayEncoder(array, bound, preset="instant", **options)
    encoder.prepare()
    return encoder.chosen.size + CONTAINER


def compress_to(
    data: Any,
    path: str | os.PathLike[str] | None,
    size: float,
    *,
    per_feature: bool = False,
    overwrite: bool = False,
    told: Callable[[Bound, int], None] | None = None,
    **options: Any,
) -> tuple[bytes, Report]:
    """Compress an array, or a mapping of names to arrays, with the smallest range-relative bound found whose file is so small.

    Parameters
    ----------
    path
        The file; None: it is returned only.
    size
        Bytes of the file, at most; it has `SMALL_ENOUGH` times as many at least, unless no more are needed for no error at all.
    per_feature
        Bounds relative to the range of each column.
    told
        Called with each bound for which a whole file was made, and its bytes.
    **options
        As of `compress`; not `bound`.

    Returns
    -------
    bytes, Report
        The file.

    Raises
    ------
    InvalidInput
        If no bound makes it so small.
    """
    if "bound" in options:
        raise InvalidInput("a size finds the bound: leave bound= away, or use compress")
    made = fitting(by_name(data), size, lambda bound: compress(data, None, bound=bound, **options), per_feature, told, **options)
    if path is not None:
        atomic.write(Path(path), made[0], overwrite=overwrite)
    return made


def fitting(
    named: Mapping[str, Any],
    size: float,
    make: Callable[[Bound], tuple[bytes, Report]],
    per_feature: bool = False,
    told: Callable[[Bound, int], None] | None = None,
    **options: Any,
) -> tuple[bytes, Report]:
    """Return what `make` makes of the smallest range-relative bound found whose file is so small.

    Parameters
    ----------
    named
        The arrays that the bound is for.
    make
        Returns the file, and its report; all else as in `compress_to`.

    Raises
    ------
    InvalidInput
        If no bound makes it so small.
    """
    if not (size > 0 and math.isfinite(size)):
        raise InvalidInput(f"a file of {size:g} bytes cannot be: give a positive number")
    expected = _Expected(named, options, per_feature)

    def tried(bound: Bound) -> tuple[bytes, Report]:
        made = make(bound)
        if told is not None:
            told(bound, len(made[0]))
        return made

    return _lossless(expected, size, tried) or _lossy(expected, size, tried)


def _lossless(expected: _Expected, size: float, make: Callable[[Bound], tuple[bytes, Report]]) -> tuple[bytes, Report] | None:
    """Return the lossless file, if it is small enough."""
    if expected.of(Lossless()) > 1.1 * size:
        return None
    made = make(Lossless())
    return made if len(made[0]) <= size else None


def _lossy(expected: _Expected, size: float, make: Callable[[Bound], tuple[bytes, Report]]) -> tuple[bytes, Report]:
    best, smallest, aim, seen = None, math.inf, AIM * size, dict[float, int]()  # bytes, of those expected
    for _ in range(FILES):
        share = expected.share(aim)
        if expected.at(share) in seen:
            break
        made = make(RangeRelative(share, expected.per_feature))
        bytes_ = len(made[0])
        smallest = min(smallest, bytes_)
        if bytes_ <= size and (best is None or bytes_ > len(best[0])):
            best = made
        if SMALL_ENOUGH * size <= bytes_ <= size:
            break
        seen[expected.at(share)] = bytes_
        aim = _aim(seen, AIM * size) * (CLOSER if bytes_ > size else 1.0)
    if best is None:
        raise InvalidInput(
            f"no bound was found that makes {size:.0f} bytes or less, the smallest file had {smallest:.0f}: ask for more"
        )
    return best


def _aim(seen: Mapping[float, int], size: float) -> float:
    """Return what has to be expected for a file of a size, given the bytes that became of some that were expected."""
    *before, (last, made) = seen.items()
    if made > 1.25 * last:  # what does not depend on the bound, as the steps of many columns
        guess = last + size - made
    else:
        guess = size * last / made
    if before and abs(last - before[-1][0]) > 0.02 * last:
        slope = (made - before[-1][1]) / (last - before[-1][0])
        guess = last + (size - made) / slope if slope > 0.1 else guess
    return max(guess, 0.05 * last)


def _rounded(share: float) -> float:
    """Return a bound that a person can read, four digits."""
    return float(f"{share:.4g}")


def own(given: Any, name: str) -> Any:
    """Return what is given for an array: a mapping has one for each."""
    return given.get(name) if isinstance(given, Mapping) else given
