"""Writing decoded arrays: .npy, .npz or raw by the name, chunk by chunk to a temporary file that is renamed at the end.

The values go through plain writes, never through a memory map: on a full disk a write fails with an error, a map with
a signal that kills the process.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from aezip.core.atomic import check_target, replacing
from aezip.core.errors import InvalidInput
from aezip.core.names import stored
from aezip.core.sources import is_url

from .provenance import to_comment

_RAW = re.compile(r"\.(raw|bin|dat|img|[fiuc][0-9]{1,3}|float(16|32|64)|u?int(8|16|32|64))")


class Source(Protocol):
    """What can be written: a shape, a dtype, and the values in C order, piece by piece."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array, with its byte order."""

    @property
    def lossy(self) -> dict[str, Any] | None:
        """The bound that the values were stored with, None if nothing was lost."""

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield arrays of that type whose values, one after the other, are those of the array."""


def output_name(path: str, count: int) -> str:
    """Return the default name for what an archive of `count` arrays holds: NAME.npy.aez -> NAME.npy."""
    stem = path[:-4] if path.endswith(".aez") else path
    suffix = Path(stem).suffix.lower()
    if count > 1:
        return stem if suffix == ".npz" else f"{stem}.npz"
    return stem if suffix in (".npy", ".npz") or _RAW.fullmatch(suffix) else f"{stem}.npy"


def takes_arrays(path: str | None) -> bool:
    """Tell whether a name is that of a file of arrays and nothing else, or standard output."""
    if path is None:
        return False
    suffix = Path(path).suffix.lower()
    return path == "-" or suffix in (".npy", ".npz") or _RAW.fullmatch(suffix) is not None


def check_output(path: str, *, source: str, overwrite: bool) -> None:
    """Check that `path` may be written, before any work is done for it.

    Raises
    ------
    InvalidInput
        If it exists and may not be replaced, is the input itself, or is no place for a file.
    """
    if path == "-":
        if sys.stdout.isatty():
            raise InvalidInput("standard output is a terminal: name the output with -o, or redirect it")
        return
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        raise InvalidInput(f"{path} is not a regular file: name another with -o, or use -o - for standard output")
    check_target(target, overwrite=overwrite)
    if source != "-" and not is_url(source) and target.exists() and os.path.samefile(source, path):
        raise InvalidInput(f"{path} is the input itself: name another file with -o")


def write(path: str, arrays: Mapping[str, Source], *, overwrite: bool) -> None:
    """Write arrays under `path`; "-" is standard output (.npy).

    Raises
    ------
    InvalidInput
        If the file exists, its format is not known, or several arrays are to go into a format that holds one.
    """
    if path == "-":
        if len(arrays) != 1:
            raise InvalidInput("standard output takes one array: choose it with --dataset")
        _npy(sys.stdout.buffer, next(iter(arrays.values())))
        sys.stdout.buffer.flush()
        return
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".npy", ".npz") and not _RAW.fullmatch(suffix):
        raise InvalidInput(f"{path}: the format is not known by its name: use .npy, .npz, or .raw, .bin, .f32 for raw values")
    if len(arrays) != 1 and suffix != ".npz":
        raise InvalidInput(f"{path} takes one array, there are {len(arrays)}: use .npz, or choose one with --dataset")
    with replacing(target, overwrite=overwrite) as file:
        if suffix == ".npz":
            _npz(file, arrays)
        elif suffix == ".npy":
            _npy(file, next(iter(arrays.values())))
        else:
            _raw(file, next(iter(arrays.values())))


def _raw(file: IO[bytes], source: Source) -> None:
    for values in source.pieces():
        file.write(values.tobytes())


def _npy(file: IO[bytes], source: Source) -> None:
    form = np.lib.format
    header = {"descr": form.dtype_to_descr(source.dtype), "fortran_order": False, "shape": source.shape}
    form.write_array_header_1_0(file, header)
    _raw(file, source)


def _npz(file: IO[bytes], arrays: Mapping[str, Source]) -> None:
    """Write as `numpy.savez` does, but one chunk at a time and with a fixed date: same arrays, same bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.comment = to_comment({name: source.lossy for name, source in arrays.items() if source.lossy is not None})
        for name, source in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{stored(name)}.npy"), "w", force_zip64=True) as member:
                _npy(member, source)
