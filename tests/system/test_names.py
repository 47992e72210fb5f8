"""Names that are no text, or that command a terminal, in every locale: files, arrays, data sets."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import cli
from aezip.cli import progress
from aezip.container import header
from aezip.core import names
from aezip.core.progress import ProgressEvent

X = np.arange(60, dtype="f4").reshape(20, 3)
FAST = ["--preset", "fast", "-q"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "1"}
ODD = [b"caf\xe9", "é 日本".encode(), "a\nb\x1b[31m\u202e[red]".encode()]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are text")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    return tmp_path


def aez(locale: dict[str, str], *words: str | bytes) -> tuple[int, bytes, bytes]:
    child = subprocess.run([sys.executable, "-m", "aezip", *words], capture_output=True, env={**os.environ, **locale})
    return child.returncode, child.stdout, child.stderr


@given(st.binary(max_size=20))
def test_names_of_any_bytes_are_text_that_utf8_holds(raw: bytes) -> None:
    in_utf8, in_ascii = raw.decode("utf-8", "surrogateescape"), raw.decode("ascii", "surrogateescape")
    assert names.stored(in_utf8) == names.stored(in_ascii) == names.stored(raw)
    names.stored(raw).encode()


@given(st.text(st.characters(codec=None), max_size=20))
def test_what_is_shown_is_printable_and_what_is_printable_is_shown(text: str) -> None:
    shown = names.shown(text)
    assert shown.isprintable()
    assert not text.isprintable() or shown == text
    assert names.stored(text).encode() is not None
    assert header.parse(header.dump({"name": text})) == {"name": text}


@pytest.mark.process
@pytest.mark.parametrize("name", ODD)
def test_a_file_of_any_name_made_in_one_locale_opens_in_the_other(folder: Path, name: bytes) -> None:
    os.rename("x.npy", name + b".npy")
    made = []
    for number, locale in enumerate((ASCII, UTF8)):
        made.append(b"%s%d.aez" % (name, number))
        assert aez(locale, "compress", name + b".npy", "-o", made[-1], *FAST) == (0, b"", b"")
    first, second = (Path(os.fsdecode(path)).read_bytes() for path in made)
    assert first == second
    for locale in (ASCII, UTF8):
        for words in (["info"], ["info", "--json"], ["test"], ["test", "--sandbox"], ["verify", name + b".npy"]):
            code, out, err = aez(locale, *words, made[0])
            assert (code, err) == (0, b""), words
            assert b"\x1b" not in out
            out.decode()
        assert aez(locale, "decompress", made[0], "-o", b"back" + name + b".npy", "--dataset", name, "-f")[0] == 0
        code, _, err = aez(locale, "compress", b"no" + name)
        assert (code, err.count(b"\n")) == (2, 1)
        assert b"\x1b" not in err
        assert b"internal" not in err
    assert (np.load(os.fsdecode(b"back" + name + b".npy")) == X).all()


@pytest.mark.train
def test_data_sets_whose_names_are_no_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File("t.h5", "w") as file:
        group = h5py.h5g.create(file.id, b"gr\xfc")
        h5py.h5d.create(group, b"\xe9", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((3,)))
        file["n\n"] = X
    assert cli.run(["compress", "t.h5", "--dataset", "no"]) == 2
    assert "it has gr\\xfc/\\xe9, n\\n" in capsys.readouterr().err
    for name in (os.fsdecode(b"gr\xfc/\xe9"), "gr\\xfc/\\xe9"):
        assert cli.run(["compress", "t.h5", "--dataset", name, "--dataset", "n\n", "-f", *FAST]) == 0
        assert cli.run(["verify", "t.h5", "t.h5.aez"]) == 0
        assert cli.run(["decompress", "t.h5.aez", "-o", "one.npy", "--dataset", name, "-f", "-q"]) == 0
    assert cli.run(["decompress", "t.h5.aez", "-o", "all.npz", "-q"]) == 0
    with np.load("all.npz") as arrays:
        assert sorted(arrays.files) == ["gr\\xfc/\\xe9", "n\n"]


def test_a_whole_file_keeps_names_that_are_no_text(folder: Path) -> None:
    values = np.arange(4000, dtype="f4")
    with h5py.File("t.h5", "w") as file:
        group = h5py.h5g.create(file.id, b"gr\xfc")
        space = h5py.h5s.create_simple(values.shape)
        h5py.h5d.create(group, b"\xe9", h5py.h5t.NATIVE_FLOAT, space).write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        h5py.h5d.create(group, b"\xe8", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((3,)))
    assert cli.run(["compress", "t.h5", "--preset", "instant", "-q"]) == 0
    assert cli.run(["decompress", "t.h5.aez", "-o", "u.h5", "-q"]) == 0
    with h5py.File("u.h5") as file:
        back = np.empty_like(values)
        h5py.h5d.open(file.id, b"gr\xfc/\xe9").read(h5py.h5s.ALL, h5py.h5s.ALL, back)
        assert h5py.h5d.open(file.id, b"gr\xfc/\xe8").shape == (3,)
    np.testing.assert_array_equal(back, values)


@pytest.mark.train
def test_keys_that_no_utf8_holds_come_back(folder: Path) -> None:
    keys = {chr(0xDCE9), chr(0xD800)}
    data, _ = aezip.compress(dict.fromkeys(keys, X), preset="fast")
    assert set(aezip.decompress(data)) == keys
    Path("k.aez").write_bytes(data)
    for words in (["info", "k.aez"], ["info", "k.aez", "--json"], ["report", "k.aez", "-o", "r.html"]):
        assert cli.run(words) == 0
    assert cli.run(["decompress", "k.aez", "-o", "k.npz", "-q"]) == 0
    with np.load("k.npz") as arrays:
        assert set(arrays.files) == {"\\xe9", "\\ud800"}


def test_the_progress_bar_takes_names_for_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.bar(True) as update:
        assert update is not None
        update(ProgressEvent("encode", 0, 1, None, "[/] [red]\x1b[31m\n"))
    assert "[/] [red]" in terminal.getvalue()


def test_json_names_files_of_any_bytes(folder: Path) -> None:
    os.rename("x.npy", b"caf\xe9.npy")
    code, out, _ = aez(ASCII, "compress", b"caf\xe9.npy", "--json", "--preset", "fast")
    assert code == 0
    assert json.loads(out)["arrays"][0]["name"] == "caf\\xe9"
