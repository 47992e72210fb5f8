"""Small pictures of arrays, as PNG: a plane of the values in colours, and a plane of errors around white.

Knows nothing of files or pages.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.types import Array

LARGEST = 256  # values along a side
CHANNELS = 4  # as many entries of the last axis are taken for colours or parts of a value
_VALUES = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_ERRORS = ((33, 102, 172), (146, 197, 222), (247, 247, 247), (244, 165, 130), (178, 24, 43))
_HOLE = (200, 200, 200)


def plane(shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return the index of a plane in the middle of an array, thinned to `LARGEST`; None for less than two axes or no values."""
    if len(shape) < 2 or 0 in shape:
        return None
    last = len(shape) - (1 if len(shape) == 2 or shape[-1] > CHANNELS else 2)
    key: list[Any] = [size // 2 for size in shape]
    for axis in (last - 1, last):
        key[axis] = slice(None, None, -(-shape[axis] // LARGEST))
    return tuple(key)


def numbers(values: Array, fill: Array | None) -> npt.NDArray[np.float64]:
    """Return a plane as float64; NaN where it is not finite or holds the fill value. Of complex values the magnitude."""
    plain = values.astype(np.int64) if values.dtype.kind in "mM" else values
    if plain.dtype.kind == "c":
        return np.asarray(np.abs(plain), np.float64)
    wide = plain.astype(np.float64)
    hole = ~np.isfinite(wide) if fill is None else ~np.isfinite(wide) | np.isin(plain, fill)
    return np.where(hole, np.nan, wide)


def _coloured(share: npt.NDArray[np.float64], colours: tuple[tuple[int, int, int], ...]) -> npt.NDArray[np.uint8]:
    """Return RGB of shares from 0 to 1; NaN is grey."""
    hole = np.isnan(share)
    place = np.clip(np.where(hole, 0.0, share), 0.0, 1.0) * (len(colours) - 1)
    knots = np.arange(len(colours))
    channels = [np.interp(place, knots, [colour[c] for colour in colours]) for c in range(3)]
    return np.where(hole[..., None], _HOLE, np.stack(channels, axis=-1)).astype(np.uint8)


def values_png(values: npt.NDArray[np.float64], low: float, high: float) -> bytes:
    """Return a picture of values between two limits."""
    with np.errstate(all="ignore"):
        share = (values - low) / (high - low) if high > low else np.where(np.isnan(values), np.nan, 0.5)
    return png(_coloured(share, _VALUES))


def errors_png(errors: npt.NDArray[np.float64], limit: float) -> bytes:
    """Return a picture of errors from -limit (blue) to limit (red)."""
    with np.errstate(all="ignore"):
        share = 0.5 + 0.5 * (errors / limit if limit > 0 else errors * 0.0)
    return png(_coloured(share, _ERRORS))


def png(colours: npt.NDArray[np.uint8]) -> bytes:
    """Return an RGB image, shape (rows, columns, 3), as a PNG file."""
    rows, columns, _ = colours.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), colours.reshape(rows, -1)], axis=1)  # each line: no filter

    def part(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(lines.tobytes(), 9)) + part(b"IEND", b"")
