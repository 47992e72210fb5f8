"""Zstandard frames with content size and checksum, and the guards around decoding them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import zstandard

from aezip.core.errors import CorruptFile

_local = threading.local()
_MAGIC = b"\x28\xb5\x2f\xfd"


def pack(raw: bytes, level: int = 3) -> bytes:
    """Return `raw` as one zstd frame with content size and checksum; levels 1 to 22."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    return compressor.compress(raw)


def content_size(frame: bytes) -> int:
    """Return the content size that a frame states.

    Raises
    ------
    CorruptFile
        If it is no frame, or states no size or checksum.
    """
    if frame[:4] != _MAGIC:
        raise CorruptFile("a stream is no zstd frame: the file is damaged, get another copy")
    try:
        parameters = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as error:
        raise CorruptFile("a zstd frame is damaged: get another copy of the file") from error
    size = int(parameters.content_size)
    if size >= 1 << 62 or not parameters.has_checksum or parameters.dict_id:
        raise CorruptFile("a zstd frame states no size or checksum: the file is damaged")
    return size


def unpack(frame: bytes, size: int) -> bytes:
    """Return the content of a frame, which must be of exactly `size` bytes.

    The stated size is compared before anything is allocated.

    Raises
    ------
    CorruptFile
        If the frame is damaged or of another size.
    """
    if content_size(frame) != size:
        raise CorruptFile("a zstd frame states another size than the index: the file is damaged")
    decompressor = getattr(_local, "decompressor", None)
    if decompressor is None:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor()
    try:
        raw: bytes = decompressor.decompress(frame, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptFile("a zstd frame is damaged: get another copy of the file") from error
    if len(raw) != size:
        raise CorruptFile("a zstd frame is cut short: get another copy of the file")
    return raw


def unpacked(frames: bytes, most: int) -> Iterator[bytes]:
    """Yield the contents of frames that follow each other, each of at most `most` bytes.

    Raises
    ------
    CorruptFile
        If one is damaged, or declares more.
    """
    left = memoryview(frames)
    while left:
        size = content_size(bytes(left[:32]))
        if size > most:
            raise CorruptFile("a zstd frame declares too many bytes: the file is damaged")
        decompressor = zstandard.ZstdDecompressor().decompressobj()
        try:
            raw = decompressor.decompress(left)
        except zstandard.ZstdError as error:
            raise CorruptFile("a zstd frame is damaged: get another copy of the file") from error
        if not decompressor.eof or len(raw) != size:
            raise CorruptFile("a zstd frame is cut short: get another copy of the file")
        yield raw
        left = left[len(left) - len(decompressor.unused_data) :]
