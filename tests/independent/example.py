"""The example at the end of docs/format.md, made from a golden file: ``python -m independent.example``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import zstandard

from independent.container import sha256

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
    found: dict[str, bytes] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: bytes(item[()])} if isinstance(item, h5py.Dataset) else {}))
    return found


def layout(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """Yield where the ranges of a file are, what they hold and mean; together they are the file."""
    data, parts = path.read_bytes(), datasets(path)
    places = sorted((data.index(content), name, content) for name, content in parts.items())
    heads = [at for at in range(len(data)) if data[at : at + 4] == b"OHDR"]
    yield 0, data[: heads[0]], "HDF5: superblock 3; 8-byte offsets and lengths, base 0, end of the file, place of the root group"
    groups = [at for at in heads if at < places[0][0]][:-1]
    for at, end, name in zip(groups, heads[1:], ("/", "/0"), strict=False):
        yield at, data[at:end], f"HDF5: object header of the group `{name}`: links to what is in it; checksum"
    at = heads[len(groups)]
    for place, name, content in places:
        yield at, data[at:place], f"HDF5: object header of `/{name}`: `uint8`, {len(content)} values, compact"
        yield place, content, f"**`/{name}`**{MEANINGS[name](content)}"
        at = place + len(content)
        yield at, data[at : at + 4], "HDF5: checksum"
        at += 4
    assert at == len(data)


def _json(content: bytes) -> str:
    return f": JSON `{content.decode()}`"


MEANINGS = {
    "0/data": lambda c: ": a zstd frame, the one chunk of the stream; content below",
    "0/header": _json,
    "0/index": lambda c: ": a zstd frame; content below",
    "0/digests": lambda c: ": SHA-256 of the dataset `/0/data`, then of the decoded chunk",
    "header": _json,
    "digests": lambda c: ": SHA-256 of the bytes of `/header` and of W, put together",
}


def contents(path: Path) -> Iterator[tuple[int, bytes, str]]:
    """Yield the content of the index, then that of the stream `data`."""
    parts = datasets(path)
    index, data = (zstandard.decompress(parts[f"0/{name}"]) for name in ("index", "data"))
    yield 0, index[:8], f"index: the frame of chunk 0 of `data` has {int.from_bytes(index[:8], 'little')} bytes,"
    yield 8, index[8:], f"its content {int.from_bytes(index[8:], 'little')}"
    yield 0, data[:8], f"`data`, plan `difference`: base {int.from_bytes(data[:8], 'little', signed=True)}"
    yield 8, data[8:9], f"size {data[8]}: a byte a value"
    yield 9, data[9:], "the values: 0, then 1 each; summed up along axis 0 they are k = 0, 1, 2, …, 299"


def text(path: Path = FILE) -> str:
    """Return what the page says of the file."""
    parts = datasets(path)
    w = sha256(b"".join(sha256(parts[f"0/{name}"]) for name in ("header", "index", "digests")))
    lines = [
        f"`tests/golden/{path.name}`, {path.stat().st_size} bytes, range by range. Only the datasets matter:\n"
        "HDF5 may put them elsewhere.\n",
        table(layout(path)),
        "Contents of the two frames:\n",
        table(contents(path)),
        "The lattice `integer` of step 1 and offset 0 makes values of k, `<M8[s]` takes them as `i8`: seconds 0 to 299 of 1970.\n"
        f"W is `{w.hex()}`.\n",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(text(), end="")
