"""Section 3 of the page: what numbers on a grid stand for."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Any

import numpy as np

from independent import narrow
from independent.container import FormatError, by_significance

PACKED = {"keys": "i8", "deltas": "i1", "steps": "i8"}  # all other lists are of float64


def numbers(said: dict[str, Any], key: str) -> np.ndarray:
    """Return a list of numbers, packed or not."""
    value, dtype = said[key], PACKED.get(key, "f8")
    if isinstance(value, dict):
        return by_significance(zlib.decompress(base64.b64decode(value["zlib"])), dtype, value["count"])
    return np.array(value, dtype)


def cast(values: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Cast float64: to integers half to even, saturating."""
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(dtype)
    info = np.iinfo(dtype)
    rounded = np.rint(values)
    above, below = rounded >= float(info.max), rounded <= float(info.min)
    found = np.where(above | below, 0, rounded).astype(dtype)
    return np.where(above, dtype.type(info.max), np.where(below, dtype.type(info.min), found))


def linear(y: np.ndarray, grid: dict[str, Any], dtype: np.dtype[Any]) -> np.ndarray:
    """Return the values of k on a whole grid, of Y on a fine one."""
    step, offset = np.array(grid["step"], "f8"), np.array(grid["offset"], "f8")
    return cast(y.astype("f8") * (step if grid["whole"] else step * 2**-6) + offset, dtype)


def hidden(k: np.ndarray, lattice: dict[str, Any], dtype: np.dtype[Any], first: int) -> np.ndarray:
    """Return the values of k on a lattice; `first` is the outer index at which the chunk begins."""
    kind = lattice["kind"]
    if kind == "integer":
        return _integer(k, lattice["step"], lattice["offset"], dtype)
    if kind == "linear":
        return _rule(k, lattice, dtype, first)
    if kind == "digits":
        return _digits(k, lattice, dtype)
    if kind == "ordered":
        return _ordered(k, lattice["type"], dtype)
    if kind == "log":
        return cast(_log(k, lattice, largest(dtype)), dtype)
    if kind == "staircase":
        return _staircase(k, lattice, dtype)
    if kind == "ranks":
        return hidden(_ranks(k, lattice), lattice["inner"], dtype, first)
    raise FormatError(f"a lattice {kind}")


def largest(dtype: np.dtype[Any]) -> float:
    """Return the largest finite value of a type, as a float64 that is not beyond it."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).max)
    most = np.iinfo(dtype).max
    return float(most) if int(float(most)) <= most else math.nextafter(float(most), 0)


def _integer(k: np.ndarray, step: int, offset: int, dtype: np.dtype[Any]) -> np.ndarray:
    if step:
        info = np.iinfo(dtype)
        first, last = (info.min, info.max) if step > 0 else (info.max, info.min)
        ends = (-((offset - int(first)) // step), (int(last) - offset) // step)
        k = k.clip(*(max(-(1 << 63), min((1 << 63) - 1, end)) for end in ends))
    product = k.view("u8") * np.uint64(step % (1 << 64)) + np.uint64(offset % (1 << 64))
    return product.astype(dtype)


def _rule(k: np.ndarray, lattice: dict[str, Any], dtype: np.dtype[Any], first: int) -> np.ndarray:
    scale, shift, divisor = (numbers(lattice, key) for key in ("scale", "shift", "divisor"))
    if lattice["axis"] == 0:
        rows = slice(first, first + len(k))
        scale, shift, divisor = (part[rows].reshape(-1, *[1] * (k.ndim - 1)) for part in (scale, shift, divisor))
    values = (k.astype("f8") * scale + shift) / divisor
    if lattice["narrow"]:
        values = values.astype("f4")
    found = cast(values, dtype)
    keys, deltas = numbers(lattice, "keys").cumsum(), numbers(lattice, "deltas")
    if len(keys):
        named = k * len(scale) + np.arange(len(scale)) if lattice["axis"] == -1 else k
        place = np.searchsorted(keys, named).clip(0, len(keys) - 1)
        moved = np.where(keys[place] == named, deltas[place], 0)
        bits = found.view(f"i{dtype.itemsize}")
        found = (bits + moved.astype(bits.dtype)).view(dtype)
    return found


def _digits(k: np.ndarray, lattice: dict[str, Any], dtype: np.dtype[Any]) -> np.ndarray:
    t, lowest = 10 ** (lattice["digits"] - 1), lattice["lowest"]
    size = np.abs(k)
    index = ((size - t) // (9 * t)).clip(0, 22 - lowest)
    m, q = size - 9 * t * index, index + lowest
    powers = np.array([float(10**i) for i in range(23)])
    values = m.astype("f8") * powers[np.maximum(q, 0)] / powers[np.maximum(-q, 0)]
    values = np.where(k < 0, -values, values)
    return cast(values.astype("f4").astype("f8") if lattice["narrow"] else values, dtype)


def _ordered(k: np.ndarray, name: str, dtype: np.dtype[Any]) -> np.ndarray:
    if name in narrow.TYPES:
        finite = narrow.finite(name)
        values = narrow.values_of(np.abs(k).clip(0, finite), name)
        return cast(np.where(k < 0, -values, values), dtype)
    inner = np.dtype(name)
    signed = np.dtype(f"i{inner.itemsize}")
    finite = int(np.finfo(inner).max.view(signed))
    cut = k.clip(-finite, finite)
    smallest = np.iinfo(signed).min
    return cast(np.where(cut >= 0, cut, smallest - cut).astype(signed).view(inner).astype("f8"), dtype)


def _points() -> np.ndarray:
    roots = [2.0]
    for _ in range(10):
        roots.append(math.sqrt(roots[-1]))
    points = np.ones(1025)
    for bit in range(11):
        chosen = np.arange(1025) >> bit & 1 == 1
        points[chosen] *= roots[10 - bit]
    return points


def _log(k: np.ndarray, lattice: dict[str, Any], most: float) -> np.ndarray:
    points, steps, octaves = _points(), float(lattice["steps"]), float(lattice["octaves"])
    place = np.minimum(np.abs(k), 1 << 52).astype("f8") + float(lattice["base"])
    period = np.floor(place / steps)
    rest = place - period * steps
    below = rest < 0
    period, rest = np.where(below, period - 1, period), np.where(below, rest + steps, rest)
    line = rest * octaves / steps
    octave = np.floor(line)
    line = (line - octave) * 1024
    s = np.floor(line).astype("i8")
    size = points[s] + (line - s) * (points[np.minimum(s + 1, 1024)] - points[s])
    e = (period * octaves + octave).clip(-2040, 1024).astype("i8")
    h = e >> 1
    with np.errstate(over="ignore", under="ignore"):
        values = np.minimum(size * np.exp2(h) * np.exp2(e - h), most)
    return np.sign(k) * values


def _staircase(k: np.ndarray, lattice: dict[str, Any], dtype: np.dtype[Any]) -> np.ndarray:
    starts = numbers(lattice, "starts").astype("i8")
    runs = np.arange(len(starts) - 1)
    counts = np.concatenate([[0], ((np.diff(starts) - 1) // (2 * runs + 1) + 1).cumsum()])
    p = np.minimum(np.abs(k), 1 << 52)
    j = np.searchsorted(counts, p, side="right") - 1
    last, inner = len(starts) - 1, np.minimum(j, len(starts) - 2)
    size = np.minimum(starts[inner] + (p - counts[inner]) * (2 * inner + 1) + inner, starts[inner + 1] - 1).astype("f8")
    tail = np.maximum(np.rint(_log(p - counts[-1] + 1, lattice["tail"], largest(np.dtype("f8")))), float(starts[-1]))
    return cast(np.sign(k) * np.where(j < last, size, tail), dtype)


def _ranks(k: np.ndarray, lattice: dict[str, Any]) -> np.ndarray:
    steps, counts = numbers(lattice, "steps"), lattice["counts"]
    found, at = [], 0
    for column, count in enumerate(counts):
        table, at = steps[at : at + count].cumsum(), at + count
        part = k[..., column] if len(counts) > 1 else k
        found.append(table[part.clip(0, count - 1)] if count else part)
    return np.stack(found, axis=-1) if len(counts) > 1 else found[0]
