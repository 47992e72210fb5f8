"""A chunk through compiled loops, all its passes and channels at once; see `native/context.h`, `native/channels.h`, `bisected`.

The bits are those of `walk`, which walks over the same chunk in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FLAG_BINS
from aezip.core.native import Struct, address, bits
from aezip.core.types import U8, Int64, Mask
from aezip.entropy import residual

from . import bisected
from . import raster as scan
from .bisected import Run, run_struct
from .fused import flat, ready, signal_classes
from .net import ContextNet

if TYPE_CHECKING:
    from .channels import Mixing

Float = npt.NDArray[Any]


class Mixed:
    """Channels as compiled loops take them: what is known of them, the sums, the prediction of the one under way.

    Parameters
    ----------
    mixing
        The sums.
    known
        Channels, those of companions first: shape (before + count, *slab); loops fill in what they decode.
    levels
        Of sums of errors, where they tell the level.
    """

    def __init__(self, mixing: Mixing, known: npt.NDArray[np.float64], levels: U8) -> None:
        terms, self.count, size = mixing.terms, mixing.count, known[0].size
        self._mean = np.zeros(known.shape[1:], np.int64)
        constants = np.full(mixing.count, mixing.constants[0]) if mixing.channels.alike else mixing.constants
        lengths = np.array(known.shape[1:] or (1,), np.int64)
        self.struct = Struct(
            (known, "f8"), (self._mean, "i8"), (np.zeros(size, np.uint8), "u1"),
            *zip(terms, ("i8", "i8", "i8", "i8", "f8"), strict=True), (constants, "i8"), (mixing.heard, "i8"), (levels, "u1"),
            (lengths, "i8"), len(lengths), mixing.before, mixing.count, size, int(mixing.channels.levels),
        )  # fmt: skip

    def mean(self, channel: int) -> Int64:
        """Return the prediction of a channel; see `channels.Mixing.mean`."""
        native.call("mixed", self.struct.address, channel)
        return self._mean.copy()


@dataclass
class Chunk:
    """A chunk under way in compiled loops.

    Parameters
    ----------
    context, errors
        As in `walk.Walk`; of channels the errors of all, (channels, *slab), and a buffer for the contexts of one.
    limit
        Of contexts.
    ignore
        Which values are not coded, or None.
    mean, level
        What contexts are relative to, of the chunk's shape or one number; the autoencoder's level or None.
    whole
        Whether the grid is.
    finest
        As in `walk.Walk`.
    mixed
        Channels, if the chunk is made of them.
    """

    context: Float
    errors: Float
    limit: float
    ignore: Mask | None
    mean: Int64 | int
    level: U8 | None
    whole: bool
    finest: int = 1
    mixed: Mixed | None = None

    def decode(self, net: ContextNet, reader: residual.ResidualReader, workers: int) -> Int64:
        """Return the decoded values in 1/64 step.

        Raises
        ------
        CorruptFile
            If the stream does not make sense.
        """
        count = residual.TABLE_LEVELS if not self.whole else residual.CONTEXTS_WHOLE
        if net.sizes.spike is not None:
            count = residual.CONTEXTS_WHOLE + FLAG_BINS
        coder = reader.compiled(count)
        value = np.zeros(self.errors.size, np.int64)
        given = np.zeros(1), np.zeros(1, np.int64)
        if not self._walk(net, coder, True, value, given, _buffers(self._longest(net)), workers):
            raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
        reader.resume(coder)
        return self._back(net, value)

    def code(
        self, net: ContextNet, target: npt.NDArray[np.float64], whole: Int64 | None, workers: int
    ) -> tuple[list[residual.Split], Int64]:
        """Return the residual of each pass and the decoded values in 1/64 step; see `walk.code`."""
        value = np.empty(self.errors.size, np.int64)
        given = (
            flat(target, signal=bool(net.sizes.columns)) if whole is None else np.zeros(1),
            np.zeros(1, np.int64) if whole is None else flat(whole, signal=bool(net.sizes.columns)),
        )
        buffers = _buffers(self.errors.size)
        self._walk(net, _NOTHING, False, value, given, buffers, workers)
        parts: list[residual.Split] = []
        _, level, flag, keep, table, _, q = buffers
        if net.sizes.spike is None:
            ends = np.array([stop for _, stop in self._runs(net)], np.int64)
            if self.ignore is None:
                return [residual.split(q, level, table, ends)], self._back(net, value)
            kept = keep == 1
            ends = np.concatenate([[0], np.cumsum(kept)])[ends]
            return [residual.split(q[kept], level[kept], table[kept], ends)], self._back(net, value)
        for start, stop in self._runs(net):
            run = slice(start, stop)
            coded = keep[run] > 0
            parts.append(residual.flags((keep[run] == 2)[coded], flag[run][coded]))
            kept = keep[run] == 1
            parts.append(residual.split(q[run][kept], level[run][kept], table[run][kept]))
        return parts, self._back(net, value)

    def _runs(self, net: ContextNet) -> list[tuple[int, int]]:
        """Return where runs begin and end, in the order of decoding."""
        once, size = self._runs_of_one(net), self.context.size
        count = 1 if self.mixed is None else self.mixed.count
        return once if count == 1 else [(at * size + a, at * size + b) for at in range(count) for a, b in once]

    def _runs_of_one(self, net: ContextNet) -> list[tuple[int, int]]:
        """Return the runs of a chunk or, if it is made of channels, of one of them."""
        if net.sizes.columns:
            return [(a, a + self.context.shape[1]) for a in range(0, self.context.size, self.context.shape[1])]
        if net.sizes.order:
            return bisected.all_runs(net.sizes.order, self.context.shape)
        return scan.wave(net.sizes.scan, self.context.shape).runs()

    def _longest(self, net: ContextNet) -> int:
        """Return the values of the longest run."""
        if net.sizes.columns:
            return int(self.context.shape[1])
        if net.sizes.order:
            return int(bisected.prepared(net.sizes.order, self.context.shape)[2])
        return min(scan.RUN, self.context.size)

    def _back(self, net: ContextNet, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not net.sizes.columns:
            return value.reshape(self.errors.shape)
        length, segments, columns = self.context.shape
        return np.ascontiguousarray(value.reshape(length, columns, segments).transpose(0, 2, 1))

    def _arranged(self, net: ContextNet, value: Int64, given: tuple[Any, Int64]) -> Struct:
        """Return the chunk as compiled loops take it."""
        kept = (
            np.ones(value.size, np.uint8)
            if self.ignore is None
            else flat(~self.ignore, signal=bool(net.sizes.columns)).view(np.uint8)
        )
        mean = np.array([self.mean], np.int64) if isinstance(self.mean, int) else self.mean.reshape(-1)
        spike = net.sizes.spike
        return Struct(
            (self.context, self.context.dtype.str), (self.errors, "f4"), (value, "i8"), (kept, "u1"), (mean, "i8"), len(mean),
            (given[0], "f8"), (given[1], "i8"), bits(self.limit), int(self.whole), spike or 0, int(spike is not None),
        )  # fmt: skip

    @property
    def _levels(self) -> U8:
        return np.zeros(1, np.uint8) if self.level is None else self.level.reshape(-1)

    def _walk(
        self,
        net: ContextNet,
        coder: tuple[Any, ...],
        decoding: bool,
        value: Int64,
        given: tuple[Any, Int64],
        buffers: Run,
        workers: int,
    ) -> bool:
        """Walk over the chunk; tell whether the stream held it."""
        chunk, reading, run = self._arranged(net, value, given), residual.coder(coder), run_struct(buffers)
        shape, dtype, level, levels = self.context.shape, self.context.dtype, self.level is not None, self._levels
        about = reading.address, int(decoding), chunk.address
        if net.sizes.columns:
            length, segments, columns = shape
            types, frozen = ready(net, signal_classes(columns), dtype, level=False)
            index = np.arange(segments, dtype=np.int32)
            where = length, columns, segments, address(index, "i4")
            good = native.call("series", types, frozen.address, *about, *where, run.address, workers)
            self.errors[...] = self._back(net, self.errors.reshape(-1).copy())
            return bool(good)
        if net.sizes.order:
            classes, made, longest = bisected.prepared(net.sizes.order, shape)
            types, frozen = ready(net, classes, dtype, level=level)
            parts = Struct(*(one.struct.address for one in made))
            count = bisected.first(net.sizes.order, shape, self.finest)
            if self.mixed is not None:
                passes = self.mixed.struct.address, parts.address, count, longest
                return bool(native.call("channels", types, frozen.address, *about, *passes, run.address, workers))
            passes = address(levels, "u1"), parts.address, count, longest
            return bool(native.call("bisect", types, frozen.address, *about, *passes, run.address, workers))
        wave = scan.wave(net.sizes.scan, shape)
        types, frozen = ready(net, wave.classes, dtype, level=level)
        if self.mixed is not None:
            passes = self.mixed.struct.address, wave.compiled.address, 0, 0
            return bool(native.call("channels", types, frozen.address, *about, *passes, run.address, workers))
        diagonals = wave.compiled.address, address(levels, "u1")
        return bool(native.call("scan", types, frozen.address, *about, *diagonals, run.address, workers))


def _buffers(count: int) -> tuple[npt.NDArray[Any], ...]:
    """Return arrays for total, level, flag, keep, table, symbol and residual of so many values."""
    bytes_ = [np.empty(count, np.uint8) for _ in range(5)]
    return np.empty(count, np.int64), *bytes_, np.empty(count, np.int64)


_NOTHING = (
    np.zeros(1, np.uint32),
    np.zeros(1, np.int16),
    np.zeros(1, np.uint32),
    np.zeros(1, np.uint16),
    np.zeros(64, np.int64),
    np.zeros(0, np.int64),
    np.zeros(0, np.int64),
    np.zeros(64, np.int64),
)  # a coder that is not asked
