"""Writes the file that `reader` reads: streams are spooled, HDF5 is written beside the target, then published atomically.

Knows bytes and JSON, nothing of arrays, bounds or networks.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import h5py
import numpy as np

from aezip import __version__
from aezip.core.atomic import Temporary, check_target, publish
from aezip.core.errors import InvalidInput
from aezip.entropy.frames import content_size, pack

from . import header as rules

_COMPACT = 4096  # bytes up to which a dataset lies in its object header
_COPY = 1 << 20
_SMALL, _LEVEL_SMALL, _LEVEL_LARGE = 1 << 22, 19, 9  # what is no array is mostly short


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
        self.temp: Temporary | None = None
        self._memory = io.BytesIO()
        self._done = False
        target: Any = self._memory
        if self.path is not None:
            check_target(self.path, overwrite=overwrite)
            self.temp = Temporary(self.path)
            target = self.temp.path
        # the later metadata format has checksums: flipped bits in it do not pass unnoticed
        try:
            if self.temp is not None:
                self.temp.create()
            with _writing():
                self._file = h5py.File(target, "w", libver=("v110", "v110"), track_order=False, meta_block_size=1)
        except BaseException:
            if self.temp is not None:
                self.temp.path.unlink(missing_ok=True)
            raise
        self._arrays: list[dict[str, Any]] = []
        self._told: dict[str, Any] = {}
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
        folder = None if self.temp is None else self.temp.path.parent
        for name, frame in segments.items():
            if name not in self._streams:
                self._streams[name] = _Spool(folder)
            self._streams[name].add(frame)
        self._chunks.append(digest)

    def end(self, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        """Finish an array: write its streams, index, digests and header."""
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

    def attach(self, told: dict[str, Any], parts: Iterable[bytes]) -> None:
        """Add the file that the arrays are of: what is said of it, and its bytes without theirs, piece by piece.

        Raises
        ------
        InvalidInput
            If it holds too much beside its arrays.
        """
        spool, kept = _Spool(None if self.temp is None else self.temp.path.parent), 0
        for part in parts:
            for at in range(0, len(part), rules.SKELETON_FRAME):
                piece = part[at : at + rules.SKELETON_FRAME]
                kept += len(piece)
                spool.add(pack(piece, _LEVEL_SMALL if len(piece) < _SMALL else _LEVEL_LARGE))
        if kept > rules.SKELETON_LIMIT:
            raise InvalidInput("the file holds too much that is no array of numbers: compress its data sets with --dataset")
        self._told = {**told, "kept": kept, "digest": spool.digest.hexdigest()}
        with _writing():
            spool.copy(self._file, "file")

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
            "features": sorted([*features, *(["file"] if self._told else [])]),
            **({"kind": kind} if kind else {}),
            "software": f"aezip {__version__}",
            **({"file": self._told} if self._told else {}),
            "arrays": self._arrays,
        }
        raw = rules.dump(root)
        with _writing():
            _bytes_dataset(self._file, "header", raw)
            _bytes_dataset(self._file, "digests", hashlib.sha256(raw + self._all.digest()).digest())
            self._file.close()
        if self.temp is not None:
            with open(self.temp.path, "rb") as file:
                os.fsync(file.fileno())

    def source(self) -> str | bytes:
        """Return what a `Reader` opens to check the finished file."""
        return self._memory.getvalue() if self.temp is None else str(self.temp.path)

    def publish(self) -> None:
        """Give the file its name, atomically."""
        if self.temp is not None:
            publish(self.temp, overwrite=self.overwrite)
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
        if self.temp is not None:
            self.temp.path.unlink(missing_ok=True)
        self._done = True

    def __enter__(self) -> Writer:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Remove the temporary file unless it was published."""
        if not self._done:
            self.abort()
