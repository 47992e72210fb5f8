"""Data sets of an HDF5 file: plain ones are memory-mapped, others are read. Knows nothing of compression."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from aezip.array.specials import values_of_fill
from aezip.core.errors import InvalidInput

from .provenance import from_attributes

LISTED = 20


def read(
    path: str, wanted: tuple[str, ...]
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any], int, dict[str, str]]:
    """Read data sets.

    Parameters
    ----------
    path
        The file.
    wanted
        Paths of the data sets in the file.

    Returns
    -------
    arrays, fill values, number of data sets in the file, words on those that were stored lossily

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
        listed = ", ".join(known[:LISTED]) + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")
        if not wanted:
            raise InvalidInput(
                f"{path} is an HDF5 file: name what to compress with --dataset; it has {listed or 'no data sets'}"
            )
        arrays: dict[str, npt.NDArray[Any]] = {}
        fills: dict[str, Any] = {}
        lossy: dict[str, str] = {}
        for name in wanted:
            key = name.strip("/")
            if key not in known:
                raise InvalidInput(f"{path} has no data set {name!r}: it has {listed or 'none'}")
            dataset = file[key]
            arrays[key] = _values(path, file, dataset, name)
            words = from_attributes(dataset.attrs)
            if words:
                lossy[key] = words
            fill = fill_value(dataset)
            if fill is not None:
                fills[key] = fill
    return arrays, fills, len(known), lossy


def names(file: h5py.File) -> list[str]:
    """Return the paths of all data sets, without a leading slash; links to other places are not followed."""
    found: list[str] = []

    def note(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found.append(name)

    file.visititems(note)
    return found


def _values(path: str, file: h5py.File, dataset: h5py.Dataset, name: str) -> npt.NDArray[Any]:
    dtype = dataset.dtype
    if dataset.shape is None or dtype.kind not in "fiucb" or dtype.fields is not None or dtype.subdtype is not None:
        kind = "no values" if dataset.shape is None else f"type {dtype}"
        raise InvalidInput(f"the data set {name!r} of {path} has {kind}: only numbers can be compressed")
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


def fill_value(dataset: h5py.Dataset) -> Any:
    """Return what the attribute _FillValue or missing_value states, or None.

    A value that the type cannot hold marks nothing, and does not count.
    """
    for name in ("_FillValue", "missing_value"):
        if name not in dataset.attrs:
            continue
        value = np.asarray(dataset.attrs[name]).reshape(-1)
        if not value.size or value.dtype.kind not in "fiu":
            continue
        try:
            values_of_fill(value[0].item(), dataset.dtype)
        except InvalidInput:
            continue
        return value[0].item()
    return None
