"""Files of NumPy: .npy, and .npz, a zip archive of them. Nothing is unpickled; a header must fit the file to be believed."""

from __future__ import annotations

import io
import lzma
import math
import tokenize
import zipfile
import zlib
from typing import IO, Any, Literal

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admissible
from aezip.core.errors import InvalidInput

_UNSOUND = (ValueError, TypeError, LookupError, EOFError, ArithmeticError, RecursionError)


def check_npy(file: IO[bytes], size: int, name: str) -> int:
    """Check that the header of an .npy file of `size` bytes declares what the file has; return the number of values.

    Raises
    ------
    InvalidInput
        If it is no .npy file, holds Python objects, or is cut short.
    """
    shape, dtype = _header(file, name)
    if dtype.hasobject:
        raise InvalidInput(f"{name} holds Python objects, not numbers: convert to a numeric dtype first")
    if any(n < 0 for n in shape):
        raise InvalidInput(_problem(name, "a negative size in the shape"))
    count, have = math.prod(shape), size - file.tell()
    if count * dtype.itemsize > have:
        raise InvalidInput(_problem(name, f"cut short, or a wrong shape, which needs more than the {have} bytes of values"))
    return count


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an .npy file: shape and type."""
    try:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reader(file)
    except (*_UNSOUND, SyntaxError, tokenize.TokenError, MemoryError) as error:  # from the parsers that NumPy hands it to
        raise InvalidInput(_problem(name, error)) from error
    return shape, dtype


def load_npy(file: str | IO[bytes], name: str, *, mmap_mode: Literal["r"] | None = None) -> npt.NDArray[Any]:
    """Read an .npy file whose header was checked.

    Raises
    ------
    InvalidInput
        If it is not sound.
    """
    try:
        return np.asanyarray(np.load(file, mmap_mode=mmap_mode, allow_pickle=False))
    except _UNSOUND as error:
        raise InvalidInput(_problem(name, error)) from error


def read_npz(file: str | io.BytesIO, name: str, *, skip: bool) -> tuple[dict[str, npt.NDArray[Any]], bytes, dict[str, str]]:
    """Read an .npz file.

    Parameters
    ----------
    file, name
        The file, and how messages name it.
    skip
        Pass over what holds no numbers.

    Returns
    -------
    arrays, comment of the zip archive, words on what was passed over

    Raises
    ------
    InvalidInput
        If it is not sound, or holds what is no array of numbers and is not to be passed over.
    """
    # numpy takes whatever lacks the first bytes of a zip file for a pickle, and says so; that would mislead
    if isinstance(file, str) and not zipfile.is_zipfile(file):
        raise InvalidInput(f"{name} is no sound .npz file (no zip archive, or cut short): check the file")
    arrays: dict[str, npt.NDArray[Any]] = {}
    skipped: dict[str, str] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                key = info.filename.removesuffix(".npy")
                if key in arrays or key in skipped:
                    raise InvalidInput(f"{name} holds {key!r} twice: take one of them out")
                words = _unsuited(archive, info, name)
                if not words:
                    arrays[key] = _member(archive, info, name)
                elif skip:
                    skipped[key] = words
                else:
                    raise InvalidInput(f"{key!r} of {name} holds {words}: take it out, or leave it out with --skip-unsupported")
            comment = archive.comment
    except (*_UNSOUND, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError) as error:
        raise InvalidInput(_problem(name, error)) from error
    if not arrays:
        raise InvalidInput(f"{name} holds no arrays{' of numbers' if skipped else ''}: nothing to compress")
    return arrays, comment, skipped


def _unsuited(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> str:
    """Return what a member of an .npz file holds that cannot be taken; "" for numbers."""
    with archive.open(info) as member:
        if member.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            return "no array"
    with archive.open(info) as member:
        dtype = _header(member, name)[1]
    if dtype.hasobject:
        return "Python objects, not numbers"
    return "" if admissible(dtype) else f"values of type {dtype}, not numeric"


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> npt.NDArray[Any]:
    with archive.open(info) as member:
        check_npy(member, info.file_size, name)
    with archive.open(info) as member:
        return np.asanyarray(np.lib.format.read_array(member, allow_pickle=False))


def _problem(name: str, error: BaseException | str) -> str:
    """Return what is wrong with an .npy or .npz file, one line."""
    reason = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
    return f"{name} is no sound .npy or .npz file ({reason}): check the file; raw binary needs --dtype and --shape"
