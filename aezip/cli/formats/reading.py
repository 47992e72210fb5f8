"""Reading: a path and options to named arrays. Knows nothing of compression."""

from __future__ import annotations

import io
import math
import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import check_shape
from aezip.core.errors import InvalidInput
from aezip.core.names import stored
from aezip.core.sources import check_file
from aezip.files.documents import is_zarr

from .npy import check_npy, load_npy, read_npz
from .provenance import from_comment

HDF5_SUFFIXES = (".h5", ".hdf5", ".he5", ".hdf", ".nc", ".nc4")
IMAGES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".bmp", ".webp", ".jp2", ".ppm", ".pgm", ".pbm", ".tga")  # of Pillow
_STDIN = "standard input"
_DIGITS = 19  # of one size


@dataclass(frozen=True)
class Inputs:
    """Named arrays, the fill values and valid ranges their source states, and whether they are all that the source holds.

    `lossy` tells in words of arrays that went through lossy compression before, `skipped` of those that were passed over.
    """

    arrays: dict[str, npt.NDArray[Any]]
    fills: dict[str, Any] = field(default_factory=dict)
    whole: bool = True
    lossy: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    valid: dict[str, Any] = field(default_factory=dict)


def file_format(path: str) -> str | None:
    """Return "npy", "npz", "hdf5" or "zarr" by the name, or None: raw values, or a format that is not known."""
    if is_zarr(path):
        return "zarr"
    suffix = Path(path).suffix.lower()
    if suffix in HDF5_SUFFIXES:
        return "hdf5"
    return suffix[1:] if suffix in (".npy", ".npz") else None


def read(
    path: str, *, datasets: tuple[str, ...] = (), dtype: str | None = None, shape: str | None = None, skip: bool = False
) -> Inputs:
    """Read arrays.

    Parameters
    ----------
    path
        A file; "-" for standard input, which holds .npy, .npz, or raw values if `dtype` and `shape` are given.
    datasets
        Paths of the data sets wanted of an HDF5 file or a Zarr store; of the latter none means all.
    dtype, shape
        Of raw binary: "f4" and "744,33,49".
    skip
        Pass over arrays of an .npz or HDF5 file that hold no numbers.

    Raises
    ------
    InvalidInput
        If the file cannot be taken; the message names the remedy.
    PermissionError
        If it may not be read.
    """
    if not (os.path.isdir(path) and is_zarr(path)):
        check_file(path)
    if (dtype is None) != (shape is None):
        raise InvalidInput("raw binary needs both --dtype and --shape, for example --dtype f4 --shape 744,33,49")
    if dtype is not None and shape is not None:
        if datasets:
            raise InvalidInput("--dataset is for HDF5 files, --dtype and --shape for raw binary: give one of them")
        return Inputs({_stem(path): _raw(path, dtype, shape)})
    kind = file_format(path)
    if kind == "zarr":
        return _zarr(path, datasets, skip=skip)
    if datasets or kind == "hdf5":
        return _hdf5(path, datasets, skip=skip)
    if path == "-":
        return _stream(sys.stdin.buffer.read(), skip=skip)
    if kind == "npz":
        return _npz(path, path, skip=skip)
    if kind == "npy":
        return Inputs({_stem(path): _npy(path)})
    if path.endswith(".aez"):
        raise InvalidInput(f"{path} is compressed already: decompress it first, or give the original")
    if path.lower().endswith(IMAGES):
        place = f"{os.path.splitext(path)[0]}.npy"
        program = f"import numpy as np; from PIL import Image; np.save({place!r}, np.asarray(Image.open({path!r})))"
        raise InvalidInput(f"{path} is an image: give its values, with Pillow: python -c {shlex.quote(program)}")
    raise InvalidInput(
        f"{path}: the format is not known by its name: use .npy, .npz, HDF5 with --dataset, or --dtype and --shape for raw binary"
    )


def _stem(path: str) -> str:
    return "data" if path == "-" else stored(Path(path).stem)


def _stream(data: bytes, *, skip: bool) -> Inputs:
    """Read the bytes of an .npy or .npz file, told apart by their first bytes."""
    if data[:2] == b"PK":
        return _npz(io.BytesIO(data), _STDIN, skip=skip)
    check_npy(io.BytesIO(data), len(data), _STDIN)
    return Inputs({"data": load_npy(io.BytesIO(data), _STDIN)})


def _npy(path: str) -> npt.NDArray[Any]:
    with open(path, "rb") as file:
        count = check_npy(file, os.path.getsize(path), path)
    return load_npy(path, path, mmap_mode="r" if count else None)  # an empty file region cannot be mapped


def _npz(file: str | io.BytesIO, name: str, *, skip: bool) -> Inputs:
    arrays, comment, skipped = read_npz(file, name, skip=skip)
    return Inputs(arrays, whole=not skipped, lossy=from_comment(comment, arrays), skipped=skipped)


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
    if any(len(part) > _DIGITS for part in parts):
        raise InvalidInput(f"--shape {text[:80]} is beyond what a file can hold: correct it")
    sizes = tuple(int(part) for part in parts)
    check_shape(sizes)
    return sizes


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


def _zarr(path: str, datasets: tuple[str, ...], *, skip: bool) -> Inputs:
    from aezip.files import zarr

    from .hdf5 import LISTED

    wanted = [stored(name).strip("/") for name in datasets]
    found = zarr.take_apart(path, "", wanted)
    for name in wanted:
        if name not in found.arrays and name not in found.others:
            listed = ", ".join(sorted([*found.arrays, *found.others])[:LISTED])
            raise InvalidInput(f"{path} has no array {name!r}: it has {listed or 'none'}")
    skipped = {name: found.others[name] or "too few values" for name in wanted if name in found.others}
    if skipped and not skip:
        name, words = next(iter(skipped.items()))
        raise InvalidInput(f"{name!r} of {path} holds {words}: leave it out, compress the whole store, or use --skip-unsupported")
    if not found.arrays:
        raise InvalidInput(f"{path} has no arrays of numbers to read: compress the whole store")
    return Inputs(found.arrays, found.fills, whole=False, lossy=found.lossy, skipped=skipped, valid=found.valid)


def described(path: str, datasets: tuple[str, ...]) -> Inputs:
    """Return what `read` does of data sets of an HDF5 file, their arrays without values."""
    check_file(path)
    return _hdf5(path, datasets, skip=False, values=False)


def _hdf5(path: str, datasets: tuple[str, ...], *, skip: bool, values: bool = True) -> Inputs:
    from . import hdf5

    if path == "-":
        raise InvalidInput("an HDF5 file cannot come from standard input: name the file")
    found = hdf5.read(path, datasets, skip=skip, values=values)
    whole = len(found.arrays) == found.count
    return Inputs(found.arrays, found.fills, whole=whole, lossy=found.lossy, skipped=found.skipped, valid=found.valid)
