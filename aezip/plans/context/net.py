"""Context refinement: a small shared integer network predicts each value from neighbours already decoded.

    neighbours (slots, n) -> minus a reference, divided by a power of two near their spread -> 8 to 24 bits
      -> two hidden layers + linear part of the pass's class -> mean, in 1/64 step; level of the residual

One network serves all passes; each class of passes (see `bisection`) has an embedding and a linear part of its own. The
loop is closed: neighbours are decoded values, never originals. All arithmetic is exact or a single rounding of IEEE
754 elementwise operations, the same on every machine. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.fixed import ACTIVATION_TOP, EMBEDDING, EXTRAS, FLAG_BINS, LEVELS
from aezip.core.planes import Cursor, split_bytes
from aezip.core.types import U8, Int64
from aezip.plans.integer import IntegerLayer

from .bisection import Order, Pass, Slot, kinds, slots
from .raster import KINDS, Axes, offsets
from .signal import kind_count, slot_count

Float = npt.NDArray[Any]
Prediction = tuple[Int64, U8, U8 | None]  # mean, level, bin of the spike's odds
BITS = 10  # after the point of what the hidden units see
UNIT = np.float32(1 << (BITS - 2))  # of logarithms: four octaves are one
MAX_SKIP_EXPONENT = 20
SMALLEST = 32.0  # spread that is not divided further: half a step
ERROR_TOP = 4095.0


@dataclass(frozen=True)
class ContextSizes:
    """Sizes of a context network.

    Parameters
    ----------
    order
        Groups of axes; see `bisection`.
    hidden
        Units of each hidden layer.
    precision
        Bits after the point of what the linear part sees.
    columns
        Columns of a signal (see `signal`), which has no order of axes; 0: it is none.
    spike
        A whole number so frequent that whether a value is it is coded apart; None: there is none.
    scan
        Axes decoded in raster order (see `raster`), in place of an order; (): none.
    """

    order: Order
    hidden: int
    precision: int
    columns: int = 0
    spike: int | None = None
    scan: Axes = ()

    def stacked(self) -> ContextSizes:
        """Return the sizes for arrays of one outer axis more, whose entries do not see each other."""
        order = tuple(tuple(axis + 1 for axis in axes) for axes in self.order)
        return replace(self, order=order, scan=tuple(axis + 1 for axis in self.scan))

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The inputs' places, if axes are refined."""
        return slots(self.order)

    @cached_property
    def places(self) -> int:
        """Number of neighbours that are inputs."""
        if self.scan:
            return len(offsets(len(self.scan)))
        return slot_count(self.columns) if self.columns else len(self.slots)

    @cached_property
    def kinds(self) -> int:
        """Number of classes of passes."""
        if self.scan:
            return KINDS
        return kind_count(self.columns) if self.columns else kinds(self.order)

    @property
    def inputs(self) -> int:
        """Inputs of the first layer: slots, extras, embedding."""
        return self.places + EXTRAS + EMBEDDING


def log2(value: Float) -> Float:
    """Return the logarithm of positive float32 values by straight lines between powers of two: exact, in float64."""
    mantissa, exponent = np.frexp(value)
    return 2.0 * mantissa + (exponent.astype(np.float64) - 2.0)


@dataclass(frozen=True)
class ContextInputs:
    """What the network sees of a run of values of one pass."""

    reference: Float  # (n,), in 1/64 step
    exponent: npt.NDArray[np.int32]  # (n,): the spread is below 2**exponent
    values: npt.NDArray[np.float32]  # (active slots + EXTRAS, n), integers: BITS after the point
    fine: Float  # (active slots, n), integers: `precision` bits after the point; what the linear part sees


@dataclass(frozen=True)
class Neighbours:
    """What is known around a run of values.

    Parameters
    ----------
    values
        Decoded values in 1/64 step, shape (active slots, n).
    pair
        The two whose mean is the reference; None: there are none, 0 is.
    errors
        Sums of the residuals' magnitudes nearby, in steps: in the innermost group, in the others; (n,) each.
    level
        The autoencoder's level, (n,), or None.
    """

    values: Float
    pair: tuple[int, int] | None
    errors: tuple[Float, Float]
    level: Float | None

    def chosen(self, index: Int64) -> Neighbours:
        """Return some of them."""
        level = None if self.level is None else self.level[index]
        return Neighbours(self.values[:, index], self.pair, (self.errors[0][index], self.errors[1][index]), level)


def inputs(known: Neighbours, precision: int) -> ContextInputs:
    """Normalize neighbours: minus the reference, over a power of two above the largest of them."""
    neighbours, pair, errors, level = known.values.copy(), known.pair, known.errors, known.level
    count, n = neighbours.shape
    kind = neighbours.dtype.type
    values = np.zeros((count + EXTRAS, n), np.float32)
    if pair is None:
        reference = np.zeros(n, neighbours.dtype)
        exponent = np.full(n, 6, np.int32)
    else:
        reference = (neighbours[pair[0]] + neighbours[pair[1]]) * kind(0.5)
        neighbours -= reference
        spread = np.maximum(np.abs(neighbours).max(axis=0), kind(SMALLEST))
        _, exponent = np.frexp(spread)
        neighbours *= np.ldexp(kind(1), precision - exponent)
        np.rint(neighbours, out=neighbours)
        if precision == BITS:
            values[:count] = neighbours
        else:
            np.rint(neighbours * kind(2.0 ** (BITS - precision)), out=values[:count], casting="same_kind")
        values[count] = np.rint(log2(spread.astype(np.float32)) * UNIT)
        total = np.abs(values[:count]).sum(axis=0) + np.float32(1)
        values[count + 1] = np.rint(log2(total) * UNIT)
    values[count + 2] = np.rint(log2(errors[0] + np.float32(1)) * UNIT)
    values[count + 3] = np.rint(log2(errors[1] + np.float32(1)) * UNIT)
    if level is not None:
        values[count + 4] = (level - np.float32(32)) * np.float32(UNIT * 0.25)
    return ContextInputs(reference, exponent, values, neighbours)


@dataclass(frozen=True)
class ContextNet:
    """The frozen network.

    Parameters
    ----------
    first, second
        Hidden layers, on inputs of `ContextSizes.inputs`.
    mean, scale, flag
        Output layers: of the hidden units; of hidden units and extras; the same, log-odds of the spike (or None).
    skip, skip_exponent
        int32, shape (kinds, slots): linear part, in 2**-skip_exponent of the spread; int8, shape (kinds,).
    embedding
        int8, shape (kinds, EMBEDDING).
    pairs
        int16, shape (kinds, 2): slots whose mean is the reference; -1: none.
    """

    sizes: ContextSizes
    first: IntegerLayer
    second: IntegerLayer
    mean: IntegerLayer
    scale: IntegerLayer
    skip: npt.NDArray[np.int32]
    skip_exponent: npt.NDArray[np.int8]
    embedding: npt.NDArray[np.int8]
    pairs: npt.NDArray[np.int16]
    flag: IntegerLayer | None = None

    def __post_init__(self) -> None:
        """Prove exactness; choose the floating-point type that holds every partial sum."""
        sizes = self.sizes
        if (self.skip_exponent < 0).any() or (self.skip_exponent > MAX_SKIP_EXPONENT).any():
            raise CorruptFile("an exponent of the linear part is out of range: the model is damaged")
        top = np.full(sizes.inputs, 1 << BITS, np.int64)
        top[sizes.places : sizes.places + EXTRAS] = 64 << (BITS - 2)
        hidden = np.full(sizes.hidden, ACTIVATION_TOP, np.int64)
        both = np.concatenate([hidden, top[sizes.places : sizes.places + EXTRAS]])
        reach = int((np.abs(self.skip.astype(np.int64)).sum(axis=1) << sizes.precision).max(initial=0))
        if reach >= 1 << 53:
            raise CorruptFile("the linear part leaves the exact range: the model is damaged")
        narrow = [self.first.check(top), self.second.check(hidden), self.mean.check(hidden), self.scale.check(both)]
        kinds_ = [np.dtype(np.float32 if good else np.float64) for good in (*narrow, reach < 1 << 24)]
        types = dict(zip(("first", "second", "mean", "scale", "skip"), kinds_, strict=True))
        if self.flag is not None:
            types["flag"] = np.dtype(np.float32 if self.flag.check(both) else np.float64)
        object.__setattr__(self, "types", types)

    types: Any = None

    @cached_property
    def weights(self) -> dict[str, tuple[Float, Float, Float]]:
        """Weights, biases and factors of the layers, as they are multiplied."""
        out = {}
        for name in [n for n in self.types if n != "skip"]:
            layer = getattr(self, name)
            kind = self.types[name]
            factor = np.ldexp(1.0, -layer.exponent.astype(np.int64)).astype(kind)
            out[name] = (layer.weight.astype(kind), layer.bias.astype(np.int64), factor[:, None])
        return out

    @cached_property
    def cache(self) -> dict[Any, Any]:
        """What was made of the weights for some classes of passes."""
        return {}

    def of(self, kind: int, active: tuple[int, ...]) -> tuple[Float, Float, Float]:
        """Return first weights of active inputs, first bias with the embedding, linear part."""
        key = (kind, active)
        if key not in self.cache:
            count = self.sizes.places
            weight, bias, _ = self.weights["first"]
            index = [*active, *range(count, count + EXTRAS)]
            embedded = self.first.weight[:, count + EXTRAS :].astype(np.int64) @ (
                self.embedding[kind].astype(np.int64) << (BITS - 7)
            )
            dtype = self.types["first"]
            self.cache[key] = (
                np.ascontiguousarray(weight[:, index]),
                (bias + embedded).astype(dtype)[:, None],
                self.skip[kind, list(active)].astype(self.types["skip"]),
            )
        found: tuple[Float, Float, Float] = self.cache[key]
        return found

    def pair(self, kind: int, active: tuple[int, ...]) -> tuple[int, int] | None:
        """Return where among the active slots the reference's two are."""
        return reference_pair(self.pairs, kind, active)

    def predict(self, kind: int, active: tuple[int, ...], known: Neighbours) -> Prediction:
        """Return mean, int64 in 1/64 step, level and bin of the spike's odds (or None), uint8; all (n,)."""
        seen = inputs(known, self.sizes.precision)
        weight, bias, skip = self.of(kind, active)
        values = seen.values
        hidden = weight @ values.astype(weight.dtype, copy=False)
        hidden += bias
        hidden *= self.weights["first"][2].astype(hidden.dtype, copy=False)
        np.clip(np.rint(hidden, out=hidden), 0, ACTIVATION_TOP, out=hidden)
        hidden = self._layer("second", hidden)
        np.clip(np.rint(hidden, out=hidden), 0, ACTIVATION_TOP, out=hidden)
        total = self._layer("mean", hidden)[0].astype(np.float64)
        if active:
            linear = skip @ seen.fine.astype(skip.dtype, copy=False)
            total += linear.astype(np.float64) * 2.0 ** -(int(self.skip_exponent[kind]) + self.sizes.precision)
        total *= np.ldexp(1.0, seen.exponent)
        total += seen.reference
        mean = np.rint(total, out=total).astype(np.int64)
        both = np.concatenate([hidden, values[len(active) :].astype(hidden.dtype, copy=False)])
        level = np.clip(np.rint(self._layer("scale", both)[0]), 0, LEVELS - 1).astype(np.uint8)
        if self.flag is None:
            return mean, level, None
        return mean, level, np.clip(np.rint(self._layer("flag", both)[0]), 0, FLAG_BINS - 1).astype(np.uint8)

    def _layer(self, name: str, value: Float) -> Float:
        weight, bias, factor = self.weights[name]
        out: Float = weight @ value.astype(weight.dtype, copy=False)
        out += bias.astype(out.dtype)[:, None]
        out *= factor
        return out


def reference_pair(pairs: npt.NDArray[np.int16], kind: int, active: tuple[int, ...]) -> tuple[int, int] | None:
    """Return where among the active slots the two are whose mean is the reference of a class; None: none is active."""
    first, second = (int(v) for v in pairs[kind])
    if first not in active or second not in active:
        return (0, min(1, len(active) - 1)) if active else None
    return active.index(first), active.index(second)


def error_slots(every: tuple[Slot, ...], groups: int) -> tuple[list[int], list[int]]:
    """Return the slots whose errors count: nearest ones of the innermost group, and of the others."""
    near = [i for i, s in enumerate(every) if s.inner is None and max(abs(o) for o in s.offset) <= 1]
    return [i for i in near if every[i].group == groups - 1], [i for i in near if every[i].group < groups - 1]


def sum_errors(part: Pass, views: list[Float], active: list[int], chosen: list[int]) -> Float:
    """Return the sum of the views of the chosen slots, shape `part.target_shape`."""
    total = np.zeros(part.target_shape, np.float32)
    for i in chosen:
        if i in active:
            total += views[active.index(i)]
    return total


def net_to_bytes(net: ContextNet) -> bytes:
    """Serialize a network; classes of passes that never occur are left out."""
    used = net.skip.any(axis=1) | (net.pairs >= 0).any(axis=1) | net.embedding.any(axis=1)
    layers = [net.first, net.second, net.mean, net.scale, *([] if net.flag is None else [net.flag])]
    parts = [np.packbits(used).tobytes()]
    parts += [layer.weight.tobytes() for layer in layers]
    parts += [layer.exponent.tobytes() for layer in layers]
    parts += [split_bytes(layer.bias) for layer in layers]
    parts += [net.skip_exponent[used].tobytes(), net.embedding[used].tobytes(), split_bytes(net.pairs[used].reshape(-1))]
    parts.append(split_bytes(net.skip[used].reshape(-1)))
    return b"".join(parts)


def net_from_bytes(cursor: Cursor, sizes: ContextSizes) -> ContextNet:
    """Read a network of the sizes given.

    Raises
    ------
    CorruptFile
        If the bytes do not fit, or the network is not exact.
    """
    count, hidden = sizes.places, sizes.hidden
    mask = np.frombuffer(cursor.take(-(-sizes.kinds // 8)), np.uint8)
    used = np.unpackbits(mask, count=sizes.kinds).astype(np.bool_)
    some = int(used.sum())
    shapes = [(hidden, sizes.inputs), (hidden, hidden), (1, hidden), (1, hidden + EXTRAS)]
    if sizes.spike is not None:
        shapes.append(shapes[-1])
    weights = [cursor.int8(*shape) for shape in shapes]
    exponents = [cursor.int8(shape[0]) for shape in shapes]
    biases = [cursor.wide(shape[0], "<i4").astype(np.int32) for shape in shapes]
    first, second, mean, scale, *rest = (IntegerLayer(w, e, b) for w, e, b in zip(weights, exponents, biases, strict=True))
    skip_exponent = np.zeros(sizes.kinds, np.int8)
    skip_exponent[used] = cursor.int8(some)
    embedding = np.zeros((sizes.kinds, EMBEDDING), np.int8)
    embedding[used] = cursor.int8(some, EMBEDDING)
    pairs = np.full((sizes.kinds, 2), -1, np.int16)
    pairs[used] = cursor.wide(2 * some, "<i2").astype(np.int16).reshape(some, 2)
    skip = np.zeros((sizes.kinds, count), np.int32)
    skip[used] = cursor.wide(some * count, "<i4").astype(np.int32).reshape(some, count)
    return ContextNet(sizes, first, second, mean, scale, skip, skip_exponent, embedding, pairs, *rest)
