"""Make hostile files: take an archive apart, change what is inside, sign it again so that every digest is right.

Files are put together by the library's own writer, so that only what was changed is wrong, whatever the container is.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aezip.container import header as rules
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.entropy.frames import pack

Json = Any


def flips(data: bytes, times: int) -> Iterator[bytes]:
    """Yield copies of data, each with one bit flipped somewhere."""
    rng = np.random.default_rng(0)
    for _ in range(times):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        yield bytes(changed)


@dataclass
class Parts:
    """An archive of one array, taken apart; streams are unpacked, or frames as they will be stored."""

    name: str
    header: dict[str, Json]
    chunks: list[dict[str, bytes]]
    digests: list[bytes]
    shared: dict[str, bytes]
    frames: dict[tuple[int, str], bytes]  # (chunk, or -1 of shared streams; stream): stored instead of what packs to it

    def copy(self) -> Parts:
        chunks = [dict(c) for c in self.chunks]
        return Parts(self.name, copy.deepcopy(self.header), chunks, list(self.digests), dict(self.shared), {})


def take_apart(data: bytes) -> Parts:
    with Reader(data) as reader:
        name = reader.names[0]
        count = range(reader.chunk_count(name))
        chunks = [reader.segments(name, i) for i in count]
        digests = [reader.digest(name, i) for i in count]
        return Parts(name, reader.header(name), chunks, digests, reader.shared(name), {})


def put_together(parts: Parts) -> bytes:
    with Writer(None) as writer:
        writer.begin(parts.name)
        for number, (streams, digest) in enumerate(zip(parts.chunks, parts.digests, strict=True)):
            segments = {n: pack(s, 1) if s else b"" for n, s in streams.items()}
            segments |= {n: f for (c, n), f in parts.frames.items() if c == number}
            writer.add_chunk(segments, digest)
        shared = {n: pack(s, 1) for n, s in parts.shared.items()}
        writer.end(parts.header, shared | {n: f for (c, n), f in parts.frames.items() if c == -1})
        writer.finish()
        writer.publish()
        return writer.getvalue()


NUMBERS: list[Json] = [
    0, 1, -1, 2, 3, 7, 8, 255, 256, 4095, 4096, 65535, 65536, (1 << 24) - 1, 1 << 24, 1 << 26, (1 << 31) - 1, 1 << 31,
    1 << 32, 1 << 50, 1 << 52, 1 << 62, (1 << 63) - 1, 1 << 63, 1 << 64, -(1 << 63), 10**400,
    0.5, -0.0, 1e-320, 1e308, -1e308, 1e22, 2.0**63,
]  # fmt: skip
OTHERS: list[Json] = [
    None, True, False, "", "0", "columns", "bytes", "f8", "<f4", "|u1", ">i8", "\x1b[31m", "a" * 300, [], {}, [[]], [0], [1, 1],
    [1 << 40], {"kind": "linear"}, {"kind": "bytes"}, {"kind": "context"}, {"count": 1 << 20, "zlib": ""},
    {"count": 3, "zlib": "eJxjYGBgAAAABAAB"}, [[0], [1]], [[0, 1, 2, 3]], [[0], [0]],
]  # fmt: skip


def places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of everything inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for key, item in items:
        found.append((*path, key))
        found += places(item, (*path, key))
    return found


def at(value: Json, path: tuple[Any, ...]) -> Json:
    for key in path:
        value = value[key]
    return value


class Mutator:
    """Changes parts in random ways that are likely to be interesting."""

    def __init__(self, seed: int, corpus: list[Parts]) -> None:
        self.random = random.Random(seed)
        self.corpus = corpus

    def mutant(self) -> Parts:
        """Return changed parts of a random file."""
        parts = self.random.choice(self.corpus).copy()
        for _ in range(self.random.choice((1, 1, 1, 2, 3, 6))):
            self.change(parts)
        return parts

    def change(self, parts: Parts) -> None:
        kinds = [self.change_header] * 4 + [self.change_stream] * 3 + [self.change_shared] * 3
        kinds += [self.change_frame, self.change_chunks]
        self.random.choice(kinds)(parts)

    def change_header(self, parts: Parts) -> None:
        r = self.random
        paths = [p for p in places(parts.header) if p[0] not in ("achieved", "rates", "candidates", "preset", "seed")]
        if r.random() < 0.05 or not paths:
            paths = places(parts.header)
        path = r.choice(paths)
        holder, key = at(parts.header, path[:-1]), path[-1]
        old = holder[key]
        move = r.randrange(10)
        if move == 0:
            del holder[key]
        elif move == 1 and isinstance(holder, list):
            holder.insert(r.randrange(len(holder) + 1), copy.deepcopy(r.choice([old, *NUMBERS])))
        elif move == 2:
            other = r.choice(self.corpus).header
            holder[key] = copy.deepcopy(at(other, r.choice(places(other))))
        elif move == 3:
            other = r.choice(self.corpus).header
            same = [p for p in places(other) if p[-1] == key]
            if same:
                holder[key] = copy.deepcopy(at(other, r.choice(same)))
        elif isinstance(old, bool):
            holder[key] = not old
        elif isinstance(old, int) and move < 8:
            holder[key] = r.choice([old + 1, old - 1, 2 * old, old // 2, -old, old + 64, r.choice(NUMBERS), r.choice(NUMBERS)])
        elif isinstance(old, str) and old and move < 7:
            n = r.randrange(len(old))
            holder[key] = old[:n] + r.choice("0123456789abcdefiu<>|=+/") + old[n + 1 :]
        else:
            holder[key] = copy.deepcopy(r.choice(NUMBERS + OTHERS))

    def change_stream(self, parts: Parts) -> None:
        if parts.chunks:
            self.change_one(self.random.choice(parts.chunks), "chunks")

    def change_shared(self, parts: Parts) -> None:
        self.change_one(parts.shared, "shared") if parts.shared else self.change_stream(parts)

    def change_one(self, streams: dict[str, bytes], kind: str) -> None:
        r = self.random
        if not streams:
            return
        name = r.choice(sorted(streams))
        if r.random() < 0.1:
            other = r.choice(self.corpus)
            sources = [other.shared] if kind == "shared" else other.chunks
            found = [s[name] for s in sources if name in s]
            streams[name] = r.choice(found) if found else b""
        else:
            streams[name] = self.bytes(streams[name])

    def bytes(self, old: bytes) -> bytes:
        """Return changed bytes; more often at the beginning, where lengths are."""
        r = self.random
        data = bytearray(old)
        place = min(len(data), int(len(data) * r.random() ** r.choice((1, 1, 4))))
        size = r.choice((1, 1, 2, 4, 8, 64, 512))
        move = r.randrange(9)
        if move <= 2 and data:
            data[min(place, len(data) - 1)] ^= 1 << r.randrange(8)
        elif move == 3:
            data[place : place + size] = r.randbytes(size)
        elif move == 4:
            data[place : place + size] = bytes([r.choice((0, 1, 0x7F, 0x80, 0xFF))]) * size
        elif move == 5:
            del data[place : place + size]
        elif move == 6:
            data[place:place] = r.choice((r.randbytes(size), bytes(size), b"\xff" * size))
        elif move == 7:
            del data[place:]
        else:
            data += r.choice((bytes(size), r.randbytes(size), bytes(data[:size])))
        return bytes(data)

    def change_frame(self, parts: Parts) -> None:
        r = self.random
        number = r.randrange(-1, len(parts.chunks))
        streams = parts.shared if number < 0 else parts.chunks[number]
        names = sorted(n for n, s in streams.items() if s)
        if names:
            name = r.choice(names)
            parts.frames[number, name] = self.framed(pack(streams[name], r.choice((1, 19))))

    def framed(self, frame: bytes) -> bytes:
        """Return a changed frame that still states a size and a checksum, or else the frame as it was."""
        from aezip.core.errors import CorruptFile
        from aezip.entropy.frames import content_size

        changed = self.bytes(frame)
        try:
            content_size(changed)  # the writer puts it into the index
        except CorruptFile:
            return frame
        return changed

    def change_chunks(self, parts: Parts) -> None:
        r = self.random
        if not parts.chunks:
            return
        number, move = r.randrange(len(parts.chunks)), r.randrange(5)
        if move == 0 and len(parts.chunks) > 1:
            del parts.chunks[number], parts.digests[number]
        elif move == 1:
            parts.chunks.append(dict(parts.chunks[number]))
            parts.digests.append(parts.digests[number])
        elif move == 2:
            other = r.choice(self.corpus)
            if other.chunks:
                parts.chunks[number] = dict(r.choice(other.chunks))
        elif move == 3:
            parts.chunks[number][r.choice([n for n in rules.STREAMS if n not in rules.SHARED])] = r.randbytes(r.randrange(40))
        else:
            parts.chunks[number] = {n: b"" for n in parts.chunks[number]}
