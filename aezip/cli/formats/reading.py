"""Reading: a path and options to named arrays. Knows nothing of compression."""

from __future__ import annotations

import io
import math
import os
import sys
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import InvalidInput

from .provenance import from_comment

HDF5_SUFFIXES = (".h5", ".hdf5", ".he5", ".hdf", ".nc", ".nc4")
_STDIN = "standard input"


@dataclass(frozen=True)
class Inputs:
    """Named arrays, the fill values their source states, and whether they are all that the source holds.

    `lossy` tells in words of arrays that went through lossy compression before.
    """

    arrays: dict[str, npt.NDArray[Any]]
    fills: dict[str, Any] = field(default_factory=dict)
    whole: bool = True
    lossy: dict[str, str] = field(default_factory=dict)


def file_format(path: str) -> str | None:
    """Return "npy", "npz" or "hdf5" by the name, or None: raw values, or a format that is not known."""
    suffix = Path(path).suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return "hdf5"
    return suffix[1:] if suffix in (".npy", ".npz") else None


def read(path: str, *, datasets: tuple[str, ...] = (), dtype: str | None = None, shape: str | None = None) -> Inputs:
    """Read arrays.

    Parameters
    ----------
    path
        A file; "-" for standard input, which holds .npy, .npz, or raw values if `dtype` and `shape` are given.
    datasets
        Paths of the data sets wanted of an HDF5 file.
    dtype, shape
        Of raw binary: "f4" and "744,33,49".

    Raises
    ------
    InvalidInput
        If the file cannot be taken; the message names the remedy.
    PermissionError
        If it may not be read.
    """
    _check_path(path)
    if (dtype is None) != (shape is None):
        raise InvalidInput("raw binary needs both --dtype and --shape, for example --dtype f4 --shape 744,33,49")
    if dtype is not None and shape is not None:
        if datasets:
            raise InvalidInput("--dataset is for HDF5 files, --dtype and --shape for raw binary: give one of them")
        return Inputs({_stem(path): _raw(path, dtype, shape)})
    kind = file_format(path)
    if datasets or kind == "hdf5":
        return _hdf5(path, datasets)
    if path == "-":
        return _stream(sys.stdin.buffer.read())
    if kind == "npz":
        return _npz(path, path)
    if kind == "npy":
        return Inputs({_stem(path): _npy(path)})
    if path.endswith(".aez"):
        raise InvalidInput(f"{path} is compressed already: decompress it first, or give the original")
    raise InvalidInput(
        f"{path}: the format is not known by its name: use .npy, .npz, HDF5 with --dataset, "
        "or --dtype and --shape for raw binary"
    )


def _check_path(path: str) -> None:
    if path == "-":
        return
    if not os.path.lexists(path):
        raise InvalidInput(f"{path} does not exist: check the name")
    if Path(path).is_dir():
        raise InvalidInput(f"{path} is a folder: name a file")


def _stem(path: str) -> str:
    return "data" if path == "-" else Path(path).stem


def _stream(data: bytes) -> Inputs:
    """Read the bytes of an .npy or .npz file, told apart by their first bytes."""
    if data[:2] == b"PK":
        return _npz(io.BytesIO(data), _STDIN)
    try:
        return Inputs({"data": np.asarray(np.load(io.BytesIO(data), allow_pickle=False))})
    except (ValueError, EOFError) as error:
        raise InvalidInput(_problem(_STDIN, error)) from error


def _npy(path: str) -> npt.NDArray[Any]:
    try:
        return np.asanyarray(np.load(path, mmap_mode=None if _is_empty(path) else "r", allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise InvalidInput(_problem(path, error)) from error


def _is_empty(path: str) -> bool:
    """Tell whether an .npy file holds no values: an empty file region cannot be mapped."""
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        return math.prod(reader(file)[0]) == 0


def _problem(name: str, error: Exception) -> str:
    """Return what is wrong with an .npy or .npz file, one line."""
    text = str(error)
    if "Object arrays" in text or "Python objects" in text or "allow_pickle" in text:
        return f"{name} holds Python objects, not numbers: convert to a numeric dtype first"
    reason = text.splitlines()[0][:80] if text else type(error).__name__
    return f"{name} is no sound .npy or .npz file ({reason}): check the file; raw binary needs --dtype and --shape"


def _npz(file: str | io.BytesIO, name: str) -> Inputs:
    # numpy takes whatever lacks the first bytes of a zip file for a pickle, and says so; that would mislead
    if isinstance(file, str) and not zipfile.is_zipfile(file):
        raise InvalidInput(f"{name} is no sound .npz file (no zip archive, or cut short): check the file")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in archive.files}
            comment = archive.zip.comment if archive.zip is not None else b""
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidInput(_problem(name, error)) from error
    strange = [key for key, value in arrays.items() if not isinstance(value, np.ndarray)]
    if strange:
        raise InvalidInput(f"{name} holds {strange[0]!r}, which is no array: take it out first")
    if not arrays:
        raise InvalidInput(f"{name} holds no arrays: nothing to compress")
    return Inputs(arrays, lossy=from_comment(comment, arrays))


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse "744,33,49".

    Raises
    ------
    InvalidInput
        If it is not a list of non-negative integers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput(f"--shape {text!r} is not a list of sizes: write for example --shape 744,33,49")
    return tuple(int(part) for part in parts)


def parse_dtype(text: str) -> np.dtype[Any]:
    """Parse the type of raw values: "f4", ">i2", "float32".

    Raises
    ------
    InvalidInput
        If it is no plain numeric type.
    """
    try:
        kind = np.dtype(text)
    except (TypeError, ValueError, SyntaxError):
        raise InvalidInput(f"--dtype {text!r} is not known: use for example f4, <f8, >i2, u1") from None
    if kind.kind not in "fiucbmM" or kind.fields is not None or kind.subdtype is not None:
        raise InvalidInput(f"--dtype {text!r} is not numeric: use for example f4, <f8, >i2, u1")
    return kind


def _raw(path: str, dtype: str, shape: str) -> npt.NDArray[Any]:
    sizes, kind = parse_shape(shape), parse_dtype(dtype)
    need = math.prod(sizes) * kind.itemsize
    data = sys.stdin.buffer.read() if path == "-" else b""
    have = len(data) if path == "-" else Path(path).stat().st_size
    if need != have:
        name = _STDIN if path == "-" else path
        raise InvalidInput(f"{name} has {have} bytes, --dtype {dtype} --shape {shape} asks for {need} bytes: correct one of them")
    if path == "-" or not have:
        return np.frombuffer(data, kind).reshape(sizes)
    return np.memmap(path, kind, "r", shape=sizes)


def _hdf5(path: str, datasets: tuple[str, ...]) -> Inputs:
    from . import hdf5

    if path == "-":
        raise InvalidInput("an HDF5 file cannot come from standard input: name the file")
    arrays, fills, count, lossy = hdf5.read(path, datasets)
    return Inputs(arrays, fills, whole=len(arrays) == count, lossy=lossy)
