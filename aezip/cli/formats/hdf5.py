"""Data sets of an HDF5 file: plain ones are memory-mapped, others are read. Knows nothing of compression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from aezip.core.errors import InvalidInput
from aezip.core.names import stored
from aezip.files.datasets import mapped, names, note, opened, unreadable, unsuited

LISTED = 20


@dataclass
class FoundDataset:
    """Arrays, what marks missing values, words on arrays stored lossily or passed over, number of data sets in the file."""

    count: int
    arrays: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    fills: dict[str, Any] = field(default_factory=dict)
    lossy: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    valid: dict[str, tuple[Any, Any]] = field(default_factory=dict)


def read(path: str, wanted: tuple[str, ...], *, skip: bool = False, values: bool = True) -> FoundDataset:
    """Read data sets.

    Parameters
    ----------
    path
        The file.
    wanted
        Paths of the data sets in the file.
    skip
        Pass over those that hold no numbers.
    values
        Read values; else arrays have shape and type alone, and hold nothing.

    Raises
    ------
    InvalidInput
        If it is no HDF5 file, or a data set is missing or not numeric.
    """
    with opened(path) as file:
        known = names(file)
        listed = ", ".join(list(known)[:LISTED]) + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")
        if not wanted:
            raise InvalidInput(f"{path} is an HDF5 file: name what to compress with --dataset; it has {listed or 'no data sets'}")
        found = FoundDataset(len(known))
        for name in wanted:
            key = stored(name).strip("/")
            if key not in known:
                raise InvalidInput(f"{path} has no data set {name!r}: it has {listed or 'none'}")
            dataset = file[known[key]]
            words = unsuited(dataset)
            if words and skip:
                found.skipped[key] = words
            elif words:
                raise InvalidInput(
                    f"the data set {name!r} of {path} holds {words}: only numbers can be compressed; leave it out, or use "
                    "--skip-unsupported"
                )
            else:
                nothing = np.broadcast_to(np.zeros((), dataset.dtype), dataset.shape)
                found.arrays[key] = _values(path, file, dataset, key) if values else nothing
                note(dataset, key, found)
    if not found.arrays:
        raise InvalidInput(f"{path}: the data sets named hold no numbers: nothing to compress")
    return found


def _values(path: str, file: h5py.File, dataset: h5py.Dataset, name: str) -> npt.NDArray[Any]:
    plain = mapped(path, file, dataset)
    try:
        return np.asarray(dataset[()]) if plain is None else plain
    except OSError as error:
        raise unreadable(path, name, error) from error
