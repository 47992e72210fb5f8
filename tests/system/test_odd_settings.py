"""The command line among odd inputs and settings: standard input everywhere, what is printed, warnings, locales."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import cli
from aezip.archive import train as training
from aezip.archive import writing
from aezip.cli.formats import read

X = np.cumsum(np.random.default_rng(0).normal(size=(60, 3)), axis=0).astype("f4")
FAST = ["--preset", "fast", "-q"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    assert cli.run(["compress", "x.npy", *FAST]) == 0
    return tmp_path


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def header(text: str, values: bytes = b"") -> bytes:
    """Return an .npy file with a header of that text."""
    raw = text.encode("latin-1") + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(raw)) + raw + values


def test_standard_input_is_what_compress_takes_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("x.npz", x=X)
    for words, source in (
        (["verify", "-", "x.npy.aez"], "x.npy"),
        (["verify", "-", "x.npy.aez"], "x.npz"),
        (["verify", "x.npy", "-"], "x.npy.aez"),
        (["report", "-", "x.npy", "-o", "r.html", "-f"], "x.npy.aez"),
        (["report", "x.npy.aez", "-", "-o", "r.html", "-f"], "x.npy"),
        (["test", "-"], "x.npy.aez"),
        (["info", "-"], "x.npy.aez"),
    ):
        feed(monkeypatch, Path(source).read_bytes())
        assert cli.run(words) == 0, words
    feed(monkeypatch, X.tobytes())
    assert cli.run(["verify", "-", "x.npy.aez", "--dtype", "f4", "--shape", "60,3"]) == 0


@pytest.mark.train
@pytest.mark.parametrize("words", [
    ["verify", "-", "-"], ["report", "-", "-", "-o", "r.html"], ["test", "-", "-"], ["train", "-", "-", "-o", "m.aezm"],
    ["nearest", "-", "--like", "-"],
])  # fmt: skip
def test_standard_input_is_read_once(folder: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(words) == 2
    assert "read once" in capsys.readouterr().err


def test_decompress_says_what_it_wrote(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert cli.run(["decompress", "x.npy.aez", "-o", "y.npy"]) == 0
    assert capsys.readouterr() == ("", "y.npy: float32, 60 x 3, 720 B\n")
    assert cli.run(["decompress", "x.npy.aez", "-o", "y.npy", "-f", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.run(["decompress", "x.npy.aez", "-o", "y.npy", "-f", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["output"] == "y.npy"
    assert not err


def test_verbose_lists_what_was_tried(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", "x.npy", "-f", "-v", "--preset", "fast"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(set(lines)) > 3
    tried = [line for line in lines if line.endswith(" bytes")]
    assert len(tried) > 3
    assert all(line.startswith("x: ") for line in tried)
    (steps,) = (line for line in lines if line not in tried)
    assert steps.endswith(" s in all")


def test_a_candidate_that_dropped_out_is_printed_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing.compress

    def compress(*words: object, **options: object) -> object:
        report = real(*words, **options)  # type: ignore[arg-type]
        report.tried["x"].append(("columns: too few rows", float("inf")))
        return report

    monkeypatch.setattr(writing, "compress", compress)
    assert cli.run(["compress", "x.npy", "-f", "-v", "--preset", "fast"]) == 0
    assert capsys.readouterr().err.splitlines()[-1] == "x: columns: too few rows"


@pytest.mark.train
def test_a_model_that_was_left_away_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk = np.cumsum(np.random.default_rng(1).normal(size=(400, 6)), axis=0)
    training.train(walk, bound=aezip.Absolute(0.5), preset="fast").save("m.aezm")
    np.save("walk.npy", walk)
    np.save("flat.npy", np.zeros((1000, 6)))
    for name, told in (("walk.npy", False), ("flat.npy", True)):
        capsys.readouterr()
        assert cli.run(["compress", name, "-m", "m.aezm", "--abs", "0.5"]) == 0
        assert ("without the model m.aezm" in capsys.readouterr().out) == told


def test_what_holds_no_numbers_is_left_out_on_request_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("m.npz", allow_pickle=True, a=X, s=np.array(["p", "q"]), o=np.array([{}], object))
    with zipfile.ZipFile("m.npz", "a") as more:
        more.writestr("notes.txt", "words")
    assert cli.run(["compress", "m.npz", *FAST]) == 2
    assert "--skip-unsupported" in capsys.readouterr().err
    assert cli.run(["compress", "m.npz", "--skip-unsupported", "--rm", *FAST]) == 2
    capsys.readouterr()
    assert cli.run(["compress", "m.npz", "--skip-unsupported", "--preset", "fast", "--json"]) == 0
    out, err = capsys.readouterr()
    assert set(json.loads(out)["skipped"]) == {"s", "o", "notes.txt"}
    assert [line.split("'")[1] for line in err.splitlines()] == ["s", "o", "notes.txt"]
    assert cli.run(["verify", "m.npz", "m.npz.aez"]) == 0
    assert (aezip.decompress("m.npz.aez") == X).all()


def test_an_npz_with_two_members_of_one_name_is_refused(folder: Path) -> None:
    with zipfile.ZipFile("d.npz", "w") as file:
        for name in ("x.npy", "x"):
            file.writestr(name, Path("x.npy").read_bytes())
    with pytest.raises(aezip.InvalidInput, match="twice"):
        read("d.npz")


SHAPES = ["(0, 1000000000000000000)", "(1000000000000000000,)", "(1" + 30 * "0" + ",)", "(0, 1" + 30 * "0" + ")", "(-1,)"]
SHAPES += ["(-3, 0)", "(4294967296, 4294967296)", "(2.5,)", "None", "(" + 40 * "1," + ")", "(10**9,)"]


@pytest.mark.train
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_cannot_be_is_named_as_such(
    folder: Path, shape: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}", bytes(12))
    Path("odd.npy").write_bytes(data)
    with zipfile.ZipFile("odd.npz", "w") as file:
        file.writestr("a.npy", data)
    capsys.readouterr()
    for source in ("odd.npy", "odd.npz", "-"):
        feed(monkeypatch, data)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert cli.run(["compress", source, "-o", "y.aez", *FAST]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "shape" in err or "no sound .npy" in err
        assert "aezip file" not in err
        assert "damaged" not in err


@given(st.text(st.characters(max_codepoint=255), max_size=60) | st.text("(){}[]',:0O'<f4 ", max_size=60))
def test_headers_of_nonsense_are_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("odd") / "odd.npy"
    path.write_bytes(header(text))
    with pytest.raises(aezip.InvalidInput, match=r"odd\.npy"):
        read(str(path))


@pytest.mark.train
@pytest.mark.parametrize("bound", [
    aezip.Absolute(1e308), aezip.RangeRelative(1e308), aezip.PointRelative(1e308), aezip.PSNR(1e308), aezip.PSNR(1e-3),
], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1"])
def test_bounds_of_any_size_warn_of_nothing(bound: aezip.Bound, dtype: str) -> None:
    top = np.finfo(dtype).max if dtype[0] == "f" else np.iinfo(dtype).max
    x = np.array([top, 0, 1, 2] * 10, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", aezip.FillWarning)
        data, _ = aezip.compress(x, bound=bound, preset="fast")
    aezip.verify(x, data)


@pytest.mark.process
def test_warnings_as_errors_change_nothing(folder: Path) -> None:
    words = ["compress", "x.npy", "--abs", "0.01", *FAST]
    made = []
    for flags, more in (([], {}), (["-W", "error"], {}), ([], {"PYTHONWARNINGS": "error"})):
        name = f"{len(made)}.aez"
        command = [sys.executable, *flags, "-m", "aezip", *words, "-o", name]
        child = subprocess.run(command, capture_output=True, env={**os.environ, **more})
        assert (child.returncode, child.stderr) == (0, b"")
        made.append(Path(name).read_bytes())
    assert len(set(made)) == 1


COMMA = """
import locale, sys
locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
assert locale.localeconv()["decimal_point"] == ","
from aezip import cli
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.mark.process
@pytest.mark.skipif(shutil.which("localedef") is None, reason="needs localedef")
def test_a_decimal_comma_changes_nothing(folder: Path) -> None:
    make = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / "de_DE.UTF-8")]
    if subprocess.run(make, capture_output=True).returncode:
        pytest.skip("no sources of locales")
    words = ["compress", "x.npy", "--range-rel", "1e-2", "-f", *FAST]
    assert cli.run([*words, "-o", "plain.aez"]) == 0
    env = {**os.environ, "LOCPATH": str(folder)}
    for line in ([*words, "-o", "comma.aez"], ["info", "comma.aez"], ["report", "comma.aez", "x.npy", "-o", "r.html"]):
        subprocess.run([sys.executable, "-c", COMMA, *line], env=env, check=True, capture_output=True)
    assert Path("comma.aez").read_bytes() == Path("plain.aez").read_bytes()


def test_limits_beyond_what_clocks_hold_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["test", "--sandbox", "x.npy.aez", "--max-seconds"], ["bench", "x.npy", "--max-seconds"]):
        assert cli.run([*words, "1" + 30 * "0"]) == 2
        assert "not in the range" in capsys.readouterr().err
