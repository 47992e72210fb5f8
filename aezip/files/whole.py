"""Whole files into archives and back: the formats, the original's name, time and digest, what a variable says of its loss."""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from aezip import __version__
from aezip.archive.models import AnyModel
from aezip.archive.reading import Archive
from aezip.archive.report import Report
from aezip.archive.view import ArrayView
from aezip.archive.writing import Origin, write_archive
from aezip.array.bounds import Bound
from aezip.core import atomic
from aezip.core.errors import CorruptFile, InvalidInput, meaningful
from aezip.core.names import stored
from aezip.core.progress import ProgressEvent
from aezip.core.sources import Source, is_url
from aezip.core.surroundings import undisturbed

from . import documents, flat, folders, hdf5, netcdf3, safetensors, tables, zarr
from .bounds import as_rules, assign
from .parts import Decoded, Parts

SUFFIXES = {
    ".h5": "hdf5", ".hdf5": "hdf5", ".he5": "hdf5", ".hdf": "hdf5", ".nc": "hdf5", ".nc4": "hdf5", ".cdf": "netcdf3",
    ".safetensors": "safetensors",
}  # fmt: skip
_PARSERS = {"netcdf3": netcdf3.parse, "safetensors": safetensors.parse}
_EXTEND = {"netcdf3": netcdf3.extended}


def format_of(path: str) -> str | None:
    """Return the format of a file that may be taken as a whole, by its name and its first bytes; None: another file."""
    if documents.is_zarr(path):
        return "zarr"
    if tables.suffix_of(path):
        return tables.SUFFIXES[tables.suffix_of(path)]
    found = SUFFIXES.get(Path(path).suffix.lower())
    if found in ("hdf5", "netcdf3"):
        with open(path, "rb") as file:
            found = "netcdf3" if file.read(3) == b"CDF" else "hdf5"
    return found


def is_whole(path: str) -> bool:
    """Tell whether a file or folder is one that is taken as a whole: by its name, a folder also by what it holds."""
    return documents.is_zarr(path) or Path(path).suffix.lower() in SUFFIXES or bool(tables.suffix_of(path))


@dataclass(frozen=True)
class Taken:
    """What was said of a file that was taken whole: see `Parts`."""

    lossy: dict[str, str]
    refused: dict[str, str]
    elsewhere: list[str]


@undisturbed
def compress_file(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str] | None = None,
    *,
    bounds: Bound | Mapping[str, Bound] | Iterable[tuple[str, Bound]] | None = None,
    drop: bool = False,
    exact_text: bool = False,
    overwrite: bool = False,
    told: Callable[[Taken], None] | None = None,
    **options: Any,
) -> Report:
    """Compress a whole file, netCDF, HDF5, safetensors, Zarr, CSV or Parquet, into an archive; `decompress_file` restores it.

    Parameters
    ----------
    path
        The file; of Zarr the store's folder, or a zip file of it.
    target
        The archive; None: the file's name with `.aez`.
    bounds
        One bound for all variables; or a bound for each pattern (`fnmatch`) of names, the first that fits decides; what none
        fits is lossless. Coordinates and integers are lossless unless named exactly.
    drop
        Leave out what cannot be kept, instead of refusing the file.
    exact_text
        Of a CSV file: its very text comes back, not equal values only.
    overwrite
        Replace an existing archive.
    told
        Called with what is to be said of the file, before it is compressed.
    options
        preset, seed, fill_value, valid_range, model, device, threads, verify, progress: as in `aezip.compress`; fill values and
        valid ranges that the file states count where none are given.

    Raises
    ------
    InvalidInput
        If the file, a bound or an option cannot be used, or the file changes meanwhile.
    BoundViolated
        If verification fails: nothing is written then.
    """
    source = os.fspath(path).rstrip(os.sep)
    place = f"{source}.aez" if target is None else os.fspath(target)
    kind = _checked(source)
    if kind is None:
        raise InvalidInput(f"{source} is no netCDF, HDF5, safetensors, Zarr, CSV or Parquet file by its name: use aezip.compress")
    atomic.check_target(Path(place), overwrite=overwrite)
    if Path(os.path.realpath(source)) in Path(os.path.realpath(place)).parents:
        raise InvalidInput(f"{place} lies inside of {source}: name a file outside with -o")
    state = _state(source)
    origin = {"format": kind, "name": stored(os.path.basename(source)), "bytes": state[0]}
    origin |= {"sha256": _sha256(source), "modified": _time(state[1])}

    def unchanged() -> None:
        if _state(source) != state:
            raise InvalidInput(f"{source} changed while it was read: nothing was written, compress it when it is complete")

    with tempfile.TemporaryDirectory(prefix="aezip-") as folder:
        parts, table = _taken_apart(source, kind, folder, exact_text=exact_text)
        if parts.refused and not drop:
            name, reason = next(iter(parts.refused.items()))
            raise InvalidInput(f"{source}: {name} cannot be kept: it holds {reason}; leave it out with --drop (drop=True)")
        chosen = assign(as_rules(bounds), parts, source)
        if told is not None:
            told(Taken(parts.lossy, parts.refused, parts.elsewhere))
        if table is not None:
            parts, chosen = _side_by_side(table, parts, chosen)
        options = _with_missing(parts, options)
        options["narrow"] = parts.narrow
        given = Origin(origin, parts.rest, unchanged)
        return write_archive(parts.arrays, place, given, bound=chosen, overwrite=overwrite, **options)


def variables(path: str, folder: str) -> Parts:
    """Return the arrays of a whole file, and what it says of them; `folder` is for those that do not fit in memory.

    Raises
    ------
    InvalidInput
        If the file cannot be used.
    """
    kind = _checked(path)
    if kind is None:
        raise InvalidInput(f"{path} is of no format that is taken whole: give its arrays")
    return _taken_apart(path, kind, folder, exact_text=False)[0]


def _checked(path: str) -> str | None:
    """Return the format of a file that is there.

    Raises
    ------
    InvalidInput
        If it is not.
    """
    if is_url(path):
        raise InvalidInput(f"{path} is a URL: only archives are read from there; copy the file or the store to a disk first")
    if not Path(path).is_file() and not (os.path.isdir(path) and documents.is_zarr(path)):
        raise InvalidInput(f"{path} does not exist or is no file: check the name")
    return format_of(path)


def _taken_apart(path: str, kind: str, folder: str, *, exact_text: bool) -> tuple[Parts, Any]:
    """Return the parts of a file; of a table also the table, with the decimals of its columns if its text is to come back."""
    if exact_text and kind != "csv":
        raise InvalidInput(f"{path} is no CSV file: leave --exact-text (exact_text=) away")
    if kind in tables.FORMATS:
        found = tables.exact(path) if exact_text else (tables.read_file(path), None)
        return tables.columns(found[0]), found
    if kind == "zarr":
        return zarr.take_apart(path, folder), None
    return hdf5.take_apart(path, folder) if kind == "hdf5" else flat.take_apart(path, _PARSERS[kind]), None


def _side_by_side(table: Any, parts: Parts, chosen: dict[str, Bound]) -> tuple[Parts, dict[str, Bound]]:
    if table[1] is not None and chosen:
        raise InvalidInput("a bound changes the text: leave the bound or --exact-text (exact_text=) away")
    made = tables.grouped(table[0], parts, chosen, table[1])
    return Parts(arrays=made.arrays, rest=[made.rest]), made.bounds


def _with_missing(parts: Parts, options: dict[str, Any]) -> dict[str, Any]:
    fills, valid = options.get("fill_value"), options.get("valid_range")
    return {
        **options,
        "fill_value": parts.fills if fills is None else fills,
        "valid_range": parts.valid if valid is None else valid,
    }


def _state(path: str) -> tuple[int, int, frozenset[tuple[str, int, int]]]:
    """Return bytes, time, and both of each file in a folder."""
    if not os.path.isdir(path):
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns, frozenset()
    files = frozenset((name, one.st_size, one.st_mtime_ns) for name, one in folders.listed(path).items())
    return sum(size for _, size, _ in files), max((time for _, _, time in files), default=0), files


def size_of(path: str) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    return _state(path)[0]


def _time(nanoseconds: int) -> str:
    return datetime.fromtimestamp(nanoseconds // 10**9, UTC).isoformat().replace("+00:00", "Z")


def _sha256(path: str | Path) -> str:
    if os.path.isdir(path):
        return folders.sha256(str(path))
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@undisturbed
def decompress_file(
    source: Source,
    target: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    threads: int | None = None,
    model: AnyModel = None,
) -> None:
    """Write the file that an archive was made of: equivalent, and with the same bytes where format and bounds allow.

    A Zarr store is a folder, or a zip file if the name ends so; a folder is replaced only if it is a store itself. Variables
    that lost anything say so in attributes: `lossy_compression`, `lossy_compression_bound` and `lossy_compression_max_abs_error`.

    Raises
    ------
    InvalidInput
        If the archive was made of arrays, or the target may not be written.
    CorruptFile, UnsafeFile, UnsupportedVersion
        If the archive is damaged, hostile, or of a later format.
    """
    with Archive(source, threads=threads, model=model) as archive:
        restore(archive, Path(os.fspath(target)), overwrite=overwrite)


def restore(
    archive: Archive,
    target: Path,
    *,
    overwrite: bool,
    progress: Callable[[ProgressEvent], None] | None = None,
    said: Callable[[str], None] = warnings.warn,
) -> None:
    """Write the file that an open archive was made of; `said` is called with what it has no room for."""
    told = archive.origin
    if told is None:
        raise InvalidInput("the archive was made of arrays, not of a file: decompress them to .npy or .npz")
    arrays = {
        name: Decoded(partial(view.pieces, progress), _loss(view), view.shape, view._decoder.dtype)
        for name, view in archive.items()
    }
    if makes_folder(archive, target):
        check_restored(archive, target, overwrite=overwrite)
        with atomic.replacing_folder(target, overwrite=overwrite) as folder, meaningful("the skeleton of the store"):
            _put_together(archive, arrays, folder)
        return
    with atomic.replacing(target, overwrite=overwrite) as file, meaningful("the skeleton of the file"):
        path = Path(file.name)
        if not _put_together(archive, arrays, path) and told["format"] in _EXTEND:
            said(f"{target} has no room for the attributes that tell of loss: CDF-1 has no places beyond 2 GiB; aezip info tells")
        exact = told["format"] in _PARSERS and not any(array.attributes for array in arrays.values())
        if exact and _sha256(path) != told["sha256"]:
            raise CorruptFile("the restored file is not the original: the archive is damaged, get another copy")


def makes_folder(archive: Archive, target: Path) -> bool:
    """Tell whether what an archive was made of becomes a folder."""
    return archive.origin is not None and archive.origin["format"] == "zarr" and target.suffix.lower() != ".zip"


def check_restored(archive: Archive, target: Path, *, overwrite: bool) -> None:
    """Check that what an archive was made of may be written to a place.

    Raises
    ------
    InvalidInput
        If there is something that may not be replaced: by a store, nothing but a store is.
    """
    folder = makes_folder(archive, target)
    atomic.check_target(target, overwrite=overwrite, folder=folder)
    if folder and os.path.lexists(target) and not documents.is_store(str(target)):
        raise InvalidInput(f"{target} exists and is no Zarr store, so it is not replaced by one: name another folder with -o")


def table_names(archive: Archive) -> dict[str, list[str]]:
    """Return the names of a table's columns that each array holds; none of what is no table, or too damaged to tell them."""
    told = archive.origin
    if told is None or told["format"] not in tables.FORMATS:
        return {}
    try:
        return tables.names_of(archive.skeleton())
    except CorruptFile:
        return {}


def _put_together(archive: Archive, arrays: dict[str, Decoded], path: Path) -> bool:
    """Write the file that an archive was made of, with these of its arrays; tell whether it has room for their attributes."""
    told, rest = archive.origin, archive.skeleton()
    assert told is not None
    kind = str(told["format"])
    if kind == "hdf5":
        hdf5.put_together(rest, arrays, path)
    elif kind in tables.FORMATS:
        table, decimals = tables.rebuilt(rest, arrays)
        tables.write_file(table, path, str(told["name"]), decimals)
    elif kind in _PARSERS:
        return flat.put_together(rest, arrays, path, _PARSERS[kind], int(told["bytes"]), _EXTEND.get(kind))
    elif kind == "zarr" and path.is_dir():
        zarr.put_together(rest, arrays, path)
    elif kind == "zarr":
        with tempfile.TemporaryDirectory(prefix="aezip-") as folder, open(path, "wb") as file:
            zarr.put_together(rest, arrays, Path(folder))
            folders.zipped(Path(folder), file)
    else:
        raise CorruptFile(f"the archive was made of a file of the format {kind[:40]!r}, unknown here: update aezip")
    return True


@undisturbed
def read_table(
    source: Source, columns: Iterable[str] | None = None, *, threads: int | None = None, model: AnyModel = None
) -> Any:
    """Return a table, or columns of it, from the archive of a CSV or Parquet file.

    Parameters
    ----------
    source
        The archive.
    columns
        Names of the columns wanted; None: all. Others are not decoded, but for those of the same type and bound.
    threads
        None: one for each core.
    model
        As in `aezip.open`.

    Returns
    -------
    pyarrow.Table
        `.to_pandas()` makes a frame of it.

    Raises
    ------
    InvalidInput
        If the archive is of another file, there is no such column, or pyarrow is not installed.
    """
    with Archive(source, threads=threads, model=model) as archive:
        if archive.origin is None or archive.origin["format"] not in tables.FORMATS:
            raise InvalidInput("the archive is of no table: read its arrays with aezip.open or aezip.decompress")
        arrays = {name: Decoded(view.pieces, {}, view.shape, view.dtype) for name, view in archive.items()}
        return tables.rebuilt(archive.skeleton(), arrays, columns)[0]


def originals(path: str, archive: Archive) -> dict[str, Any] | None:
    """Return the arrays of a file as the archive of such a file has them, to be compared.

    None where the archive is of no file of that format, and for HDF5 files, whose data sets have the names of the arrays.

    Raises
    ------
    InvalidInput
        If the file cannot be used.
    """
    kind = None if archive.origin is None else archive.origin["format"]
    if kind in (None, "hdf5") or not is_whole(path) or kind != format_of(path):
        return None
    if kind in tables.FORMATS:
        return tables.originals(archive.skeleton(), path)
    return {name: array for name, array in variables(path, "").arrays.items() if name in archive}


def write_skeleton(archive: Archive, path: Path) -> None:
    """Write the file, or into the folder, that an archive was made of, without the values of its arrays: this is no copy."""
    told = archive.origin
    if told is None:
        raise InvalidInput("the archive was made of arrays, not of a file: it has no variables")
    if told["format"] in tables.FORMATS:
        raise InvalidInput("the archive is of a table, which has no variables: read it with aezip.read_table")
    arrays = {} if path.is_dir() else {name: Decoded(lambda: iter(()), {}, v.shape, v.dtype) for name, v in archive.items()}
    _put_together(archive, arrays, path)


def _loss(view: ArrayView) -> dict[str, Any]:
    """Return the attributes that tell what a variable lost."""
    bound = view.lost_within
    if bound is None:
        return {}
    words = " ".join(str(word) for key, word in bound.items() if key != "per_feature")
    found: dict[str, Any] = {"lossy_compression": f"aezip {__version__}", "lossy_compression_bound": words}
    most = view._header.get("achieved", {}).get("max_abs_error")
    return found if most is None else {**found, "lossy_compression_max_abs_error": float(most)}
