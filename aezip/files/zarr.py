"""Zarr stores, v2 and v3, as folders or zip files: chunks of numbers become arrays, all other files the skeleton.

Metadata documents are kept byte for byte, and arrays of other types chunk by chunk as they are. Restoring writes values
through the zarr library with the array's own codecs, into those chunks that were there. Needs the extra `zarr`.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import AezipError, CorruptFile, InvalidInput
from aezip.core.surroundings import restored

from .documents import Node, coordinates_of, named, note, read_nodes, tell, unsuited, unusual
from .folders import Folder, unpack
from .parts import LEAST, Decoded, Parts, fill, scratch_array

Selection = tuple[slice, ...]


def library() -> Any:
    """Return zarr.

    Raises
    ------
    InvalidInput
        If it is not installed.
    """
    try:
        with restored():
            import zarr
    except ImportError as error:
        raise InvalidInput("Zarr stores need zarr 3: pip install 'aezip[zarr]'") from error
    if int(zarr.__version__.split(".")[0]) < 3:
        raise InvalidInput(f"Zarr stores need zarr 3, {zarr.__version__} is installed: pip install 'aezip[zarr]'")
    return zarr


def take_apart(path: str, folder: str, only: Collection[str] = ()) -> Parts:
    """Take a store apart; `folder` is for large arrays, `only` these are read if any is named.

    Raises
    ------
    InvalidInput
        If it is no store, or values cannot be read.
    """
    library()
    files = Folder(path)
    nodes = read_nodes(files)
    found = Parts()
    absent: dict[str, list[list[int]]] = {}
    coded: set[str] = set()
    with restored():
        for node in nodes.values():
            if not node.is_array:
                continue
            words = unsuited(node)
            array = None if words or (only and node.name not in only) else _opened(path, node.place)
            if array is not None and array.nbytes >= LEAST:
                words = _take(files, node, array, found, folder)
            if array is None or node.name not in found.arrays:
                found.others[node.name] = words
                continue
            keys = [(node.place + "/" + key).lstrip("/") for key, _ in _chunks(array)]
            if not coded.isdisjoint(keys):
                raise InvalidInput(f"{path}: {node.name!r} lies among the chunks of another array: move it elsewhere")
            absent[node.name] = _runs([key not in files.sizes for key in keys])
            coded.update(keys)
    found.coordinates = coordinates_of(nodes)
    found.rest = files.skeleton({"arrays": absent}, [name for name in files.sizes if name not in coded])
    return found


def put_together(rest: Iterable[bytes], arrays: dict[str, Decoded], folder: Path) -> None:
    """Write a store into an empty folder from its skeleton and its arrays; without arrays, what is no chunk of theirs.

    Raises
    ------
    CorruptFile
        If they do not fit together.
    InvalidInput
        If zarr or a codec is not at hand.
    """
    library()
    absent = unpack(rest, folder)["arrays"]
    if arrays and arrays.keys() != absent.keys():
        raise CorruptFile("the arrays do not fit the skeleton of the store: get another copy")
    nodes = {node.name: node for node in read_nodes(Folder(str(folder))).values() if node.is_array} if arrays else {}
    with restored():
        for name, decoded in arrays.items():
            array = _opened(str(folder), nodes[name].place, "r+")
            if (array.shape, array.dtype.newbyteorder("=")) != (decoded.shape, decoded.dtype.newbyteorder("=")):
                raise CorruptFile(f"{name!r} has another shape or type in the skeleton of the store: get another copy")
            values = scratch_array(array.shape, array.dtype, "")
            fill(values, decoded)
            _write(array, values, folder / nodes[name].place, absent[name])
            if decoded.attributes:
                tell(folder, nodes[name], decoded.attributes)


def _opened(path: str, place: str, mode: str = "r") -> Any:
    """Open an array.

    Raises
    ------
    InvalidInput
        If zarr cannot.
    """
    zarr = library()
    try:
        store = zarr.storage.LocalStore(path) if os.path.isdir(path) else zarr.storage.ZipStore(path, mode="r")
        with zarr.config.set({"array.write_empty_chunks": True}):
            array = zarr.open_array(store, path=place, mode=mode)
        _unit(array)
    except Exception as error:  # each part of zarr, and each codec, has exceptions of its own
        raise _unusable(path, place, error) from error
    return array


def _unusable(path: str, place: str, error: BaseException) -> InvalidInput:
    words = " ".join(str(error).split())[:100] or type(error).__name__
    return InvalidInput(
        f"the array {named(place)!r} of {path} cannot be used ({words}): install the package of its codec, or check the store"
    )


def _unit(array: Any) -> tuple[int, ...]:
    """Return the shape of what is stored under a key: a chunk, or a shard of chunks."""
    return tuple(array.shards or array.chunks)


def _chunks(array: Any) -> Iterator[tuple[str, Selection]]:
    """Yield the key of each chunk below its array, and its place in it, in C order."""
    unit = _unit(array)
    for at in itertools.product(*(range(-(-size // step)) for size, step in zip(array.shape, unit, strict=True))):
        place = tuple(slice(i * step, min(size, i * step + step)) for i, step, size in zip(at, unit, array.shape, strict=True))
        yield array.metadata.encode_chunk_key(at), place


def _take(files: Folder, node: Node, array: Any, found: Parts, folder: str) -> str:
    """Take the values of an array, unless its codecs would not give them back; return what it holds then."""
    values = scratch_array(array.shape, array.dtype, folder)
    try:
        for _, place in _chunks(array):
            values[place] = array[place]
    except AezipError:
        raise
    except Exception as error:  # whatever a codec makes of damaged bytes
        raise _unusable(files.path, node.place, error) from error
    codecs = ", ".join(unusual(node.told))
    if codecs and not _kept(files, node, values, folder):
        return f"values that its codecs ({codecs}) change again"
    found.arrays[node.name] = values
    if codecs:
        found.exact[node.name] = f"behind codecs that may change values again ({codecs}): leave its bound away"
    note(node, array, found)
    return ""


def _kept(files: Folder, node: Node, values: npt.NDArray[Any], folder: str) -> bool:
    """Tell whether values come back from the codecs of their array as they are."""
    with tempfile.TemporaryDirectory(dir=folder or None) as name:
        for document in node.documents:
            Path(name, os.path.basename(document)).write_bytes(files.read(document))
        array = _opened(name, "", "r+")
        _write(array, values, Path(name), [])
        return all(array[place].tobytes() == values[place].tobytes() for _, place in _chunks(array))


def _write(array: Any, values: npt.NDArray[Any], folder: Path, absent: list[list[int]]) -> None:
    """Write values into the chunks of an array that are not absent."""
    for number, (key, place) in enumerate(_chunks(array)):
        if any(start <= number < stop for start, stop in absent):
            continue
        if (folder / key).exists():  # zarr would decode it first, with whatever codec it names
            raise CorruptFile("the skeleton of the store holds chunks of an array beside it: do not trust this file")
        try:
            array[place] = values[place]
        except Exception as error:  # each codec has exceptions of its own
            raise _unusable("the store", array.path, error) from error


def _runs(flags: list[bool]) -> list[list[int]]:
    """Return where flags are set: starts and ends."""
    edges = np.flatnonzero(np.diff(np.array([False, *flags, False], np.int8)))
    return [[int(start), int(stop)] for start, stop in edges.reshape(-1, 2)]
