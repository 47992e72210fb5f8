"""Data sets of an HDF5 file: plain ones are memory-mapped, others are read. Knows nothing of compression."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from aezip.array.missing import MOST_FILLS, ValidRange, values_of_fill
from aezip.core.errors import InvalidInput
from aezip.core.names import stored

from .provenance import from_attributes

LISTED = 20


@dataclass
class Found:
    """Arrays, what marks missing values, words on arrays stored lossily or passed over, number of data sets in the file."""

    count: int
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    fills: dict[str, Any] = field(default_factory=dict)
    lossy: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    valid: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def read(path: str, wanted: tuple[str, ...], *, skip: bool = False) -> Found:
    """Read data sets.

    Parameters
    ----------
    path
        The file.
    wanted
        Paths of the data sets in the file.
    skip
        Pass over those that hold no numbers.

    Raises
    ------
    InvalidInput
        If it is no HDF5 file, or a data set is missing or not numeric.
    """
    with open(path, "rb"):
        pass  # what the system says of a file that may not be read is clearer than what HDF5 says
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InvalidInput(f"{path} is no sound HDF5 file: check the file; --dataset is for HDF5 files only") from error
    with file:
        known = names(file)
        listed = ", ".join(list(known)[:LISTED]) + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")
        if not wanted:
            raise InvalidInput(f"{path} is an HDF5 file: name what to compress with --dataset; it has {listed or 'no data sets'}")
        found = Found(len(known))
        for name in wanted:
            key = stored(name).strip("/")
            if key not in known:
                raise InvalidInput(f"{path} has no data set {name!r}: it has {listed or 'none'}")
            dataset = file[known[key]]
            words = _unsuited(dataset)
            if words and skip:
                found.skipped[key] = words
            elif words:
                raise InvalidInput(
                    f"the data set {name!r} of {path} holds {words}: only numbers can be compressed; leave it out, or use "
                    "--skip-unsupported"
                )
            else:
                _take(path, file, dataset, key, found)
    if not found.arrays:
        raise InvalidInput(f"{path}: the data sets named hold no numbers: nothing to compress")
    return found


def names(file: h5py.File) -> dict[str, str | bytes]:
    """Return the paths of all data sets as text, without a leading slash, and as h5py knows them; links are not followed."""
    found: dict[str, str | bytes] = {}

    def note(name: str | bytes, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[stored(name)] = name

    file.visititems(note)
    return found


def _unsuited(dataset: h5py.Dataset) -> str:
    """Return what a data set holds that cannot be taken; "" for numbers."""
    dtype = dataset.dtype
    if dataset.shape is None:
        return "no values"
    unfit = dtype.kind not in "fiucb" or dtype.fields is not None or dtype.subdtype is not None
    return f"values of type {dtype}" if unfit else ""


def _take(path: str, file: h5py.File, dataset: h5py.Dataset, key: str, found: Found) -> None:
    found.arrays[key] = _values(path, file, dataset, key)
    words = from_attributes(stored(name) for name in dataset.attrs)
    if words:
        found.lossy[key] = words
    fills, limits = fill_values(dataset), valid_range(dataset)
    if fills:
        found.fills[key] = fills
    if limits is not None:
        found.valid[key] = limits


def _values(path: str, file: h5py.File, dataset: h5py.Dataset, name: str) -> npt.NDArray[Any]:
    dtype = dataset.dtype
    offset = dataset.id.get_offset()
    plain = (
        offset is not None
        and dtype.kind in "fiu"
        and dataset.size
        and dataset.ndim
        and not dataset.external
        and not file.userblock_size
        and h5py.h5t.py_create(dtype) == dataset.id.get_type()
    )
    if plain:  # one uncompressed run of bytes in the file
        return np.memmap(path, dtype, "r", offset=offset, shape=dataset.shape)
    try:
        return np.asarray(dataset[()])
    except OSError as error:
        raise InvalidInput(
            f"the data set {name!r} of {path} cannot be read ({str(error)[:80]}): install the HDF5 filter it needs, "
            "or check the file"
        ) from error


def fill_values(dataset: h5py.Dataset) -> list[Any]:
    """Return what the attributes _FillValue and missing_value state, each value once.

    All of them mark what is missing (CF conventions, section 2.5.1). A value that the type cannot hold marks nothing.
    """
    found: dict[Any, None] = {}
    for name in ("_FillValue", "missing_value"):
        for value in _numbers(dataset, name):
            try:
                values_of_fill(value, dataset.dtype)
            except InvalidInput:
                continue
            found["nan" if value != value else value] = None
    return [math.nan if value == "nan" else value for value in found][:MOST_FILLS]


def valid_range(dataset: h5py.Dataset) -> tuple[Any, Any] | None:
    """Return what the attribute valid_range, or valid_min and valid_max, states; None on a side without a limit.

    Limits of floats on integers are of the unpacked values, and integers that stand for unsigned ones have no order here:
    both mark nothing, as do limits that leave no value.
    """
    pair = _numbers(dataset, "valid_range")
    ends = (_numbers(dataset, "valid_min"), _numbers(dataset, "valid_max"))
    low, high = pair if len(pair) == 2 else (end[0] if len(end) == 1 else None for end in ends)
    if (low is None and high is None) or "_Unsigned" in dataset.attrs:
        return None
    if dataset.dtype.kind in "iu" and any(isinstance(end, float) for end in (low, high)):
        return None
    try:
        ValidRange.of((low, high), dataset.dtype)
    except InvalidInput:
        return None
    return low, high


def _numbers(dataset: h5py.Dataset, name: str) -> list[Any]:
    """Return the numbers of an attribute; none if it is not there, or of another type."""
    if name not in dataset.attrs:
        return []
    value = np.asarray(dataset.attrs[name]).reshape(-1)
    return value.tolist() if value.dtype.kind in "fiu" else []
