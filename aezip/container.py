"""The file: HDF5 with plain byte datasets, digests, atomic writing, and guards against hostile files.

Knows bytes and JSON, nothing of arrays, bounds or networks. `docs/format.md` specifies what is written.

    /header                 JSON: format, version, features, arrays
    /digests                sha256 over /header and every group's header, index, streams and digests
    /<i>/header             JSON of array i
    /<i>/index              one zstd frame: uint64 pairs (frame length, content size)
    /<i>/digests            sha256 of each stream (by name), then of each decoded chunk
    /<i>/<stream>           zstd frames, one a chunk
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import h5py
import numpy as np

from . import __version__
from . import header as rules
from .atomic import check_target, publish, temporary
from .errors import AezipError, CorruptFile, InvalidInput, UnsafeFile
from .frames import content_size, pack, unpack

_COMPACT = 4096  # bytes up to which a dataset lies in its object header
_MAGIC = b"\x89HDF\r\n\x1a\n"
_COPY = 1 << 20
_FOREIGN = (RuntimeError, KeyError, ValueError, TypeError, IndexError, OverflowError, AttributeError)
_NOT_HDF5 = "this is not an aezip file, or its beginning is damaged: check the name, or get another copy"


def _bytes_dataset(group: h5py.Group, name: str, data: bytes) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    if len(data) <= _COMPACT:  # inside its object header: saves an address and the gaps around it
        plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((len(data),))
    # HDF5 reserves some 200 bytes in a new object header; a copy leaves them out
    with h5py.File("scratch", "w", driver="core", backing_store=False, libver=("v110", "v110")) as scratch:
        dataset = h5py.h5d.create(scratch.id, b"0", h5py.h5t.STD_U8LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(data, np.uint8))
        h5py.h5o.copy(scratch.id, b"0", group.id, name.encode())


@contextmanager
def _writing() -> Iterator[None]:
    """Turn what HDF5 raises where the system refuses a write into the `OSError` that it was."""
    try:
        yield
    except RuntimeError as error:
        said = re.search(r"errno = ([0-9]+)", str(error))
        code = int(said[1]) if said else errno.EIO
        raise OSError(code, os.strerror(code)) from error


class _Spool:
    """One stream's segments, kept in an anonymous file so that memory stays bounded."""

    def __init__(self, folder: Path | None) -> None:
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(1 << 22, dir=None if folder is None else str(folder))
        self.index: list[tuple[int, int]] = []
        self.size = 0
        self.digest = hashlib.sha256()

    def add(self, frame: bytes) -> None:
        self.index.append((len(frame), content_size(frame) if frame else 0))
        self.file.write(frame)
        self.digest.update(frame)
        self.size += len(frame)

    def copy(self, group: h5py.Group, name: str) -> None:
        self.file.seek(0)
        if self.size <= _COPY:
            _bytes_dataset(group, name, self.file.read())
            self.file.close()
            return
        dataset = group.create_dataset(name, (self.size,), np.uint8, track_times=False)
        at = 0
        while at < self.size:
            part = self.file.read(_COPY)
            dataset[at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
        self.file.close()


class Writer:
    """Write an archive to a temporary file beside its target, then publish it under its name.

    Parameters
    ----------
    path
        The target; None: in memory, see `getvalue`.
    overwrite
        Replace an existing file.

    Raises
    ------
    InvalidInput
        If the target exists and `overwrite` is false, or its folder does not exist.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, overwrite: bool = False) -> None:
        self.path = None if path is None else Path(path)
        self.overwrite = overwrite
        self.temp_path: Path | None = None
        self._memory = io.BytesIO()
        self._done = False
        target: Any = self._memory
        if self.path is not None:
            check_target(self.path, overwrite=overwrite)
            self.temp_path = temporary(self.path)
            target = self.temp_path
        # the later metadata format has checksums: flipped bits in it do not pass unnoticed
        try:
            with _writing():
                self._file = h5py.File(target, "w", libver=("v110", "v110"), track_order=False, meta_block_size=1)
        except BaseException:
            if self.temp_path is not None:
                self.temp_path.unlink(missing_ok=True)
            raise
        self._arrays: list[dict[str, Any]] = []
        self._features: set[str] = set()
        self._all = hashlib.sha256()
        self._streams: dict[str, _Spool] = {}
        self._chunks: list[bytes] = []

    def begin(self, name: str) -> None:
        """Start an array."""
        self._arrays.append({"name": name, "group": str(len(self._arrays))})
        self._streams, self._chunks = {}, []

    def drop(self) -> None:
        """Forget the array begun last."""
        self._arrays.pop()
        for spool in self._streams.values():
            spool.file.close()
        self._streams = {}

    def add_chunk(self, segments: dict[str, bytes], digest: bytes) -> None:
        """Add a chunk's segments (zstd frames, or b"") and the sha256 of what they decode to."""
        folder = None if self.temp_path is None else self.temp_path.parent
        for name, frame in segments.items():
            if name not in self._streams:
                self._streams[name] = _Spool(folder)
            self._streams[name].add(frame)
        self._chunks.append(digest)

    def end(self, header: dict[str, Any], shared: dict[str, bytes], needs: Sequence[str] = ()) -> None:
        """Finish an array: write its streams, index, digests and header; the file declares the features it `needs`."""
        self._features.update(needs)
        streams = {name: spool for name, spool in self._streams.items() if spool.size}
        for spool in self._streams.values():
            if not spool.size:
                spool.file.close()
        for name, frame in shared.items():
            streams[name] = _Spool(None)
            streams[name].add(frame)
        raw = rules.dump(rules.shorten(header))
        if len(raw) > rules.MAX_HEADER:
            raise InvalidInput("the header is too large: use fewer columns with a bound of their own")
        pairs = [pair for name in sorted(streams) for pair in streams[name].index]
        index = pack(np.array(pairs, "<u8").tobytes(), 19)
        digests = [streams[name].digest.digest() for name in sorted(streams)]
        stored = {"header": raw, "index": index, "digests": b"".join([*digests, *self._chunks])}
        with _writing():
            group = self._file.create_group(self._arrays[-1]["group"], track_order=False)
            for name in sorted(streams):
                streams[name].copy(group, name)
            for name, data in stored.items():
                _bytes_dataset(group, name, data)
                self._all.update(hashlib.sha256(data).digest())

    def finish(self, kind: str = "", features: Sequence[str] = ()) -> None:
        """Write the root header and force everything to the disk; the file has no name yet.

        Parameters
        ----------
        kind
            Of the file: an archive, or "model".
        features
            What a reader must know beyond the version.
        """
        root = {
            "format": rules.FORMAT,
            "version": list(rules.VERSION),
            "features": sorted({*self._features, *features}),
            **({"kind": kind} if kind else {}),
            "software": f"aezip {__version__}",
            "arrays": self._arrays,
        }
        raw = rules.dump(root)
        with _writing():
            _bytes_dataset(self._file, "header", raw)
            _bytes_dataset(self._file, "digests", hashlib.sha256(raw + self._all.digest()).digest())
            self._file.close()
        if self.temp_path is not None:
            with open(self.temp_path, "rb") as file:
                os.fsync(file.fileno())

    def source(self) -> str | bytes:
        """Return what a `Reader` opens to check the finished file."""
        return self._memory.getvalue() if self.temp_path is None else str(self.temp_path)

    def publish(self) -> None:
        """Give the file its name, atomically."""
        if self.path is not None and self.temp_path is not None:
            publish(self.temp_path, self.path, overwrite=self.overwrite)
        self._done = True

    def getvalue(self) -> bytes:
        """Return the archive of a writer without a path."""
        return self._memory.getvalue()

    def abort(self) -> None:
        """Remove the temporary file."""
        for spool in self._streams.values():
            spool.file.close()
        try:
            self._file.close()
        except (RuntimeError, OSError):
            pass  # the disk may be full: what matters is that the file goes
        if self.temp_path is not None:
            self.temp_path.unlink(missing_ok=True)
        self._done = True

    def __enter__(self) -> Writer:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the temporary file unless it was published."""
        if not self._done:
            self.abort()


class Reader:
    """Read an archive; every structure is checked when it is opened.

    Parameters
    ----------
    source
        A path, or the bytes of an archive.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If it is no sound aezip file.
    FileNotFoundError, PermissionError
        If it cannot be opened.
    """

    def __init__(self, source: str | os.PathLike[str] | bytes) -> None:
        self._lock = threading.Lock()
        self._data = source if isinstance(source, bytes) else None
        if isinstance(source, bytes):
            self.size = len(source)
            head = source[:8]
        else:
            with open(source, "rb") as file:
                head = file.read(8)
        if head != _MAGIC:  # also refuses a user block
            raise CorruptFile(_NOT_HDF5)
        try:
            self._file = h5py.File(io.BytesIO(source) if isinstance(source, bytes) else source, "r")
        except OSError as error:
            raise CorruptFile("the file is cut short or damaged: get another copy") from error
        if not isinstance(source, bytes):  # of what HDF5 has open: the name may mean another file by now
            self.size = self._file.id.get_filesize()
        try:
            self._open()
        except BaseException as error:
            self._file.close()
            if isinstance(error, AezipError):
                raise
            if isinstance(error, (*_FOREIGN, OSError)):
                raise CorruptFile("the file's structure is damaged: get another copy") from error
            raise

    def _open(self) -> None:
        root = self._group_members(self._file, {"header", "digests"}, rules.MAX_ARRAYS + 2)
        raw = self._small(self._file, "header", rules.MAX_HEADER)
        self.root = rules.parse(raw)
        arrays = rules.check_root(self.root)
        self.kind: str = self.root.get("kind", "archive")
        if set(root) != {"header", "digests", *(a["group"] for a in arrays)}:
            raise UnsafeFile("the file holds objects that no aezip file has: do not trust this file")
        self.names: list[str] = [a["name"] for a in arrays]
        self._groups = dict(zip(self.names, (a["group"] for a in arrays), strict=True))
        self._headers: dict[str, dict[str, Any]] = {}
        self._entries: dict[str, rules.Entry] = {}
        self._digests: dict[str, list[bytes]] = {}
        self._sizes: dict[str, dict[str, int]] = {}
        whole = hashlib.sha256()
        for name in self.names:
            self._open_array(name, whole)
        closing = hashlib.sha256(raw + whole.digest())
        if self._small(self._file, "digests", 64) != closing.digest():
            raise CorruptFile("the headers do not match their digest: the file is damaged, get another copy")
        self.identity = closing.hexdigest()  # of all headers, indices and streams: two files that share it are the same

    def _open_array(self, name: str, whole: Any) -> None:
        group = self._file[self._groups[name]]
        known = {"header", "index", "digests"}
        members = self._group_members(group, known | set(rules.STREAMS), 64)
        sizes = {n: members[n] for n in members if n not in known}
        raw = self._small(group, "header", rules.MAX_HEADER)
        index = self._small(group, "index", self.size)
        digests = self._small(group, "digests", self.size)
        for data in (raw, index, digests):
            whole.update(hashlib.sha256(data).digest())
        pairs = self._index(index, len(digests) // 32 * len(sizes))
        header = rules.lengthen(rules.parse(raw), name)
        entry = rules.validate(header, sizes, pairs)
        if len(digests) != 32 * (len(sizes) + entry.chunk_count):
            raise CorruptFile("the digests do not fit the chunks: the file is damaged")
        self._headers[name], self._entries[name], self._sizes[name] = header, entry, sizes
        self._digests[name] = [digests[i : i + 32] for i in range(0, len(digests), 32)]

    @staticmethod
    def _index(frame: bytes, most: int) -> list[tuple[int, int]]:
        """Return the rows of the index, `most` at most: there are no more frames than digests of chunks by streams."""
        size = content_size(frame)
        if size % 16 or size > 16 * most:
            raise CorruptFile("the index is malformed: the file is damaged")
        table = np.frombuffer(unpack(frame, size), "<u8").reshape(-1, 2)
        if (table >= np.uint64(1 << 62)).any():
            raise CorruptFile("the index is malformed: the file is damaged")
        return [(int(a), int(b)) for a, b in table]

    def _group_members(self, group: h5py.Group, expected: set[str], limit: int) -> dict[str, int]:
        """Return the sizes of the datasets of a group; groups count as 0. Only plain members pass."""
        if len(group) > limit:
            raise UnsafeFile(f"a group has {len(group)} members: do not trust this file")
        if len(group.attrs):
            raise UnsafeFile("the file holds attributes, which no aezip file has: do not trust this file")
        members: dict[str, int] = {}
        seen: set[Any] = set()
        for name in group:
            if group.get(name, getlink=True).__class__ is not h5py.HardLink:
                raise UnsafeFile(f"{name[:40]!r} is a link to elsewhere: do not trust this file")
            kind = group.get(name, getclass=True)
            if kind is h5py.Group and group.name == "/" and name.isascii() and name.isdigit():
                members[name] = 0
                item: Any = group[name]
            elif kind is h5py.Dataset and name in expected:
                item = group[name]
                members[name] = self._plain(item)
            else:
                raise UnsafeFile(f"{name[:40]!r} is nothing that an aezip file holds: do not trust this file")
            address = h5py.h5o.get_info(item.id).addr
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

    def _small(self, group: h5py.Group, name: str, limit: int) -> bytes:
        if name not in group:
            raise CorruptFile(f"the dataset {name!r} is missing: the file is damaged, get another copy")
        if len(group[name]) > limit:
            raise UnsafeFile(f"the dataset {name!r} is beyond the limit of {limit} bytes: do not trust this file")
        return self._slice(group[name], 0, len(group[name]))

    @staticmethod
    def _slice(dataset: h5py.Dataset, start: int, stop: int) -> bytes:
        raw: bytes = dataset[start:stop].tobytes()
        return raw

    def header(self, name: str) -> dict[str, Any]:
        """Return the header of an array."""
        return self._headers[name]

    def chunk_count(self, name: str) -> int:
        """Return the number of chunks of an array."""
        return self._entries[name].chunk_count

    def _segment(self, name: str, stream: str, number: int) -> bytes:
        offset, length, content = self._entries[name].frames[stream][number]
        if not length:
            return b""
        try:
            with self._lock:
                frame = self._slice(self._file[self._groups[name]][stream], offset, offset + length)
        except (*_FOREIGN, OSError) as error:
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
        return self._digests[name][len(self._sizes[name]) + chunk]

    def damaged_streams(self, name: str) -> Iterator[str]:
        """Yield the streams whose bytes do not match their digest."""
        for number, stream in enumerate(sorted(self._sizes[name])):
            digest, at, size = hashlib.sha256(), 0, self._sizes[name][stream]
            while at < size:
                with self._lock:
                    part = self._slice(self._file[self._groups[name]][stream], at, min(size, at + _COPY))
                digest.update(part)
                at += len(part)
            if digest.digest() != self._digests[name][number]:
                yield stream

    def ledger(self, name: str) -> dict[str, int]:
        """Return the bytes of each stream of an array as stored."""
        return dict(sorted(self._sizes[name].items()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Reader:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()
