"""One array as one run of bytes, a *frame*, without HDF5: for stores that keep chunks themselves, as Zarr does.

    "AEZ", version      4 bytes
    header              LEB128 length, raw deflate with `deflate.FRAME_DICTIONARY`: JSON as of an array in a file
    streams             a byte, a bit for each in the order of their names; LEB128 length of each segment
    digests             the first 8 bytes of the sha256 of each decoded chunk
    segments            zstd frames, in the order of the lengths

What a header leaves out it takes from a *base*, the header of the model that all frames of an array share.
"""

from __future__ import annotations

from typing import Any

from aezip.core.errors import CorruptFile, ModelMismatch, UnsupportedVersion
from aezip.entropy.frames import content_size, unpack

from . import header as rules
from .deflate import FRAME_DICTIONARY, deflated, inflated

MAGIC, VERSION = b"AEZ", 1
DIGEST = 8
_LEFT_OUT = ("name", "achieved", "rates", "candidates", "preset", "seed", "trained", "recommender")  # for people, or known
_DAMAGED = "the frame is damaged: get another copy"


def build(
    header: dict[str, Any],
    shared: dict[str, bytes],
    chunks: list[tuple[dict[str, bytes], bytes]],
    base: dict[str, Any] | None = None,
) -> bytes:
    """Return the frame of an array.

    Parameters
    ----------
    header
        As in a file.
    shared
        Streams of the whole array, each a zstd frame.
    chunks
        Segments, zstd frames or b"", and digest of each chunk.
    base
        The header that the frame may refer to.
    """
    usual = {k: v for k, v in (base or {}).items() if k not in ("shape", *_OF_CHUNKS)}
    kept = {k: v for k, v in rules.shorten(header).items() if k not in _LEFT_OUT and (k not in usual or usual[k] != v)}
    raw = deflated(rules.dump(kept), FRAME_DICTIONARY)
    segments = {name: [frame] for name, frame in shared.items()}
    for name in sorted({n for own, _ in chunks for n in own}):
        own = [found.get(name, b"") for found, _ in chunks]
        if any(own):
            segments[name] = own
    names = sorted(segments)
    present = sum(1 << rules.STREAMS_SORTED.index(name) for name in names)
    lengths = b"".join(_leb(len(frame)) for name in names for frame in segments[name])
    digests = b"".join(digest[:DIGEST] for _, digest in chunks)
    head = MAGIC + bytes([VERSION]) + _leb(len(raw)) + raw + bytes([present]) + lengths + digests
    return head + b"".join(frame for name in names for frame in segments[name])


def _leb(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise CorruptFile(f"the frame is cut short: {_DAMAGED}")
        self.at += size
        return self.data[self.at - size : self.at]

    def leb(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise CorruptFile(_DAMAGED)


class Frame:
    """A frame that was parsed: header, streams and digests, all structure checked.

    Parameters
    ----------
    data
        The frame.
    base
        The header that it may refer to.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If it is damaged, hostile, or of a later version.
    ModelMismatch
        If it needs a model, of which there is no header.
    """

    def __init__(self, data: bytes, base: dict[str, Any] | None = None) -> None:
        cursor = _Cursor(data)
        if cursor.take(len(MAGIC)) != MAGIC:
            raise CorruptFile("this is no frame of aezip, or its beginning is damaged")
        (version,) = cursor.take(1)
        if version > VERSION or not version:
            raise UnsupportedVersion(f"the frame has version {version}, this aezip reads up to {VERSION}: update aezip")
        raw, rest = inflated(cursor.take(cursor.leb()), FRAME_DICTIONARY, rules.MAX_HEADER)
        if rest:
            raise CorruptFile(f"the header of the frame is not readable: {_DAMAGED}")
        usual = {k: v for k, v in (base or {}).items() if k not in _LEFT_OUT and k not in ("shape", *_OF_CHUNKS)}
        told = rules.parse(raw)
        if told.get("model") is True and "plan" not in (base or {}):
            raise ModelMismatch("the frame needs the model it was made with: put that back into the codec's configuration")
        self.header = rules.lengthen({**usual, **told}, "")
        count = self.header.get("chunk_count")
        if type(count) is not int or not 0 <= count <= rules.MAX_CHUNKS:
            raise CorruptFile(_DAMAGED)
        (present,) = cursor.take(1)
        names = [name for bit, name in enumerate(rules.STREAMS_SORTED) if present >> bit & 1]
        lengths = {name: [cursor.leb() for _ in range(1 if name in rules.SHARED else count)] for name in names}
        self.digests = [cursor.take(DIGEST) for _ in range(count)]
        found = {name: [cursor.take(length) for length in lengths[name]] for name in names}
        if cursor.at != len(data):
            raise CorruptFile(f"the frame has bytes beyond its end: {_DAMAGED}")
        index = [(len(f), content_size(f) if f else 0) for name in names for f in found[name]]
        self.entry = rules.validate(self.header, names, index)
        self._found = found

    def shared(self) -> dict[str, bytes]:
        """Return the streams of the whole array, decompressed."""
        return {name: self._unpacked(name, 0) for name in self._found if name in rules.SHARED}

    def segments(self, chunk: int) -> dict[str, bytes]:
        """Return the streams of a chunk, decompressed."""
        return {name: self._unpacked(name, chunk) for name in self._found if name not in rules.SHARED}

    def _unpacked(self, name: str, number: int) -> bytes:
        _, length, size = self.entry.frames[name][number]
        return unpack(self._found[name][number], size) if length else b""


_OF_CHUNKS = ("chunk_length", "chunk_count", "chunk_values", "specials")
