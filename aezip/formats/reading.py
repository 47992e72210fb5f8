"""Reading: a path and options to named arrays. Knows nothing of compression."""

from __future__ import annotations

import io
import math
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InvalidInput

HDF5 = (".h5", ".hdf5", ".he5", ".nc", ".nc4", ".hdf")


@dataclass(frozen=True)
class Inputs:
    """Named arrays and the fill values their source states."""

    arrays: dict[str, npt.NDArray[Any]]
    fills: dict[str, Any] = field(default_factory=dict)


def read(path: str, *, datasets: tuple[str, ...] = (), dtype: str | None = None, shape: str | None = None) -> Inputs:
    """Read arrays.

    Parameters
    ----------
    path
        A file; "-" for standard input, which holds .npy, or raw values if `dtype` and `shape` are given.
    datasets
        Paths of the data sets wanted of an HDF5 file.
    dtype, shape
        Of raw binary: "f4" and "744,33,49".

    Raises
    ------
    InvalidInput
        If the file cannot be taken; the message names the remedy.
    FileNotFoundError, PermissionError
        If it cannot be opened.
    """
    if path != "-" and not Path(path).exists():
        raise InvalidInput(f"{path} does not exist: check the name")
    if path != "-" and Path(path).is_dir():
        raise InvalidInput(f"{path} is a folder: name a file")
    if (dtype is None) != (shape is None):
        raise InvalidInput("raw binary needs both --dtype and --shape, for example --dtype f4 --shape 744,33,49")
    suffix = Path(path).suffix.lower()
    if datasets or suffix in HDF5:
        return _hdf5(path, datasets)
    if dtype is not None and shape is not None:
        return Inputs({_stem(path): _raw(path, dtype, shape)})
    if suffix == ".npz":
        return Inputs(_npz(path))
    if suffix == ".npy" or path == "-":
        return Inputs({_stem(path): _npy(path)})
    raise InvalidInput(f"{path}: the type of file is not known by its name: use .npy, .npz, .h5, or --dtype and --shape")


def _stem(path: str) -> str:
    return "data" if path == "-" else Path(path).stem


def _npy(path: str) -> npt.NDArray[Any]:
    try:
        if path == "-":
            return np.asarray(np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False))
        with open(path, "rb") as file:
            empty = _is_empty(file)
        return np.asanyarray(np.load(path, mmap_mode=None if empty else "r", allow_pickle=False))
    except (ValueError, EOFError) as error:
        raise InvalidInput(_npy_problem(path, error)) from error


def _is_empty(file: Any) -> bool:
    """Tell whether an .npy file holds no values: an empty file region cannot be mapped."""
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return math.prod(reader(file)[0]) == 0


def _npy_problem(path: str, error: Exception) -> str:
    if "Object arrays" in str(error) or "Python objects" in str(error) or "allow_pickle" in str(error):
        return f"{path} holds Python objects, not numbers: convert to a numeric dtype first"
    return f"{path} is no sound .npy file ({str(error).splitlines()[0][:80]}): check the file, or use --dtype and --shape"


def _npz(path: str) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InvalidInput(_npy_problem(path, error)) from error
    if not arrays:
        raise InvalidInput(f"{path} holds no arrays: nothing to compress")
    return arrays


def parse_shape(text: str) -> tuple[int, ...]:
    """Parse "744,33,49".

    Raises
    ------
    InvalidInput
        If it is not a list of non-negative integers.
    """
    try:
        shape = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        shape = (-1,)
    if not shape or min(shape) < 0:
        raise InvalidInput(f"--shape {text!r} is not a list of sizes: write for example --shape 744,33,49")
    return shape


def _raw(path: str, dtype: str, shape: str) -> npt.NDArray[Any]:
    sizes = parse_shape(shape)
    try:
        kind = np.dtype(dtype)
    except TypeError:
        raise InvalidInput(f"--dtype {dtype!r} is not known: use for example f4, <f8, i2, u1") from None
    need = math.prod(sizes) * kind.itemsize
    data = sys.stdin.buffer.read() if path == "-" else b""
    have = len(data) if path == "-" else Path(path).stat().st_size
    if kind.hasobject or not kind.itemsize:
        raise InvalidInput(f"--dtype {dtype!r} is not numeric: use for example f4, <f8, i2, u1")
    if need != have:
        raise InvalidInput(f"--dtype {dtype} --shape {shape} asks for {need} bytes, the input has {have}: correct one of them")
    if path == "-" or not have:
        return np.frombuffer(data, kind).reshape(sizes)
    return np.memmap(path, kind, "r", shape=sizes)


def _hdf5(path: str, datasets: tuple[str, ...]) -> Inputs:
    import h5py

    if path == "-":
        raise InvalidInput("an HDF5 file cannot come from standard input: name the file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InvalidInput(f"{path} is no sound HDF5 file: check the file, or leave --dataset away") from error
    with file:
        known: list[str] = []
        file.visititems(lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None)
        listed = ", ".join(known[:20]) or "none"
        if not datasets:
            raise InvalidInput(f"{path} is an HDF5 file: name what to compress with --dataset; it has {listed}")
        arrays: dict[str, npt.NDArray[Any]] = {}
        fills: dict[str, Any] = {}
        for name in datasets:
            key = name.strip("/")
            if key not in known:
                raise InvalidInput(f"{path} has no data set {name!r}: it has {listed}")
            if file[key].dtype.kind not in "fiucb":
                raise InvalidInput(f"the data set {name!r} has type {file[key].dtype}: only numbers can be compressed")
            arrays[key] = np.asarray(file[key][()])
            fill = _fill(file[key])
            if fill is not None:
                fills[key] = fill
    return Inputs(arrays, fills)


def _fill(dataset: Any) -> Any:
    for name in ("_FillValue", "missing_value"):
        if name in dataset.attrs:
            value = np.asarray(dataset.attrs[name]).reshape(-1)
            if value.size and value.dtype.kind in "fiu":
                return value[0].astype(dataset.dtype)
    return None
