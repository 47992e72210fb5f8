"""The page of the format suffices: a reader written from it alone decodes what the package decodes, to the same bits."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import independent_reader
import numpy as np
import pytest
import zstandard
from helpers import GOLDEN, ROOT, TESTS, head_of
from independent import example
from independent.container import FormatError, dictionaries

import aezip
from aezip.archive.frames import decode_frame, encode_frame
from aezip.container.deflate import FILE_DICTIONARY, FRAME_DICTIONARY

FILES = sorted([*GOLDEN.glob("*.aez"), *(GOLDEN / "models").glob("*.aez")])
MODELS = sorted((GOLDEN / "models").glob("*.aezm"))
SOURCES = [TESTS / "independent_reader.py", *sorted((TESTS / "independent").glob("*.py"))]
PAGE = (ROOT / "docs" / "format.md").read_text(encoding="utf-8")
SMOOTH = np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=(16, 24, 20)), 0), 2).astype("f4")
ALLOWED = {"numpy", "h5py", "zstandard", "independent"} | set(sys.stdlib_module_names)


def only(path: Path, models: list[Path] | None = None) -> np.ndarray:
    """Return the one array of a file."""
    ((_, array),) = independent_reader.read(path, models or []).items()
    return array


def rows(table: str) -> Iterator[tuple[str, int, int, bytes]]:
    """Yield the lines of a table of the example: the line, offset, length, the bytes shown."""
    for line in table.splitlines():
        if found := re.match(r"\| (\d+) \| (\d+) \| `([0-9a-f ]+)`", line):
            yield line, int(found[1]), int(found[2]), bytes.fromhex(found[3])


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_golden_file_is_read_from_the_page_alone(path: Path) -> None:
    facts = json.loads(path.with_suffix(".json").read_text())
    array = only(path, MODELS)
    assert list(array.shape) == facts["shape"]
    assert array.dtype.str == facts["dtype"]
    assert hashlib.sha256(array.tobytes()).hexdigest() == facts["sha256"]


def test_golden_estimates_are_read_from_the_page_alone() -> None:
    (path,) = (p for p in FILES if p.stem.endswith("ratings"))
    ((_, found),) = independent_reader.estimates(path).items()
    facts = json.loads(path.with_suffix(".json").read_text())
    assert hashlib.sha256(found.astype("<f8").tobytes()).hexdigest() == facts["estimates"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_the_reader_knows_nothing_of_the_package(path: Path) -> None:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call):
            assert ast.unparse(node.func).split(".")[0] not in ("__import__", "importlib", "exec", "eval")
    assert names <= ALLOWED


def test_a_file_made_now_is_read(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(-5, 90, (40, 30)).cumsum(axis=0).astype("i4")
    path = tmp_path / "x.aez"
    aezip.compress(x, path, bound=aezip.Lossless(), preset="instant")
    assert (only(path) == x).all()


@pytest.mark.train
def test_arrays_that_need_others_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    u, v = (np.cumsum(rng.normal(size=(12, 24, 30)), axis=1).astype("f4") for _ in range(2))
    u[:, :9] = -999.0
    v[3, 4, 5] = np.nan
    arrays = {"u": u, "v": v, "flux": np.nan_to_num(u * v).astype("f4")}
    path = tmp_path / "x.aez"
    aezip.compress(arrays, path, bound=aezip.RangeRelative(1e-3), preset="instant", fill_value={"u": -999.0})
    with aezip.open(path) as archive:
        assert any(array.needs for array in archive.report().arrays)
    found = independent_reader.read(path)
    for name, array in aezip.decompress(path).items():
        assert found[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("bound", [aezip.Absolute(0.05), aezip.Lossless(), aezip.PointRelative(0.01)])
@pytest.mark.parametrize("array", [SMOOTH, np.arange(500, dtype="i2"), np.float32(3.5), np.zeros((0, 3), "f4")], ids=np.shape)
def test_frames_are_read(array: np.ndarray, bound: aezip.Bound) -> None:
    frame = encode_frame(array, bound)
    found = independent_reader.read_frame(frame)
    assert found.tobytes() == decode_frame(frame).tobytes()
    assert found.shape == np.shape(array)


def test_frames_that_a_model_serves_are_read() -> None:
    model = aezip.Model.load(MODELS[0])
    frame = encode_frame(only(GOLDEN / "models" / "v1_0_reference.aez", MODELS), model.bound, model=model)
    assert independent_reader.read_frame(frame, MODELS[0]).tobytes() == decode_frame(frame, model=model).tobytes()
    with pytest.raises(FormatError, match="a model that is at hand"):
        independent_reader.read_frame(frame)


def test_a_change_of_any_byte_is_found(tmp_path: Path) -> None:
    data = bytearray((GOLDEN / "v1_0_any_i2.aez").read_bytes())
    x, path = only(GOLDEN / "v1_0_any_i2.aez"), tmp_path / "x.aez"
    for at in range(0, len(data), 37):
        data[at] ^= 16
        path.write_bytes(data)
        data[at] ^= 16
        try:
            found = only(path)
        except (OSError, RuntimeError, ValueError, LookupError, TypeError):
            continue  # of HDF5, of zstd, or a digest
        assert (found == x).all()  # what HDF5 does not look at


def test_the_example_on_the_page_is_made_from_its_file() -> None:
    assert PAGE.partition("## 12. An example\n\n")[2] == example.text()


def test_the_example_on_the_page_shows_the_bytes_of_its_file() -> None:
    section = PAGE.partition("## 12. An example\n")[2]
    whole, frames = section.split("| offset | length | bytes | meaning |\n")[1:]
    data, end = (GOLDEN / "v1_0_any_dates.aez").read_bytes(), 0
    assert "`tests/golden/v1_0_any_dates.aez`" in section
    _, rest = head_of(data)
    with h5py.File(GOLDEN / "v1_0_any_dates.aez") as file:
        contents = [zstandard.decompress(frame) for frame in (rest[:-64], bytes(file["data"][()]))]
    for line, at, length, shown in rows(whole):
        assert at == end, line
        assert data[at : at + length].startswith(shown), line
        assert length == len(shown) or "` … |" in line, line
        end += length
    assert end == len(data)
    found = list(rows(frames))
    for line, at, length, shown in found:
        content = contents["index" not in line and "its content" not in line]
        assert content[at : at + length].startswith(shown), line
    assert sum(length for _, _, length, _ in found) == sum(map(len, contents))


def test_the_dictionaries_on_the_page_are_those_that_are_used() -> None:
    assert dictionaries() == (FRAME_DICTIONARY, FILE_DICTIONARY)
