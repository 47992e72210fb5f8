"""The header of a netCDF classic file: CDF-1, CDF-2 (64-bit offset) and CDF-5 (64-bit data).

After "NetCDF Classic Format Specification" (Unidata) and "CDF-5 Format Specification" (Argonne National Laboratory).
Attributes can be added to it: what comes behind moves then.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .flat import Extended, Header, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {1: "i1", 2: "S1", 3: ">i2", 4: ">i4", 5: ">f4", 6: ">f8", 7: "u1", 8: ">u2", 9: ">u4", 10: ">i8", 11: ">u8"}
_TEXT, _DOUBLE = 2, 6
_ATTRIBUTES = 12  # tag of a list
_ALIGNED = 4  # bytes
_NAMING = ("coordinates", "bounds", "climatology")
_STREAMING = 0xFFFFFFFF  # the number of records is not known: as many as the file holds
_MOST = 1 << 16  # dimensions, variables, attributes


class _Short(Exception):  # noqa: N818
    """The bytes end before the header does."""


@dataclass(frozen=True)
class _Place:
    """Where a header tells of a variable: its attributes, each by name, and the place of its values."""

    attributes: tuple[int, int]
    entries: dict[str, tuple[int, int]]
    begin: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 4
        self.version = data[3]
        self.count_size = 8 if self.version == 5 else 4
        self.begin_size = 4 if self.version == 1 else 8
        self.entries: dict[str, tuple[int, int]] = {}  # of the attributes read last
        self.places: dict[str, _Place] = {}

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise _Short
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, size: int = 4) -> int:
        return int.from_bytes(self.take(size), "big")

    def count(self) -> int:
        return self.number(self.count_size)

    def name(self) -> str:
        size = self.count()
        text = self.take(size)
        self.take(-size % 4)
        return text.decode("utf-8", "backslashreplace")

    def length(self, tag: int) -> int:
        """Return how many entries a list has."""
        found, count = self.number(), self.count()
        if found not in (0, tag) or (not found and count) or count > _MOST:
            raise ValueError("a list of the header is malformed")
        return count

    def attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        self.entries = {}
        for _ in range(self.length(_ATTRIBUTES)):
            start = self.at
            name, kind, count = self.name(), np.dtype(_TYPES[self.number()]), self.count()
            raw = self.take(count * kind.itemsize)
            self.take(-len(raw) % 4)
            self.entries[name] = start, self.at
            found[name] = raw.decode("utf-8", "replace") if kind.kind == "S" else np.frombuffer(raw, kind).tolist()
        return found


def parse(data: bytes) -> Header | None:
    """Return what the first bytes of a file tell; None if more are needed.

    Raises
    ------
    ValueError, KeyError, IndexError
        If they are malformed.
    """
    if data[:3] != b"CDF" or data[3:4] not in (b"\1", b"\2", b"\5"):
        raise ValueError("it does not begin as netCDF does")
    try:
        return _parsed(_Reader(data))
    except (_Short, struct.error):
        return None


def _parsed(reader: _Reader) -> Header:
    records = reader.count()
    if records == (_STREAMING if reader.count_size == 4 else (1 << 64) - 1):
        raise ValueError("its number of records was never written")
    dims = [(reader.name(), reader.count()) for _ in range(reader.length(10))]
    reader.attributes()
    found: dict[str, Run] = {}
    attributes: dict[str, dict[str, Any]] = {}
    rows: list[tuple[str, int]] = []  # variables of records, with the bytes that one record takes
    for _ in range(reader.length(11)):
        name = reader.name()
        axes = [dims[reader.count()] for _ in range(reader.count())]
        start = reader.at
        attributes[name] = reader.attributes()
        ends = start, reader.at
        dtype = np.dtype(_TYPES[reader.number()])
        reader.count()  # the size is worked out: it overflows in large files
        reader.places[name] = _Place(ends, reader.entries, reader.at)
        offset = reader.number(reader.begin_size)
        record = bool(axes) and axes[0][1] == 0
        shape = tuple(size for _, size in axes[1:] if record) if record else tuple(size for _, size in axes)
        size = math.prod(shape) * dtype.itemsize
        numbers = {key: value if isinstance(value, list) else [] for key, value in attributes[name].items()}
        if record:
            rows.append((name, size))
            found[name] = Run(dtype, (records, *shape), offset, size, records, 0, numbers)
        else:
            found[name] = Run(dtype, shape, offset, size, attributes=numbers)
    step = rows[0][1] if len(rows) == 1 else sum(size + -size % 4 for _, size in rows)  # one alone is not padded
    for name, _ in rows:
        found[name] = replace(found[name], stride=step)
    runs = {name: run for name, run in found.items() if run.dtype.kind != "S" and run.values}
    others = {name: "text" if run.dtype.kind == "S" else "" for name, run in found.items() if name not in runs}
    return Header(reader.at, runs, _coordinates(attributes, {name for name, _ in dims}), others=others)


def _coordinates(attributes: dict[str, dict[str, Any]], dims: set[str]) -> frozenset[str]:
    found = set(attributes) & dims
    for told in attributes.values():
        for word in _NAMING:
            if isinstance(told.get(word), str):
                found |= set(told[word].split()) & set(attributes)
    units = {name: str(told.get("units", "")) for name, told in attributes.items()}
    return frozenset(found | {name for name, text in units.items() if text.startswith("degrees_") or " since " in text})


def extended(data: bytes, told: Mapping[str, Mapping[str, Any]]) -> Extended | None:
    """Return a header in which variables have further attributes, texts and numbers, or others in place of those they had.

    None where values would lie further back than the format has numbers for.

    Parameters
    ----------
    data
        A sound header.
    """
    reader = _Reader(data)
    _parsed(reader)
    begins = {name: int.from_bytes(data[p.begin : p.begin + reader.begin_size], "big") for name, p in reader.places.items()}
    first = min(begins.values())
    grown = sum(len(_listed(reader, name, added)) - _length(reader, name) for name, added in told.items())
    moved = max(0, reader.at + grown - first)
    moved += -moved % _ALIGNED
    if max(begins.values()) + moved >= 1 << (8 * reader.begin_size - 1):
        return None
    out, at = [], 0
    for name, place in reader.places.items():
        start, stop = place.attributes
        out += [data[at:start], _listed(reader, name, told[name]) if name in told else data[start:stop], data[stop : place.begin]]
        out.append((begins[name] + moved).to_bytes(reader.begin_size, "big"))
        at = place.begin + reader.begin_size
    return Extended(b"".join([*out, data[at : reader.at]]).ljust(first + moved, b"\0"), moved)


def _length(reader: _Reader, name: str) -> int:
    start, stop = reader.places[name].attributes
    return stop - start


def _listed(reader: _Reader, name: str, added: Mapping[str, Any]) -> bytes:
    """Return the list of the attributes of a variable, those added at its end."""
    kept = [reader.data[start:stop] for key, (start, stop) in reader.places[name].entries.items() if key not in added]
    made = [_attribute(key, value, reader.count_size) for key, value in added.items()]
    return b"".join([_ATTRIBUTES.to_bytes(4, "big"), (len(kept) + len(made)).to_bytes(reader.count_size, "big"), *kept, *made])


def _attribute(key: str, value: str | float, size: int) -> bytes:
    def padded(raw: bytes) -> bytes:
        return raw + b"\0" * (-len(raw) % 4)

    name = key.encode()
    kind, raw = (_TEXT, value.encode()) if isinstance(value, str) else (_DOUBLE, struct.pack(">d", value))
    count = len(raw) if kind == _TEXT else 1
    parts = [len(name).to_bytes(size, "big"), padded(name), kind.to_bytes(4, "big"), count.to_bytes(size, "big"), padded(raw)]
    return b"".join(parts)
