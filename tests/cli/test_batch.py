"""Several inputs: a line each and one in all, one that fails stops no other, the exit code is the worst; whole files."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from aezip import cli

X = np.cumsum(np.random.default_rng(0).normal(size=(60, 40)), axis=0).astype("f4")
QUICK = ["--preset", "instant"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", X)
    np.save("b.npy", X * 2)
    with h5py.File("c.nc", "w") as file:
        file["t"], file["u"], file["lat"] = X, X + 1, np.arange(600.0)
        file["t"].attrs["units"], file["lat"].attrs["units"] = "K", "degrees_north"
        file["words"] = ["x", "y"]
    return tmp_path


def test_each_input_has_a_line_and_all_have_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", "a.npy", "b.npy", "c.nc", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["a.npy.aez", "b.npy.aez", "c.nc.aez", "3 files"]
    assert cli.run(["test", "a.npy.aez", "b.npy.aez", "c.nc.aez"]) == 0
    assert cli.run(["info", "a.npy.aez", "c.nc.aez"]) == 0
    out = capsys.readouterr().out
    assert "original  c.nc, hdf5" in out
    assert cli.run(["decompress", "a.npy.aez", "c.nc.aez", "--output-dir", "back"]) == 0
    np.testing.assert_array_equal(np.load("back/a.npy"), X)
    with h5py.File("back/c.nc") as file:
        np.testing.assert_array_equal(file["u"], X + 1)
        assert file["words"].asstr()[1] == "y"


def test_one_that_fails_stops_no_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.nc").write_bytes(b"nothing")
    assert cli.run(["compress", "a.npy", "bad.nc", "nope.npy", "b.npy", *QUICK]) == 2
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].startswith("2 files: ")
    assert out.splitlines()[-1].endswith("2 failed")
    assert [line.split(": ")[2] for line in err.splitlines()] == ["bad.nc is no sound HDF5 file", "nope.npy does not exist"]
    Path("b.npy.aez").write_bytes(Path("b.npy.aez").read_bytes()[:-50])
    assert cli.run(["decompress", "b.npy.aez", "a.npy.aez", "--output-dir", "back"]) == 3
    assert Path("back/a.npy").exists()
    assert cli.run(["info", "b.npy.aez", "a.npy.aez", "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert [file["file"] for file in told["files"]] == ["a.npy.aez"]
    assert list(told["failed"]) == ["b.npy.aez"]


def test_folders_are_searched(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("in/deep").mkdir(parents=True)
    np.save("in/deep/x.npy", X)
    Path("in/readme.txt").write_text("no array")
    assert cli.run(["compress", "-r", "in", "--output-dir", "out", *QUICK]) == 0
    assert [str(p) for p in sorted(Path("out").rglob("*")) if p.is_file()] == ["out/deep/x.npy.aez"]
    assert cli.run(["compress", "in", *QUICK]) == 2
    assert "is a folder" in capsys.readouterr().err
    Path("empty").mkdir()
    assert cli.run(["compress", "-r", "empty", *QUICK]) == 2
    assert "holds no file of a known name" in capsys.readouterr().err


def test_outputs_that_collide_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("d").mkdir()
    np.save("d/a.npy", X)
    for words, said in (
        (["a.npy", "d/a.npy", "--output-dir", "out"], "two inputs would go to"),
        (["a.npy", "b.npy", "-o", "x.aez"], "use --output-dir"),
        (["a.npy", "-o", "x.aez", "--output-dir", "out"], "give one of them"),
    ):
        assert cli.run(["compress", *words, *QUICK]) == 2
        assert said in capsys.readouterr().err


def test_json_of_several_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", "a.npy", "b.npy", "nope.npy", "--json", *QUICK]) == 2
    told = json.loads(capsys.readouterr().out)
    assert [file["input"] for file in told["files"]] == ["a.npy", "b.npy"]
    assert list(told["failed"]) == ["nope.npy"]


def test_bounds_by_variable_in_words_and_in_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", "c.nc", "--bound", "t:abs=0.5", "--bound", "*:lossless", *QUICK]) == 0
    Path("bounds.toml").write_text('[bounds]\nt = "abs=0.5"\n"*" = "lossless"\n')
    assert cli.run(["compress", "c.nc", "--bounds", "bounds.toml", "-o", "d.aez", *QUICK]) == 0
    assert Path("d.aez").read_bytes() == Path("c.nc.aez").read_bytes()
    assert cli.run(["decompress", "d.aez", "-o", "d.nc"]) == 0
    with h5py.File("d.nc") as file:
        assert 0 < np.abs(file["t"][...] - X).max() <= 0.5
        np.testing.assert_array_equal(file["u"], X + 1)
    assert cli.run(["compress", "c.nc", "--abs", "0.5", "-f", *QUICK]) == 0  # one bound for all but coordinates
    assert cli.run(["decompress", "c.nc.aez", "-o", "e.nc"]) == 0
    with h5py.File("e.nc") as file:
        assert 0 < np.abs(file["u"][...] - X - 1).max() <= 0.5
        np.testing.assert_array_equal(file["lat"], np.arange(600.0))
    np.savez("z.npz", t=X, u=X)
    assert cli.run(["compress", "z.npz", "--bound", "t:abs=0.5", *QUICK]) == 0
    assert cli.run(["decompress", "z.npz.aez", "-o", "y.npz"]) == 0
    with np.load("y.npz") as arrays:
        assert 0 < np.abs(arrays["t"] - X).max() <= 0.5
        np.testing.assert_array_equal(arrays["u"], X)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bound", "t"], "names no variable"),
        (["--bound", "t:abs"], "is not understood"),
        (["--bound", "t:fine=3"], "is not understood"),
        (["--bound", "t:abs=-1"], "must be"),
        (["--bound", "zz:abs=1"], "'zz' fits no variable of c.nc: it has lat, t, u, words"),
        (["--bound", "words:abs=1"], "a bound is for numbers"),
        (["--bounds", "no.toml"], "no.toml: No such file"),
        (["--bounds", "a.npy"], "is no sound TOML file"),
        (["--codes"], "name the data set with --dataset"),
        (["--fill-value", "3"], "or use --dataset"),
        (["-o", "-"], "a whole file goes into a file"),
    ],
)
def test_what_cannot_be_asked_of_a_whole_file(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert cli.run(["compress", "c.nc", *words, *QUICK]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert (out, err.count("\n")) == ("", 1)
    assert not Path("c.nc.aez").exists()


def test_arrays_of_a_whole_file_go_to_npz_where_that_is_named(folder: Path) -> None:
    assert cli.run(["compress", "c.nc", *QUICK]) == 0
    assert cli.run(["decompress", "c.nc.aez", "--dataset", "t", "-o", "t.npy"]) == 0
    np.testing.assert_array_equal(np.load("t.npy"), X)
    assert cli.run(["decompress", "c.nc.aez", "-o", "all.npz"]) == 0
    with np.load("all.npz") as arrays:
        assert sorted(arrays.files) == ["lat", "t", "u"]
    assert cli.run(["verify", "c.nc", "c.nc.aez"]) == 0
    assert cli.run(["compress", "c.nc", "--rm", "-f", *QUICK]) == 0
    assert not Path("c.nc").exists()


def test_sizes_told_of_a_whole_file_are_those_of_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "name,n\n" + "".join(f"row {i},{i % 7}\n" for i in range(400))
    Path("t.csv").write_text(text)
    assert cli.run(["compress", "t.csv", "--exact-text", *QUICK]) == 0
    said = capsys.readouterr().out.splitlines()[0]
    assert f"{len(text) / 1000:.2f} kB -> " in said
    assert f"ratio {len(text) / Path('t.csv.aez').stat().st_size:.2f}" in said
    assert cli.run(["compress", "t.csv", "a.npy", "-f", *QUICK]) == 0
    both = len(text) + np.load("a.npy").nbytes
    assert f"{both / 1000:.2f} kB -> " in capsys.readouterr().out.splitlines()[-1]
