"""The file: HDF5 with plain byte datasets and digests, read with guards against hostile files; `writer` writes it.

Knows bytes and JSON, nothing of arrays, bounds or networks. `docs/format.md` specifies what is written.

    /header     raw deflate: JSON on the file and its arrays; one zstd frame: the index; sha256 of the streams of each array
                and of its decoded chunks; sha256 of all of that
    /data       zstd frames: array by array, stream by stream in order of their names, chunk by chunk
    /file       of a whole file: zstd frames of what is no array
"""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from aezip.core.errors import AezipError, CorruptFile, InvalidInput, UnsafeFile
from aezip.core.sources import Source, is_url, opened
from aezip.entropy.frames import content_size, unpack, unpacked

from . import header as rules
from .deflate import FILE_DICTIONARY, inflated

if TYPE_CHECKING:
    from aezip.core.remote import Remote

_MAGIC = b"\x89HDF\r\n\x1a\n"
_COPY, _DIGEST = 1 << 20, 32
_FOREIGN = (RuntimeError, KeyError, ValueError, TypeError, IndexError, OverflowError, AttributeError)
_NOT_HDF5 = "this is not an aezip file, or its beginning is damaged: check the name, or get another copy"


class Reader:
    """Read an archive; every structure is checked when it is opened.

    Parameters
    ----------
    source
        A path, the bytes of an archive, or a file open for reading.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If it is no sound aezip file.
    InvalidInput
        If it is nothing that bytes come from.
    FileNotFoundError, PermissionError
        If it cannot be opened.
    """

    def __init__(self, source: Source) -> None:
        self._lock = threading.Lock()
        self.closed = False
        self._remote: Remote | None = None
        if is_url(source):
            from aezip.core.remote import Remote  # most files are none

            self._remote = Remote(source)
        source = source if self._remote is not None else opened(source)
        given: Any = self._remote or (io.BytesIO(source) if isinstance(source, bytes) else source)
        if self._head(given) != _MAGIC:  # also refuses a user block
            raise CorruptFile(_NOT_HDF5)
        try:
            self._file = h5py.File(given, "r")
        except (OSError, RuntimeError) as error:
            self._check_connection(error)
            raise CorruptFile("the file is cut short or damaged: get another copy") from error
        # of what HDF5 has open: the name may mean another file by now
        self.size = len(source) if isinstance(source, bytes) else self._file.id.get_filesize()
        if self._remote is not None:
            self.size = self._remote.size
        try:
            self._open()
        except BaseException as error:
            self._file.close()
            self._check_connection(error)
            if isinstance(error, AezipError):
                raise
            if isinstance(error, (*_FOREIGN, OSError)):
                raise CorruptFile("the file's structure is damaged: get another copy") from error
            raise

    def _head(self, given: Any) -> bytes:
        """Return the first bytes."""
        if isinstance(given, str | os.PathLike):
            with open(given, "rb") as file:
                return file.read(len(_MAGIC))
        try:
            head: bytes = given.read(len(_MAGIC))
            given.seek(0)
        except OSError as error:
            self._check_connection(error)
            raise
        return head

    def _check_connection(self, error: BaseException) -> None:
        """Raise what is said where a connection broke, if that is what happened."""
        if self._remote is not None and self._remote.failed:
            raise self._remote.stopped() from error

    def _open(self) -> None:
        members = self._members({"header", "data", "file"})
        head = self._small("header", members)
        raw, rest = inflated(head[:-_DIGEST], FILE_DICTIONARY, rules.MAX_HEADER)
        self.root = rules.parse(raw)
        arrays = rules.check_root(self.root)  # a later version may be closed in another way
        closing = hashlib.sha256(head[:-_DIGEST]).digest()
        if head[-_DIGEST:] != closing:
            raise CorruptFile("the headers do not match their digest: the file is damaged, get another copy")
        self.identity = closing.hex()  # of all headers, indices and digests: two files that share it are the same
        self.kind: str = self.root.get("kind", "archive")
        self.origin = rules.check_file(self.root)
        self.file_bytes = members.get("file", 0)  # of what is no array
        if ("file" in members) != (self.origin is not None):
            raise UnsafeFile("the file holds objects that no aezip file has: do not trust this file")
        self.names: list[str] = [array["name"] for array in arrays]
        self._headers: dict[str, dict[str, Any]] = {}
        self._entries: dict[str, rules.Entry] = {}
        self._digests: dict[str, list[bytes]] = {}
        if self._locate(arrays, rest) != members.get("data", 0):
            raise CorruptFile("the index does not fit the streams: the file is damaged, get another copy")

    def _locate(self, arrays: list[dict[str, Any]], rest: bytes) -> int:
        """Find the segments of all arrays, given index and digests; return the bytes of them all."""
        counts = []
        for array in arrays:
            header = {key: value for key, value in array.items() if key not in ("name", "streams")}
            self._headers[array["name"]] = header = rules.lengthen(header, array["name"])
            counts.append(rules.check_chunks(header))
        size = _DIGEST * (len(counts) + sum(counts))
        if size > len(rest):
            raise CorruptFile("the digests do not fit the chunks: the file is damaged")
        index, digests = rest[: len(rest) - size], rest[len(rest) - size :]
        rows = [
            sum(rules.segments(name, count) for name in array["streams"]) for array, count in zip(arrays, counts, strict=True)
        ]
        pairs = self._index(index, sum(rows))
        start = at = first = 0
        for array, count, own in zip(arrays, counts, rows, strict=True):
            name = array["name"]
            self._entries[name] = entry = rules.validate(self._headers[name], array["streams"], pairs[at : at + own], start)
            at, start = at + own, start + sum(entry.sizes.values())
            last = first + _DIGEST * (1 + count)
            self._digests[name] = [digests[i : i + _DIGEST] for i in range(first, last, _DIGEST)]
            first = last
        return start

    @staticmethod
    def _index(frame: bytes, rows: int) -> list[tuple[int, int]]:
        """Return the rows of the index, of which there are as many as headers say."""
        size = content_size(frame)
        if size != 16 * rows:
            raise CorruptFile("the index does not fit the chunks: the file is damaged")
        table = np.frombuffer(unpack(frame, size), "<u8").reshape(-1, 2)
        if (table >= np.uint64(1 << 62)).any():
            raise CorruptFile("the index is malformed: the file is damaged")
        return [(int(a), int(b)) for a, b in table]

    def _members(self, expected: set[str]) -> dict[str, int]:
        """Return the sizes of the datasets. Only plain members of the names expected pass."""
        file = self._file
        if len(file) > len(expected):
            raise UnsafeFile(f"the file has {len(file)} members: do not trust this file")
        if len(file.attrs):
            raise UnsafeFile("the file holds attributes, which no aezip file has: do not trust this file")
        members: dict[str, int] = {}
        seen: set[Any] = set()
        for name in file:
            if file.get(name, getlink=True).__class__ is not h5py.HardLink:
                raise UnsafeFile(f"{name[:40]!r} is a link to elsewhere: do not trust this file")
            if file.get(name, getclass=True) is not h5py.Dataset or name not in expected:
                raise UnsafeFile(f"{name[:40]!r} is nothing that an aezip file holds: do not trust this file")
            members[name] = self._plain(file[name])
            address = h5py.h5o.get_info(file[name].id).addr
            if address in seen:
                raise UnsafeFile("two names share one object: do not trust this file")
            seen.add(address)
        return members

    def _plain(self, dataset: h5py.Dataset) -> int:
        """Return the size of a dataset that is a plain run of bytes inside this file."""
        space, settings = dataset.id.get_space(), dataset.id.get_create_plist()
        kind = dataset.id.get_type()
        plain = (
            kind.get_class() == h5py.h5t.INTEGER
            and kind.get_size() == 1
            and space.get_simple_extent_type() == h5py.h5s.SIMPLE
            and space.get_simple_extent_ndims() == 1
            and settings.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT)
            and settings.get_nfilters() == 0
            and settings.get_external_count() == 0
        )
        if not plain or h5py.h5a.get_num_attrs(dataset.id):
            raise UnsafeFile("a dataset is not a plain run of bytes: do not trust this file")
        size = int(space.get_simple_extent_dims()[0])
        if size > self.size:
            raise UnsafeFile("a dataset declares more bytes than the file has: do not trust this file")
        offset = dataset.id.get_offset()
        if settings.get_layout() == h5py.h5d.CONTIGUOUS and size and (offset is None or offset + size > self.size):
            raise CorruptFile("the file is cut short: get another copy")
        return size

    def _small(self, name: str, members: dict[str, int]) -> bytes:
        if name not in members:
            raise CorruptFile(f"the dataset {name!r} is missing: the file is damaged, get another copy")
        return self._slice(self._file[name], 0, members[name])

    @staticmethod
    def _slice(dataset: h5py.Dataset, start: int, stop: int) -> bytes:
        raw: bytes = dataset[start:stop].tobytes()
        return raw

    def skeleton(self) -> Iterator[bytes]:
        """Yield the bytes of the original file without its arrays, piece by piece.

        Raises
        ------
        CorruptFile
            If they do not match their digest.
        InvalidInput
            If the archive was made of arrays.
        """
        self.check_open()
        if self.origin is None:
            raise InvalidInput("the archive was made of arrays, not of a file: there is no file to restore")
        with self._lock:
            frames = self._slice(self._file["file"], 0, self.file_bytes)
        if hashlib.sha256(frames).hexdigest() != self.origin["digest"]:
            raise CorruptFile("what the file holds beside its arrays does not match its digest: the file is damaged")
        left, most = self.origin["kept"], rules.SKELETON_FRAME
        for part in unpacked(frames, most):
            left -= len(part)
            if left < 0:
                break
            yield part
        if left:
            raise CorruptFile("what the file holds beside its arrays has another size than stated: the file is damaged")

    def header(self, name: str) -> dict[str, Any]:
        """Return the header of an array."""
        return self._headers[name]

    def chunk_count(self, name: str) -> int:
        """Return the number of chunks of an array."""
        return self._entries[name].chunk_count

    def _segment(self, name: str, stream: str, number: int) -> bytes:
        self.check_open()
        offset, length, content = self._entries[name].frames[stream][number]
        if not length:
            return b""
        try:
            with self._lock:
                frame = self._slice(self._file["data"], offset, offset + length)
        except (*_FOREIGN, OSError) as error:
            self._check_connection(error)
            raise CorruptFile(f"the stream {stream!r} cannot be read: the file is damaged") from error
        return unpack(frame, content)

    def shared(self, name: str) -> dict[str, bytes]:
        """Return the array-wide streams, decompressed.

        Raises
        ------
        CorruptFile
            If one is damaged.
        """
        return {s: self._segment(name, s, 0) for s in rules.SHARED if s in self._entries[name].frames}

    def segments(self, name: str, chunk: int, only: str | None = None) -> dict[str, bytes]:
        """Return a chunk's streams, or `only` one of them, decompressed; safe to call from several threads.

        Raises
        ------
        CorruptFile
            If one is damaged.
        """
        streams = [s for s in self._entries[name].frames if s not in rules.SHARED and only in (None, s)]
        return {s: self._segment(name, s, chunk) for s in streams}

    def digest(self, name: str, chunk: int) -> bytes:
        """Return the sha256 of a decoded chunk."""
        return self._digests[name][1 + chunk]

    def damaged_streams(self, name: str) -> list[str]:
        """Return the streams whose frames are damaged; all of them if the digest says no more than that something is."""
        self.check_open()
        frames, whole = self._entries[name].frames, hashlib.sha256()
        for segments in frames.values():
            digest = hashlib.sha256()
            for part in self._parts(segments):
                digest.update(part)
            whole.update(digest.digest())
        if whole.digest() == self._digests[name][0]:
            return []
        return [stream for stream in frames if self._broken(name, stream)] or list(frames)

    def _parts(self, segments: list[tuple[int, int, int]]) -> Iterator[bytes]:
        """Yield the bytes of a stream, piece by piece."""
        at, stop = segments[0][0], sum(segments[-1][:2])
        while at < stop:
            with self._lock:
                part = self._slice(self._file["data"], at, min(stop, at + _COPY))
            yield part
            at += len(part)

    def _broken(self, name: str, stream: str) -> bool:
        try:
            for number in range(len(self._entries[name].frames[stream])):
                self._segment(name, stream, number)
        except CorruptFile:
            return True
        return False

    def ledger(self, name: str) -> dict[str, int]:
        """Return the bytes of each stream of an array as stored."""
        return self._entries[name].sizes

    def close(self) -> None:
        """Close the file."""
        self.closed = True
        self._file.close()
        if self._remote is not None:
            self._remote.close()

    def check_open(self) -> None:
        """Raise InvalidInput if the file was closed."""
        if self.closed:
            raise InvalidInput("the archive is closed: open it again to read from it")

    def __enter__(self) -> Reader:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()
