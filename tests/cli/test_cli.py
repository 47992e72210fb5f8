"""The command line: what it does, its exit codes, and one clear line for every bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import resigned

import aezip
from aezip import cli

FIELD = np.cumsum(np.random.default_rng(0).normal(size=(300, 6)), axis=0).astype("f4")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", FIELD)
    assert cli.run(["compress", "x.npy", "--range-rel", "1e-2", "--preset", "fast", "-q"]) == 0
    return tmp_path


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    err = capsys.readouterr().err
    assert err.startswith("aezip: error: ")
    assert err.count("\n") == 1
    return err


def test_compress_decompress_verify_info_test(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Path("x.npy").exists()
    assert cli.run(["decompress", "x.npy.aez", "-o", "y.npy"]) == 0
    y = np.load("y.npy")
    assert y.dtype == FIELD.dtype
    assert np.abs(FIELD - y).max() <= 1e-2 * np.ptp(FIELD)
    assert cli.run(["verify", "x.npy", "x.npy.aez"]) == 0
    assert cli.run(["test", "x.npy.aez"]) == 0
    assert cli.run(["info", "x.npy.aez"]) == 0
    out = capsys.readouterr().out
    assert "within the bound" in out
    assert "x.npy.aez: good" in out
    assert "plan" in out


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "x.npy.aez", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert sum(report["bytes"].values()) == report["file_bytes"] == Path("x.npy.aez").stat().st_size
    assert cli.run(["compress", "x.npy", "-f", "--json", "--preset", "fast"]) == 0
    assert json.loads(capsys.readouterr().out)["max_abs_error"] == 0


def test_slices_npz_and_raw(folder: Path) -> None:
    assert cli.run(["decompress", "x.npy.aez", "-o", "part.npy", "--slice", "10:20,::2"]) == 0
    assert cli.run(["decompress", "x.npy.aez", "-o", "x.raw"]) == 0
    assert cli.run(["decompress", "x.npy.aez", "-o", "x.npz"]) == 0
    whole = np.fromfile("x.raw", "f4").reshape(FIELD.shape)
    assert (np.load("part.npy") == whole[10:20, ::2]).all()
    with np.load("x.npz") as arrays:
        assert (arrays["x"] == whole).all()


@pytest.mark.train
def test_raw_npz_and_hdf5_input(folder: Path) -> None:
    import h5py

    FIELD.tofile("r.bin")
    np.savez("m.npz", a=FIELD, b=np.arange(5))
    with h5py.File("h.h5", "w") as file:
        data = file.create_dataset("g/t", data=np.where(FIELD > 1, 1e20, FIELD).astype("f4"))
        data.attrs["_FillValue"] = np.float32(1e20)
    fast = ["--preset", "fast", "-q"]
    assert cli.run(["compress", "r.bin", "--dtype", "f4", "--shape", "300,6", *fast]) == 0
    assert cli.run(["compress", "m.npz", *fast]) == 0
    assert cli.run(["compress", "h.h5", "--dataset", "g/t", "--abs", "0.01", *fast]) == 0
    assert (aezip.decompress("r.bin.aez") == FIELD).all()
    assert cli.run(["decompress", "m.npz.aez", "-o", "m2.npz"]) == 0
    with np.load("m2.npz") as arrays:
        assert (arrays["a"] == FIELD).all()
        assert (arrays["b"] == np.arange(5)).all()
    out = aezip.decompress("h.h5.aez")
    assert (out[FIELD > 1] == np.float32(1e20)).all()


def test_remove_the_input_only_after_success(folder: Path) -> None:
    np.save("gone.npy", FIELD)
    assert cli.run(["compress", "gone.npy", "--rm", "-q", "--preset", "fast"]) == 0
    assert not Path("gone.npy").exists()
    assert (aezip.decompress("gone.npy.aez") == FIELD).all()


BAD: list[tuple[list[str], int, str]] = [
    (["compress", "missing.npy"], 2, "does not exist"),
    (["compress", "x.npy"], 2, "-f"),
    (["compress", "x.npy", "-o", "y.aez", "--abs", "0"], 2, "positive"),
    (["compress", "x.npy", "-o", "y.aez", "--abs", "-1"], 2, "positive"),
    (["compress", "x.npy", "-o", "y.aez", "--abs", "nan"], 2, "positive"),
    (["compress", "x.npy", "-o", "y.aez", "--rel", "1e-3"], 2, "--point-rel"),
    (["compress", "x.npy", "-o", "y.aez", "--abs", "1", "--lossless"], 2, "one bound"),
    (["compress", "x.npy", "-o", "y.aez", "--per-feature"], 2, "--range-rel"),
    (["compress", "x.npy", "-o", "no/such/y.aez"], 2, "does not exist"),
    (["compress", "raw.bin"], 2, "--dtype"),
    (["compress", "raw.bin", "--dtype", "f4", "--shape", "9,9"], 2, "324 bytes"),
    (["compress", "raw.bin", "--dtype", "f4"], 2, "--shape"),
    (["compress", "raw.bin", "--dtype", "q9", "--shape", "3"], 2, "--dtype"),
    (["compress", "text.npy"], 2, "numeric"),
    (["compress", "objects.npy"], 2, "Python objects"),
    (["compress", "broken.npy"], 2, "no sound .npy"),
    (["compress", "x.npy", "-o", "y.aez", "--preset", "turbo"], 2, "turbo"),
    (["frobnicate"], 2, "frobnicate"),
    (["decompress", "missing.aez"], 2, "does not exist"),
    (["decompress", "x.npy"], 3, "not an aezip file"),
    (["decompress", "short.aez"], 3, "damaged"),
    (["decompress", "x.npy.aez", "-o", "x.npy"], 2, "-f"),
    (["decompress", "x.npy.aez", "-o", "z.npy", "--slice", "a:b"], 2, "--slice"),
    (["decompress", "x.npy.aez", "-o", "z.npy", "--slice", "900"], 2, "out of range"),
    (["decompress", "x.npy.aez", "-o", "z.npy", "--dataset", "nope"], 2, "it has x"),
    (["test", "short.aez"], 3, "damaged"),
    (["info", "raw.bin"], 3, "not an aezip file"),
    (["verify", "other.npy", "x.npy.aez"], 4, "break the bound"),
    (["verify", "small.npy", "x.npy.aez"], 2, "the original is"),
]


@pytest.mark.train
@pytest.mark.parametrize(("arguments", "code", "words"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_bad_input_is_one_line_with_the_right_code(
    folder: Path, arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("raw.bin").write_bytes(b"\0" * 100)
    Path("broken.npy").write_bytes(b"\x93NUMPY\x01\0v\0{'descr'")
    np.save("text.npy", np.array(["a", "b"]))
    np.save("objects.npy", np.array([{}], object), allow_pickle=True)
    np.save("other.npy", FIELD + 1)
    np.save("small.npy", FIELD[:5])
    Path("short.aez").write_bytes(Path("x.npy.aez").read_bytes()[:-100])
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    capsys.readouterr()
    assert cli.run(arguments) == code
    assert words in one_line(capsys)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_later_version_is_refused_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for close in (True, False):
        data = resigned(Path("x.npy.aez").read_bytes(), lambda told: told.update(version=[9, 7]), close=close)
        Path("later.aez").write_bytes(data)
        assert cli.run(["info", "later.aez"]) == 6
        assert "9.7" in one_line(capsys)


def test_stdin_and_stdout(folder: Path) -> None:
    aez = [sys.executable, "-m", "aezip"]
    raw = Path("x.npy").read_bytes()
    packed = subprocess.run([*aez, "compress", "-", "-o", "-", "--preset", "fast"], input=raw, capture_output=True, check=True)
    back = subprocess.run([*aez, "decompress", "-"], input=packed.stdout, capture_output=True, check=True)
    assert back.stdout == raw


@pytest.mark.process
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_behind(folder: Path, number: signal.Signals, code: int) -> None:
    np.save("big.npy", np.random.default_rng(0).normal(size=(20000, 20)).cumsum(axis=0))
    child = subprocess.Popen(
        [sys.executable, "-m", "aezip", "compress", "big.npy", "--range-rel", "1e-3"],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    for _ in range(200):
        time.sleep(0.05)
        if list(folder.glob(".big*")):
            break
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code
    assert err.count(b"\n") == 1
    assert not [p for p in folder.iterdir() if "big.npy." in p.name]


SWALLOWING = """
import os, signal, time
from aezip.codec import encoder as codec

def swallow(*_):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    except BaseException:
        pass
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass

codec.grids_for = swallow
"""
SLOW_TO_CLEAR = """
import os, signal, time
from aezip.codec import encoder as codec
from aezip.core import atomic
unlink = os.unlink

def slowly(*words, **more):
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    unlink(*words, **more)
    open("cleared", "w").close()

os.unlink = os.remove = slowly
codec.grids_for = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or time.sleep(1)
"""


@pytest.mark.process
@pytest.mark.parametrize("change", [SWALLOWING, SLOW_TO_CLEAR])
def test_a_signal_ends_what_swallows_it_and_leaves_clearing_up_alone(folder: Path, change: str) -> None:
    program = f"{change}\nfrom aezip import cli\ncli.main()"
    child = subprocess.run([sys.executable, "-c", program, "compress", "x.npy", "-o", "z.aez"], capture_output=True, timeout=50)
    assert child.returncode == 143
    assert child.stderr == b"aezip: error: terminated\n"
    assert not [p for p in folder.iterdir() if "z.aez" in p.name]
    assert (folder / "cleared").exists() == (change == SLOW_TO_CLEAR)


def test_decoding_works_where_torch_cannot_be_imported(folder: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import aezip, hashlib\n"
        "for n in (1, 2, 8):\n"
        "    print(hashlib.sha256(aezip.decompress('x.npy.aez', threads=n).tobytes()).hexdigest())\n"
    )
    digests = set()
    for kernel in (None, "Haswell", "SkylakeX", "Prescott"):
        env = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS")}
        env |= {"OPENBLAS_CORETYPE": kernel} if kernel else {}
        out = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=env)
        digests |= set(out.stdout.split())
    assert len(digests) == 1


def test_start_up_does_not_import_torch() -> None:
    program = "import sys, aezip.cli, aezip.archive.reading; assert 'torch' not in sys.modules; assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_verify_with_its_files_the_wrong_way_round_says_which_comes_first(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["verify", "x.npy.aez", "x.npy"]) == 2
    assert "the original comes first: aezip verify x.npy x.npy.aez" in one_line(capsys)


def test_info_tells_the_plan_in_words(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "x.npy.aez"]) == 0
    (line,) = [text for text in capsys.readouterr().out.splitlines() if text.startswith("plan ")]
    assert "network" in line
    assert "{" not in line
