"""Sections 1 and 2 of the page: datasets of the HDF5 file, digests, headers, segments of streams."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import zstandard

NOT_STREAMS = {"header", "index", "digests"}
ONCE = {"encoder", "model", "recommender"}  # streams of a single frame
STREAMS = {"codes", "data", "encoder", "mask", "model", "outliers", "recommender", "residual"}
FEATURES = {"file", "model", "model-reference"}


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
    """All arrays of a file, what its root header says, and its digest: the id of a model."""

    header: dict[str, Any]
    arrays: dict[str, Stored]
    id: str


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def check(right: bool, what: str) -> None:
    """Refuse the file if something is not as the page says."""
    if not right:
        raise FormatError(what)


def open_file(path: Path) -> File:
    """Return what a file holds, its digests checked, all segments decompressed."""
    with h5py.File(path) as file:
        datasets: dict[str, bytes] = {}
        file.visititems(lambda name, item: datasets.update({name: bytes(item[()])} if isinstance(item, h5py.Dataset) else {}))
    root = json.loads(datasets["header"])
    check(root["format"] == "aezip" and root["version"] <= [1, 0], "another format or a later version")
    check(set(root["features"]) <= FEATURES, "unknown features")
    groups = [entry["group"] for entry in root["arrays"]]
    whole = b"".join(sha256(datasets[f"{group}/{part}"]) for group in groups for part in ("header", "index", "digests"))
    check(datasets["digests"] == sha256(datasets["header"] + sha256(whole)), "digests of the file")
    if "file" in root:
        check(sha256(datasets["file"]).hex() == root["file"]["digest"], "digest of the skeleton")
    arrays = {entry["name"]: _array(entry["name"], entry["group"] + "/", datasets) for entry in root["arrays"]}
    return File(root, arrays, datasets["digests"].hex())


def _array(name: str, prefix: str, datasets: dict[str, bytes]) -> Stored:
    parts = {path[len(prefix) :]: data for path, data in datasets.items() if path.startswith(prefix)}
    header = lengthen(json.loads(parts["header"]))
    names, chunks = sorted(set(parts) - NOT_STREAMS), header["chunk_count"]
    check(set(names) <= STREAMS, "unknown streams")
    digests = [parts["digests"][i : i + 32] for i in range(0, len(parts["digests"]), 32)]
    check(digests[: len(names)] == [sha256(parts[stream]) for stream in names], "digests of the streams")
    check(len(digests) == len(names) + chunks, "one digest for each chunk")
    index = np.frombuffer(zstandard.decompress(parts["index"]), "<u8").reshape(-1, 2).tolist()
    streams: dict[str, list[bytes]] = {}
    for stream in names:
        count = 1 if stream in ONCE else chunks
        streams[stream] = _segments(parts[stream], index[:count])
        index = index[count:]
    check(not index, "an index of these streams")
    return Stored(name, header, streams, digests[len(names) :])


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
