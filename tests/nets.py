"""Context networks that nobody trained, and values for them."""

from __future__ import annotations

import numpy as np

from aezip.core.fixed import EMBEDDING, EXTRAS
from aezip.plans.context import fused
from aezip.plans.context.net import ContextNet, ContextSizes
from aezip.plans.integer import IntegerLayer


def some_net(sizes: ContextSizes, seed: int = 0) -> ContextNet:
    """Return a network that nobody trained, whose levels take many values."""
    generator = np.random.default_rng(seed)

    def layer(outputs: int, inputs: int, exponent: int, bias: int) -> IntegerLayer:
        weight = generator.integers(-60, 60, (outputs, inputs)).astype(np.int8)
        return IntegerLayer(weight, np.full(outputs, exponent, np.int8), np.full(outputs, bias, np.int32))

    h = sizes.hidden
    skip = generator.integers(-300, 800, (sizes.kinds, sizes.places)).astype(np.int32)
    pairs = np.array([[0, 0], *([[sizes.places - 1, 0]] * (sizes.kinds - 1))], np.int16)
    layers = layer(h, sizes.inputs, 9, 90_000), layer(h, h, 8, 90_000), layer(1, h, 14, 0), layer(1, h + EXTRAS, 11, 25_000)
    embedding = generator.integers(-9, 9, (sizes.kinds, EMBEDDING)).astype(np.int8)
    flag = None if sizes.spike is None else layer(1, h + EXTRAS, 12, 40_000)
    net = ContextNet(sizes, *layers, skip, np.full(sizes.kinds, 12, np.int8), embedding, pairs, flag)
    assert fused.exact(net)
    return net


def values(shape: tuple[int, ...], scale: float) -> np.ndarray:
    generator = np.random.default_rng(sum(shape))
    x = generator.normal(size=shape) * scale
    x += generator.normal(size=shape[-1]) * 40 * scale
    x[generator.random(shape) < 0.02] *= 3000.0  # escapes
    x[generator.random(shape) < 0.3] = 0.0
    return x
