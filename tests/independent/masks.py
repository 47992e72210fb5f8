"""The stream `mask` of section 2 of the page, and section 8: masks of form 4."""

from __future__ import annotations

import numpy as np

from independent.container import check


def classes_of(data: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the class of each value of a chunk."""
    if not data:
        return np.zeros(shape, "u1")
    form, count = data[0], int(np.prod(shape))
    check(form < 4, "a known form of mask")
    raw = np.frombuffer(data, "u1", offset=1)
    found = (raw if form % 2 else np.unpackbits(raw)[:count]).reshape(shape)
    return np.bitwise_xor.accumulate(found, axis=0) if form >= 2 else found
