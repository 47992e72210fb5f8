"""What compiled loops need of a context network and a chunk, and what becomes of their results; see `compiledwalk`.

Scans and signals have many small passes: their whole chunk is one compiled loop. The bits are those of `refinement`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import kernels, residual, scan
from .context import EXTRAS, ContextNet, Neighbours, Prediction
from .errors import CorruptFile
from .integer import FLAG_BINS
from .series import SeriesPass

Int64 = npt.NDArray[np.int64]
Float = npt.NDArray[Any]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Class = tuple[int, tuple[int, ...]]  # a class of passes and its active slots


def exact(net: ContextNet) -> bool:
    """Tell whether float32 holds all sums of the hidden and last layers: compiled loops know no other type."""
    return all(kind == np.float32 for name, kind in net.types.items() if name != "skip")


def ready(net: ContextNet, classes: tuple[Class, ...], dtype: np.dtype[Any], *, level: bool) -> tuple[Any, ...]:
    """Return a network as compiled loops take it, for some classes, on contexts of a type.

    Parameters
    ----------
    level
        Whether the level of an autoencoder is an input.
    """
    key = ("ready", classes, dtype, level)
    if key not in net.cache:
        slots, hidden = max(1, *(len(active) for _, active in classes)), net.sizes.hidden
        first = np.zeros((len(classes), hidden, slots + EXTRAS), np.float32)
        bias = np.zeros((len(classes), hidden), np.float32)
        skip = np.zeros((len(classes), slots), np.promote_types(net.types["skip"], dtype))
        pairs, unit = np.zeros((len(classes), 2), np.int64), np.zeros(len(classes))
        for at, (kind, active) in enumerate(classes):
            weight, embedded, linear = net.of(kind, active)
            first[at, :, : weight.shape[1]], bias[at], skip[at, : len(active)] = weight, embedded[:, 0], linear
            pairs[at] = net.pair(kind, active) or (0, 0)
            unit[at] = 2.0 ** -(int(net.skip_exponent[kind]) + net.sizes.precision)
        second, second_bias, second_factor = net.weights["second"]
        net.cache[key] = (
            net.sizes.precision, pairs, first, bias, net.weights["first"][2][:, 0].copy(), second,
            second_bias.astype(np.float32), second_factor[:, 0].copy(), *_ends(net), skip, unit, net.flag is not None, level,
        )
    found: tuple[Any, ...] = net.cache[key]
    return found


def _ends(net: ContextNet) -> tuple[Float, Float, Float]:
    """Return weights, biases and factors of the last layers as one: mean (blind to the extras), scale, flag."""
    parts = [net.weights[n] for n in ("mean", "scale", "flag") if n in net.weights]
    weight = np.zeros((len(parts), net.sizes.hidden + EXTRAS), np.float32)
    for row, (w, _, _) in zip(weight, parts, strict=True):
        row[: w.shape[1]] = w[0]
    bias = np.array([b[0] for _, b, _ in parts], np.float32)
    return weight, bias, np.array([f[0, 0] for _, _, f in parts], np.float32)


def predict(net: ContextNet, kind: int, active: tuple[int, ...], known: Neighbours) -> Prediction:
    """Return what `ContextNet.predict` returns, by a compiled kernel."""
    if not exact(net):
        return net.predict(kind, active, known)
    n = known.values.shape[1]
    mean, level, bins = np.empty(n, np.int64), np.empty(n, np.uint8), np.empty(n, np.uint8)
    given = known.errors[0] if known.level is None else known.level
    frozen = ready(net, ((kind, active),), known.values.dtype, level=known.level is not None)
    kernels.predictor()(frozen, known.values, np.stack(known.errors), given, mean, level, bins)
    return mean, level, None if net.flag is None else bins


@dataclass
class Chunk:
    """A chunk under way in compiled loops.

    Parameters
    ----------
    context, errors
        As in `refinement.Walk`.
    limit
        Of contexts.
    ignore
        Which values are not coded, or None.
    mean, level
        What contexts are relative to, of the chunk's shape or one number; the autoencoder's level or None.
    whole
        Whether the grid is.
    """

    context: Float
    errors: Float
    limit: float
    ignore: Mask | None
    mean: Int64 | int
    level: U8 | None
    whole: bool

    def decode(self, net: ContextNet, reader: residual.Decoder) -> Int64:
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
        value = np.empty(self.context.size, np.int64)
        most = self.context.shape[1] if net.sizes.columns else min(scan.RUN, self.context.size)
        if not self._walk(net, coder, True, value, (np.zeros(1), np.zeros(1, np.int64)), _buffers(most)):
            raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
        reader.resume(coder)
        return self._back(net, value)

    def code(self, net: ContextNet, target: npt.NDArray[np.float64], whole: Int64 | None) -> tuple[list[residual.Split], Int64]:
        """Return the residual of each pass and the decoded values in 1/64 step; see `refinement.code`."""
        value = np.empty(self.context.size, np.int64)
        given = (
            self._flat(net, target) if whole is None else np.zeros(1),
            np.zeros(1, np.int64) if whole is None else self._flat(net, whole),
        )
        buffers = _buffers(self.context.size)
        self._walk(net, _NOTHING, False, value, given, buffers)
        parts: list[residual.Split] = []
        _, level, flag, keep, table, _, q = buffers
        for start, stop in self._runs(net):
            run = slice(start, stop)
            if net.sizes.spike is not None:
                coded = keep[run] > 0
                parts.append(residual.flags((keep[run] == 2)[coded], flag[run][coded]))
            kept = keep[run] == 1
            parts.append(residual.split(q[run][kept], level[run][kept], table[run][kept]))
        return parts, self._back(net, value)

    def _runs(self, net: ContextNet) -> list[tuple[int, int]]:
        """Return where runs begin and end, in the order of decoding."""
        if net.sizes.columns:
            return [(a, a + self.context.shape[1]) for a in range(0, self.context.size, self.context.shape[1])]
        return scan.wave(net.sizes.scan, self.context.shape).runs()

    def _flat(self, net: ContextNet, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return values as compiled loops see them: those of signals with the segments last."""
        return np.ascontiguousarray(array.transpose(0, 2, 1) if net.sizes.columns else array).reshape(-1)

    def _back(self, net: ContextNet, value: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if not net.sizes.columns:
            return value.reshape(self.context.shape)
        length, segments, columns = self.context.shape
        return np.ascontiguousarray(value.reshape(length, columns, segments).transpose(0, 2, 1))

    def _walk(
        self, net: ContextNet, coder: tuple[Any, ...], decoding: bool, value: Int64, given: tuple[Any, Int64], buffers: Any
    ) -> bool:
        kept = np.ones(value.size, np.uint8) if self.ignore is None else self._flat(net, ~self.ignore).view(np.uint8)
        mean = np.array([self.mean], np.int64) if isinstance(self.mean, int) else self.mean.reshape(-1)
        context, errors = self.context.reshape(-1), self.errors.reshape(-1)
        chunk = (context, errors, value, kept, mean, *given, self.limit)
        spike = net.sizes.spike
        grid = self.whole, 0 if spike is None else spike, spike is not None
        if net.sizes.columns:
            length, segments, columns = self.context.shape
            classes = _series_classes(columns)
            frozen = ready(net, classes, context.dtype, level=False)
            shape, index = (length, columns, segments), np.arange(segments, dtype=np.int32)
            good = kernels.series_walk()(frozen, coder, decoding, grid, chunk, shape, index, buffers)
            self.errors[...] = self._back(net, errors)
            return bool(good)
        wave = scan.wave(net.sizes.scan, self.context.shape)
        frozen = ready(net, ((0, ()), (1, tuple(range(wave.table.shape[1])))), context.dtype, level=self.level is not None)
        levels = np.zeros(1, np.uint8) if self.level is None else self.level.reshape(-1)
        return bool(kernels.scan_walk()(frozen, coder, decoding, grid, chunk, wave.compiled, levels, buffers))


def _series_classes(columns: int) -> tuple[Class, ...]:
    """Return the classes of a signal and what is active in each."""
    late = [SeriesPass(index, column, columns) for index in (1, 8) for column in range(columns)]
    return tuple((part.kind, part.active) for part in (SeriesPass(0, 0, columns), *late))


def _buffers(count: int) -> tuple[npt.NDArray[Any], ...]:
    """Return arrays for total, level, flag, keep, table, symbol and residual of so many values."""
    bytes_ = [np.empty(count, np.uint8) for _ in range(5)]
    return np.empty(count, np.int64), *bytes_, np.empty(count, np.int64)


_NOTHING = (
    np.zeros(1, np.uint32), np.zeros(1, np.int16), np.zeros(1, np.uint32), np.zeros(1, np.uint16), np.zeros(64, np.int64),
    np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(64, np.int64),
)  # a coder that is not asked
