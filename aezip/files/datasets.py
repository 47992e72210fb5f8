"""What a data set of an HDF5 file says of itself: names, fill values, valid ranges, what it went through before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import h5py
import numpy as np
import numpy.typing as npt

from aezip.array.missing import MOST_FILLS, ValidRange, values_of_fill
from aezip.core.errors import InvalidInput
from aezip.core.names import stored

NAMING = ("coordinates", "bounds", "climatology", "grid_mapping", "ancillary_variables", "cell_measures")  # CF, appendix A
_COORDINATE_UNITS = ("degrees_north", "degrees_east", "degree_north", "degree_east")
_QUANTIZED = ("_Quantize", "least_significant_digit", "lossy_compression")  # netCDF quantization, its older use, CF conventions


def opened(path: str) -> h5py.File:
    """Open an HDF5 file.

    Raises
    ------
    InvalidInput
        If it is none.
    OSError
        If it may not be read.
    """
    with open(path, "rb"):
        pass  # what the system says of a file that may not be read is clearer than what HDF5 says
    try:
        return h5py.File(path, "r", rdcc_nbytes=1 << 26)
    except OSError as error:
        raise InvalidInput(f"{path} is no sound HDF5 file: check the file; --dataset is for HDF5 files only") from error


def names(file: h5py.File) -> dict[str, str | bytes]:
    """Return the paths of all data sets as text, without a leading slash, and as h5py knows them; links are not followed."""
    found: dict[str, str | bytes] = {}

    def note(name: str | bytes, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[stored(name)] = name

    file.visititems(note)
    return found


def unsuited(dataset: h5py.Dataset) -> str:
    """Return what a data set holds that cannot be taken; "" for numbers."""
    dtype = dataset.dtype
    if dataset.shape is None:
        return "no values"
    unfit = dtype.kind not in "fiucb" or dtype.fields is not None or dtype.subdtype is not None
    return f"values of type {dtype}" if unfit else ""


def mapped(path: str, file: h5py.File, dataset: h5py.Dataset) -> npt.NDArray[Any] | None:
    """Return a memory map of a data set that is one uncompressed run of bytes in the file; None where it is not."""
    dtype, offset = dataset.dtype, dataset.id.get_offset()
    plain = (
        offset is not None
        and dtype.kind in "fiu"
        and dataset.size
        and dataset.ndim
        and not dataset.external
        and not file.userblock_size
        and h5py.h5t.py_create(dtype) == dataset.id.get_type()
    )
    return np.memmap(path, dtype, "r", offset=offset, shape=dataset.shape) if plain else None


def unreadable(path: str, name: str, error: BaseException) -> InvalidInput:
    """Return what is said where the values of a data set cannot be read."""
    return InvalidInput(
        f"the data set {name!r} of {path} cannot be read ({str(error)[:80]}): install the HDF5 filter it needs (hdf5plugin), "
        "or check the file"
    )


def fill_values(dataset: h5py.Dataset) -> list[Any]:
    """Return what the attributes _FillValue and missing_value state, each value once.

    All of them mark what is missing (CF conventions, section 2.5.1). A value that the type cannot hold marks nothing.
    """
    return usable_fills((value for name in ("_FillValue", "missing_value") for value in _numbers(dataset, name)), dataset.dtype)


def usable_fills(values: Iterable[Any], dtype: np.dtype[Any]) -> list[Any]:
    """Return each value once that the type can hold."""
    found: dict[Any, None] = {}
    for value in values:
        try:
            values_of_fill(value, dtype)
        except InvalidInput:
            continue
        found["nan" if value != value else value] = None
    return [math.nan if value == "nan" else value for value in found][:MOST_FILLS]


def valid_range(dataset: h5py.Dataset) -> tuple[Any, Any] | None:
    """Return what the attribute valid_range, or valid_min and valid_max, states; None on a side without a limit.

    Limits of floats on integers are of the unpacked values, and integers that stand for unsigned ones have no order here:
    both mark nothing, as do limits that leave no value.
    """
    if "_Unsigned" in dataset.attrs:
        return None
    told = {name: _numbers(dataset, name) for name in ("valid_range", "valid_min", "valid_max")}
    return usable_range(told, dataset.dtype)


def usable_range(told: dict[str, list[Any]], dtype: np.dtype[Any]) -> tuple[Any, Any] | None:
    """Return the limits that attributes of these names state, if the type has an order in which they leave a value."""
    pair, ends = told.get("valid_range", []), (told.get("valid_min", []), told.get("valid_max", []))
    low, high = pair if len(pair) == 2 else (end[0] if len(end) == 1 else None for end in ends)
    if low is None and high is None:
        return None
    if dtype.kind in "iu" and any(isinstance(end, float) for end in (low, high)):
        return None
    try:
        ValidRange.of((low, high), dtype)
    except InvalidInput:
        return None
    return low, high


def _numbers(dataset: h5py.Dataset, name: str) -> list[Any]:
    """Return the numbers of an attribute; none if it is not there, or of another type."""
    if name not in dataset.attrs:
        return []
    value = np.asarray(dataset.attrs[name]).reshape(-1)
    return value.tolist() if value.dtype.kind in "fiu" else []


class Told(Protocol):
    """What is said of data sets, by name."""

    fills: dict[str, Any]
    valid: dict[str, tuple[Any, Any]]
    lossy: dict[str, str]


def note(dataset: h5py.Dataset, name: str, told: Told) -> None:
    """Note fill values, valid range and what a data set went through before, whatever it states."""
    fills, limits = fill_values(dataset), valid_range(dataset)
    words = lossy_before(stored(key) for key in dataset.attrs)
    if fills:
        told.fills[name] = fills
    if limits is not None:
        told.valid[name] = limits
    if words:
        told.lossy[name] = words


def coordinates(told: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the variables that say where values are, by the CF attributes of each; names are paths."""
    found = set()
    for name, attributes in told.items():
        folder = name.rpartition("/")[0]
        for other in " ".join(str(attributes.get(word, "")) for word in NAMING).split():
            found |= told.keys() & {f"{folder}/{other}".strip("/"), other}
        units = str(attributes.get("units", ""))
        if units.startswith(_COORDINATE_UNITS) or " since " in units or "axis" in attributes:
            found.add(name)
    return found


def lossy_before(attributes: Iterable[str]) -> str:
    """Return what the names of attributes say of a data set: a few words, or nothing."""
    found = [name for name in attributes if name.startswith(_QUANTIZED)]
    return f"attribute {found[0][:60]}" if found else ""
