"""Codes as features: asked for, read without decoding the array, compared with each other."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.container.reader import Reader
from aezip.entropy.codebook import CodeBook
from aezip.search.choose import PRESETS

COUNT, SIDE, WIDTH = 300, 6, 3


def images() -> np.ndarray:
    """Small images of three degrees of freedom, in clusters, and a little noise."""
    rng = np.random.default_rng(0)
    latent = rng.integers(0, 3, (COUNT, WIDTH)) + 0.15 * rng.normal(size=(COUNT, WIDTH))
    basis = rng.normal(size=(WIDTH, SIDE * SIDE))
    return (latent @ basis + 0.05 * rng.normal(size=(COUNT, SIDE * SIDE))).reshape(COUNT, SIDE, SIDE).astype("f4")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("features") / "images.aez"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "fast", replace(PRESETS["fast"], steps=500, trial_steps=60, trials=2, context_steps=60))
        aezip.compress(images(), path, bound=aezip.RangeRelative(1e-2), codes=WIDTH, preset="fast")
    return path


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "noise.aez"
    aezip.compress(np.random.default_rng(1).integers(0, 256, (100, 8)).astype("u1"), path, preset="fast")
    return path


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of every stream that is read is added."""
    read: list[str] = []
    honest = Reader._segment

    def segment(self: Reader, name: str, stream: str, number: int) -> bytes:
        read.append(stream)
        return honest(self, name, stream, number)

    monkeypatch.setattr(Reader, "_segment", segment)
    return read


@pytest.mark.train
def test_codes_of_the_width_asked_for_and_the_bound_holds(stored: Path) -> None:
    with aezip.open(stored) as archive:
        codes = archive.codes("data")
        assert archive.report().plan is not None
        plan = archive["data"]._header["plan"]
    assert codes.shape == (COUNT, WIDTH)
    assert codes.dtype == np.int32
    assert (plan.get("base") or plan)["width"] == WIDTH
    x = images()
    assert np.abs(aezip.decompress(stored) - x).max() <= 1e-2 * np.ptp(x)


def test_three_codes_explain_data_of_three_degrees_of_freedom(stored: Path) -> None:
    with aezip.open(stored) as archive:
        (made,) = archive["data"].predictions()
    x = images().reshape(COUNT, -1)
    assert made.shape == x.shape
    assert np.square(made - x).mean() < 0.1 * np.square(x - x.mean(axis=0)).mean()


def test_codes_are_those_that_decoding_uses(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    honest = CodeBook.decode
    monkeypatch.setattr(CodeBook, "decode", lambda *args: used.append(honest(*args)) or used[-1])
    aezip.decompress(stored)
    (decoded,) = used
    with aezip.open(stored) as archive:
        assert (archive.codes() == decoded).all()


def test_codes_and_neighbours_read_no_residual(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    with aezip.open(stored) as archive:
        archive.codes()
        archive.nearest("data", 7, 5)
    assert set(read) == {"model", "codes"}


def test_neighbours_are_like_those_of_the_original(stored: Path) -> None:
    x = images().reshape(COUNT, -1).astype(np.float64)
    hits = 0
    with aezip.open(stored) as archive:
        for row in range(0, COUNT, 10):
            found = archive.nearest(None, row, 10)
            assert row not in found.rows
            assert (np.diff(found.distances) >= 0).all()
            distance = np.square(x - x[row]).sum(axis=1)
            distance[row] = np.inf
            hits += len(set(found.rows.tolist()) & set(np.argsort(distance)[:10].tolist()))
            like = archive.nearest(None, x[row], 1)
            cosine = archive.nearest(None, x[row], 3, "cosine")
            assert (like.distances >= 0).all()
            assert (cosine.distances <= 1).all()
    # chance would find 10 of 300
    assert hits / (10 * len(range(0, COUNT, 10))) > 0.5


def test_a_new_row_finds_itself(stored: Path) -> None:
    x = images()
    with aezip.open(stored) as archive:
        assert sum(row in archive.nearest(None, x[row], 10).rows for row in range(0, COUNT, 15)) >= 15
        holes = np.where(np.arange(SIDE * SIDE) % 5 == 0, np.nan, x[3].reshape(-1))
        assert len(archive.nearest(None, holes, 4).rows) == 4


@pytest.mark.parametrize(
    ("row", "k", "metric", "words"),
    [
        (COUNT, 5, "euclidean", "out of range"),
        (-1, 5, "euclidean", "out of range"),
        (0, 0, "euclidean", "at least 1"),
        (0, 5, "manhattan", "unknown metric"),
        (np.zeros(7), 5, "euclidean", "has 7 values"),
        (np.full(SIDE * SIDE, np.nan), 5, "euclidean", "no finite value"),
        ("seven", 5, "euclidean", "no row of numbers"),
    ],
)
def test_bad_queries_are_refused(stored: Path, row: Any, k: int, metric: str, words: str) -> None:
    with aezip.open(stored) as archive, pytest.raises(aezip.InvalidInput, match=words):
        archive.nearest(None, row, k, metric)


def test_a_file_without_codes_names_the_remedy(plain: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with aezip.open(plain) as archive:
        with pytest.raises(aezip.InvalidInput, match="--codes"):
            archive.codes()
        with pytest.raises(aezip.InvalidInput, match="--codes"):
            archive.nearest(None, 0)
    assert cli.run(["features", str(plain), "-o", str(tmp_path / "codes.npy")]) == 2
    assert not (tmp_path / "codes.npy").exists()
    assert cli.run(["nearest", str(plain), "--row", "0"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("--codes" in line for line in lines)


@pytest.mark.parametrize(
    ("array", "codes", "words"),
    [
        (np.zeros((50, 4), "f4"), 0, "width from 1"),
        (np.zeros((50, 4), "f4"), 256, "width from 1"),
        (np.zeros((50, 4), "f4"), "many", "width from 1"),
        (np.arange(200.0).reshape(50, 4), 4, "no bottleneck"),
        (np.zeros((0, 4), "f4"), True, "empty"),
        (np.arange(3.0), True, "too small"),
    ],
)
def test_codes_that_cannot_be_made_are_refused(array: np.ndarray, codes: Any, words: str) -> None:
    with pytest.raises(aezip.InvalidInput, match=words):
        aezip.compress(array, codes=codes, preset="fast")


def test_several_arrays_need_a_name(tmp_path: Path) -> None:
    path = tmp_path / "two.aez"
    aezip.compress({"a": np.arange(9), "b": np.arange(5)}, path, preset="fast")
    with aezip.open(path) as archive, pytest.raises(aezip.InvalidInput, match="arrays a, b: name one"):
        archive.codes()


def test_the_commands(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "codes.npy"
    assert cli.run(["features", str(stored), "-o", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["width"] == WIDTH
    with aezip.open(stored) as archive:
        assert (np.load(out, allow_pickle=False) == archive.codes()).all()
        expected = archive.nearest(None, 4, 3)
    assert cli.run(["features", str(stored), "-o", str(out)]) == 2  # exists
    assert cli.run(["nearest", str(stored), "--row", "4", "-k", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == expected.rows.tolist()
    np.save(tmp_path / "row.npy", images()[4], allow_pickle=False)
    assert cli.run(["nearest", str(stored), "--like", str(tmp_path / "row.npy"), "-k", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert cli.run(["nearest", str(stored)]) == 2
    assert cli.run(["nearest", str(stored), "--row", "99999"]) == 2


def test_codes_and_neighbours_need_no_torch(stored: Path) -> None:
    program = (
        "import sys\nsys.modules['torch'] = None\nimport aezip\n"
        f"archive = aezip.open({str(stored)!r})\n"
        "assert archive.codes().shape == (300, 3) and len(archive.nearest(None, 0, 4).rows) == 4\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
