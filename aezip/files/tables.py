"""Tables: CSV and Parquet files as arrays of their numeric columns and a skeleton of all else. Needs the extra `tables`.

Columns of one type and bound lie side by side in one array (rows, columns), so that they are coded together. The skeleton
is a line of JSON and an Arrow stream: the other columns, and which values of the coded ones are null.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import zstandard

from aezip.array.bounds import Bound, Lossless
from aezip.core.errors import CorruptFile, InvalidInput

from .parts import NO_BOUND, Decoded, Parts

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = {".csv": "csv", ".csv.gz": "csv", ".csv.zst": "csv", ".parquet": "parquet", ".pq": "parquet"}
FORMATS = frozenset(SUFFIXES.values())
MALFORMED = "the skeleton of the table is malformed: the file is damaged"
_NUMBERS = 256  # rows from which on columns are coded
_MOST_DECIMALS = 17


def arrow() -> Any:
    """Return pyarrow.

    Raises
    ------
    InvalidInput
        If it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise InvalidInput("tables need pyarrow: pip install 'aezip[tables]'") from error
    return pyarrow


def suffix_of(path: str) -> str:
    """Return the suffix that tells that a file is a table; "" for other files."""
    return next((suffix for suffix in SUFFIXES if path.lower().endswith(suffix)), "")


def read_file(path: str) -> pa.Table:
    """Read a table.

    Raises
    ------
    InvalidInput
        If it is malformed.
    """
    library, suffix = arrow(), suffix_of(path)
    try:
        if SUFFIXES[suffix] == "parquet":
            table = library.parquet.read_table(path)
        else:
            table = library.csv.read_csv(io.BytesIO(_text(path)))
    except (library.ArrowException, zstandard.ZstdError, EOFError, gzip.BadGzipFile) as error:
        raise InvalidInput(f"{path} is no sound table ({str(error).splitlines()[0][:100]}): check the file") from error
    if len(set(table.column_names)) != len(table.column_names):
        raise InvalidInput(f"{path} has two columns of one name: rename one of them")
    return table


def _text(path: str) -> bytes:
    raw = Path(path).read_bytes()
    if path.lower().endswith(".gz"):
        return gzip.decompress(raw)
    if path.lower().endswith(".zst"):
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(raw)).read()
    return raw


def _packed(text: bytes, path: str) -> bytes:
    if path.lower().endswith(".gz"):
        return gzip.compress(text, mtime=0)
    return zstandard.ZstdCompressor(level=9).compress(text) if path.lower().endswith(".zst") else text


def columns(table: pa.Table) -> Parts:
    """Return the numeric columns of a table as arrays, shape (rows,)."""
    found = Parts()
    for name in table.column_names:
        values = _values(table[name])
        if values is None:
            found.others[name] = f"values of type {table[name].type}"
        else:
            found.arrays[name] = values
            if table[name].type not in _plain_types():
                found.exact[name] = NO_BOUND  # days and times: integers that a bound does not suit
    return found


def _plain_types() -> list[Any]:
    library = arrow()
    kinds = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
    return [*(getattr(library, kind)() for kind in kinds), library.float16(), library.float32(), library.float64()]


def _values(column: Any) -> npt.NDArray[Any] | None:
    """Return a column as an array of plain numbers, anything where it is null; None if it holds no numbers."""
    library = arrow()
    kind, types = column.type, library.types
    if types.is_date32(kind) or types.is_time32(kind):
        column = column.cast(library.int32())
    elif types.is_date64(kind) or types.is_timestamp(kind) or types.is_time64(kind) or types.is_duration(kind):
        column = column.cast(library.int64())
    elif types.is_boolean(kind):
        column = column.cast(library.uint8())
    elif not (types.is_integer(kind) or types.is_floating(kind)):
        return None
    if column.null_count:
        column = column.fill_null(library.scalar(float("nan") if types.is_floating(kind) else 0, column.type))
    return np.ascontiguousarray(column.to_numpy())


@dataclass(frozen=True)
class Grouped:
    """A table as arrays of columns side by side, with the bound of each, and its skeleton."""

    arrays: dict[str, npt.NDArray[Any]]
    bounds: dict[str, Bound]
    rest: bytes


def grouped(table: pa.Table, parts: Parts, bounds: dict[str, Bound], texts: dict[str, int] | None = None) -> Grouped:
    """Put columns of one type and bound side by side.

    Parameters
    ----------
    table, parts
        The table, and its columns as `columns` gives them.
    bounds
        Of columns that are not lossless.
    texts
        Of a CSV file whose text is to come back: decimals of each column of numbers.
    """
    library = arrow()
    groups: dict[tuple[str, str], list[str]] = {}
    for name, values in parts.arrays.items() if table.num_rows >= _NUMBERS else ():
        groups.setdefault((values.dtype.str, str(bounds.get(name, Lossless()))), []).append(name)
    made, chosen, kept = {}, {}, table
    valid: dict[str, Any] = {}
    for number, names in enumerate(groups.values()):
        made[f"columns {number}"] = np.stack([parts.arrays[name] for name in names], axis=1)
        if names[0] in bounds:
            chosen[f"columns {number}"] = bounds[names[0]]
        valid |= {name: table[name].is_valid() for name in names if table[name].null_count}
        kept = kept.drop_columns(names)
    told = {
        "rows": table.num_rows,
        "columns": list(groups.values()),
        "schema": table.schema.serialize().to_pybytes().hex(),
        "valid": list(valid),
        "decimals": texts,
    }
    for number, flags in enumerate(valid.values()):
        kept = kept.append_column(f"valid {number}", flags)
    sink = io.BytesIO()
    with library.ipc.new_stream(sink, kept.schema) as stream:
        stream.write_table(kept)
    return Grouped(made, chosen, json.dumps(told).encode() + b"\n" + sink.getvalue())


def names_of(rest: Iterable[bytes]) -> dict[str, list[str]]:
    """Return the names of a table's columns that each array holds, given its skeleton, of which the first line is read.

    Raises
    ------
    CorruptFile
        If it is malformed.
    """
    line = b""
    for part in rest:
        line, end, _ = (line + part).partition(b"\n")
        if end:
            break
    try:
        return {f"columns {n}": [str(name) for name in names] for n, names in enumerate(json.loads(line)["columns"])}
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(MALFORMED) from error


def rebuilt(rest: Iterable[bytes], arrays: dict[str, Decoded], wanted: Iterable[str] | None = None) -> tuple[pa.Table, Any]:
    """Return a table from its skeleton and its arrays, and the decimals of its columns if its text is to come back.

    Parameters
    ----------
    wanted
        Names of columns; None: all.

    Raises
    ------
    CorruptFile
        If they do not fit together.
    InvalidInput
        If there is no such column.
    """
    library = arrow()
    line, _, stream = b"".join(rest).partition(b"\n")
    try:
        told = json.loads(line)
        schema = library.ipc.read_schema(library.py_buffer(bytes.fromhex(told["schema"])))
        kept = library.ipc.open_stream(io.BytesIO(stream)).read_all()
        valid = {name: kept[f"valid {number}"] for number, name in enumerate(told["valid"])}
        places = {name: (f"columns {n}", at) for n, names in enumerate(told["columns"]) for at, name in enumerate(names)}
    except (ValueError, KeyError, TypeError, library.ArrowException) as error:
        raise CorruptFile(MALFORMED) from error
    names = list(schema.names) if wanted is None else list(wanted)
    for name in names:
        if name not in schema.names:
            raise InvalidInput(f"there is no column {name!r}: the table has {', '.join(schema.names)}")
    read: dict[str, npt.NDArray[Any]] = {}
    for group in {places[name][0] for name in names if name in places}:
        if group not in arrays:
            raise CorruptFile("columns of the table are missing: the file is damaged")
        read[group] = np.concatenate(list(arrays[group].pieces()))
    found = []
    for name in names:
        if name in places:
            group, at = places[name]
            found.append(_column(read[group][:, at], schema.field(name).type, valid.get(name)))
        else:
            found.append(kept[name])
    return library.table(found, schema=library.schema([schema.field(n) for n in names], schema.metadata)), told["decimals"]


def originals(rest: Iterable[bytes], path: str) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of a table file side by side, as the archive whose skeleton is given has those of the file it is of.

    Raises
    ------
    CorruptFile
        If the skeleton makes no sense.
    InvalidInput
        If the file lacks one of the columns.
    """
    line, _, _ = b"".join(rest).partition(b"\n")
    try:
        told = json.loads(line)
        groups, texts = [[str(name) for name in names] for names in told["columns"]], told["decimals"]
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptFile(MALFORMED) from error
    table = read_file(path) if texts is None else exact(path)[0]
    found = columns(table).arrays
    for name in (name for names in groups for name in names):
        if name not in found:
            raise InvalidInput(f"{path} has no column {name!r} of numbers: give the table the archive was made from")
    return {f"columns {number}": np.stack([found[name] for name in names], axis=1) for number, names in enumerate(groups)}


def _column(values: npt.NDArray[Any], kind: Any, valid: Any) -> Any:
    library = arrow()
    mask = None if valid is None else ~valid.to_numpy()
    made = library.array(np.ascontiguousarray(values), mask=mask)
    return made.cast(kind) if made.type != kind else made


def write_file(table: pa.Table, path: Path, name: str, decimals: dict[str, int] | None) -> None:
    """Write a table; `name` tells the format."""
    library = arrow()
    if SUFFIXES[suffix_of(name)] == "parquet":
        library.parquet.write_table(table, path)
        return
    if decimals is not None:
        path.write_bytes(_packed(_as_text(table, decimals), name))
        return
    sink = io.BytesIO()
    library.csv.write_csv(table, sink)
    path.write_bytes(_packed(sink.getvalue(), name))


def exact(path: str) -> tuple[pa.Table, dict[str, int]]:
    """Read a CSV file as columns that give its very text again: numbers with their decimals, all else as text.

    Raises
    ------
    InvalidInput
        If it is no CSV file.
    """
    library = arrow()
    text = _text(path)
    head, _, body = text.partition(b"\n")
    plain = b'"' not in text and b"\r" not in text and text.endswith(b"\n") and body
    names = head.decode("utf-8", "replace").split(",")
    if plain and len(set(names)) == len(names):
        options = library.csv.ConvertOptions(column_types=dict.fromkeys(names, library.string()), strings_can_be_null=False)
        try:
            read = library.csv.read_csv(io.BytesIO(text), convert_options=options)
            found = {name: _number_text(read[name]) for name in read.column_names}
            table = library.table({name: read[name] if own is None else own[0] for name, own in found.items()})
            decimals = {name: own[1] for name, own in found.items() if own is not None}
            if _as_text(table, decimals) == text:
                return table, decimals
        except library.ArrowException as error:
            raise InvalidInput(f"{path} is no sound table ({str(error).splitlines()[0][:100]}): check the file") from error
    # quotes, spaces, other line ends: the text as it is
    return library.table({_WHOLE: library.array([text], library.large_binary())}), {}


_WHOLE = "\0text"


def _number_text(column: Any) -> tuple[Any, int] | None:
    """Return the numbers that give the texts of a column again, and their decimals; None where none do."""
    library = arrow()
    texts = column.to_pylist()
    if not texts:
        return None
    places = {len(text.partition(".")[2]) for text in texts[:1000]}
    if len(places) != 1 or max(places) > _MOST_DECIMALS:
        return None
    (count,) = places
    try:
        numbers: list[Any] = [int(text) if not count else float(text) for text in texts]
        made = library.array(numbers, library.float64() if count else library.int64())
    except (ValueError, OverflowError, library.ArrowException):
        return None
    return (made, count) if all(map(str.__eq__, _formatted(numbers, count), texts)) else None


def _formatted(numbers: Iterable[Any], decimals: int) -> Iterator[str]:
    return (f"{number:.{decimals}f}" for number in numbers) if decimals else map(str, numbers)


def _as_text(table: pa.Table, decimals: dict[str, int]) -> bytes:
    if table.column_names == [_WHOLE]:
        raw: bytes = table[_WHOLE][0].as_py()
        return raw
    cells = [
        list(_formatted(table[name].to_pylist(), decimals[name])) if name in decimals else table[name].to_pylist()
        for name in table.column_names
    ]
    lines = [",".join(table.column_names), *map(",".join, zip(*cells, strict=True)), ""]
    return "\n".join(lines).encode()
