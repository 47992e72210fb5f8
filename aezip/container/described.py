"""What an HDF5 or netCDF-4 file says of its arrays, read from the skeleton that an archive keeps: attributes and dimensions."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import h5py
import numpy as np

from aezip.core.errors import CorruptFile

_INTERNAL = {"DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "DIMENSION_LABELS"}  # how HDF5 and netCDF-4 keep dimensions
_INTERNAL |= {"_Netcdf4Dimid", "_Netcdf4Coordinates", "_NCProperties", "_nc3_strict"}


class Described(NamedTuple):
    """Attributes, as Python and NumPy have them, and a name for each axis."""

    attrs: dict[str, Any]
    dims: tuple[str, ...]


def unnamed(axes: int) -> tuple[str, ...]:
    """Return what axes are called of which nothing is said."""
    return tuple(f"dim_{axis}" for axis in range(axes))


def describe(skeleton: Iterable[bytes], names: Collection[str]) -> tuple[dict[str, Any], dict[str, Described]]:
    """Return the attributes of a file, and what it says of arrays.

    Raises
    ------
    CorruptFile
        If the skeleton is damaged.
    """
    try:
        with h5py.File(io.BytesIO(b"".join(skeleton)), "r") as file:
            found = {name: file[name] for name in names if isinstance(file.get(name), h5py.Dataset)}
            return _attributes(file), {name: Described(_attributes(one), _dimensions(one)) for name, one in found.items()}
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise CorruptFile("what the archive keeps of its original cannot be read: the file is damaged") from error


def _attributes(item: h5py.HLObject) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.attrs.items() if name not in _INTERNAL and not _refers(value)}


def _refers(value: Any) -> bool:
    """Tell whether an attribute refers to other objects: outside its file that says nothing."""
    if isinstance(value, h5py.Reference | h5py.RegionReference):
        return True
    return isinstance(value, np.ndarray) and value.dtype.hasobject and any(not isinstance(v, str | bytes) for v in value.flat)


def _plain(value: Any) -> Any:
    """Return text as str, and arrays of one value as the value."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, np.ndarray) and value.dtype.kind in "SO":
        return [_plain(one) for one in value.reshape(-1).tolist()]
    return value[0] if isinstance(value, np.ndarray) and value.shape == (1,) else value


def _dimensions(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Return the names of dimension scales, else labels, else a made-up name; a scale is its own dimension."""
    own = posixpath.basename(dataset.name)
    if dataset.is_scale and dataset.ndim == 1:
        return (own,)
    out = []
    for made_up, dimension in zip(unnamed(dataset.ndim), dataset.dims, strict=True):
        scale = posixpath.basename(dimension[0].name) if len(dimension) else ""
        out.append(scale or dimension.label or made_up)
    return tuple(out)
