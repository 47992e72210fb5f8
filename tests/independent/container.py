"""Sections 1 and 2 of the page: datasets of the HDF5 file, headers, digests, segments of streams."""

from __future__ import annotations

import hashlib
import json
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zstandard

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
ONCE = {"encoder", "model", "recommender"}  # streams of a single frame
STREAMS = {"codes", "data", "encoder", "mask", "model", "outliers", "recommender", "residual"}
FEATURES = {"file", "model", "model-reference", "narrow"}


class FormatError(ValueError):
    """A file says something that the page does not."""


@dataclass(frozen=True)
class Stored:
    """One array as it lies in a file: its header, the contents of its segments, the digests of its chunks."""

    name: str
    header: dict[str, Any]
    streams: dict[str, list[bytes]]
    digests: list[bytes]

    def segment(self, stream: str, chunk: int = 0) -> bytes:
        """Return the content of one segment; a stream that is absent is empty throughout."""
        return self.streams[stream][0 if stream in ONCE else chunk] if stream in self.streams else b""


@dataclass(frozen=True)
class File:
    """All arrays of a file, what its root says, and its digest: the id of a model."""

    header: dict[str, Any]
    arrays: dict[str, Stored]
    id: str


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def check(right: bool, what: str) -> None:
    """Refuse the file if something is not as the page says."""
    if not right:
        raise FormatError(what)


def dictionaries() -> tuple[bytes, bytes]:
    """Return what headers of frames and of files are packed with: of the blocks on the page, lines one after the other."""
    section = PAGE.read_text(encoding="utf-8").partition("## 11. Frames\n")[2]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)
    both, files, frames = ("".join(block.splitlines()).encode() for block in blocks)
    return both + frames, files + both


def inflate(data: bytes, dictionary: bytes) -> tuple[bytes, bytes]:
    """Return what raw deflate at the beginning of some bytes holds, and the bytes after it."""
    inflater = zlib.decompressobj(-15, dictionary)
    text = inflater.decompress(data)
    check(inflater.eof, "a header that ends")
    return text, inflater.unused_data


def open_file(path: Path) -> File:
    """Return what a file holds, its digests checked, all segments decompressed."""
    with h5py.File(path) as file:
        datasets = {name: bytes(file[name][()]) for name in file}
    head, end = datasets["header"][:-32], datasets["header"][-32:]
    text, rest = inflate(head, dictionaries()[1])
    root = json.loads(text)
    check(root["format"] == "aezip" and root["version"] <= [1, 0], "another format or a later version")
    check(set(root["features"]) <= FEATURES, "unknown features")
    check(end == sha256(head), "the digest of the header")
    if "file" in root:
        check(sha256(datasets["file"]).hex() == root["file"]["digest"], "digest of the skeleton")
    headers = [lengthen(entry) for entry in root["arrays"]]
    count = 32 * sum(1 + header["chunk_count"] for header in headers)
    index, digests = rest[: len(rest) - count], rest[len(rest) - count :]
    pairs = np.frombuffer(zstandard.decompress(index), "<u8").reshape(-1, 2).tolist()
    data, arrays = datasets.get("data", b""), {}
    for header in headers:
        own = 32 * (1 + header["chunk_count"])
        arrays[header["name"]], pairs, data = _array(header, pairs, data, digests[:own])
        digests = digests[own:]
    check(not pairs and not data, "an index of these streams")
    return File(root, arrays, end.hex())


def _array(header: dict[str, Any], pairs: list[list[int]], data: bytes, digests: bytes) -> tuple[Stored, list[list[int]], bytes]:
    """Return an array, and what of the index and of the data is left for those after it."""
    check(set(header["streams"]) <= STREAMS and header["streams"] == sorted(header["streams"]), "the streams")
    streams: dict[str, list[bytes]] = {}
    whole = b""
    for stream in header["streams"]:
        count = 1 if stream in ONCE else header["chunk_count"]
        size = sum(length for length, _ in pairs[:count])
        streams[stream] = _segments(data[:size], pairs[:count])
        whole += sha256(data[:size])
        pairs, data = pairs[count:], data[size:]
    found = [digests[i : i + 32] for i in range(0, len(digests), 32)]
    check(found[0] == sha256(whole), "the digest of the streams")
    return Stored(header["name"], header, streams, found[1:]), pairs, data


def _segments(data: bytes, index: list[list[int]]) -> list[bytes]:
    found, at = [], 0
    for length, size in index:
        found.append(zstandard.decompress(data[at : at + length]) if length else b"")
        check(len(found[-1]) == size, "the size of a segment")
        at += length
    check(at == len(data), "the length of a stream")
    return found


def lengthen(header: dict[str, Any]) -> dict[str, Any]:
    """Return a header with what it leaves out."""
    length, shape = header["chunk_length"], header["shape"] or [1]
    left_out = {
        "chunk_count": -(-shape[0] // length) if math.prod(shape) else 0,
        "specials": {"patterns": [], "fills": 0},
    }
    return left_out | header


def uleb(data: bytes, at: int) -> tuple[int, int]:
    """Return a LEB128 number and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def by_significance(data: bytes, dtype: str | np.dtype[Any], count: int) -> np.ndarray:
    """Return numbers whose lowest bytes come first, then all second ones, and so on."""
    dtype = np.dtype(dtype).newbyteorder("<")
    planes = np.frombuffer(data, "u1", count * dtype.itemsize).reshape(dtype.itemsize, count)
    return np.ascontiguousarray(planes.T).view(dtype).reshape(count)
