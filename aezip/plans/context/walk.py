"""One chunk through context refinement, both ways.

    target - [mean of the autoencoder] -> pass by pass: inputs from decoded values -> integer network -> mean, level
    residual = round(target - mean) -> entropy coding by level; mean + residual -> context of later passes

Encoder and decoder share the walk over passes and tiles. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.core import native as kernels
from aezip.core.fixed import FRACTION_BITS, HALF
from aezip.core.parallel import Item, ahead, pool_of
from aezip.core.types import U8, Float64, Int64, Mask
from aezip.entropy import residual

from .bisection import TILE_VALUES, Pass, passes, tiles
from .net import ERROR_TOP, ContextNet, ContextSizes, Neighbours, Prediction, error_slots, sum_errors
from .raster import Diagonal, wave
from .signal import SignalPass

if TYPE_CHECKING:
    from .fast import Chunk

Float = npt.NDArray[Any]
NARROW = 12  # bits of inputs up to which contexts are float32


@dataclass(frozen=True)
class Base:
    """What an autoencoder says of a chunk: mean, int64 in 1/64 step, and level, uint8; of the chunk's shape."""

    mean: Int64
    level: U8


Choose = Callable[[int], Int64 | None]  # of so many values, which are looked at; None: all
Offset = Base | int  # what contexts are relative to: an autoencoder's prediction, or one number in 1/64 step


@dataclass(frozen=True)
class Tile:
    """A run of values of one pass, or some of them, and what is known of their surroundings."""

    part: Pass | SignalPass | Diagonal
    where: tuple[Any, ...]  # of the view of the pass's targets
    kind: int
    active: tuple[int, ...]
    neighbours: Neighbours
    chosen: Int64 | None = None

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the tile's values of an array of the chunk's shape."""
        if isinstance(self.part, Diagonal):
            return np.take(array.reshape(-1), self.part.index)
        view: npt.NDArray[Any] = array[self.part.targets][self.where]
        return view if self.chosen is None else view.reshape(-1)[self.chosen]

    def put(self, array: npt.NDArray[Any], values: npt.NDArray[Any]) -> None:
        """Write the tile's values, (n,), to a contiguous array of the chunk's shape."""
        if isinstance(self.part, Diagonal):
            array.reshape(-1)[self.part.index] = values
            return
        view = self.of(array)
        view[...] = values.reshape(view.shape)


def _some(choose: Choose | None, active: tuple[int, ...], count: int) -> Int64 | None:
    """Return which of a tile's values are looked at; None: all, as where nothing is known around them."""
    return choose(count) if choose is not None and active else None


def _after(make: Callable[[Any], Tile], then: Callable[[Tile], Item], where: Any) -> Item:
    return then(make(where))


class Walk:
    """The state of a chunk that is decoded pass by pass.

    Parameters
    ----------
    sizes
        Order and precision.
    shape
        Of the chunk.
    offset
        What contexts are relative to.
    finest
        Stride of the first group at which a bisection stops; 1: it goes to the end.
    """

    def __init__(self, sizes: ContextSizes, shape: tuple[int, ...], offset: Offset, finest: int = 1) -> None:
        self.sizes, self.shape, self.offset, self.finest = sizes, shape, offset, finest
        narrow = sizes.precision <= NARROW
        self.context: Float = np.zeros(shape, np.float32 if narrow else np.float64)
        self.limit = float(1 << 22) if narrow else float(1 << 50)
        self.errors = np.zeros(shape, np.float32)

    def tiles(self, pairs: Any, choose: Choose | None = None) -> Iterator[Tile]:
        """Yield tile after tile, or what is chosen of those that have neighbours.

        Whole tiles: `store` is to be called for each before the next pass begins.
        """
        if self.sizes.columns:
            yield from self._series(pairs, choose)
            return
        for make, wheres in self._passes(pairs, choose):
            yield from map(make, wheres)

    def predictions(self, net: ContextNet, workers: int) -> Iterator[tuple[Tile, Prediction]]:
        """Yield each tile with what the network says of it; tiles of a pass are predicted on several threads."""

        def predicted(tile: Tile) -> tuple[Tile, Prediction]:
            return tile, net.predict(tile.kind, tile.active, tile.neighbours)

        if workers == 1 or self.sizes.columns:
            yield from map(predicted, self.tiles(net.pair))
            return
        with pool_of(workers) as pool:
            for make, wheres in self._passes(net.pair):
                yield from ahead(partial(_after, make, predicted), wheres, pool, workers)

    def _passes(self, pairs: Any, choose: Choose | None = None) -> Iterator[tuple[Callable[[Any], Tile], list[Any]]]:
        """Yield, pass after pass, what makes a tile of an index, and the indices."""
        if self.sizes.scan:
            for runs in wave(self.sizes.scan, self.shape).diagonals():
                yield partial(self._scanned, pairs, choose), runs
            return
        every = self.sizes.slots
        inner, outer = error_slots(every, len(self.sizes.order))
        near = tuple(every[i] for i in (*inner, *outer))
        for part in passes(self.shape, self.sizes.order, self.finest):
            active = tuple(part.active(every))
            near_active = part.active(near)
            near_views = part.views(self.errors, near)
            errors = (
                sum_errors(part, near_views, near_active, list(range(len(inner)))),
                sum_errors(part, near_views, near_active, list(range(len(inner), len(near)))),
            )
            make = partial(self._tile, part, active, pairs(part.kind, active), part.views(self.context, every), errors, choose)
            yield make, list(tiles(part.target_shape, TILE_VALUES))

    def _tile(
        self,
        part: Pass,
        active: tuple[int, ...],
        pair: tuple[int, int] | None,
        views: list[Float],
        errors: tuple[Float, Float],
        choose: Choose | None,
        where: Any,
    ) -> Tile:
        shape = errors[0][where].shape
        chosen = _some(choose, active, math.prod(shape))
        some: Any = ... if chosen is None else np.unravel_index(chosen, shape)
        values = np.empty((len(active), math.prod(shape) if chosen is None else len(chosen)), self.context.dtype)
        for row, view in zip(values, views, strict=True):
            row.reshape(shape if chosen is None else -1)[...] = view[where][some]
        level = None
        if isinstance(self.offset, Base):
            level = self.offset.level[part.targets][where][some].reshape(-1).astype(np.float32)
        near = errors[0][where][some].reshape(-1), errors[1][where][some].reshape(-1)
        return Tile(part, where, part.kind, active, Neighbours(values, pair, near, level), chosen)

    def _scanned(self, pairs: Any, choose: Choose | None, part: Diagonal) -> Tile:
        active = part.active
        chosen = _some(choose, active, len(part.index))
        part = part if chosen is None else part.some(chosen)
        values = part.gather(self.context)
        level = None
        if isinstance(self.offset, Base):
            level = np.take(self.offset.level.reshape(-1), part.index).astype(np.float32)
        known = Neighbours(values, pairs(part.kind, active), part.errors(self.errors), level)
        return Tile(part, (), part.kind, active, known)

    def _series(self, pairs: Any, choose: Choose | None = None) -> Iterator[Tile]:
        columns = self.sizes.columns
        for index in range(self.shape[0]):
            for column in range(columns):
                part = SignalPass(index, column, columns)
                active = part.active
                known = Neighbours(part.gather(self.context), pairs(part.kind, active), part.errors(self.errors), None)
                chosen = _some(choose, active, known.values.shape[1])
                yield Tile(part, (), part.kind, active, known if chosen is None else known.chosen(chosen), chosen)

    def compiled(self, net: ContextNet, ignore: Mask | None, *, whole: bool) -> Chunk | None:
        """Return the chunk for compiled loops; None if it is walked over in NumPy."""
        values = math.prod(self.shape)
        if not values or not kernels.available(values):
            return None
        from .fast import Chunk
        from .fused import exact

        if not exact(net):
            return None
        mean, level = (self.offset.mean, self.offset.level) if isinstance(self.offset, Base) else (self.offset, None)
        return Chunk(self.context, self.errors, self.limit, ignore, mean, level, whole, self.finest)

    def base(self, tile: Tile) -> Any:
        """Return what contexts of a tile are relative to, int64, shape (n,), or one number."""
        return tile.of(self.offset.mean).reshape(-1) if isinstance(self.offset, Base) else self.offset

    def store(self, tile: Tile, value: Int64, q: Int64) -> None:
        """Take in decoded values, in 1/64 step relative to the base, and their residuals."""
        tile.put(self.context, np.clip(value, -self.limit, self.limit))
        tile.put(self.errors, np.minimum(np.abs(q), ERROR_TOP))


@dataclass(frozen=True)
class Walked:
    """A chunk's residual before entropy coding, and the decoded values in 1/64 step."""

    residual: list[residual.Split]
    value: Int64
    errors: Float  # magnitudes of the residual, in steps


def contexts(level: U8, mean: Int64, *, whole: bool) -> U8:
    """Return the frequency table of each value."""
    if not whole:
        return residual.contexts(level, None, 0)
    fraction = mean - (((mean + HALF) >> FRACTION_BITS) << FRACTION_BITS)
    return residual.contexts(level, fraction, FRACTION_BITS)


def code(net: ContextNet, target: Float64, whole: Int64 | None, ignore: Mask | None, offset: Offset, workers: int = 1) -> Walked:
    """Encode a chunk up to entropy coding.

    Parameters
    ----------
    target
        In steps, of the chunk's shape.
    whole
        The same as int64, if the grid is whole.
    workers
        Threads.
    """
    walk = Walk(net.sizes, target.shape, offset)
    if (chunk := walk.compiled(net, ignore, whole=whole is not None)) is not None:
        return Walked(*chunk.code(net, target, whole, workers), walk.errors)
    value = np.empty(target.shape, np.int64)
    spike = net.sizes.spike
    parts = []
    for tile, (mean, level, bins) in walk.predictions(net, 1):
        total = mean + walk.base(tile)
        kept = None if ignore is None else ~tile.of(ignore).reshape(-1)
        if whole is None:
            distance = np.rint(tile.of(target).reshape(-1) - total * 2.0**-FRACTION_BITS)
            q = distance.clip(-(2.0**52), 2.0**52).astype(np.int64)
        else:
            k = tile.of(whole).reshape(-1)
            q = k - ((total + HALF) >> FRACTION_BITS)
            if bins is not None:
                flags = k == spike
                parts.append(residual.flags(flags, bins) if kept is None else residual.flags(flags[kept], bins[kept]))
                kept = ~flags if kept is None else kept & ~flags
        table = contexts(level, total, whole=whole is not None)
        if kept is None:
            parts.append(residual.split(q, level, table))
        else:
            parts.append(residual.split(q[kept], level[kept], table[kept]))
        if ignore is not None:
            q[tile.of(ignore).reshape(-1)] = 0
        _finish(walk, tile, total, q, value, whole=whole is not None)
    return Walked(parts, value, walk.errors)


def _finish(walk: Walk, tile: Tile, total: Int64, q: Int64, value: Int64, *, whole: bool) -> None:
    """Store the decoded values of a tile."""
    if whole:
        decoded = (q + ((total + HALF) >> FRACTION_BITS)) << FRACTION_BITS
    else:
        decoded = (q << FRACTION_BITS) + total
    tile.put(value, decoded)
    walk.store(tile, decoded - walk.base(tile), q)


def decode(
    net: ContextNet,
    reader: residual.ResidualReader,
    shape: tuple[int, ...],
    ignore: Mask | None,
    offset: Offset,
    *,
    whole: bool,
    workers: int = 1,
    finest: int = 1,
) -> Int64:
    """Return the decoded values of a chunk in 1/64 step; the mirror of `code`. Those of a `Walk` that stops early: 0."""
    value, _ = walked(net, reader, shape, ignore, offset, whole=whole, workers=workers, finest=finest)
    if finest == 1:
        reader.finish()
    return value


def walked(
    net: ContextNet,
    reader: residual.ResidualReader,
    shape: tuple[int, ...],
    ignore: Mask | None,
    offset: Offset,
    *,
    whole: bool,
    workers: int = 1,
    finest: int = 1,
) -> tuple[Int64, Float]:
    """Return the decoded values in 1/64 step and the magnitudes of the residual; the stream may go on behind them."""
    walk = Walk(net.sizes, shape, offset, finest)
    if (chunk := walk.compiled(net, ignore, whole=whole)) is not None:
        return chunk.decode(net, reader, workers), walk.errors
    value = np.zeros(shape, np.int64)
    for tile, (mean, level, bins) in walk.predictions(net, workers):
        total = mean + walk.base(tile)
        table = contexts(level, total, whole=whole)
        kept = None if ignore is None else ~tile.of(ignore).reshape(-1)
        q = np.zeros(len(mean), np.int64)
        if bins is not None:
            kept = np.ones(len(mean), np.bool_) if kept is None else kept
            flags = np.zeros(len(mean), np.bool_)
            flags[kept] = reader.flags(bins[kept])
            q[flags] = net.sizes.spike - ((total[flags] + HALF) >> FRACTION_BITS)
            kept &= ~flags
        if kept is None:
            q = reader.decode(level, table)
        else:
            q[kept] = reader.decode(level[kept], table[kept])
        _finish(walk, tile, total, q, value, whole=whole)
    return value, walk.errors
