"""The plan with context refinement: order of axes, network, and the autoencoder below it if there is one.

    x -> grid coordinates -> [autoencoder: codes -> mean, level] -> refinement -> residual

Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aezip.core import memory as limits
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FLAG_BINS, FRACTION_BITS
from aezip.core.planes import Cursor
from aezip.core.types import Array, Float64, Int64, Mask
from aezip.entropy import ans, residual
from aezip.entropy.residual import CONTEXTS_WHOLE, TABLE_LEVELS, TableCounts, tables_from_bytes
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.chunk import CodedRows
from aezip.plans.autoencoder.networks import Networks, from_bytes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.base import FRAMES, MALFORMED, Plan
from aezip.plans.base import Coded as Chunk
from aezip.quantize.grid import Grid

from . import walk
from .bisection import MOST_KINDS, Order, kinds
from .net import ContextNet, ContextSizes, net_from_bytes, net_to_bytes
from .raster import MOST_AXES, Axes
from .signal import Signal
from .walk import Base, Offset

if TYPE_CHECKING:
    from aezip.plans.autoencoder.encoder import FloatEncoder

    from .channels import Channels, Companion, Mixing


@dataclass(frozen=True)
class ContextPlan(Plan):
    """Sizes of the context network, and what it refines.

    Parameters
    ----------
    sizes
        Order of the axes, hidden units.
    whole
        Values are whole numbers.
    origin
        In 1/64 step: contexts are relative to it.
    base
        The autoencoder, or None.
    series
        The signal, if axes are not refined but decoded in order; or None.
    channels
        The axis whose entries are decoded one after the other, each relative to a sum of those before; or None. The order of
        `sizes` is of the other axes.
    builtin
        Number of the built-in network that it uses, as it is or with changes; 0: the network is all its own.
    """

    sizes: ContextSizes
    whole: bool
    origin: int
    base: AutoencoderPlan | None
    series: Signal | None = None
    builtin: int = 0
    channels: Channels | None = None

    kinds: ClassVar[tuple[str, ...]] = ("context",)
    packed: ClassVar[bool] = True
    chunk: ClassVar[str] = FRAMES

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan for arrays of `shape`."""
        if grid is None:
            raise CorruptFile(MALFORMED)
        return cls.from_json(said, shape, whole=grid.whole)

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams of a chunk."""
        return ("codes", "residual")

    @property
    def trained(self) -> bool:
        """Whether there is a stream `model`."""
        return True

    @property
    def scales(self) -> bool:
        """Whether there is no autoencoder, whose codes are of one step."""
        return self.base is None

    @property
    def any_extent(self) -> bool:
        """Whether values are predicted from neighbours alone, wherever they lie."""
        return self.base is None and self.series is None and self.channels is None

    def with_codes(self) -> AutoencoderPlan | None:
        """Return the autoencoder below, if there is one."""
        return None if self.base is None else self.base.with_codes()

    def memory(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Refuse chunks, or networks, that this machine cannot hold."""
        if self.series is not None:
            length, values = self.series.length(shape), math.prod(shape)
            limits.check_series(length, values, values // max(1, shape[self.series.axis]) * length * self.series.segments)
        if self.sizes.scan:
            limits.check_scan(math.prod(shape))
        if self.base is None:
            limits.check_chunk(shape, itemsize)
        else:
            self.base.memory(shape, itemsize)

    def networks(self, model: bytes, axes: int) -> ContextNetworks:
        """Return what the stream `model` holds."""
        return model_from_bytes(model, self, axes)

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Chunk:
        """Return the streams of a chunk."""
        assert grid is not None
        model: ContextNetworks = networks
        coded = code(self, grid, model.net, model.base, encoder, x, masked, workers, model.mixing, model.beside)
        streams, ideal = network.written(model.residual_tables, model.base, coded)
        return Chunk(streams, coded.decoded, ideal)

    def decode(
        self,
        grid: Grid | None,
        networks: Any,
        streams: Mapping[str, bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        masked: Mask | None,
        workers: int = 1,
    ) -> Array:
        """Return a chunk."""
        assert grid is not None
        return decode(self, grid, networks, streams, shape, dtype, masked, workers)

    @property
    def block(self) -> int:
        """Indices of the outer axis that stay together."""
        if self.channels is not None and self.channels.axis == 0:
            return self.channels.count
        return 1 if self.base is None else self.base.layout.block[0]

    @property
    def tables(self) -> int:
        """Number of frequency tables of the residual."""
        own = CONTEXTS_WHOLE if self.whole else TABLE_LEVELS
        return own if self.sizes.spike is None else own + FLAG_BINS

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        return {
            "kind": "context",
            "order": [list(axes) for axes in self.sizes.order],
            "hidden": self.sizes.hidden,
            "precision": self.sizes.precision,
            "origin": self.origin,
            "base": None if self.base is None else self.base.to_json(),
            "spike": self.sizes.spike,
            "signal": None if self.series is None else self.series.to_json(),
            **({"raster": list(self.sizes.scan)} if self.sizes.scan else {}),
            **({} if self.channels is None else {"channels": self.channels.to_json()}),
            **_named(self.builtin),
        }

    def describe(self) -> str:
        """Return the plan in a few words."""
        if self.series is not None:
            return f"signal along {self.series.axis}, {self.sizes.columns} columns, {self.sizes.hidden} hidden"
        way = way_name(self.sizes.order, self.sizes.scan)
        name = f"context {way}, {self.sizes.hidden} hidden"
        if self.channels is not None:
            name = f"{self._channels}, {name}"
        if self.sizes.spike is not None:
            name += f", {self.sizes.spike} apart"
        return name if self.base is None else f"{self.base.describe()}; {name}"

    @property
    def _channels(self) -> str:
        assert self.channels is not None
        beside = ", ".join(c.name for c in self.channels.companions)
        own = (
            f"{self.channels.count} {'alike ' * self.channels.alike}channels along {self.channels.axis}"
            if self.channels.axis is not None
            else ""
        )
        return " ".join(part for part in (own, f"beside {beside}" if beside else "") if part)

    @property
    def companions(self) -> tuple[Companion, ...]:
        """Arrays whose values are known before."""
        return () if self.channels is None else self.channels.companions

    def coarse(self, networks: Any, axes: int, stride: int) -> tuple[Any, tuple[slice, ...]] | None:
        """Return networks that decode every `stride`-th index of the axes bisected first, and the index of those values."""
        if not self.sizes.order or self.channels is not None:
            return None
        index = tuple(slice(None, None, stride if axis in self.sizes.order[0] else 1) for axis in range(axes))
        return replace(networks, finest=stride), index

    @staticmethod
    def among(networks: Any, beside: Sequence[Float64]) -> ContextNetworks:
        """Return the networks with what companions count."""
        made: ContextNetworks = replace(networks, beside=tuple(beside))
        return made

    @classmethod
    def from_json(cls, value: Any, shape: tuple[int, ...], *, whole: bool) -> Self:
        """Read a plan for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        damaged = CorruptFile("the plan in the header is malformed: the file is damaged")
        try:
            order = tuple(tuple(axes) for axes in value["order"])
            numbers = [value[n] for n in ("hidden", "precision", "origin")]
            base, signal, spike = value["base"], value["signal"], value["spike"]
            scan = tuple(value.get("raster", ()))
        except (KeyError, TypeError) as error:
            raise damaged from error
        channels = _by_channels().Channels.from_json(value["channels"], shape) if "channels" in value else None
        axes_left = len(shape) - (channels is not None and channels.axis is not None)
        flat = [axis for axes in (*order, scan) for axis in axes]
        good = all(type(a) is int and 0 <= a < axes_left for a in flat) and len(set(flat)) == len(flat)
        series = None if signal is None else Signal.from_json(signal, shape)
        good = good and [bool(order), series is not None, bool(scan)].count(True) == 1 and not (series and base)
        good = good and (channels is None or (series is None and base is None and not numbers[2]))
        good = good and (not scan or 2 <= len(scan) <= MOST_AXES)
        good = good and all(1 <= len(axes) <= 4 for axes in order) and kinds(order) <= MOST_KINDS
        good = good and (spike is None or (whole and type(spike) is int and abs(spike) < 1 << 60))
        good = good and all(type(n) is int for n in numbers)
        if not good or not 1 <= numbers[0] <= 512 or not 10 <= numbers[1] <= 30 or abs(numbers[2]) >= 1 << 60:
            raise damaged
        plan = None
        if base is not None:
            plan = AutoencoderPlan.from_json(base, shape, whole=whole)
            if plan.difference is not None or len(plan.sizes.groups) > 1 or not plan.sizes.width or numbers[2]:
                raise damaged
        hidden, precision, origin = numbers
        columns = 0 if series is None else series.count(shape)
        sizes = ContextSizes(order, hidden, precision, columns, spike, scan)
        number = 0
        if "builtin" in value:
            from . import builtin as builtins  # where a file names none, this module is not needed

            number = builtins.from_json(value["builtin"])
            if plan is not None:
                raise damaged
        return cls(sizes, whole, origin, plan, series, number, channels)


def _by_channels() -> ModuleType:
    """Return the module that few files need."""
    from . import channels

    return channels


def _named(number: int) -> dict[str, Any]:
    """Return what a plan says of a built-in network."""
    if not number:
        return {}
    from . import builtin as builtins

    return {"builtin": builtins.to_json(number)}


def way_name(order: Order, scan: Axes) -> str:
    """Return a short name of how axes are gone over; of a signal: the empty one."""
    if scan:
        return f"scan {'>'.join(map(str, scan))}"
    return ">".join("+".join(map(str, axes)) for axes in order)


@dataclass(frozen=True)
class ContextNetworks:
    """All that decoding needs beside the chunks' streams."""

    net: ContextNet
    residual_tables: ans.Tables
    base: Networks | None
    mixing: Mixing | None = None
    beside: tuple[Float64, ...] = ()
    finest: int = 1

    @property
    def below(self) -> Networks | None:
        """Where the codes come from: the autoencoder below."""
        return self.base


def model_to_bytes(plan: ContextPlan, base: bytes, net: ContextNet, counts: TableCounts, mixing: Mixing | None = None) -> bytes:
    """Serialize: length of the autoencoder's model, uint32; that model; sums of channels; network; tables of the residual.

    In place of a network that was trained on from a built-in one: a byte, 0 as it is, 1 with the changes that follow.
    """
    sums = b"" if mixing is None else mixing.to_bytes()
    return len(base).to_bytes(4, "little") + base + sums + net_bytes(plan, net) + counts.to_bytes()


def net_bytes(plan: ContextPlan, net: ContextNet) -> bytes:
    """Return a network as the model holds it."""
    if not plan.builtin:
        return net_to_bytes(net)
    from . import builtin as builtins

    changes = builtins.changes_to_bytes(net, builtins.load(plan.builtin, plan.sizes))
    return bytes([bool(changes)]) + changes


def _net(plan: ContextPlan, cursor: Cursor) -> ContextNet:
    """Read the network of a plan."""
    if not plan.builtin:
        return net_from_bytes(cursor, plan.sizes)
    from . import builtin as builtins

    start = builtins.load(plan.builtin, plan.sizes)
    flag = cursor.take(1)[0]
    if flag > 1:
        raise CorruptFile("the model does not fit the plan: the file is damaged")
    return builtins.changed(start, cursor) if flag else start


def model_from_bytes(data: bytes, plan: ContextPlan, axes: int) -> ContextNetworks:
    """Read what `model_to_bytes` wrote.

    Raises
    ------
    CorruptFile
        If the bytes do not fit the plan.
    """
    cursor = Cursor(data)
    size = int.from_bytes(cursor.take(4), "little")
    head = cursor.take(size)
    if bool(size) != (plan.base is not None):
        raise CorruptFile("the model does not fit the plan: the file is damaged")
    base = None if plan.base is None else from_bytes(head, plan.base.sizes, axes)
    mixing = (
        None
        if plan.channels is None
        else _by_channels().Mixing.from_bytes(cursor, plan.channels, axes - (plan.channels.axis is not None))
    )
    net = _net(plan, cursor)
    tables, used = tables_from_bytes(data[cursor.at :], plan.tables)
    if cursor.at + used != len(data):
        raise CorruptFile("the model has bytes left over: the file is damaged")
    return ContextNetworks(net, tables, base, mixing)


def autoencoder_base(plan: AutoencoderPlan, model: Networks, codes: Int64, shape: tuple[int, ...]) -> Base:
    """Return what the autoencoder's decoder says of a chunk, codes (rows, width)."""
    mean, level = network.predictions(plan, model, codes, shape)
    return Base(np.ascontiguousarray(plan.layout.array(mean, shape)), np.ascontiguousarray(plan.layout.array(level, shape)))


def targets(grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> tuple[npt.NDArray[np.float64], Int64 | None]:
    """Return the values in steps, and as whole numbers if the grid is whole; masked ones are anything finite."""
    if grid.whole:
        k = grid.integers(x)
        return k.astype(np.float64), k
    target = grid.coordinates(x)
    if masked is not None:
        target[masked] = 0.0
    return target, None


def encode_codes(plan: AutoencoderPlan, grid: Grid, encoder: FloatEncoder, x: npt.NDArray[Any], masked: Mask | None) -> Int64:
    """Return the codes of a chunk, (rows, width)."""
    rows = network.prepare(plan, grid, x, masked)
    return network.encode(plan, encoder, rows, x.shape)


def code(
    plan: ContextPlan,
    grid: Grid,
    net: ContextNet,
    base: Networks | None,
    encoder: FloatEncoder | None,
    x: npt.NDArray[Any],
    masked: Mask | None,
    workers: int = 1,
    mixing: Mixing | None = None,
    beside: Sequence[Float64] = (),
) -> CodedRows:
    """Encode a chunk up to entropy coding, and decode it."""
    codes = np.zeros((0, 0), np.int64)
    offset: Offset = plan.origin
    if plan.base is not None:
        assert encoder is not None
        assert base is not None
        codes = encode_codes(plan.base, grid, encoder, x, masked)
        offset = autoencoder_base(plan.base, base, codes, x.shape)
        codes = codes.reshape(*plan.base.layout.grid(x.shape), -1)
    target, whole = targets(grid, x, masked)
    target, whole, ignore = arranged(plan.series, target, whole, masked)
    if whole is not None:  # they are coded, the shape is all that is asked of the target
        target = np.broadcast_to(np.float64(0.0), whole.shape)
    if plan.channels is not None:
        assert mixing is not None
        parts, value = _by_channels().code(net, mixing, target, whole, ignore, beside, workers)
        return CodedRows(codes, parts, _values(grid, value, x.dtype))
    refined = walk.code(net, target, whole, ignore, offset, workers)
    value = refined.value if plan.series is None else plan.series.join(refined.value, x.shape)
    return CodedRows(codes, refined.residual, _values(grid, value, x.dtype))


def arranged(
    series: Signal | None, target: npt.NDArray[np.float64], whole: Int64 | None, masked: Mask | None
) -> tuple[npt.NDArray[np.float64], Int64 | None, Mask | None]:
    """Return values, whole numbers and what is ignored as the network walks over them."""
    if series is None:
        return target, whole, masked
    return series.split(target), None if whole is None else series.split(whole), _ignored(series, target.shape, masked)


def _ignored(series: Signal, shape: tuple[int, ...], masked: Mask | None) -> Mask | None:
    padding = series.padding(shape)
    if masked is None:
        return padding
    return series.split(masked) if padding is None else series.split(masked) | padding


def _values(grid: Grid, value: Int64, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    return grid.values(value >> FRACTION_BITS if grid.whole else value, dtype)


def decode(
    plan: ContextPlan,
    grid: Grid,
    model: ContextNetworks,
    streams: Mapping[str, bytes],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    masked: Mask | None,
    workers: int = 1,
) -> npt.NDArray[Any]:
    """Decode a chunk of `shape` on `workers` threads; masked values are left to the caller.

    Raises
    ------
    CorruptFile
        If the streams do not make sense.
    """
    offset: Offset = plan.origin
    if plan.base is not None and model.base is not None:
        codes = model.base.book.decode(model.base.code_tables, streams["codes"], plan.base.layout.grid(shape))
        offset = autoencoder_base(plan.base, model.base, codes, shape)
    reader = residual.ResidualReader(model.residual_tables, streams["residual"], fast=kernels.available(math.prod(shape)))
    if plan.channels is not None:
        assert model.mixing is not None
        told = reader, shape, masked, model.beside
        value = _by_channels().decode(model.net, model.mixing, *told, whole=grid.whole, workers=workers)
    elif plan.series is None:
        about = reader, shape, masked, offset
        value = walk.decode(model.net, *about, whole=grid.whole, workers=workers, finest=model.finest)
    else:
        others = math.prod(shape) // (shape[plan.series.axis] * plan.series.count(shape))
        inner = plan.series.length(shape), plan.series.segments * others, plan.series.count(shape)
        left_out = _ignored(plan.series, shape, masked)
        value = walk.decode(model.net, reader, inner, left_out, offset, whole=grid.whole)
        value = plan.series.join(value, shape)
    return _values(grid, value, dtype)
