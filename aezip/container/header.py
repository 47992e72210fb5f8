"""The headers of a file: what they must hold, and the versions this reader knows.

Pure functions on parsed JSON and on sizes: no HDF5 here. `validate` is the one place that decides whether the
structure of an array's entry is sound; every reader goes through it.
"""

from __future__ import annotations

import copy
import json
import math
from dataclasses import dataclass
from typing import Any

from aezip.core.errors import CorruptFile, UnsafeFile, UnsupportedVersion
from aezip.core.fixed import LARGEST_FLOAT, MAX_AXES, MAX_VALUES

FORMAT = "aezip"
VERSION = (1, 0)
# what a file may need beyond its version
FEATURES = frozenset({"file", "model", "model-reference", "narrow"})
KINDS = ("archive", "model")
STREAMS = ("codes", "data", "encoder", "outliers", "mask", "model", "recommender", "residual")
STREAMS_SORTED = tuple(sorted(STREAMS))
SHARED = ("encoder", "model", "recommender")
MAX_HEADER = 1 << 25  # of all arrays of a file
MAX_ARRAYS = 1 << 16
MAX_CHUNKS = 1 << 24
CHUNK_LIMIT_VALUES = 1 << 31  # values of one chunk: bounds what decoding may allocate
MODEL_LIMIT = 1 << 28
SKELETON_LIMIT = 1 << 36  # bytes of everything in a file but its arrays
SKELETON_FRAME = 1 << 24  # bytes of it in a frame
_PLAN: dict[str, dict[str, Any]] = {  # what a key of a plan is where it is left out
    "context": {"order": [], "origin": 0, "base": None, "spike": None, "signal": None},
    "autoencoder": {"difference": None, "groups": None, "by_feature": False},
    "static": {"difference": None, "groups": None, "by_feature": False, "width": 0, "hidden": 1, "scale_hidden": 0},
    "difference": {"axis": None},
}
_DAMAGED = "the file is damaged, get another copy"


def dump(header: dict[str, Any]) -> bytes:
    """Return a header as compact JSON, UTF-8; lone surrogates, which UTF-8 has not, as JSON escapes them."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "backslashreplace")


def parse(raw: bytes) -> dict[str, Any]:
    """Parse a header.

    Raises
    ------
    CorruptFile
        If it is not a JSON object.
    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise CorruptFile(f"a header is not readable: {_DAMAGED}") from error
    if not isinstance(value, dict):
        raise CorruptFile(f"a header is not an object: {_DAMAGED}")
    return value


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} in a header")


def shorten(header: dict[str, Any]) -> dict[str, Any]:
    """Return the header of an array without what `lengthen` finds out."""
    full = dict(header)
    if isinstance(full.get("plan"), dict):
        full["plan"] = _without(full["plan"])
    usual = lengthen({k: full[k] for k in ("shape", "dtype", "chunk_length") if k in full}, "")
    for part, key in (("bound", "per_feature"), ("achieved", "outliers")):
        if isinstance(full.get(part), dict) and not full[part].get(key, True):
            full[part] = {k: v for k, v in full[part].items() if k != key}
    known = [k for k in (*_USUAL, "chunk_count", "chunk_values") if k in full and full[k] == usual.get(k)]
    return {k: v for k, v in full.items() if k not in ("name", *known)}


_USUAL: dict[str, Any] = {"specials": {"fills": 0, "patterns": []}, "rates": {}, "seed": 0, "candidates": []}


def _without(plan: dict[str, Any]) -> dict[str, Any]:
    usual = _PLAN.get(str(plan.get("kind")), {})
    found = {k: v for k, v in plan.items() if k not in usual or type(v) is not type(usual[k]) or v != usual[k]}
    return {**found, "base": _without(found["base"])} if isinstance(found.get("base"), dict) else found


def lengthen(header: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the header of an array with everything that may be left out of it; what is malformed stays as it is."""
    full = {**copy.deepcopy(_USUAL), **header, "name": name}
    for key, usual in (("bound", {"per_feature": False}), ("achieved", {"outliers": 0})):
        if isinstance(full.get(key), dict) and (key == "achieved" or full[key].get("kind") == "range_relative"):
            full[key] = {**usual, **full[key]}
    full["plan"] = _with(full.get("plan"))
    shape, length = full.get("shape"), full.get("chunk_length")
    sizes = isinstance(shape, list) and len(shape) <= MAX_AXES and all(type(n) is int for n in shape)
    if isinstance(shape, list) and sizes and type(length) is int and length > 0:
        outer, *inner = shape or [1]
        inner += [2] if str(full.get("dtype"))[1:2] == "c" else []
        count = -(-outer // length) if math.prod(shape) else 0
        full.setdefault("chunk_count", count)
        full.setdefault("chunk_values", length * math.prod(inner) if count else 0)
    return full


def _with(plan: Any) -> Any:
    if not isinstance(plan, dict) or not isinstance(plan.get("kind"), str):
        return plan
    full = {**copy.deepcopy(_PLAN.get(plan["kind"], {})), **plan}
    base = full.get("base")
    if isinstance(base, dict) and isinstance(base.get("kind"), str):  # one level: a base has no base
        full["base"] = {**copy.deepcopy(_PLAN.get(base["kind"], {})), **base}
    return full


def check_root(root: dict[str, Any]) -> list[dict[str, Any]]:
    """Check format, version and features of the root header; return the list of arrays.

    Raises
    ------
    CorruptFile
        If it is malformed.
    UnsupportedVersion
        If a later version or an unknown feature is needed, which is named.
    """
    if root.get("format") != FORMAT:
        raise CorruptFile("this is not an aezip file: the root header names another format")
    version = root.get("version")
    if not (isinstance(version, list) and len(version) == 2 and all(type(v) is int for v in version)):
        raise CorruptFile(f"the version is malformed: {_DAMAGED}")
    if tuple(version) > VERSION or version[0] < 1:
        found, known = ".".join(map(str, version)), ".".join(map(str, VERSION))
        raise UnsupportedVersion(f"the file has format version {found}, this aezip reads up to {known}: update aezip")
    features = root.get("features")
    if not isinstance(features, list) or not all(isinstance(f, str) for f in features):
        raise CorruptFile(f"the list of features is malformed: {_DAMAGED}")
    unknown = sorted(set(features) - FEATURES)
    if unknown:
        raise UnsupportedVersion(f"the file needs the feature {unknown[0][:40]!r}, unknown here: update aezip")
    if root.get("kind", KINDS[0]) not in KINDS:
        raise UnsupportedVersion(f"the file is of the kind {str(root['kind'])[:40]!r}, unknown here: update aezip")
    arrays = root.get("arrays")
    if not isinstance(arrays, list) or len(arrays) > MAX_ARRAYS:
        raise CorruptFile(f"the list of arrays is malformed: {_DAMAGED}")
    names = [a.get("name") if isinstance(a, dict) else None for a in arrays]
    if not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
        raise CorruptFile(f"the names of the arrays are malformed: {_DAMAGED}")
    for array in arrays:
        _check_streams(array.get("streams"))
    return arrays


def _check_streams(names: Any) -> None:
    if not isinstance(names, list) or not all(isinstance(n, str) for n in names) or names != sorted(set(names)):
        raise CorruptFile(f"the streams of an array are malformed: {_DAMAGED}")
    unknown = sorted(set(names) - set(STREAMS))
    if unknown:
        raise UnsupportedVersion(f"the file has a stream {unknown[0][:40]!r}, unknown here: update aezip")


def check_file(root: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the root header says of the file that an archive was made of; None if it was made of arrays.

    Raises
    ------
    CorruptFile
        If it is malformed, or the feature is not named.
    UnsafeFile
        If a declared size is beyond the limits.
    """
    told = root.get("file")
    if told is None and "file" not in root["features"]:
        return None
    if not isinstance(told, dict) or "file" not in root["features"]:
        raise CorruptFile(f"the description of the original file is malformed: {_DAMAGED}")
    texts, sizes = ("format", "name", "modified"), ("bytes", "kept")
    digests = [told.get(key) for key in ("sha256", "digest")]
    good = all(isinstance(told.get(key), str) for key in texts) and all(type(told.get(key)) is int for key in sizes)
    good = good and all(isinstance(d, str) and len(d) == 64 and set(d) <= set("0123456789abcdef") for d in digests)
    if not good or min(told[key] for key in sizes) < 0:
        raise CorruptFile(f"the description of the original file is malformed: {_DAMAGED}")
    if told["kept"] > SKELETON_LIMIT:
        raise UnsafeFile(f"the file declares {told['kept']} bytes beside its arrays: do not trust this file")
    return told


@dataclass(frozen=True)
class Entry:
    """The validated structure of one array in a file.

    Parameters
    ----------
    frames
        For each stream, (offset, length, content size) of each segment; length 0 is an empty segment.
    """

    chunk_count: int
    frames: dict[str, list[tuple[int, int, int]]]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each stream."""
        return {name: sum(length for _, length, _ in segments) for name, segments in self.frames.items()}


def check_chunks(header: dict[str, Any]) -> int:
    """Return the number of chunks of an array, checked against its shape.

    Raises
    ------
    CorruptFile
        If they do not fit.
    UnsafeFile
        If a declared size is beyond the limits.
    """
    shape, count, values = header.get("shape"), header.get("chunk_count"), header.get("chunk_values")
    if not isinstance(shape, list) or len(shape) > MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
        raise CorruptFile(f"the shape in the header is malformed: {_DAMAGED}")
    total = math.prod(shape)
    if math.prod(n for n in shape if n) > MAX_VALUES:  # an empty array has no absurd axes either
        raise UnsafeFile("the header declares more values than any aezip file holds: do not trust this file")
    if type(count) is not int or type(values) is not int or not 0 <= count <= MAX_CHUNKS or values < 0:
        raise CorruptFile(f"the chunks in the header are malformed: {_DAMAGED}")
    if values > CHUNK_LIMIT_VALUES:
        raise UnsafeFile(f"a chunk of {values} values is beyond the limit of {CHUNK_LIMIT_VALUES}: do not trust this file")
    # twice: complex values count as two; a chunk may not be declared larger than its array
    if values > max(2 * total, 2) or (total and not count) or count * values < total:
        raise CorruptFile(f"the chunks do not fit the shape: {_DAMAGED}")
    return count


def segments(name: str, count: int) -> int:
    """Return how many segments a stream of an array of so many chunks has."""
    return 1 if name in SHARED else count


def validate(header: dict[str, Any], streams: list[str], index: list[tuple[int, int]], start: int = 0) -> Entry:
    """Check that header, streams and index fit together, before anything is decoded.

    Parameters
    ----------
    header
        The array's header.
    streams
        Names of its streams, in order.
    index
        (frame length, content size) of each segment: streams in order of name, then chunks in order.
    start
        Where the first segment begins.

    Raises
    ------
    CorruptFile
        If they do not.
    UnsafeFile
        If a declared size is beyond the limits.
    """
    entry = Entry(check_chunks(header), _locate(header, streams, index, start))
    _check_descriptive(header)
    return entry


def _check_descriptive(header: dict[str, Any]) -> None:
    """Check the types of what a report shows; keys that only describe may be absent."""
    described = {key: header.get(key, {}) for key in ("bound", "plan", "achieved", "rates")}
    texts = header.get("dtype"), header.get("name", ""), header.get("preset", "")
    good = all(isinstance(value, dict) for value in described.values()) and all(isinstance(text, str) for text in texts)
    if good:
        amounts = [value for key, value in described["bound"].items() if key not in ("kind", "per_feature")]
        amounts += [*described["rates"].values(), described["achieved"].get("outliers", 0)]
        kinds = described["bound"].get("kind"), described["plan"].get("kind")
        good = all(n is None or _is_number(n) for n in described["achieved"].values()) and all(map(_is_number, amounts))
        good = good and all(isinstance(kind, str) for kind in kinds)
    candidates, keeps = header.get("candidates", []), header.get("keeps", {})
    good = good and isinstance(keeps, dict) and isinstance(keeps.get("thresholds", []), list)
    good = good and all(map(_is_number, keeps.get("thresholds", []))) and _is_map(keeps.get("map"))
    if not good or not isinstance(candidates, list) or not all(isinstance(text, str) for text in candidates):
        raise CorruptFile(f"the header of an array is malformed: {_DAMAGED}")


def _is_map(told: Any) -> bool:
    """Tell whether this is what a header says of errors by place, which may be nothing."""
    return told is None or (isinstance(told, dict) and _is_number(told.get("least")) and _is_number(told.get("most")))


def _is_number(value: Any) -> bool:
    """Tell whether a value is a number that a float can hold: JSON has larger ones."""
    return type(value) in (int, float) and abs(value) <= LARGEST_FLOAT


def _locate(
    header: dict[str, Any], streams: list[str], index: list[tuple[int, int]], start: int
) -> dict[str, list[tuple[int, int, int]]]:
    count, values = header["chunk_count"], header["chunk_values"]
    if len(index) != sum(segments(name, count) for name in streams):
        raise CorruptFile(f"the index does not fit the chunks: {_DAMAGED}")
    frames: dict[str, list[tuple[int, int, int]]] = {}
    rows = iter(index)
    for name in streams:
        limit = MODEL_LIMIT if name in SHARED else 65536 + 32 * values
        frames[name] = []
        for _ in range(segments(name, count)):
            length, content = next(rows)
            if content > limit:
                raise UnsafeFile(f"a segment declares {content} bytes, the limit is {limit}: do not trust this file")
            if (length == 0) != (content == 0):
                raise CorruptFile(f"the index does not fit the streams: {_DAMAGED}")
            frames[name].append((start, length, content))
            start += length
    return frames
