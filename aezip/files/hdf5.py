"""HDF5 and netCDF-4 files: data sets of numbers become arrays, the rest a skeleton, itself an HDF5 file without their values.

A data set is taken as an array if its values are numbers of a type that NumPy has, stored just so, and more than a few;
everything else stays in the skeleton exactly as it is.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from aezip.array.admission import admissible
from aezip.core.errors import InvalidInput
from aezip.core.names import stored

from . import skeleton
from .datasets import NAMING, coordinates, mapped, names, note, opened, unreadable, unsuited
from .parts import LEAST, PIECE, Decoded, Parts, fill, scratch_array


def take_apart(path: str, folder: str) -> Parts:
    """Take a file apart.

    Parameters
    ----------
    path
        The file.
    folder
        Where large arrays that cannot be mapped, and the skeleton, may be put; the caller removes it.

    Raises
    ------
    InvalidInput
        If it is no HDF5 file, or values cannot be read.
    """
    try:
        return _taken_apart(path, folder)
    except (RuntimeError, OSError, KeyError, ValueError, TypeError) as error:  # whatever h5py makes of a damaged file
        if isinstance(error, OSError) and error.errno in (errno.ENOENT, errno.EACCES, errno.ENOSPC):
            raise
        words = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise InvalidInput(f"{path} is no sound HDF5 file ({words}): check the file, or install the filter it needs") from error


def _taken_apart(path: str, folder: str) -> Parts:
    with opened(path) as file:
        found = Parts()
        known = names(file)
        taken = {name: key for name, key in known.items() if _is_numbers(file[key])}
        for name, key in taken.items():
            _take(path, file[key], name, found, folder)
        found.others = {name: _words(file[key]) for name, key in known.items() if name not in taken}
        found.coordinates = _coordinates(file, known)
        place = os.path.join(folder, "skeleton")
        try:
            told = skeleton.copy(file, place, taken.values())
        except skeleton.Refused as error:
            where, reason = error.args
            raise InvalidInput(f"{path}: {where} cannot be kept ({reason}): compress its data sets with --dataset") from error
    found.refused, found.elsewhere = told.refused, told.elsewhere
    found.rest = _read(place)
    return found


def put_together(rest: Iterable[bytes], arrays: dict[str, Decoded], path: Path) -> None:
    """Write a file from its skeleton and its arrays.

    Raises
    ------
    InvalidInput
        If a filter that the file uses is not at hand.
    """
    with open(path, "wb") as out:
        for part in rest:
            out.write(part)
    with h5py.File(path, "r+", rdcc_nbytes=1 << 27) as file:
        known = names(file)
        for name, array in arrays.items():
            dataset = file[known[name]]
            try:
                fill(dataset, array)
            except OSError as error:
                raise InvalidInput(
                    f"{name} cannot be written ({str(error)[:80]}): install its HDF5 filter (hdf5plugin)"
                ) from error
            for key, value in array.attributes.items():
                dataset.attrs[key] = value


def _read(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while part := file.read(PIECE):
            yield part


def _is_numbers(dataset: h5py.Dataset) -> bool:
    """Tell whether a data set is taken as an array."""
    try:
        dtype = dataset.dtype
    except TypeError:  # a type that NumPy has not
        return False
    if dataset.shape is None or dataset.is_virtual or dataset.external or dtype.hasobject or not admissible(dtype):
        return False
    if not dataset.id.get_storage_size() or dataset.size * dtype.itemsize < LEAST:
        return False
    kind = dataset.id.get_type()
    if kind.get_class() == h5py.h5t.ENUM:
        return dtype.kind == "b" or bool(h5py.h5t.py_create(np.dtype(dtype.str)).equal(kind.get_super()))
    return bool(h5py.h5t.py_create(dtype).equal(kind))


def _words(dataset: h5py.Dataset) -> str:
    """Return what a data set that stays in the skeleton holds; "" for numbers."""
    try:
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return "text"
        return unsuited(dataset)
    except TypeError:
        return "values of a type that NumPy has not"


def _take(path: str, dataset: h5py.Dataset, name: str, found: Parts, folder: str) -> None:
    values: npt.NDArray[Any] | None = mapped(path, dataset.file, dataset)
    if values is None:
        values = scratch_array(dataset.shape, np.dtype(dataset.dtype.str), folder)
        try:
            _load(dataset, values)
        except OSError as error:
            raise unreadable(path, name, error) from error
    found.arrays[name] = values
    note(dataset, name, found)


def _load(dataset: h5py.Dataset, out: npt.NDArray[Any]) -> None:
    inner = max(1, dataset.size // max(1, dataset.shape[0]) * dataset.dtype.itemsize)
    step = max(1, (1 << 26) // inner)
    if dataset.chunks:
        step = max(1, step // dataset.chunks[0]) * dataset.chunks[0]
    for start in range(0, dataset.shape[0], step):
        out[start : start + step] = dataset[start : start + step]


def _coordinates(file: h5py.File, known: dict[str, str | bytes]) -> set[str]:
    """Return the data sets that say where values are: dimension scales, and what CF attributes name."""
    told = {
        name: {word: _text(file[key], word) for word in (*NAMING, "units", "axis") if word in file[key].attrs}
        for name, key in known.items()
    }
    return coordinates(told) | {name for name, key in known.items() if file[key].is_scale}


def _text(dataset: h5py.Dataset, name: str) -> str:
    try:
        value = dataset.attrs[name]
    except (OSError, TypeError, KeyError):
        return ""
    return stored(value) if isinstance(value, str | bytes) else ""
