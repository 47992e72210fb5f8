"""Section 2 of the page: floats of one or two bytes, from float32 to their bits."""

from __future__ import annotations

import numpy as np

TYPES = {"bfloat16": (8, 7), "float8_e4m3fn": (4, 3), "float8_e5m2": (5, 2)}


def finite(name: str) -> int:
    """Return the bits of the largest finite value."""
    exponent, fraction = TYPES[name]
    every = 2 ** (exponent + fraction) - 1
    return every - 1 if name == "float8_e4m3fn" else every - 2**fraction


def values_of(bits: np.ndarray, name: str) -> np.ndarray:
    """Return the values of bits that are finite, without a sign."""
    e, m = TYPES[name]
    exponent, fraction = bits >> m, bits & (2**m - 1)
    bias = 2 ** (e - 1) - 1
    return np.where(exponent > 0, 1 + fraction / 2**m, 2 * fraction / 2**m) * 2.0 ** (exponent - bias)


def bits(values: np.ndarray, name: str) -> np.ndarray:
    """Return the bits of the nearest values."""
    e, m = TYPES[name]
    known = values_of(np.arange(finite(name) + 1), name)
    size = np.abs(values).astype("f8")
    above = np.searchsorted(known, size).clip(1, len(known) - 1)
    low, high = size - known[above - 1], known[above] - size
    found = np.where((high < low) | ((high == low) & (above % 2 == 0)), above, above - 1)
    odd = ~np.isfinite(values)
    if name == "float8_e4m3fn":
        odd = np.isnan(values)
        found[np.isinf(values)] = finite(name)
    pattern = values[odd].view("<u4")
    found[odd] = (2**e - 1) * 2**m + (pattern >> (23 - m)) % 2**m
    return (found + np.signbit(values) * 2 ** (e + m)).astype(f"<u{(1 + e + m) // 8}")
