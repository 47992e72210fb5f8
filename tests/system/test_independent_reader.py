"""The page of the format suffices: a reader written from it alone decodes what the package decodes, to the same bits."""

from __future__ import annotations

import ast
import hashlib
import json
import sys
from pathlib import Path

import independent_reader
import numpy as np
import pytest
from helpers import GOLDEN, TESTS

import aezip

FILES = sorted([*GOLDEN.glob("*.aez"), *(GOLDEN / "models").glob("*.aez")])
MODELS = sorted((GOLDEN / "models").glob("*.aezm"))
SOURCES = [TESTS / "independent_reader.py", *sorted((TESTS / "independent").glob("*.py"))]
ALLOWED = {"numpy", "h5py", "zstandard", "independent"} | set(sys.stdlib_module_names)


def only(path: Path, models: list[Path] | None = None) -> np.ndarray:
    """Return the one array of a file."""
    ((_, array),) = independent_reader.read(path, models or []).items()
    return array


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


def test_arrays_that_need_others_are_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    u, v = (np.cumsum(rng.normal(size=(12, 40, 40)), axis=1).astype("f4") for _ in range(2))
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
