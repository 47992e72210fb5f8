"""Files that appear whole or not at all: written under a temporary name in the same folder, synced, then renamed.

Every file that aezip writes goes this way. Knows names and bytes, nothing of what they mean.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import InvalidInput


def temporary(path: Path) -> Path:
    """Return a new name beside `path`; hidden, and told apart by its end."""
    return path.with_name(f".{path.name[:100]}.aezip-{secrets.token_hex(6)}.tmp")


def check_target(path: Path, *, overwrite: bool) -> None:
    """Check that a file may be written.

    Raises
    ------
    InvalidInput
        If it exists and may not be replaced, or cannot be written there.
    """
    if path.is_dir():
        raise InvalidInput(f"{path} is a folder: name a file with -o")
    if path.exists() and not overwrite:
        raise InvalidInput(f"{path} exists: use -f (overwrite=True) to replace it, or name another file with -o")
    if not path.parent.is_dir():
        raise InvalidInput(f"the folder {path.parent} does not exist: create it, or name another file with -o")


def publish(temp: Path, path: Path, *, overwrite: bool) -> None:
    """Rename a finished temporary file to its name and make the name durable.

    Raises
    ------
    InvalidInput
        If meanwhile a file of that name appeared and may not be replaced.
    """
    if overwrite:
        os.replace(temp, path)
    else:
        try:
            os.link(temp, path)  # fails if the name exists, unlike rename
        except FileExistsError:
            raise InvalidInput(f"{path} exists: use -f (overwrite=True) to replace it") from None
        except OSError:  # a file system without hard links
            check_target(path, overwrite=False)
            os.rename(temp, path)
        else:
            os.unlink(temp)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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
    temp = temporary(path)
    try:
        with open(temp, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        publish(temp, path, overwrite=overwrite)
    finally:
        temp.unlink(missing_ok=True)
