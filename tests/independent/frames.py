"""Section 11 of the page: an array as one run of bytes."""

from __future__ import annotations

import json
from typing import Any

import zstandard

from independent.container import ONCE, STREAMS, Stored, check, dictionaries, inflate, lengthen, uleb


def parse(data: bytes, model: Stored | None) -> Stored:
    """Return the array of a frame; `model` is the array of the model that serves it."""
    check(data[:4] == b"AEZ\x01", "a frame of version 1")
    length, at = uleb(data, 4)
    text, rest = inflate(data[at : at + length], dictionaries()[0])
    check(not rest, "nothing after the header")
    at += length
    header: dict[str, Any] = json.loads(text)
    served = bool(header.get("model"))
    if served:
        check(model is not None, "a model that is at hand")
        header = {key: value for key, value in (model.header if model else {}).items() if key not in OWN} | header
    header = lengthen(header)
    names = [name for i, name in enumerate(sorted(STREAMS)) if data[at] >> i & 1]
    at += 1
    lengths: list[tuple[str, int]] = []
    for name in names:
        for _ in range(1 if name in ONCE else header["chunk_count"]):
            length, at = uleb(data, at)
            lengths.append((name, length))
    digests = [data[at + 8 * i : at + 8 * i + 8] for i in range(header["chunk_count"])]
    at += 8 * len(digests)
    streams: dict[str, list[bytes]] = {name: [] for name in names}
    for name, length in lengths:
        streams[name].append(zstandard.decompress(data[at : at + length]) if length else b"")
        at += length
    check(at == len(data), "nothing after the segments")
    if served and model:
        streams["model"] = model.streams["model"]
    return Stored("", header, streams, digests)


OWN = {"shape", "chunk_length", "chunk_count", "chunk_values", "specials"}  # what a frame never takes from a model
