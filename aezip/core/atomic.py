"""Files that appear whole or not at all: written under a temporary name in the same folder, synced, then renamed.

Every file that aezip writes goes this way. Until it has its name nobody but its owner may read it; then a file that is
replaced hands on its mode, and where possible its owner, and a new one has the mode of its `sources` less the umask. A
symbolic link stays, its target is written. Knows names and bytes, nothing of what they mean.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .errors import InvalidInput

_ALL = 0o777
_GROUP = 0o070
_SEARCH = 0o111
_LIST = "system.posix_acl_access"  # of single users and groups; where there is one, the group bits tell the most it grants


@dataclass(frozen=True)
class _Readers:
    """Who may read what a new file is made from: mode, and the groups that its group bits are about."""

    mode: int = 0o666
    groups: frozenset[int] = frozenset()


_ANYBODY = _Readers()
_READERS: ContextVar[_Readers] = ContextVar("readers", default=_ANYBODY)  # here, as every way of writing must know it


@contextmanager
def sources(*paths: str) -> Iterator[None]:
    """Within, new files may be read by those only who may read all of these files; "-", standard input, tells nothing."""
    found = []
    for path in paths:
        with suppress(OSError):
            found += [(os.stat(path), _access_list(path))] if path != "-" else []
    mode = _ALL if found else _ANYBODY.mode
    for known, listed in found:
        mode &= _narrowed(known.st_mode) if listed else known.st_mode
        mode &= ~_SEARCH if stat.S_ISDIR(known.st_mode) else _ALL
    token = _READERS.set(_Readers(mode, frozenset(known.st_gid for known, _ in found)))
    try:
        yield
    finally:
        _READERS.reset(token)


class Temporary:
    """A file that waits for its name.

    Attributes
    ----------
    path : Path
        Where it lies: beside its target, hidden, and told apart by its end.
    target : Path
        The name it shall have; no symbolic link.
    """

    def __init__(self, path: Path) -> None:
        self.target = Path(os.path.realpath(path))
        start = self.target.name[:100]
        while len(os.fsencode(start)) > 100:  # a name may have 255 bytes
            start = start[:-1]
        self.path = self.target.with_name(f".{start}.aezip-{secrets.token_hex(6)}.tmp")
        self._mode = 0o600

    def create(self) -> None:
        """Create it, empty; nobody but its owner may read it."""
        readers = _READERS.get()
        file = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, readers.mode)
        try:
            made = os.fstat(file)  # the system took the umask off
        finally:
            os.close(file)
        self._note(made, readers)
        _allow(self.path, 0o600)

    def create_folder(self) -> None:
        """Create a folder, empty; nobody but its owner may look into it."""
        readers = _READERS.get()
        os.mkdir(self.path, readers.mode | (readers.mode & 0o444) >> 2)  # who may read it may search it
        self._note(self.path.stat(), readers)
        _allow(self.path, 0o700)

    def _note(self, made: os.stat_result, readers: _Readers) -> None:
        mode = made.st_mode & _ALL
        self._mode = mode if readers.groups <= {made.st_gid} else _narrowed(mode)

    def permit(self, *, overwrite: bool) -> None:
        """Give it the owner and mode of the file that it replaces, or those of a new file."""
        mode = self._mode
        if overwrite and self.target.exists():
            old, new = self.target.stat(), self.path.stat()
            mode = old.st_mode & _ALL
            kept = old.st_gid == new.st_gid or _tried(os.chown, self.path, -1, old.st_gid)
            if not (_same_list(self.target, self.path) and kept):
                mode = _narrowed(mode)
            if old.st_uid != new.st_uid:
                _tried(os.chown, self.path, old.st_uid, -1)
        _allow(self.path, mode)


def _narrowed(mode: int) -> int:
    """Return a mode for another group than the one it was meant for: that group may do what all may."""
    others = (mode & 0o007) << 3
    return mode & (~_GROUP | others)


def _allow(path: Path, mode: int) -> None:
    """Set a mode, where the file system has modes."""
    _tried(os.chmod, path, mode)


def _tried(action: Callable[..., None], *words: Any) -> bool:
    """Tell whether the system lets this user do something."""
    try:
        action(*words)
    except OSError:
        return False
    return True


def _access_list(path: str | Path) -> bytes:
    """Return the access control list of a file as it is stored; b"" where there is none."""
    if sys.platform == "linux":
        with suppress(OSError):
            return os.getxattr(path, _LIST)
    return b""


def _same_list(old: Path, new: Path) -> bool:
    """Copy the access control list of a file, or its absence; tell whether that worked."""
    wanted = _access_list(old)
    if sys.platform != "linux" or wanted == _access_list(new):
        return True
    return _tried(os.setxattr, new, _LIST, wanted) if wanted else _tried(os.removexattr, new, _LIST)


def check_target(path: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Check that a file, or a folder, may be written.

    Raises
    ------
    InvalidInput
        If it exists and may not be replaced, or cannot be written there.
    """
    if path.is_dir() and not folder:
        raise InvalidInput(f"{path} is a folder: name a file with -o")
    if os.path.lexists(path) and not overwrite:
        raise InvalidInput(f"{path} exists: use -f (overwrite=True) to replace it, or name another file with -o")
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise InvalidInput(f"{path} is a symbolic link that leads back to itself: name another file with -o")
    for parent in (path.parent, target.parent):
        if not parent.is_dir():
            raise InvalidInput(f"the folder {parent} does not exist: create it, or name another file with -o")


def publish(temp: Temporary, *, overwrite: bool) -> None:
    """Rename a finished temporary file to its name and make the name durable.

    Raises
    ------
    InvalidInput
        If meanwhile a file of that name appeared and may not be replaced.
    """
    path = temp.target
    temp.permit(overwrite=overwrite)
    if overwrite:
        os.replace(temp.path, path)
    else:
        try:
            os.link(temp.path, path)  # fails if the name exists, unlike rename
        except FileExistsError:
            raise InvalidInput(f"{path} exists: use -f (overwrite=True) to replace it") from None
        except OSError:  # a file system without hard links
            check_target(path, overwrite=False)
            os.rename(temp.path, path)
        else:
            os.unlink(temp.path)
    _sync(path.parent)


def _sync(path: str | Path) -> None:
    """Make what is known of a file or a folder durable."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def replacing(path: Path, *, overwrite: bool) -> Iterator[IO[bytes]]:
    """Give a file to write to, which takes its name when all was written, and is removed when anything failed.

    Raises
    ------
    InvalidInput
        If the target may not be written.
    OSError
        If writing fails; an existing file stays as it was.
    """
    check_target(path, overwrite=overwrite)
    temp = Temporary(path)
    try:
        temp.create()
        with open(temp.path, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temp, overwrite=overwrite)
    finally:
        temp.path.unlink(missing_ok=True)


def write(path: Path, data: bytes, *, overwrite: bool) -> None:
    """Write a file whole, or not at all; raises what `replacing` does."""
    with replacing(path, overwrite=overwrite) as file:
        file.write(data)


@contextmanager
def replacing_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into, which takes its name when all was written, and is removed when anything failed.

    A folder that is replaced is moved aside before, and removed after: who is killed in between leaves both, under their names
    of temporary files.

    Raises
    ------
    InvalidInput
        If the target may not be written.
    OSError
        If writing fails; an existing folder stays as it was.
    """
    check_target(path, overwrite=overwrite, folder=True)
    temp = Temporary(path)
    try:
        temp.create_folder()
        yield temp.path
        for folder, _, names in os.walk(temp.path):
            for name in (*names, "."):
                _sync(os.path.join(folder, name))
        _publish_folder(temp, overwrite=overwrite)
    finally:
        shutil.rmtree(temp.path, ignore_errors=True)


def _publish_folder(temp: Temporary, *, overwrite: bool) -> None:
    check_target(temp.target, overwrite=overwrite, folder=True)  # once more: writing took a while
    temp.permit(overwrite=overwrite)
    old = temp.path.with_name(f"{temp.path.name}.old")
    replaced = temp.target.exists()
    if replaced:
        os.rename(temp.target, old)
    try:
        os.rename(temp.path, temp.target)
    except BaseException:  # a signal too
        if replaced:
            os.rename(old, temp.target)
        raise
    _sync(temp.target.parent)
    shutil.rmtree(old, ignore_errors=True)
