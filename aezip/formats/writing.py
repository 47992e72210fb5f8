"""Writing decoded arrays: .npy, .npz or raw by the name, to a temporary file that is renamed at the end."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..container import check_target, publish
from ..errors import InvalidInput

Array = npt.NDArray[Any]


class Source(Protocol):
    """What can be written: a shape, a dtype, and a way to fill an array with the values."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Callable[[Array], None]


def output_name(path: str, count: int) -> str:
    """Return the default name for what an archive holds: NAME.npy.aez -> NAME.npy, else .npy or .npz."""
    stem = path[:-4] if path.endswith(".aez") else path
    suffix = Path(stem).suffix
    if count > 1:
        return stem if suffix == ".npz" else f"{stem}.npz"
    return stem if suffix in (".npy", ".npz", ".raw", ".bin", ".dat") else f"{stem}.npy"


def write(path: str, arrays: Mapping[str, Source], *, overwrite: bool) -> None:
    """Write arrays under `path`; "-" is standard output (.npy).

    Raises
    ------
    InvalidInput
        If the file exists, or several arrays are to go into a format that holds one.
    """
    single = len(arrays) == 1
    if path == "-":
        if not single:
            raise InvalidInput("standard output takes one array: choose it with --dataset")
        _to_stdout(next(iter(arrays.values())))
        return
    target = Path(path)
    suffix = target.suffix.lower()
    if not single and suffix != ".npz":
        raise InvalidInput(f"{path} holds one array, the file has {len(arrays)}: use .npz, or choose one with --dataset")
    check_target(target, overwrite=overwrite)
    temp = target.with_name(f".{target.name[:100]}.aezip-{secrets.token_hex(6)}.tmp")
    try:
        if suffix == ".npz":
            _npz(temp, arrays)
        elif suffix == ".npy":
            _npy(temp, next(iter(arrays.values())))
        else:
            _raw(temp, next(iter(arrays.values())))
        with open(temp, "rb") as file:
            os.fsync(file.fileno())
        publish(temp, target, overwrite=overwrite)
    finally:
        temp.unlink(missing_ok=True)


def _values(source: Source) -> Array:
    out = np.empty(source.shape, source.dtype)
    source.fill(out)
    return out


def _npy(temp: Path, source: Source) -> None:
    if not np.prod(source.shape):
        with open(temp, "wb") as file:
            np.save(file, _values(source), allow_pickle=False)
        return
    mapped = np.lib.format.open_memmap(temp, "w+", source.dtype, source.shape)
    source.fill(mapped)
    mapped.flush()


def _npz(temp: Path, arrays: Mapping[str, Source]) -> None:
    with open(temp, "wb") as file:
        np.savez(file, **{name: _values(source) for name, source in arrays.items()})  # type: ignore[arg-type]


def _raw(temp: Path, source: Source) -> None:
    if not np.prod(source.shape):
        temp.touch()
        return
    mapped = np.memmap(temp, source.dtype, "w+", shape=source.shape or (1,))
    source.fill(mapped if source.shape else mapped.reshape(()))
    mapped.flush()


def _to_stdout(source: Source) -> None:
    np.lib.format.write_array(sys.stdout.buffer, _values(source), allow_pickle=False)
    sys.stdout.buffer.flush()
