"""G23: compressing what was already lossily decompressed is announced: errors add up."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.cli.formats.provenance import from_comment, to_comment
from aezip.files.datasets import lossy_before

X = np.cumsum(np.random.default_rng(0).normal(size=(100, 6)), axis=0)
FAST = ["--preset", "fast", "-f"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.train
def test_an_npz_tells_that_it_was_lossy(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("x.npz", a=X, b=np.arange(5))
    assert cli.run(["compress", "x.npz", "--abs", "0.05", *FAST]) == 0
    assert "warning" not in capsys.readouterr().err
    assert cli.run(["decompress", "x.npz.aez", "-o", "y.npz"]) == 0
    with np.load("y.npz") as arrays:  # nothing more than the arrays for who does not ask
        assert sorted(arrays.files) == ["a", "b"]
    capsys.readouterr()
    assert cli.run(["compress", "y.npz", "--abs", "0.05", *FAST]) == 0
    err = capsys.readouterr().err
    assert err.startswith("aezip: warning: 'a' of y.npz was compressed lossily before (kind absolute, value 0.05)")
    assert err.count("\n") == 1  # b was exact
    assert cli.run(["compress", "y.npz", "--abs", "0.05", "--json", "-q", *FAST]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)["lossy_before"]) == ["a"]
    assert err == ""


def test_lossless_output_says_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("x.npz", a=X)
    assert cli.run(["compress", "x.npz", *FAST]) == 0
    assert cli.run(["decompress", "x.npz.aez", "-o", "y.npz"]) == 0
    capsys.readouterr()
    assert cli.run(["compress", "y.npz", "--abs", "0.05", *FAST]) == 0
    assert "warning" not in capsys.readouterr().err


def test_quantized_data_sets_of_netcdf_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.nc"
    with h5py.File(path, "w") as file:
        file["t"] = X
        file["t"].attrs["_QuantizeBitRoundNumberOfSignificantBits"] = 9
    assert cli.run(["compress", str(path), "--dataset", "t", *FAST]) == 0
    assert "_QuantizeBitRound" in capsys.readouterr().err
    assert lossy_before(["units", "_FillValue"]) == ""


@pytest.mark.parametrize("comment", [b"", b"made by hand", b"[1]", b'{"aezip lossy": 3}', b"\xff", b"[" * 5000])
def test_other_comments_mean_nothing(comment: bytes) -> None:
    assert from_comment(comment, ["a"]) == {}


def test_a_comment_has_room_for_any_number_of_arrays() -> None:
    bounds = {f"array {i}": aezip.Absolute(0.5).to_json() for i in range(3000)}
    comment = to_comment(bounds)
    assert len(comment) < 65536
    assert from_comment(comment, ["array 7"]) == {"array 7": "with a bound that is not told"}
    assert to_comment({}) == b""
