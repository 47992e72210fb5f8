"""Folders, and zip files of folders, as files by name: listed, hashed, read, and written from a skeleton.

The skeleton is a line of JSON, then the contents of the files that it lists, one after the other. Knows nothing of what they
mean.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from aezip.core.errors import CorruptFile, InvalidInput

from .parts import PIECE, joined

_MOST = 1 << 28  # bytes of the line
_DATE = (1980, 1, 1, 0, 0, 0)  # of what is in a zip file: the same files give the same bytes


class Folder:
    """The files of a folder, or of a zip file, by names with slashes, in the order of their bytes.

    Attributes
    ----------
    sizes : dict
        Bytes of each file.

    Raises
    ------
    InvalidInput
        If it is neither, or holds what is no file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if os.path.isdir(path):
            found = {name: entry.st_size for name, entry in listed(path).items()}
        else:
            try:
                self._zip = zipfile.ZipFile(path)
            except zipfile.BadZipFile as error:
                raise InvalidInput(f"{path} is no sound zip file ({str(error)[:60]}): check the file") from error
            found = {info.filename: info.file_size for info in self._zip.infolist() if not info.is_dir()}
            for name in found:
                if not stays_inside(name):
                    raise InvalidInput(f"{path} holds a file {name[:40]!r}, which no folder holds: do not trust it")
        self.sizes = {name: found[name] for name in sorted(found, key=os.fsencode)}

    def read(self, name: str) -> bytes:
        """Return the contents of a file.

        Raises
        ------
        InvalidInput
            If they cannot be read, or are not as long as listed.
        """
        try:
            data = Path(self.path, name).read_bytes() if self._zip is None else self._zip.read(name)
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
            raise InvalidInput(f"{name} in {self.path} cannot be read ({str(error)[:60]}): check the file") from error
        if len(data) != self.sizes[name]:
            raise InvalidInput(f"{name} in {self.path} changed while it was read: compress it when it is complete")
        return data

    def skeleton(self, told: dict[str, Any], names: Iterable[str]) -> Iterator[bytes]:
        """Yield a line with what is told and the files of these names, then their contents."""
        kept = [(name, self.sizes[name]) for name in names]
        yield json.dumps({**told, "files": kept}, separators=(",", ":")).encode() + b"\n"
        yield from joined(self.read(name) for name, _ in kept)


def listed(folder: str) -> dict[str, os.stat_result]:
    """Return every file below a folder; links are followed.

    Raises
    ------
    InvalidInput
        If a link leads back, or something is no file.
    """
    found: dict[str, os.stat_result] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [("", (os.path.realpath(folder),))]
    while waiting:
        inside, above = waiting.pop()
        for entry in os.scandir(os.path.join(folder, inside)):
            name = f"{inside}{entry.name}"
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real in above:
                    raise InvalidInput(f"{name} in {folder} is a link to a folder that holds it: remove it")
                waiting.append((f"{name}/", (*above, real)))
            elif entry.is_file():
                found[name] = entry.stat()
            else:
                raise InvalidInput(f"{name} in {folder} is no file (a broken link, a pipe, a device): remove it")
    return found


def sha256(folder: str) -> str:
    """Return the digest of a folder: that of what `sha256sum` says of its files, sorted by the bytes of their names."""
    lines = hashlib.sha256()
    for name in sorted(listed(folder), key=os.fsencode):
        with open(os.path.join(folder, name), "rb") as file:
            lines.update(hashlib.file_digest(file, "sha256").hexdigest().encode() + b"  " + os.fsencode(name) + b"\n")
    return lines.hexdigest()


def unpack(skeleton: Iterable[bytes], folder: Path) -> dict[str, Any]:
    """Write the files of a skeleton into an empty folder; return its line.

    Raises
    ------
    CorruptFile
        If it is cut short, or names what does not lie inside.
    """
    rest = _Stream(skeleton)
    told: dict[str, Any] = json.loads(rest.line())
    for name, size in told["files"]:
        if not stays_inside(name):
            raise CorruptFile(f"the archive names a file {str(name)[:40]!r}, which no folder holds: do not trust it")
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with open(folder / name, "xb") as file:
                for part in rest.take(size):
                    file.write(part)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise CorruptFile(f"the archive names the file {name[:40]!r} twice: get another copy") from error
    return told


def stays_inside(name: Any) -> bool:
    """Tell whether a relative name, with slashes, is that of a file inside of a folder."""
    if not isinstance(name, str) or set(name) & set("\0" if os.name != "nt" else '\0\\:*?"<>|'):
        return False
    return not any(word in ("", ".", "..") for word in name.split("/"))


def zipped(folder: Path, file: IO[bytes]) -> None:
    """Write the files of a folder into a zip file, uncompressed."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(listed(str(folder)), key=os.fsencode):
            with archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as member, open(folder / name, "rb") as part:
                while data := part.read(PIECE):
                    member.write(data)


class _Stream:
    """Bytes that come in pieces, taken by line and by count."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts, self._held = iter(parts), b""

    def line(self) -> bytes:
        """Return what comes before the next end of line."""
        found = [self._held]
        while b"\n" not in found[-1]:
            found.append(self._next())
            if sum(map(len, found)) > _MOST:
                raise CorruptFile("the list of files is too long: get another copy of the archive")
        last, _, self._held = found[-1].partition(b"\n")
        return b"".join([*found[:-1], last])

    def take(self, count: int) -> Iterator[bytes]:
        """Yield so many bytes."""
        while count > 0:
            self._held = self._held or self._next()
            part, self._held = self._held[:count], self._held[count:]
            count -= len(part)
            yield part

    def _next(self) -> bytes:
        part = next(self._parts, b"")
        if not part:
            raise CorruptFile("the skeleton of the folder is cut short: get another copy")
        return part
