"""Channels: the entries of an axis, and arrays beside, decoded one after the other, each predicted from those before.

A channel's values are contexts relative to a weighted sum of channels known at the same place and next to it (linear prediction
across bands, as in lossless coding of hyperspectral images: Mielikainen & Toivanen, "Clustered DPCM for the lossless compression
of hyperspectral images", IEEE Trans. Geoscience and Remote Sensing 41, 2003); what is left, one context network refines in each.
Sums are of float64 in a fixed order. Knows nothing of files.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FRACTION_BITS
from aezip.core.planes import Cursor, split_bytes
from aezip.core.types import U8, Float64, Int64, Mask
from aezip.entropy import residual
from aezip.plans.base import MALFORMED

from . import walk
from .net import ERROR_TOP, ContextNet
from .walk import Base

if TYPE_CHECKING:
    from .fast import Chunk

MOST_CHANNELS = 1024
MOST_COMPANIONS = 64
MOST_TAPS = 255  # of a channel
UNIT = float(1 << FRACTION_BITS)
TOP = 2.0**52  # of a prediction, in 1/64 step
SQUARE = 2.0**-12  # unit of products: a standard deviation of a companion counts 2**12
TOGETHER = 1 << 13  # values of a channel from which several threads pay
LOUD = 16  # level of errors of one step
_RISES = np.array(sorted({round(2 ** (i / 4)) for i in range(56)}), np.int64)  # sums of errors from which levels rise
_LEVELS = (LOUD - 4 + np.searchsorted(_RISES, np.arange(2 * ERROR_TOP + 1), side="right")).astype(np.uint8)  # of sums of errors


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

    def join(self, channels: Sequence[npt.NDArray[Any]] | npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return channels as the array."""
        if self.axis is None:
            first: npt.NDArray[Any] = channels[0]
            return first
        return np.ascontiguousarray(np.moveaxis(np.asarray(channels), 0, self.axis))


class Terms(NamedTuple):
    """The taps of all channels, channel after channel.

    Attributes
    ----------
    starts
        Where those of each channel begin, and the end.
    source
        The number of the channel of each.
    place
        As in `Tap`.
    other
        Of a product's second factor, or -1.
    weight
        What each counts.
    """

    starts: Int64
    source: Int64
    place: Int64
    other: Int64
    weight: Float64

    def of(self, channel: int) -> Iterator[tuple[int, int, int, float]]:
        """Yield source, place, other and weight of each term of a channel."""
        part = slice(int(self.starts[channel]), int(self.starts[channel + 1]))
        return zip(*(column[part].tolist() for column in self[1:]), strict=True)


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

    @cached_property
    def terms(self) -> Terms:
        """What channels are predicted from; where too few are before one, the first one of the same array."""
        if self.channels.alike:
            channel = np.repeat(np.arange(self.count), len(self.taps[0]))
            flat = np.tile(np.array(self.taps[0], np.int64).reshape(-1, 3), (self.count, 1))
        else:
            channel = np.repeat(np.arange(self.count), [len(taps) for taps in self.taps])
            flat = np.array([tap for taps in self.taps for tap in taps], np.int64).reshape(-1, 3)
        units = np.ldexp(1.0, -self.exponents.astype(np.int32))
        weight = np.concatenate([w * unit for w, unit in zip(self.weights, units, strict=True)] or [np.zeros(0)])
        weight = np.tile(weight, self.count) if self.channels.alike else weight
        source, other = self._sources(channel, flat[:, 0]), self._sources(channel, flat[:, 2])
        other[flat[:, 2] == 0] = -1
        known = source < self.before + channel
        counts = np.bincount(channel[known], minlength=self.count)
        return Terms(np.concatenate([[0], np.cumsum(counts)]), source[known], flat[known, 1], other[known], weight[known])

    def _sources(self, channel: Int64, back: Int64) -> Int64:
        """Return the numbers of the channels that lie so many before some."""
        if not self.channels.alike:
            return self.before + channel - back
        arrays, steps = np.divmod(back, self.channels.count)
        return self.before - arrays * self.count + np.maximum(0, channel - steps)

    @cached_property
    def heard(self) -> Int64:
        """Two channels of the array for each of its channels, at the same place, whose errors tell its level; -1: none."""
        out = np.full((self.count, 2), -1, np.int64)
        for channel, row in enumerate(out):
            sources = [s - self.before for s, place, *_ in self.terms.of(channel) if not place and s >= self.before][:2]
            row[:] = (sources[0], sources[-1]) if sources else -1
        return out

    def mean(self, channel: int, known: Sequence[Float64], shape: tuple[int, ...]) -> Int64:
        """Return the prediction of a channel of `shape`, in 1/64 step, given the channels before it."""
        total = np.full(shape, float(self.constants[0 if self.channels.alike else channel]))
        for source, place, other, weight in self.terms.of(channel):
            values = moved(known[source], place)
            total += weight * (values if other < 0 else values * known[other] * SQUARE)
        out: Int64 = np.rint(np.clip(total, -TOP, TOP)).astype(np.int64)
        return out

    def means(self, known: Float64) -> Callable[[int], Int64]:
        """Return what gives the mean of a channel where all are known: shape (before + count, *slab)."""
        if native.available(known[0].size):
            from .fast import Mixed

            return Mixed(self, np.ascontiguousarray(known), _LEVELS).mean
        return lambda channel: self.mean(channel, list(known), known.shape[1:])

    def level(self, channel: int, errors: Sequence[npt.NDArray[np.float32]], shape: tuple[int, ...]) -> U8:
        """Return the level of the errors that the first two channels of the array had of which this one is predicted there."""
        first, second = self.heard[channel]
        if first < 0:
            return np.full(shape, LOUD, np.uint8)
        found: U8 = _LEVELS[(errors[first] + errors[second]).astype(np.int64)]
        return found

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
    channels = mixing.channels
    chunk = _compiled(net, mixing, target.shape, ignore, beside, whole=whole is not None)
    if chunk is not None:
        given = channels.split(target) if whole is None else target, None if whole is None else channels.split(whole)
        parts, value = chunk.code(net, *given, workers)
        return parts, channels.join(value)
    known, parts, values = _Known(mixing, target.shape, beside), list[residual.Split](), list[Int64]()
    workers = workers if math.prod(known.slab) >= TOGETHER else 1
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
    channels = mixing.channels
    chunk = _compiled(net, mixing, shape, ignore, beside, whole=whole)
    if chunk is not None:
        value = chunk.decode(net, reader, workers)
        reader.finish()
        return channels.join(value)
    known, values = _Known(mixing, shape, beside), list[Int64]()
    workers = workers if math.prod(known.slab) >= TOGETHER else 1
    ignored = None if ignore is None else channels.split(ignore)
    for at in range(known.mixing.count):
        left_out = None if ignored is None else ignored[at]
        walked = walk.walked(net, reader, known.slab, left_out, known.base(), whole=whole, workers=workers)
        known.add(*walked)
        values.append(walked[0])
    reader.finish()
    return channels.join(values)


def _compiled(
    net: ContextNet, mixing: Mixing, shape: tuple[int, ...], ignore: Mask | None, beside: Sequence[Float64], *, whole: bool
) -> Chunk | None:
    """Return a chunk for compiled loops; None if channels are walked over one by one."""
    channels = mixing.channels
    slab = channels.slab(shape)
    chunk = walk.Walk(net.sizes, slab, Base(np.zeros(slab, np.int64), np.zeros(slab, np.uint8))).compiled(net, None, whole=whole)
    if chunk is None:
        return None
    from .fast import Mixed

    sums = mixing.among(1 if channels.axis is None else shape[channels.axis])
    known = np.zeros((sums.before + sums.count, *slab))
    for at, other in enumerate(beside):
        known[at * sums.count : (at + 1) * sums.count] = channels.split(other)
    errors, left_out = np.zeros((sums.count, *slab), np.float32), None if ignore is None else channels.split(ignore)
    return replace(chunk, errors=errors, ignore=left_out, mixed=Mixed(sums, known, _LEVELS))
