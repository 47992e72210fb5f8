"""A context network as compiled loops take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.fixed import EXTRAS

from .net import ContextNet

Float = npt.NDArray[Any]
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
            net.sizes.precision,
            pairs,
            first,
            bias,
            net.weights["first"][2][:, 0].copy(),
            second,
            second_bias.astype(np.float32),
            second_factor[:, 0].copy(),
            *_ends(net),
            skip,
            unit,
            net.flag is not None,
            level,
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
