"""Channels of section 6 of the page: each has its mean from sums over the channels before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from independent.networks import Reading

STEPS = np.unique([round(2 ** (i / 4)) for i in range(56)])


@dataclass(frozen=True)
class Tap:
    """A term of a sum."""

    back: int
    place: int
    other: int
    weight: float


@dataclass(frozen=True)
class Sum:
    """The sum of a channel."""

    taps: list[Tap]
    constant: float


def read_sums(reading: Reading, count: int) -> list[Sum]:
    counts = reading.numbers("u1", count)
    total = int(counts.sum())
    back, place, other, w = (reading.numbers(dtype, total) for dtype in ("u2", "u1", "u2", "i4"))
    e, k = reading.numbers("i1", count), reading.numbers("i8", count)
    weights = w * np.exp2(-np.repeat(e, counts).astype("f8"))
    taps = [Tap(*parts) for parts in zip(back.tolist(), place.tolist(), other.tolist(), weights.tolist(), strict=True)]
    ends = counts.cumsum().tolist()
    return [Sum(taps[end - n : end], float(c)) for end, n, c in zip(ends, counts.tolist(), k.tolist(), strict=True)]


class Channels:
    """The channels of a chunk: those of companions, then the array's own as they become known."""

    def __init__(self, plan: dict[str, Any], sums: list[Sum], shape: tuple[int, ...]) -> None:
        self.axis, self.n, self.levels, self.alike = plan["axis"], plan["count"], plan["levels"], plan["alike"]
        self.sums, self.shape = sums, shape
        self.known: list[np.ndarray] = []
        self.errors: list[np.ndarray] = []
        self.own = 0  # number of the first channel of the array's own
        self.entries = 1 if self.axis is None else shape[self.axis]
        self.channel_shape = tuple(n for a, n in enumerate(shape) if a != self.axis)

    def split(self, values: np.ndarray) -> list[np.ndarray]:
        """Return the channels of something that has the shape of the chunk."""
        return [values] if self.axis is None else list(np.moveaxis(values, self.axis, 0))

    def join(self, channels: list[np.ndarray]) -> np.ndarray:
        return channels[0] if self.axis is None else np.stack(channels, axis=self.axis)

    def companion(self, counts: np.ndarray) -> None:
        """Take the channels of a companion."""
        self.known += self.split(counts)
        self.errors += [np.zeros(0, "i8")] * self.entries
        self.own += self.entries

    def _source(self, c: int, back: int) -> int | None:
        """Return the number of a tap's source, None where it is left out."""
        if not self.alike:
            return self.own + c - back
        a, b = divmod(back, self.n)
        number = self.own - a * self.entries + max(0, c - b)
        return number if number < self.own + c else None

    def _placed(self, number: int, place: int) -> np.ndarray:
        values = self.known[number]
        if not place:
            return values
        axis, on = divmod(place - 1, 2)
        n = values.shape[axis]
        return values.take((np.arange(n) + (1 if on else -1)).clip(0, n - 1), axis=axis)

    def expected(self, c: int) -> tuple[np.ndarray, np.ndarray]:
        """Return M and level of a channel."""
        said = self.sums[0 if self.alike else c]
        total = np.full(self.channel_shape, said.constant)
        errors: list[np.ndarray] = []
        for tap in said.taps:
            number = self._source(c, tap.back)
            other = self._source(c, tap.other) if tap.other else number
            if number is None or other is None:
                continue
            values = self._placed(number, tap.place).astype("f8")
            if tap.other:
                values = values * self._placed(other, tap.place) * 2.0**-12
            total = total + tap.weight * values
            if not tap.place and number >= self.own:
                errors.append(self.errors[number])
        m = np.rint(total).clip(-(2.0**52), 2.0**52).astype("i8")
        return m, self._levels(errors)

    def _levels(self, errors: list[np.ndarray]) -> np.ndarray:
        if not self.levels:
            return np.full(self.channel_shape, 32)
        if not errors:
            return np.full(self.channel_shape, 16)
        both = errors[0] + errors[min(1, len(errors) - 1)]
        return 12 + np.searchsorted(STEPS, both, side="right")

    def decode(
        self, ignored: np.ndarray, decode: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """Return Y of the chunk; `decode` returns Y and errors of a channel by M, levels, and what is ignored."""
        for c, skipped in enumerate(self.split(ignored)):
            m, levels = self.expected(c)
            y, errors = decode(m.reshape(-1), levels.reshape(-1), skipped.reshape(-1))
            self.known.append(y.reshape(self.channel_shape))
            self.errors.append(errors.reshape(self.channel_shape))
        return self.join(self.known[self.own :])


def counts(values: np.ndarray, origin: float, scale: float, fills: list[Any]) -> np.ndarray:
    """Return what a companion counts, in 1/64 step."""
    with np.errstate(invalid="ignore", over="ignore"):
        found = (values.astype("f8") - origin) * (64 / scale)
        bad = ~(np.abs(found) <= 2.0**52)
    for fill in fills:
        bad |= values == fill
    return np.where(bad, 0, found)
