"""A context network as compiled loops take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.fixed import EXTRAS
from aezip.core.native import Struct

from .net import ContextNet
from .signal import START, SignalPass

Float = npt.NDArray[Any]
TYPES = {(4, 4): 0, (4, 8): 1, (8, 8): 2}  # as loops name them: bytes of contexts and of sums of linear parts
Class = tuple[int, tuple[int, ...]]  # a class of passes and its active slots


def flat(array: npt.NDArray[Any], *, signal: bool) -> npt.NDArray[Any]:
    """Return values of a chunk as loops see them: those of signals, (length, segments, columns), with the segments last."""
    return np.ascontiguousarray(array.transpose(0, 2, 1) if signal else array).reshape(-1)


def signal_classes(columns: int) -> tuple[Class, ...]:
    """Return the classes of a signal and what is active in each, as loops number them."""
    late = [SignalPass(index, column, columns) for index in (1, START) for column in range(columns)]
    return tuple((part.kind, part.active) for part in (SignalPass(0, 0, columns), *late))


def exact(net: ContextNet) -> bool:
    """Tell whether float32 holds all sums of the hidden and last layers: compiled loops know no other type."""
    return all(kind == np.float32 for name, kind in net.types.items() if name != "skip")


def ready(net: ContextNet, classes: tuple[Class, ...], dtype: np.dtype[Any], *, level: bool) -> tuple[int, Struct]:
    """Return the types of contexts and linear parts, and a network, as compiled loops take them, for some classes.

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
        ends = _ends(net)
        floats = [first, bias, net.weights["first"][2][:, 0], second, second_bias.reshape(-1), second_factor[:, 0], *ends]
        arrays = [(np.ascontiguousarray(part, np.float32), "f4") for part in floats]
        numbers = int(net.flag is not None), int(level), hidden, first.shape[2], len(ends[0]), slots
        struct = Struct(net.sizes.precision, (pairs, "i8"), *arrays, (skip, skip.dtype.str), (unit, "f8"), *numbers)
        net.cache[key] = TYPES[dtype.itemsize, skip.dtype.itemsize], struct
    found: tuple[int, Struct] = net.cache[key]
    return found


def _ends(net: ContextNet) -> tuple[Float, Float, Float]:
    """Return weights, biases and factors of the last layers as one: mean (blind to the extras), scale, flag."""
    parts = [net.weights[n] for n in ("mean", "scale", "flag") if n in net.weights]
    weight = np.zeros((len(parts), net.sizes.hidden + EXTRAS), np.float32)
    for row, (w, _, _) in zip(weight, parts, strict=True):
        row[: w.shape[1]] = w[0]
    bias = np.array([b[0] for _, b, _ in parts], np.float32)
    return weight, bias, np.array([f[0, 0] for _, _, f in parts], np.float32)
