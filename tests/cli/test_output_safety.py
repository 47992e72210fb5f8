"""Nothing is lost on the way out: special files, the input itself, full disks, and data that is not in the archive."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.cli import common as terminal
from aezip.cli import formats
from aezip.cli.formats import read
from aezip.core import atomic

FAST = ["-q", "--preset", "fast"]
X = np.arange(600, dtype="i4").reshape(100, 6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    assert cli.run(["compress", "x.npy", *FAST]) == 0
    return tmp_path


def refused(words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.read_bytes() for p in Path().iterdir() if p.is_file()}
    capsys.readouterr()
    assert cli.run(words) == code
    err = capsys.readouterr().err
    assert err.startswith("aezip: error: ")
    assert err.count("\n") == 1
    assert text in err
    assert {p: p.read_bytes() for p in Path().iterdir() if p.is_file()} == before


def test_a_device_or_pipe_is_never_replaced_even_with_force(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.npy")
    refused(["decompress", "x.npy.aez", "-o", "pipe.npy", "-f"], 2, "regular file", capsys)
    refused(["compress", "x.npy", "-o", "pipe.npy", "-f"], 2, "regular file", capsys)
    assert Path("pipe.npy").is_fifo()


def test_the_input_is_never_the_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["compress", "x.npy", "-o", "./x.npy", "-f"], 2, "input itself", capsys)
    refused(["compress", "x.npy", "-o", "x.npy", "-f", "--rm"], 2, "input itself", capsys)
    os.link("x.npy.aez", "same.npy")
    refused(["decompress", "x.npy.aez", "-o", "same.npy", "-f"], 2, "input itself", capsys)


@pytest.mark.train
def test_remove_is_refused_where_it_would_lose_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File("t.h5", "w") as file:
        file["a"], file["b"] = X, X
    refused(["compress", "t.h5", "--dataset", "a", "--rm", *FAST], 2, "other data sets", capsys)
    refused(["compress", "x.npy", "-o", "y.aez", "--rm", "--no-verify"], 2, "--no-verify", capsys)
    refused(["compress", "x.npy", "-o", "-", "--rm"], 2, "--rm", capsys)
    assert cli.run(["compress", "t.h5", "--dataset", "a", "--dataset", "b", "--rm", *FAST]) == 0
    assert not Path("t.h5").exists()
    assert (aezip.decompress("t.h5.aez")["b"] == X).all()


def test_json_and_data_never_share_standard_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["compress", "x.npy", "-o", "-", "--json"], 2, "--json", capsys)
    refused(["decompress", "x.npy.aez", "-o", "-", "--json"], 2, "--json", capsys)


def test_an_unknown_output_format_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("y.h5", "y.csv", "y"):
        refused(["decompress", "x.npy.aez", "-o", name], 2, "format", capsys)


def test_a_command_line_without_command_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused([], 2, "compress, decompress", capsys)
    refused(["compress"], 2, "aezip compress --help", capsys)
    refused(["compress", "x.npy", "--nonsense"], 2, "--nonsense", capsys)


def test_json_has_null_where_it_has_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"a": [float("nan"), {"b": float("-inf")}], "c": 1.5, "d": (2, 3)})
    assert json.loads(capsys.readouterr().out) == {"a": [None, {"b": None}], "c": 1.5, "d": [2, 3]}


def test_every_file_is_tested_and_the_first_failure_is_the_code(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.aez").write_bytes(Path("x.npy.aez").read_bytes()[:-50])
    capsys.readouterr()
    assert cli.run(["test", "absent.aez", "bad.aez", "x.npy.aez"]) == 2
    out, err = capsys.readouterr()
    assert out == "x.npy.aez: good\n"
    assert [line.split(":")[2].strip().split()[0] for line in err.splitlines()] == ["absent.aez", "bad.aez"]
    assert cli.run(["test", "bad.aez", "x.npy.aez", "--json"]) == 3
    result = json.loads(capsys.readouterr().out)
    assert not result["good"]
    assert result["files"]["x.npy.aez"] == []


def test_verify_knows_the_shape_of_a_raw_original(folder: Path) -> None:
    X.tofile("x.raw")
    assert cli.run(["verify", "x.raw", "x.npy.aez"]) == 0


@pytest.mark.train
@pytest.mark.parametrize("suffix", ["npy", "npz", "raw"])
def test_every_failing_write_leaves_the_old_file_and_no_temporary(
    folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Path(f"y.{suffix}")
    target.write_bytes(b"old")

    class Full(io.FileIO):
        left = 0

        def write(self, data: Any) -> int:
            Full.left -= 1
            if Full.left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.name))
            return super().write(data)

    monkeypatch.setattr(atomic, "open", lambda path, mode: Full(path, mode.replace("b", "")), raising=False)
    for allowed in range(40):
        Full.left = allowed
        if cli.run(["decompress", "x.npy.aez", "-o", target.name, "-f"]) == 0:
            break
        assert target.read_bytes() == b"old"
        assert "No space left" in capsys.readouterr().err
        assert not list(Path().glob(".*.tmp"))
    assert allowed > 0
    assert target.read_bytes() != b"old"


@pytest.mark.process
def test_a_full_disk_is_an_error_and_no_crash(folder: Path) -> None:
    np.save("zeros.npy", np.zeros(40_000))
    assert cli.run(["compress", "zeros.npy", *FAST]) == 0

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    command = [sys.executable, "-m", "aezip", "decompress", "zeros.npy.aez", "-o", "back.npy"]
    child = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True)
    assert child.returncode == 1
    assert child.stderr.startswith("aezip: error: ")
    assert child.stderr.count("\n") == 1
    assert not Path("back.npy").exists()
    assert not list(Path().glob(".*.tmp"))


def test_npz_output_is_the_same_bytes_every_time(folder: Path) -> None:
    for name in ("a.npz", "b.npz"):
        assert cli.run(["decompress", "x.npy.aez", "-o", name]) == 0
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    with zipfile.ZipFile("a.npz") as archive:
        assert archive.testzip() is None


def test_plain_hdf5_data_sets_are_memory_mapped(folder: Path) -> None:
    with h5py.File("t.h5", "w") as file:
        file["a"] = X.astype(">i4")
        file["b"] = X.astype("f4")
        file["b"].attrs["_FillValue"] = 1e300  # no float32: marks nothing
    inputs = read("t.h5", datasets=("a", "b"))
    assert isinstance(inputs.arrays["a"], np.memmap)
    assert inputs.arrays["a"].dtype == ">i4"
    assert (inputs.arrays["a"] == X).all()
    assert inputs.fills == {}
    assert inputs.whole


@pytest.mark.process
def test_npz_and_raw_values_come_from_standard_input(folder: Path) -> None:
    np.savez("m.npz", a=X, b=X[:3])
    aez = [sys.executable, "-m", "aezip"]
    for name, more in (("m.npz", []), ("x.npy", ["--dtype", "u1", "--shape", str(Path("x.npy").stat().st_size)])):
        data = Path(name).read_bytes()
        subprocess.run([*aez, "compress", "-", "-o", "p.aez", "-f", *FAST, *more], input=data, check=True)
        back = aezip.decompress("p.aez")
        assert (back["a"] == X).all() if name == "m.npz" else back.tobytes() == data


def test_a_reader_that_goes_away_is_one_line(folder: Path) -> None:
    np.save("noise.npy", np.random.default_rng(0).integers(0, 1 << 62, 100_000))
    assert cli.run(["compress", "noise.npy", *FAST]) == 0
    command = [sys.executable, "-m", "aezip", "decompress", "noise.npy.aez", "-o", "-"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read(10)
    child.stdout.close()
    assert child.stderr is not None
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=60) == 1
    assert err.count(b"\n") <= 1
    assert b"Traceback" not in err


def test_names_of_the_package_for_files_are_the_documented_ones() -> None:
    assert sorted(formats.__all__) == [
        "Inputs",
        "Source",
        "check_output",
        "described",
        "file_format",
        "output_name",
        "read",
        "takes_arrays",
        "write",
    ]


def test_an_npz_cut_short_is_refused_and_leaves_no_file_open(folder: Path) -> None:
    Path("short.npz").write_bytes(b"PK\x03\x04" + bytes(50))
    with pytest.raises(aezip.InvalidInput, match=r"short\.npz is no sound"):
        read("short.npz")
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(link.resolve()).endswith("short.npz")]
