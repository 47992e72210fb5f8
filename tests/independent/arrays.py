"""Sections 2 and 4 of the page: from the segments of an array to its values."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from independent import context, grids, masks, narrow, networks, plans
from independent.channels import counts
from independent.container import FormatError, Stored, by_significance, check, sha256


class Plain:
    """An array as everything works on it: plain little-endian numbers, at least one axis."""

    def __init__(self, header: dict[str, Any]) -> None:
        dtype, self.shape = np.dtype(header["dtype"]), tuple(header["shape"] or [1])
        self.dtype = dtype.newbyteorder("<")
        self.order = dtype.byteorder if dtype.itemsize > 1 else "|"
        if dtype.kind == "c":
            self.shape, self.dtype = (*self.shape, 2), np.dtype(f"<f{dtype.itemsize // 2}")
        elif dtype.kind in "mM":
            self.dtype = np.dtype("<i8")
        elif dtype.kind == "b":
            self.dtype = np.dtype("u1")
        self.narrow = header["narrow"] if header.get("wide") else None
        if self.narrow:
            self.dtype = np.dtype("<f4")

    def bytes(self, values: np.ndarray) -> bytes:
        """Return values in the byte order of the array."""
        if self.narrow:
            return narrow.bits(values, self.narrow).tobytes()
        return values.astype(values.dtype.newbyteorder(self.order)).tobytes()


Known = dict[str, tuple[Stored, np.ndarray]]  # arrays of the file that are decoded, by name


def decode(stored: Stored, model: bytes, known: Known) -> np.ndarray:
    """Return the values of an array, each chunk checked against its digest."""
    header, plain = stored.header, Plain(stored.header)
    length, chunks = header["chunk_length"], []
    for number in range(header["chunk_count"]):
        rows = min(length, plain.shape[0] - number * length)
        values = _chunk(stored, number, (rows, *plain.shape[1:]), plain.dtype, model, known)
        chunks.append(plain.bytes(values))
        check(sha256(chunks[-1]).startswith(stored.digests[number]), f"the digest of chunk {number}")
    values = np.frombuffer(b"".join(chunks), header["dtype"]).reshape(header["shape"])
    masked = header.get("masked")
    if masked is None:
        return values
    pattern, fill = (np.frombuffer(bytes.fromhex(masked[key]), header["dtype"]) for key in ("pattern", "fill_value"))
    where = values == pattern[0] if len(pattern) else False
    return np.ma.masked_array(values, where, fill_value=fill[0])


def _chunk(stored: Stored, number: int, shape: tuple[int, ...], dtype: np.dtype[Any], model: bytes, known: Known) -> np.ndarray:
    header, specials = stored.header, stored.header["specials"]
    classes = masks.classes_of(stored.segment("mask", number), shape)
    if header["plan"]["kind"] == "bytes":
        values = plans.plain_bytes(stored.segment("data", number), header["plan"], shape, dtype).copy()
    else:
        y = _plan(stored, number, classes != 0, model, known)
        grid, first = header["grid"], number * header["chunk_length"]
        hidden = grid["kind"] == "hidden"
        values = grids.hidden(y, grid["lattice"], dtype, first) if hidden else grids.linear(y, grid, dtype)
    patterns = [np.frombuffer(bytes.fromhex(pattern), dtype)[0] for pattern in specials["patterns"]]
    if specials.get("apart"):
        _move(values, classes == 0, patterns[: specials["fills"]], specials.get("valid"))
    for i, pattern in enumerate(patterns, start=1):
        values[classes == i] = pattern
    _outliers(values, stored.segment("outliers", number))
    return values


def is_whole(grid: dict[str, Any]) -> bool:
    return grid["kind"] == "hidden" or grid["whole"]


def _plan(stored: Stored, number: int, ignored: np.ndarray, model: bytes, known: Known) -> np.ndarray:
    """Return k of a whole grid, Y of a fine one."""
    plan, kind = stored.header["plan"], stored.header["plan"]["kind"]
    data, shape, whole = stored.segment("data", number), ignored.shape, is_whole(stored.header["grid"])
    if kind == "difference":
        return plans.difference(data, plan, shape)
    if kind == "buckets":
        return plans.buckets(data, plan, shape)
    codes, residual = stored.segment("codes", number), stored.segment("residual", number)
    if kind == "columns":
        return plans.columns(plan, whole, data, residual, model, shape, ignored)
    if kind in ("static", "autoencoder"):
        return networks.decode(plan, whole, model, codes, residual, ignored)
    if kind == "context":
        beside = partial(_companion, known, number * stored.header["chunk_length"], shape)
        return context.decode(plan, whole, model, codes, residual, ignored, beside)
    raise FormatError(f"a plan {kind}")


def _companion(known: Known, first: int, shape: tuple[int, ...], name: str, origin: float, scale: float) -> np.ndarray:
    """Return what a companion counts in the rows of a chunk."""
    check(name in known, "companions that come before")
    stored, values = known[name]
    specials = stored.header["specials"]
    part = values[first : first + shape[0]]
    check(part.shape == shape and values.dtype.kind in "iuf" and "masked" not in stored.header, "companions that fit")
    dtype = Plain(stored.header).dtype
    fills = [np.frombuffer(bytes.fromhex(pattern), dtype)[0] for pattern in specials["patterns"][: specials["fills"]]]
    return counts(part, origin, scale, fills)


def _outliers(values: np.ndarray, data: bytes) -> None:
    n = len(data) // (4 + values.dtype.itemsize)
    places = by_significance(data[: 4 * n], "u4", n).astype("i8").cumsum()
    values.reshape(-1)[places] = by_significance(data[4 * n :], values.dtype, n)


def _move(values: np.ndarray, ordinary: np.ndarray, fills: list[Any], valid: list[str] | None) -> None:
    """Keep ordinary values from passing for missing ones."""
    dtype = values.dtype
    ends = np.frombuffer(bytes.fromhex("".join(valid)), dtype) if valid else None
    if ends is not None:
        values[ordinary] = values[ordinary].clip(*ends)
    for pattern in fills:
        other = _beside(pattern, fills, ends)
        if other is not None:
            values[ordinary & (values == pattern)] = other


def _beside(pattern: Any, fills: list[Any], ends: np.ndarray | None) -> Any:
    """Return the next greater value of the type that may stand for a pattern, else the next smaller one, else None."""
    floats = pattern.dtype.kind == "f"
    least, most = (-math.inf, math.inf) if floats else (np.iinfo(pattern.dtype).min, np.iinfo(pattern.dtype).max)
    if ends is not None:
        least, most = ends.tolist()
    if not (math.isfinite(pattern) and least <= pattern <= most):
        return None
    for end in (math.inf, -math.inf):
        value = pattern
        while value is not None and any(value == fill for fill in fills):
            value = _next(value, end)
        if value is not None and math.isfinite(value) and least <= value <= most:
            return value
    return None


def _next(value: Any, end: float) -> Any:
    if value.dtype.kind == "f":
        return np.nextafter(value, value.dtype.type(end))
    found, info = int(value) + (1 if end > 0 else -1), np.iinfo(value.dtype)
    return value.dtype.type(found) if info.min <= found <= info.max else None
