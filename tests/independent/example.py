"""The example at the end of docs/format.md, made from a golden file: ``python -m independent.example``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import zstandard

from independent.container import dictionaries, inflate

FILE = Path(__file__).parents[1] / "golden" / "v1_0_any_dates.aez"
SHOWN = 16  # bytes of a range; all of short ones
WHOLE = 32
HEAD = "| offset | length | bytes | meaning |\n|---|---|---|---|\n"


def shown(data: bytes) -> str:
    """Return bytes as hexadecimal, the first ones alone where there are many."""
    return f"`{data[:SHOWN].hex(' ')}` …" if len(data) > WHOLE else f"`{data.hex(' ')}`"


def table(rows: Iterator[tuple[int, bytes, str]]) -> str:
    return HEAD + "".join(f"| {at} | {len(data)} | {shown(data)} | {meaning} |\n" for at, data, meaning in rows)


def datasets(path: Path) -> dict[str, bytes]:
    with h5py.File(path) as file:
        return {name: bytes(file[name][()]) for name in file}


def layout(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """Yield where the ranges of a file are, what they hold and mean; together they are the file."""
    data, parts = path.read_bytes(), datasets(path)
    places = sorted((data.index(content), name, content) for name, content in parts.items())
    first, at = [place for place in range(len(data)) if data[place : place + 4] == b"OHDR"][:2]
    yield 0, data[:first], "HDF5: superblock 3; 8-byte offsets and lengths, base 0, end of the file, place of the root group"
    yield first, data[first:at], "HDF5: object header of the group `/`: links to what is in it; checksum"
    for place, name, content in places:
        yield at, data[at:place], f"HDF5: object header of `/{name}`: `uint8`, {len(content)} values, compact"
        yield from (
            header(place, content) if name == "header" else [(place, content, "**`/data`**: the one segment; content below")]
        )
        at = place + len(content)
        yield at, data[at : at + 4], "HDF5: checksum"
        at += 4
    assert at == len(data)


def header(at: int, content: bytes) -> Iterator[tuple[int, bytes, str]]:
    """Yield the parts of the dataset `header` of a file of one array of one chunk."""
    text, rest = inflate(content, dictionaries()[1])
    packed = len(content) - len(rest)
    parts = [
        (content[:packed], f"**`/header`**: the root, deflated: `{text.decode()}`"),
        (rest[:-96], "**`/header`**: the index, a zstd frame; content below"),
        (rest[-96:-64], "**`/header`**: SHA-256 of the SHA-256 of the one stream"),
        (rest[-64:-32], "**`/header`**: SHA-256 of the decoded chunk"),
        (rest[-32:], "**`/header`**: SHA-256 of all of the dataset before it"),
    ]
    for part, meaning in parts:
        yield at, part, meaning
        at += len(part)


def contents(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """Yield the content of the index, then that of the stream `data`."""
    parts = datasets(path)
    index, data = (zstandard.decompress(part) for part in (inflate(parts["header"], dictionaries()[1])[1][:-96], parts["data"]))
    yield 0, index[:8], f"index: the frame of chunk 0 of `data` has {int.from_bytes(index[:8], 'little')} bytes,"
    yield 8, index[8:], f"its content {int.from_bytes(index[8:], 'little')}"
    yield 0, data[:8], f"`data`, plan `difference`: base {int.from_bytes(data[:8], 'little', signed=True)}"
    yield 8, data[8:9], f"size {data[8]}: a byte a value"
    yield 9, data[9:], "the values: 0, then 1 each; summed up along axis 0 they are k = 0, 1, 2, …, 299"


def text(path: Path = FILE) -> str:
    """Return what the page says of the file."""
    lines = [
        f"`tests/golden/{path.name}`, {path.stat().st_size} bytes, range by range. Only the datasets matter:\n"
        "HDF5 may put them elsewhere.\n",
        table(layout(path)),
        "Contents of the two frames:\n",
        table(contents(path)),
        "The lattice `integer` of step 1 and offset 0 makes values of k, `<M8[s]` takes them as `i8`:\n"
        "seconds 0 to 299 of 1970.\n",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(), end="")
