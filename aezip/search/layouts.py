"""How an array may be cut into rows for an autoencoder."""

from __future__ import annotations

import math

from aezip.array.layout import Layout


def candidates(shape: tuple[int, ...]) -> list[Layout]:
    """Return the layouts worth trying for an array of `shape`, the most usual first."""
    axes = len(shape)
    blocks: list[tuple[int, ...]] = []
    if axes == 1:
        blocks = [(w,) for w in (16, 64, 256) if w <= shape[0]]
    else:
        if 2 <= shape[-1] <= 4096:
            blocks.append((*(1,) * (axes - 1), shape[-1]))
            if shape[-1] <= 64 and shape[-2] >= 64:
                blocks.append((*(1,) * (axes - 2), 8, shape[-1]))
        if axes >= 3 and 16 <= shape[-1] * shape[-2] <= 4096 and shape[-1] > 4:
            blocks.append((*(1,) * (axes - 2), *shape[-2:]))
        if 2 <= shape[0] <= 512:
            blocks.append((shape[0], *(1,) * (axes - 1)))
        if axes >= 2 and min(shape[-2:]) >= 8:
            blocks.append((*(1,) * (axes - 2), 8, 8))
        if axes >= 3 and min(shape[-3:]) >= 4 and shape[-1] > 4:
            blocks.append((*(1,) * (axes - 3), 4, 8, 8))
    fitting = [tuple(min(b, n) for b, n in zip(block, shape, strict=True)) for block in blocks]
    unique = list(dict.fromkeys(b for b in fitting if math.prod(b) > 1))
    return [Layout(b) for b in unique] or [Layout(tuple(1 for _ in shape))]
