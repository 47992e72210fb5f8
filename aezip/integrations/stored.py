"""Arrays of files as dask arrays that carry the path alone: whoever computes a part reads it there. Needs the extra `dask`."""

from __future__ import annotations

import os
from typing import Any

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt

from aezip.core.errors import InvalidInput
from aezip.files import datasets

CHUNK_VALUES = 1 << 22


class _Part:
    """An array of a file, opened where it is indexed.

    Parameters
    ----------
    path
        Of an `.npy` or HDF5 file.
    name
        Of the data set; None: an `.npy` file.
    """

    def __init__(self, path: str, name: str | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.name, self.shape, self.dtype, self.ndim = path, name, shape, dtype, len(shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        try:
            if self.name is None:
                return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[key])
            with datasets.opened(self.path) as file:
                return np.asarray(file[datasets.names(file)[self.name]][key])
        except FileNotFoundError as error:
            raise InvalidInput(f"a worker finds no {self.path}: give a path that all workers reach") from error


def from_file(path: str, name: str | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> da.Array:
    """Return an array of an `.npy` file, or a data set of an HDF5 file, as a dask array in runs of the outer axis.

    Parameters
    ----------
    path
        Of the file; the workers have to reach it too.
    name
        Of the data set.
    shape, dtype
        Of the array.
    """
    part = _Part(os.path.abspath(path), name, shape, dtype)
    inner = int(np.prod(shape[1:], dtype=np.int64))
    rows = max(1, CHUNK_VALUES // max(1, inner))
    token = dask.base.tokenize(part.path, name, os.urandom(8))
    return da.from_array(part, chunks=(rows, *shape[1:]), name=f"file-{token}", asarray=True)
