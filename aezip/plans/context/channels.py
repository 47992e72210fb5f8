"""Channels: the entries of an axis, and arrays beside, decoded one after the other, each predicted from those before.

A channel's values are contexts relative to a weighted sum of channels known at the same place and next to it (linear prediction
across bands, as in lossless coding of hyperspectral images: Mielikainen & Toivanen, "Clustered DPCM for the lossless compression
of hyperspectral images", IEEE Trans. Geoscience and Remote Sensing 41, 2003); what is left, one context network refines in each.
Sums are of float64 in a fixed order. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import FRACTION_BITS
from aezip.core.planes import Cursor, split_bytes
from aezip.core.types import U8, Float64, Int64, Mask
from aezip.entropy import residual
from aezip.plans.base import MALFORMED

from . import walk
from .net import ContextNet
from .walk import Base

MOST_CHANNELS = 1024
MOST_COMPANIONS = 64
MOST_TAPS = 255  # of a channel
UNIT = float(1 << FRACTION_BITS)
TOP = 2.0**52  # of a prediction, in 1/64 step
SQUARE = 2.0**-12  # unit of products: a standard deviation of a companion counts 2**12
TOGETHER = 1 << 13  # values of a channel from which several threads pay
LOUD = 16  # level of errors of one step
_LEVELS = np.array(sorted({round(2 ** (i / 4)) for i in range(56)}), np.int64)  # sums of errors from which levels rise


class Tap(NamedTuple):
    """What a channel is predicted from.

    Attributes
    ----------
    back
        How many channels before it, companions' and the array's own counted as one list.
    place
        0 at the same place, then a step back or on along each axis.
    other
        0, or how many channels before it the second factor is: then products count, in units of a companion's `SQUARE`.
    """

    back: int
    place: int
    other: int = 0


@dataclass(frozen=True)
class Companion:
    """An array of the same file and shape whose values are known: they count less the origin, in units of 1/64 scale."""

    name: str
    origin: float
    scale: float

    def numbers(self, values: npt.NDArray[Any], fills: npt.NDArray[Any] | None) -> Float64:
        """Return what its values, as a reader gets them, count; 0 where they are not finite or one of the fill values."""
        with np.errstate(invalid="ignore", over="ignore"):
            out = (values.astype(np.float64) - self.origin) * (UNIT / self.scale)
            missing = ~(np.abs(out) <= TOP)
        if fills is not None:
            missing |= np.isin(values, fills)
        out[missing] = 0.0
        return out


@dataclass(frozen=True)
class Channels:
    """How an array is made of channels.

    Parameters
    ----------
    axis, count
        Whose entries are the channels, and how many there are, at most, in a chunk; None and 1: the array is one.
    levels
        Whether the network sees how wrong earlier channels were at the same place.
    alike
        Whether one sum serves all channels: as of times, where those of wavelengths have each its own.
    companions
        Arrays whose channels are known before.
    """

    axis: int | None
    count: int
    levels: bool
    alike: bool
    companions: tuple[Companion, ...] = ()

    @property
    def before(self) -> int:
        """Number of channels known before the array's own."""
        return self.count * len(self.companions)

    def to_json(self) -> dict[str, Any]:
        """Return the channels."""
        listed = [[c.name, c.origin, c.scale] for c in self.companions]
        said = {"axis": self.axis, "count": self.count, "levels": self.levels, "alike": self.alike}
        return {**said, "companions": listed} if listed else said

    @staticmethod
    def from_json(value: Any, shape: tuple[int, ...]) -> Channels:
        """Read channels of arrays of `shape`.

        Raises
        ------
        CorruptFile
            If they are malformed.
        """
        try:
            axis, count, levels, alike = (value[key] for key in ("axis", "count", "levels", "alike"))
            companions = tuple(Companion(*one) for one in value.get("companions", ()))
            named = all(isinstance(c.name, str) and type(c.origin) is type(c.scale) is float for c in companions)
            good = named and all(math.isfinite(c.origin) and 0.0 < c.scale < math.inf for c in companions)
        except (KeyError, TypeError, AttributeError) as error:
            raise CorruptFile(MALFORMED) from error
        good = good and type(levels) is type(alike) is bool and type(count) is int and len(companions) <= MOST_COMPANIONS
        if axis is None:
            good = good and bool(companions) and count == 1
        else:
            good = good and type(axis) is int and 0 <= axis < len(shape) and len(shape) >= 2
            good = good and 1 <= count <= min(shape[axis], MOST_CHANNELS)
            good = good and (count == shape[axis] or (axis == 0 and alike))  # a sum for each: of all channels there are
        if not good:
            raise CorruptFile(MALFORMED)
        return Channels(axis, count, levels, alike, companions)

    def slab(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a channel."""
        return shape if self.axis is None else (*shape[: self.axis], *shape[self.axis + 1 :])

    def split(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return an array as its channels, (channels, *slab), contiguous."""
        return array[None] if self.axis is None else np.ascontiguousarray(np.moveaxis(array, self.axis, 0))

    def join(self, channels: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """Return channels as the array."""
        if self.axis is None:
            return channels[0]
        return np.ascontiguousarray(np.moveaxis(np.stack(channels), 0, self.axis))


class Term(NamedTuple):
    """A tap of one channel: the number of its source, the place, of a product's second factor (or None), and its weight."""

    source: int
    place: int
    other: int | None
    weight: float


@dataclass(frozen=True)
class Mixing:
    """The weighted sums.

    Parameters
    ----------
    channels
        Whose they are.
    taps
        Of each sum: one for each channel, or one for all.
    weights
        int32 of each tap, in 2**-exponent of its sum.
    exponents, constants
        int8 and int64 (in 1/64 step), of each sum.
    fewer
        Number of channels of a last chunk that has less of them.
    """

    channels: Channels
    taps: tuple[tuple[Tap, ...], ...]
    weights: tuple[npt.NDArray[np.int32], ...]
    exponents: npt.NDArray[np.int8]
    constants: Int64
    fewer: int | None = None

    def among(self, count: int) -> Mixing:
        """Return the sums for a chunk of so many channels.

        Raises
        ------
        CorruptFile
            If there can be no such chunk.
        """
        whole = self.channels.count
        if count == whole:
            return self
        if not (self.channels.axis == 0 and self.channels.alike and 1 <= count < whole):
            raise CorruptFile("the channels do not fit the chunk: the file is damaged")
        return replace(self, fewer=count)

    @property
    def count(self) -> int:
        """Number of channels of the chunk."""
        return self.channels.count if self.fewer is None else self.fewer

    @property
    def before(self) -> int:
        """Number of channels known before the array's own."""
        return self.count * len(self.channels.companions)

    def terms(self, channel: int) -> list[Term]:
        """Return what a channel is predicted from; where too few are before it, the first one of the same array."""
        if channel not in self._made:
            at = 0 if self.channels.alike else channel
            unit, out = math.ldexp(1.0, -int(self.exponents[at])), []
            for tap, weight in zip(self.taps[at], self.weights[at].tolist(), strict=True):
                source = self._source(channel, tap.back)
                other = self._source(channel, tap.other) if tap.other else None
                if source < self.before + channel:
                    out.append(Term(source, tap.place, other, weight * unit))
            self._made[channel] = out
        return self._made[channel]

    @cached_property
    def _made(self) -> dict[int, list[Term]]:
        """The terms of channels that were asked for."""
        return {}

    def _source(self, channel: int, back: int) -> int:
        """Return the number of the channel that lies so many before one."""
        if not self.channels.alike:
            return self.before + channel - back
        arrays, steps = divmod(back, self.channels.count)
        return self.before - arrays * self.count + max(0, channel - steps)

    def mean(self, channel: int, known: Sequence[Float64], shape: tuple[int, ...]) -> Int64:
        """Return the prediction of a channel of `shape`, in 1/64 step, given the channels before it."""
        total = np.full(shape, float(self.constants[0 if self.channels.alike else channel]))
        for source, place, other, weight in self.terms(channel):
            values = moved(known[source], place)
            total += weight * (values if other is None else values * known[other] * SQUARE)
        out: Int64 = np.rint(np.clip(total, -TOP, TOP)).astype(np.int64)
        return out

    def level(self, channel: int, errors: Sequence[npt.NDArray[np.float32]], shape: tuple[int, ...]) -> U8:
        """Return the level of the errors that the first two channels of the array had of which this one is predicted there."""
        before = self.before
        sources = [term.source - before for term in self.terms(channel) if not term.place and term.source >= before][:2]
        if not sources:
            return np.full(shape, LOUD, np.uint8)
        total = errors[sources[0]] + errors[sources[-1]]
        return (LOUD - 4 + np.searchsorted(_LEVELS, total.astype(np.int64), side="right")).astype(np.uint8)

    def to_bytes(self) -> bytes:
        """Serialize."""
        flat = np.array([tap for taps in self.taps for tap in taps], np.int64).reshape(-1, 3)
        parts = [
            bytes(len(taps) for taps in self.taps),
            split_bytes(flat[:, 0].astype(np.uint16)),
            flat[:, 1].astype(np.uint8).tobytes(),
            split_bytes(flat[:, 2].astype(np.uint16)),
            split_bytes(np.concatenate(self.weights).astype(np.int32)),
            self.exponents.tobytes(),
            split_bytes(self.constants),
        ]
        return b"".join(parts)

    @staticmethod
    def from_bytes(cursor: Cursor, channels: Channels, axes: int) -> Mixing:
        """Read the sums of channels of so many axes each.

        Raises
        ------
        CorruptFile
            If the bytes do not fit.
        """
        sums = 1 if channels.alike else channels.count
        counts = list(cursor.take(sums))
        total = sum(counts)
        back, place = cursor.wide(total, "<u2").astype(np.int64), np.frombuffer(cursor.take(total), np.uint8)
        other = cursor.wide(total, "<u2").astype(np.int64)
        weights, exponents = cursor.wide(total, "<i4").astype(np.int32), cursor.int8(sums)
        constants = cursor.wide(sums, "<i8").astype(np.int64)
        of = np.repeat(np.arange(sums), counts)
        most = np.full(total, channels.before + channels.count - 1) if channels.alike else channels.before + of
        least = 1 if channels.alike else of + 1  # a product is of companions
        products = (other == 0) | ((other >= least) & (other <= most) & (back >= least) & (place == 0))
        good = (back >= 1).all() and (back <= most).all() and (place <= 2 * axes).all() and products.all()
        if not good or (np.abs(constants) > int(TOP)).any() or (exponents < 0).any() or (exponents > 30).any():
            raise CorruptFile("the model does not fit the plan: the file is damaged")
        taps = [Tap(int(b), int(p), int(o)) for b, p, o in zip(back, place, other, strict=True)]
        ends = np.cumsum([0, *counts])
        parts = [slice(a, b) for a, b in itertools.pairwise(ends)]
        return Mixing(channels, tuple(tuple(taps[p]) for p in parts), tuple(weights[p] for p in parts), exponents, constants)


def moved(values: Float64, place: int) -> Float64:
    """Return the values at a place (see `Tap`) relative to each; what lies beyond an edge is the value at the edge."""
    if not place:
        return values
    axis, on = divmod(place - 1, 2)
    head = (slice(None),) * axis
    parts = [(*head, slice(1, None)), (*head, slice(-1, None))] if on else [(*head, slice(0, 1)), (*head, slice(0, -1))]
    return np.concatenate([values[part] for part in parts], axis=axis)


class _Known:
    """The channels decoded so far."""

    def __init__(self, mixing: Mixing, shape: tuple[int, ...], beside: Sequence[Float64]) -> None:
        axis = mixing.channels.axis
        self.mixing, self.slab = mixing.among(1 if axis is None else shape[axis]), mixing.channels.slab(shape)
        self.values: list[Float64] = [slab for other in beside for slab in mixing.channels.split(other)]
        self.errors: list[npt.NDArray[np.float32]] = []

    def base(self) -> Base:
        """Return what is said of the next channel."""
        at, shape = len(self.errors), self.slab
        quiet = not self.mixing.channels.levels
        level = np.full(shape, 2 * LOUD, np.uint8) if quiet else self.mixing.level(at, self.errors, shape)
        return Base(self.mixing.mean(at, self.values, shape), level)

    def add(self, value: Int64, errors: npt.NDArray[np.float32]) -> None:
        """Take in a channel."""
        self.values.append(value.astype(np.float64))
        self.errors.append(errors)


def code(
    net: ContextNet,
    mixing: Mixing,
    target: Float64,
    whole: Int64 | None,
    ignore: Mask | None,
    beside: Sequence[Float64],
    workers: int,
) -> tuple[list[residual.Split], Int64]:
    """Return the residual of a chunk, channel after channel, and its decoded values in 1/64 step; see `walk.code`.

    `beside`: what companions count, of the chunk's shape.
    """
    known, parts, values = _Known(mixing, target.shape, beside), list[residual.Split](), list[Int64]()
    workers = workers if math.prod(known.slab) >= TOGETHER else 1
    channels = mixing.channels
    targets, wholes = channels.split(target), None if whole is None else channels.split(whole)
    ignored = None if ignore is None else channels.split(ignore)
    for at, slab in enumerate(targets):
        numbers, left_out = None if wholes is None else wholes[at], None if ignored is None else ignored[at]
        refined = walk.code(net, slab, numbers, left_out, known.base(), workers)
        known.add(refined.value, refined.errors)
        parts += refined.residual
        values.append(refined.value)
    return parts, channels.join(values)


def decode(
    net: ContextNet,
    mixing: Mixing,
    reader: residual.ResidualReader,
    shape: tuple[int, ...],
    ignore: Mask | None,
    beside: Sequence[Float64],
    *,
    whole: bool,
    workers: int,
) -> Int64:
    """Return the decoded values of a chunk in 1/64 step; the mirror of `code`."""
    known, values, channels = _Known(mixing, shape, beside), list[Int64](), mixing.channels
    workers = workers if math.prod(known.slab) >= TOGETHER else 1
    ignored = None if ignore is None else channels.split(ignore)
    for at in range(known.mixing.count):
        left_out = None if ignored is None else ignored[at]
        walked = walk.walked(net, reader, known.slab, left_out, known.base(), whole=whole, workers=workers)
        known.add(*walked)
        values.append(walked[0])
    reader.finish()
    return channels.join(values)
