"""Where bytes come from: paths, bytes-like objects, files open for reading; and files open for writing."""

from __future__ import annotations

import os
import re
from typing import Any, Protocol, TypeGuard

from .errors import InvalidInput


class Readable(Protocol):
    """A file open for reading in binary mode, an `io.BytesIO` among others."""

    def read(self, size: int = -1, /) -> bytes:
        """Return bytes."""


class Writable(Protocol):
    """A file open for writing in binary mode."""

    def write(self, data: bytes, /) -> Any:
        """Take bytes."""


Path = str | os.PathLike[str]
Source = Path | bytes | bytearray | memoryview | Readable  # whatever else keeps the buffer protocol is taken too


def named(path: Any, what: str = "path") -> Path:
    """Return a path as it is.

    Raises
    ------
    InvalidInput
        If it is none, or holds a NUL.
    """
    try:
        text = os.fspath(path)
    except TypeError as error:
        raise InvalidInput(f"{type(path).__name__} is no {what}: give a path, bytes, or a file open in binary mode") from error
    if ("\0" if isinstance(text, str) else b"\0") in text:
        raise InvalidInput(f"the {what} {str(text)[:40]!r} holds a NUL: correct it")
    found: Path = path
    return found


_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::|://)")


def is_url(source: Any) -> TypeGuard[str]:
    """Tell whether a source is a URL, as fsspec has them: https, s3, memory and others, chained by "::"."""
    return isinstance(source, str) and _URL.match(source) is not None


def base_name(url: str) -> str:
    """Return the name of the file behind a URL."""
    return os.path.basename(re.split("[?#]", url)[0]) or "data"


def check_file(path: str) -> None:
    """Check that a path on the command line, where "-" is standard input, is a file.

    Raises
    ------
    InvalidInput
        If there is none, or it is a folder.
    """
    if is_url(path) and not os.path.lexists(path):
        raise InvalidInput(f"{path} is a URL: only archives are read from there; copy it to a disk first")
    if path != "-" and not os.path.lexists(path):
        raise InvalidInput(f"{path} does not exist: check the name")
    if os.path.isdir(path):
        raise InvalidInput(f"{path} is a folder: name a file")


def opened(source: Any) -> Path | bytes:
    """Return a path as it is; of anything else the bytes it holds, from where it stands on.

    Raises
    ------
    InvalidInput
        If it is neither a path, nor bytes-like, nor a file open in binary mode.
    """
    if isinstance(source, bytes):
        return bytes(source)
    if isinstance(source, str | os.PathLike):
        return named(source)
    if hasattr(source, "read"):
        data = source.read()
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InvalidInput(f"{type(source).__name__} gives {type(data).__name__}, no bytes: open it in binary mode")
        return bytes(data)
    try:
        view = memoryview(source)
    except (TypeError, BufferError):
        return named(source)  # says what is wanted
    if not view.c_contiguous:
        raise InvalidInput("the bytes are not in one run: copy them first")
    return bytes(view.cast("B") if view.nbytes else b"")


def is_writable(target: Any) -> TypeGuard[Writable]:
    """Tell whether a target is a file open for writing, in place of a path."""
    return hasattr(target, "write") and not isinstance(target, str | os.PathLike)
