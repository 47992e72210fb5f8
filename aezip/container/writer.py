"""Writes the file that `reader` reads: streams are spooled, HDF5 is written beside the target, then published atomically.

Knows bytes and JSON, nothing of arrays, bounds or networks.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import shutil
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
from .deflate import FILE_DICTIONARY, deflated

_COMPACT = 4096  # bytes up to which a dataset lies in its object header
_COPY, _ROLL = 1 << 20, 1 << 22  # bytes: at a time, and from which on a spool lies on the disk
_MOST_PARTS = 256  # spools that are kept open until the file is written
_SMALL, _LEVEL_SMALL, _LEVEL_LARGE = 1 << 22, 19, 9  # what is no array is mostly short


def _bytes_dataset(file: h5py.File, name: str, data: bytes) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_obj_track_times(False)
    if len(data) <= _COMPACT:  # inside its object header: saves an address and the gaps around it
        plist.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((len(data),))
    # HDF5 reserves some 200 bytes in a new object header; a copy leaves them out
    with h5py.File("scratch", "w", driver="core", backing_store=False, libver=("v110", "v110")) as scratch:
        dataset = h5py.h5d.create(scratch.id, b"0", h5py.h5t.STD_U8LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.frombuffer(data, np.uint8))
        h5py.h5o.copy(scratch.id, b"0", file.id, name.encode())


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
        self.file: IO[bytes] = tempfile.SpooledTemporaryFile(_ROLL, dir=None if folder is None else str(folder))
        self.index: list[tuple[int, int]] = []
        self.size = 0
        self.digest = hashlib.sha256()

    def add(self, frame: bytes) -> None:
        self.index.append((len(frame), content_size(frame) if frame else 0))
        self.file.write(frame)
        self.digest.update(frame)
        self.size += len(frame)

    def copy(self, to: IO[bytes]) -> None:
        self.file.seek(0)
        shutil.copyfileobj(self.file, to, _COPY)
        self.file.close()


class _Gathered:
    """All segments of a file in their order: small streams in one anonymous file, large ones as they were spooled."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._parts: list[_Spool] = []
        self._open: _Spool | None = None  # to which small streams are added
        self.size = 0

    def add(self, spool: _Spool) -> None:
        self.size += spool.size
        if spool.size > _ROLL and len(self._parts) < _MOST_PARTS:
            self._parts.append(spool)
            self._open = None
            return
        if self._open is None:
            self._open = _Spool(self._folder)
            self._parts.append(self._open)
        self._open.size += spool.size
        spool.copy(self._open.file)

    def write(self, file: h5py.File, name: str) -> None:
        """Write everything as one dataset."""
        if self.size <= _COPY:
            _bytes_dataset(file, name, b"".join(self._pieces()))
            return
        dataset = file.create_dataset(name, (self.size,), np.uint8, track_times=False)
        at = 0
        for piece in self._pieces():
            dataset[at : at + len(piece)] = np.frombuffer(piece, np.uint8)
            at += len(piece)

    def _pieces(self) -> Iterator[bytes]:
        for part in self._parts:
            part.file.seek(0)
            while piece := part.file.read(_COPY):
                yield piece
            part.file.close()

    def close(self) -> None:
        for part in self._parts:
            part.file.close()


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
        self._folder = None if self.path is None else self.path.parent
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
        self._index: list[tuple[int, int]] = []
        self._digests: list[bytes] = []
        self._data = _Gathered(self._folder)
        self._streams: dict[str, _Spool] = {}
        self._chunks: list[bytes] = []

    def begin(self, name: str) -> None:
        """Start an array."""
        self._arrays.append({"name": name})
        self._streams, self._chunks = {}, []

    def drop(self) -> None:
        """Forget the array begun last."""
        self._arrays.pop()
        for spool in self._streams.values():
            spool.file.close()
        self._streams = {}

    def add_chunk(self, segments: dict[str, bytes], digest: bytes) -> None:
        """Add a chunk's segments (zstd frames, or b"") and the sha256 of what they decode to."""
        for name, frame in segments.items():
            if name not in self._streams:
                self._streams[name] = _Spool(self._folder)
            self._streams[name].add(frame)
        self._chunks.append(digest)

    def end(self, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        """Finish an array: its streams, what is said of it, the digests."""
        streams = {name: spool for name, spool in self._streams.items() if spool.size}
        for spool in self._streams.values():
            if not spool.size:
                spool.file.close()
        self._streams = {}
        for name, frame in shared.items():
            streams[name] = _Spool(None)
            streams[name].add(frame)
        self._arrays[-1] |= {"streams": sorted(streams), **rules.shorten(header)}
        whole = hashlib.sha256()
        for name in sorted(streams):
            self._index += streams[name].index
            whole.update(streams[name].digest.digest())
            self._data.add(streams[name])
        self._digests += [whole.digest(), *self._chunks]

    def attach(self, told: dict[str, Any], parts: Iterable[bytes]) -> None:
        """Add the file that the arrays are of: what is said of it, and its bytes without theirs, piece by piece.

        Raises
        ------
        InvalidInput
            If it holds too much beside its arrays.
        """
        spool, kept = _Spool(self._folder), 0
        for part in parts:
            for at in range(0, len(part), rules.SKELETON_FRAME):
                piece = part[at : at + rules.SKELETON_FRAME]
                kept += len(piece)
                spool.add(pack(piece, _LEVEL_SMALL if len(piece) < _SMALL else _LEVEL_LARGE))
        if kept > rules.SKELETON_LIMIT:
            raise InvalidInput("the file holds too much that is no array of numbers: compress its data sets with --dataset")
        self._told = {**told, "kept": kept, "digest": spool.digest.hexdigest()}
        with _writing():
            gathered = _Gathered(self._folder)
            gathered.add(spool)
            gathered.write(self._file, "file")

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
        if len(raw) > rules.MAX_HEADER:
            raise InvalidInput("the headers are too large: use fewer arrays, or fewer columns with a bound of their own")
        index = pack(np.array(self._index, "<u8").tobytes(), 19)
        head = b"".join([deflated(raw, FILE_DICTIONARY), index, *self._digests])
        with _writing():
            _bytes_dataset(self._file, "header", head + hashlib.sha256(head).digest())
            if self._data.size:
                self._data.write(self._file, "data")
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
        self._data.close()
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
