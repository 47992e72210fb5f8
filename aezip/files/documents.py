"""What the metadata documents of a Zarr store say, of version 2 and 3, and adding to them. Knows no chunks.

Documents are read here, not by zarr, since they have to come back byte for byte and tell of arrays that zarr cannot open.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aezip.array.admission import admissible
from aezip.core.errors import InvalidInput
from aezip.core.names import stored

from .datasets import coordinates, lossy_before, usable_fills, usable_range
from .folders import Folder
from .parts import Parts

SUFFIXES = (".zarr", ".zarr.zip")
_V3, _V2 = "zarr.json", (".zarray", ".zgroup")
_NUMBERS = {"bool", "float16", "float32", "float64", "complex64", "complex128", "numpy.datetime64", "numpy.timedelta64"}
_NUMBERS |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
# what gives back the very values, whatever they are; others are tried
_EXACT = {"bytes", "transpose", "sharding_indexed", "blosc", "zstd", "gzip", "zlib", "bz2", "lzma", "lz4", "shuffle", "packbits"}
_EXACT |= {"crc32c", "crc32", "adler32", "fletcher32"}
_LOSSY = {"bitround", "quantize", "fixedscaleoffset", "zfpy"}


@dataclass(frozen=True)
class Node:
    """An array or a group.

    Attributes
    ----------
    place
        Path in the store; "" of the root.
    told
        What zarr.json, or .zarray or .zgroup, says.
    attributes
        Its attributes.
    documents
        Names of the files that say so.
    """

    place: str
    told: dict[str, Any]
    attributes: dict[str, Any]
    documents: list[str]

    @property
    def version(self) -> int:
        """Of the format: 2 or 3."""
        return 3 if self.documents[0].endswith(_V3) else 2

    @property
    def is_array(self) -> bool:
        """Whether it is an array."""
        return self.told.get("node_type") == "array" or self.documents[0].endswith(".zarray")

    @property
    def name(self) -> str:
        """What an array is called."""
        return named(self.place)


def named(place: str) -> str:
    """Return what the array at a place is called."""
    return stored(place) or "data"


def is_zarr(path: str) -> bool:
    """Tell whether a file or folder is a Zarr store, by its name or by what is in it."""
    return path.rstrip(os.sep).lower().endswith(SUFFIXES) or is_store(path)


def is_store(path: str) -> bool:
    """Tell whether a folder holds what makes it a Zarr store."""
    return os.path.isdir(path) and any(os.path.isfile(os.path.join(path, name)) for name in (_V3, *_V2))


def read_nodes(files: Folder) -> dict[str, Node]:
    """Return arrays and groups by their place.

    Raises
    ------
    InvalidInput
        If there is none at the root, or a document is damaged.
    """
    found: dict[str, Node] = {}
    for name in files.sizes:
        place, _, document = name.rpartition("/")
        if document == _V3 or (document in _V2 and f"{place}/{_V3}".lstrip("/") not in files.sizes):
            told, more = _json(files, name), f"{place}/.zattrs".lstrip("/")
            beside = [more] if document in _V2 and more in files.sizes else []
            attributes = _json(files, more) if beside else told.get("attributes", {})
            found[place] = Node(place, told, attributes if isinstance(attributes, dict) else {}, [name, *beside])
    if "" not in found:
        raise InvalidInput(
            f"{files.path} is no Zarr store: it has none of {', '.join((_V3, *_V2))} itself; name the folder that has"
        )
    return {"": found[""]} if found[""].is_array else found


def _json(files: Folder, name: str) -> dict[str, Any]:
    try:
        found = json.loads(files.read(name))
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"{name} in {files.path} is no sound JSON ({str(error)[:60]}): the store is damaged, check it"
        ) from error
    if not isinstance(found, dict):
        raise InvalidInput(f"{name} in {files.path} is no description of a group or an array: the store is damaged, check it")
    return found


def unsuited(node: Node) -> str:
    """Return what an array holds that is no number; "" for numbers."""
    told = node.told.get("data_type" if node.version == 3 else "dtype")
    name = str(told.get("name") if isinstance(told, dict) else told)
    try:
        good = name in _NUMBERS if node.version == 3 else admissible(np.dtype(name))
    except (TypeError, ValueError, SyntaxError):
        good = False
    return "" if good else f"values of type {name[:40]}"


def _codecs(told: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and configuration of each codec of an array, those inside of shards too."""
    listed = told.get("codecs") or [told.get("compressor"), *(told.get("filters") or [])]
    for codec in listed:
        if codec is None:
            continue
        name = codec if isinstance(codec, str) else str(codec.get("name", codec.get("id")))
        config = {} if isinstance(codec, str) else codec.get("configuration", codec)
        yield name.removeprefix("numcodecs."), config
        if "codecs" in config:
            yield from _codecs(config)


def unusual(told: dict[str, Any]) -> list[str]:
    """Return the names of those codecs of an array that may not give back the very values."""
    return sorted({name for name, _ in _codecs(told) if name not in _EXACT})


def _lossy(told: dict[str, Any]) -> str:
    """Return in words which codec of an array loses something; "" for none."""
    for name, config in _codecs(told):
        bound = config.get("bound") if name == "aezip" else None
        if name in _LOSSY or (isinstance(bound, dict) and bound.get("kind") != "lossless"):
            return f"codec {name}"
    return ""


def note(node: Node, array: Any, found: Parts) -> None:
    """Note fill values, of version 2 also that of chunks, as xarray does; valid range, and what was lost before."""
    words = _lossy(node.told) or lossy_before(node.attributes)
    found.lossy |= {node.name: words} if words else {}
    if array.dtype.kind not in "fiu":
        return
    values = [np.asarray(array.fill_value).item()] if node.version == 2 and array.fill_value is not None else []
    numbers = {key: _numbers(value) for key, value in node.attributes.items()}
    values += [value for key in ("_FillValue", "missing_value") for value in numbers.get(key, [])]
    fills = usable_fills(values, array.dtype)
    limits = None if "_Unsigned" in node.attributes else usable_range(numbers, array.dtype)
    found.fills |= {node.name: fills} if fills else {}
    found.valid |= {node.name: limits} if limits is not None else {}


def _numbers(value: Any) -> list[Any]:
    """Return the numbers of an attribute; floats may be base64 of their eight bytes, as xarray writes them."""
    found = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            try:
                found.append(struct.unpack("<d", base64.b64decode(one, validate=True))[0])
            except (ValueError, struct.error):
                continue
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.append(one)
    return found


def coordinates_of(nodes: dict[str, Node]) -> set[str]:
    """Return the arrays that say where values are: those named as a dimension beside them, and what CF attributes name."""
    dims: set[str] = set()
    for node in nodes.values():
        axes = node.told.get("dimension_names") or node.attributes.get("_ARRAY_DIMENSIONS")
        for name in axes if isinstance(axes, list) else ():
            dims |= {f"{node.place.rpartition('/')[0]}/{name}".strip("/"), str(name)}
    told = {node.place + "/" * (not node.is_array): node.attributes for node in nodes.values()}
    found = coordinates(told) | dims
    return {node.name for node in nodes.values() if node.is_array and node.place in found}


def tell(folder: Path, node: Node, attributes: dict[str, Any]) -> None:
    """Add attributes of an array to its document and to those that repeat it."""
    own = folder / node.place
    for above in [own, *own.parents][: len(node.place.split("/")) + bool(node.place)]:
        inside = own.relative_to(above).as_posix()
        inside = "" if inside == "." else inside
        if node.version == 3:
            _amend(
                above / _V3, ["consolidated_metadata", "metadata", inside, "attributes"] if inside else ["attributes"], attributes
            )
        elif inside:
            _amend(above / ".zmetadata", ["metadata", f"{inside}/.zattrs"], attributes)
        else:
            _amend(own / ".zattrs", [], attributes, make=True)


def _amend(path: Path, keys: list[str], attributes: dict[str, Any], *, make: bool = False) -> None:
    """Add attributes inside of a JSON document, if there is one that has such a place."""
    if not (make or path.exists()):
        return
    told = json.loads(path.read_bytes()) if path.exists() else {}
    place = told
    for key in keys[:-1]:
        place = place.get(key)
        if not isinstance(place, dict):
            return
    place = place.setdefault(keys[-1], {}) if keys else place
    place.update(attributes)
    path.write_text(json.dumps(told, indent=2), "utf-8")
