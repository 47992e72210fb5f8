"""Which bound for which variable: what the values themselves say, and the ratio to expect at it. Never chooses for anyone.

Three measurements bear on a variable: noise at the finest scale, the information that its bits hold, and steps on which all
values lie. An error below half of a step, or below what noise or information leave undetermined, stores nothing that is known.
"""

from __future__ import annotations

import glob
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.archive.comparing import by_name
from aezip.archive.reading import thread_count
from aezip.archive.target import CONTAINER, expected_bytes
from aezip.array.admission import admit, native
from aezip.array.bounds import Absolute, Bound, Lossless, PointRelative
from aezip.array.foreign import as_numpy
from aezip.array.layout import middle
from aezip.array.statistics import Statistics, measure
from aezip.quantize.find import find_hidden
from aezip.quantize.linear import LinearLattice

from .information import FEWEST, MANTISSA, information, noise
from .words import number

MEASURED, EXPECTED = 1 << 20, 1 << 17  # values of a crop on which is measured, and of one that is compressed
DECADES = 100.0  # times the small values are the large ones where a bound relative to each value suits
HALF = 0.5  # of the noise: quantizing adds a variance of 1/12 of the square of the step, 8 % of that of the noise
FACTORS = (0.1, 1.0, 10.0)  # times the bound suggested: what else to expect


@dataclass(frozen=True)
class Expected:
    """What the preset `instant` is expected to make at a bound: bytes of the array over bytes of its file."""

    bound: Bound
    ratio: float


@dataclass(frozen=True)
class Suggestion:
    """A bound for one variable.

    Attributes
    ----------
    reason : str
        What of the values speaks for it.
    expected : list
        At a tighter bound, at this one and at a looser one; at this one only if it is lossless.
    noise, step : float or None
        Standard deviation of the noise at the finest scale, and what all values are multiples of, unit of the data.
    keepbits : int or None
        Bits of the mantissa that hold 99 % of the information.
    """

    name: str
    bound: Bound
    reason: str
    expected: list[Expected] = field(default_factory=list)
    noise: float | None = None
    step: float | None = None
    keepbits: int | None = None

    @property
    def words(self) -> str:
        """The bound as `--bound` takes it."""
        if isinstance(self.bound, Absolute):
            return f"abs={self.bound.value:g}"
        return f"point-rel={self.bound.value:g}" if isinstance(self.bound, PointRelative) else "lossless"

    def to_json(self) -> dict[str, Any]:
        """Return the suggestion as a JSON object."""
        expected = [{"bound": one.bound.to_json(), "ratio": one.ratio} for one in self.expected]
        return {**vars(self), "bound": self.bound.to_json(), "words": self.words, "expected": expected}


def suggest(data: Any, *, fill_value: Any = None, valid_range: Any = None, threads: int | None = None) -> list[Suggestion]:
    """Suggest a bound for an array, or for each of a mapping of names to arrays, by what the values themselves say.

    Parameters
    ----------
    fill_value, valid_range
        As of `compress`; a mapping tells them by name.
    threads
        None: one for each core.

    Raises
    ------
    InvalidInput
        If an array holds no numbers.
    """
    named = by_name(data)
    fills, valid = (dict(told) if isinstance(told, Mapping) else dict.fromkeys(named, told) for told in (fill_value, valid_range))
    return list(suggestions(named, fills=fills, valid=valid, threads=threads))


def suggestions(
    arrays: Mapping[str, Any],
    *,
    fills: Mapping[str, Any],
    valid: Mapping[str, Any],
    exact: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Iterator[Suggestion]:
    """Yield a suggestion for each array, in order.

    Parameters
    ----------
    arrays
        By name.
    fills, valid
        Fill values and valid ranges, by name.
    exact
        Names of arrays that are to stay lossless, and why.
    """
    count = thread_count(threads)
    for name, array in arrays.items():
        missing = fills.get(name), valid.get(name)
        plain = np.asanyarray(as_numpy(array))
        yield _with_ratios(_variable(name, plain, missing, (exact or {}).get(name, "")), plain, missing, count)


def _variable(name: str, array: npt.NDArray[Any], missing: tuple[Any, Any], exact: str) -> Suggestion:
    admitted = admit(array[middle(array.shape, MEASURED)], *missing)
    if exact or admitted.lossless_only or admitted.values.dtype.kind != "f":
        return Suggestion(name, Lossless(), exact or ("dates" if admitted.lossless_only else "whole numbers: each may count"))
    values = native(admitted.values)
    statistics = measure(values, admitted.fill, admitted.valid, trailing=admitted.trailing)
    if statistics.count < FEWEST or statistics.range == 0:
        return Suggestion(name, Lossless(), "too few values to tell" if statistics.range else "all values are equal")
    keep = statistics.specials.classify(values) == 0
    return _judged(name, values, keep, _step(values, statistics))


def _judged(name: str, values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], step: float | None) -> Suggestion:
    """Weigh what was measured: the more cautious of noise and information, but not below half of a step."""
    told, disturbed = information(values, keep), noise(values, keep)
    found = Suggestion(
        name, Lossless(), "neighbours tell nothing certain of each other: judge by what the values are used for",
        noise=None if disturbed is None else disturbed.sigma,
        step=step,
        keepbits=None if told is None else told.keepbits,
    )  # fmt: skip
    small: list[tuple[float, Bound, str]] = []  # errors that are small enough
    if disturbed is not None:
        error = HALF * disturbed.sigma
        words = f"half of the noise at the finest scale, {number(disturbed.sigma)} along axis {disturbed.axis}"
        small.append((error, Absolute(_below(error)), words))
    if told is not None:
        words = f"{told.keepbits} of {MANTISSA[values.dtype.itemsize]} bits of the mantissa hold 99 % of the information, "
        small.append((*_of_bits(told.keepbits, values[keep & (values != 0)]), f"{words}along axis {told.axis}"))
    error, bound, reason = min(small, key=lambda one: one[0], default=(0.0, found.bound, found.reason))
    if step is not None and 0.5 * step >= error:
        bound, reason = Absolute(_below(0.5 * step)), f"half of a step: all values are multiples of {number(step)}"
    return replace(found, bound=bound, reason=reason)


def _of_bits(keepbits: int, values: npt.NDArray[Any]) -> tuple[float, Bound]:
    """Return the error that rounding to so many bits makes of values of typical size, and the bound that allows it."""
    share, sizes = 2.0 ** -(keepbits + 1), np.abs(values).astype(np.float64)
    low, typical, high = np.quantile(sizes, (0.01, 0.5, 0.99))
    error = share * 2.0 ** math.floor(math.log2(typical))
    return error, PointRelative(_below(share)) if high > DECADES * low else Absolute(_below(error))


def _step(values: npt.NDArray[Any], statistics: Statistics) -> float | None:
    """Return what all values are multiples of, up to an offset; None: no single step."""
    lattice = find_hidden(values, statistics)
    if not isinstance(lattice, LinearLattice):
        return None
    steps = lattice.scale / lattice.divisor
    return float(steps[0]) if np.all(steps == steps[0]) else None


def _below(error: float) -> float:
    """Return a number of two digits that is not above `error`."""
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    return float(f"{math.floor(error / unit * (1 + 1e-12)) * unit:.2g}")


def _with_ratios(found: Suggestion, array: npt.NDArray[Any], missing: tuple[Any, Any], threads: int) -> Suggestion:
    """Return the suggestion with what is expected at it, and at other bounds; of a few bytes nothing is."""
    part = array[middle(array.shape, EXPECTED)]
    bounds = _around(found.bound) if part.nbytes > CONTAINER else []
    return replace(found, expected=[Expected(bound, _ratio(part, bound, missing, threads)) for bound in bounds])


def _around(bound: Bound) -> list[Bound]:
    if isinstance(bound, Absolute | PointRelative):
        return [type(bound)(float(f"{factor * bound.value:.4g}")) for factor in FACTORS]
    return [bound]


def _ratio(part: npt.NDArray[Any], bound: Bound, missing: tuple[Any, Any], threads: int) -> float:
    return float(part.nbytes / expected_bytes(part, bound, threads=threads, fill_value=missing[0], valid_range=missing[1]))


def to_toml(found: list[Suggestion], source: str) -> str:
    """Return a file for `--bounds`, with the reasons as comments."""
    lines = [f"# bounds suggested by the values of {source}: read the reasons, change what you know better", "[bounds]"]
    for one in found:
        ratio = next((e.ratio for e in one.expected if e.bound == one.bound), None)
        expected = "" if ratio is None else f"; ratio about {ratio:.1f}"
        lines.append(f"# {' '.join(one.reason.split())}{expected}")
        lines.append(f'{json.dumps(glob.escape(one.name))} = "{one.words}"')
    return "\n".join(lines) + "\n"
