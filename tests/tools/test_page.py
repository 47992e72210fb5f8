"""The command `report`: one page that needs nothing else, tells the truth, and runs nothing that a file holds."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.archive.reading import Archive
from aezip.tools import inspection, page, pictures

FIELD = np.cumsum(np.random.default_rng(0).normal(size=(60, 5)), axis=0).astype("f4")
EVIL = "<script>alert('1')</script>\"><img src=x onerror=alert(2)>\x1b[2J\u202e"
TAGS = set("html head meta title style body main section footer h1 h2 h3 p dl dt dd strong span div table tr td i".split())
TAGS |= {"figure", "figcaption", "img", "svg", "rect", "line"}


class Reading(HTMLParser):
    """Collects text; fails on whatever is not of the page's own making."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.images, self.open = "", [], 0
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in ("href", "srcset", "action", "data")
            if name == "src":
                assert value is not None
                assert value.startswith("data:image/png;base64,")
                self.images.append(base64.b64decode(value.partition(",")[2]))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", FIELD)
    aezip.compress({"x": FIELD}, "x.aez", bound=aezip.RangeRelative(1e-2), preset="fast")
    return tmp_path


def read(name: str = "r.html") -> Reading:
    return Reading(Path(name).read_text(encoding="utf-8"))


def test_the_page_tells_what_the_file_holds_and_what_the_original_shows(folder: Path) -> None:
    assert cli.run(["report", "x.aez", "-o", "r.html"]) == 0
    alone = read()
    size = Path("x.aez").stat().st_size
    shape = "60 \N{MULTIPLICATION SIGN} 5"
    for words in (f"{size:,} bytes", shape, "float32", "range-relative 0.01", "verified", "container", "Candidates"):
        assert words in alone.text
    assert not alone.images
    assert cli.run(["report", "x.aez", "x.npy", "-o", "r.html", "-f"]) == 0
    both = read()
    worst = float(np.abs(aezip.decompress("x.aez").astype(float) - FIELD).max())
    assert f"max error {worst:.6g}" in both.text
    assert "within the bound" in both.text
    assert "300 values, 0 beyond" in both.text
    assert len(both.images) == 3
    assert cli.run(["report", "x.aez", "--no-verify", "-o", "s.html"]) == 0
    assert "not checked" in read("s.html").text


def test_a_broken_bound_is_shown_and_ends_with_4(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("other.npy", FIELD + np.float32(5) * (np.arange(60) < 10)[:, None])
    assert cli.run(["report", "x.aez", "other.npy", "-o", "r.html"]) == 4
    err = capsys.readouterr().err
    assert "r.html shows where" in err
    assert err.count("\n") == 1
    text = read().text
    assert "bound broken by 50 values" in text
    assert "50 beyond" in text


@pytest.mark.train
def test_whatever_a_file_says_is_text(folder: Path) -> None:
    np.savez("evil.npz", **{EVIL: FIELD})
    aezip.compress({EVIL: FIELD}, f"{EVIL[:8]}.aez", preset="fast")
    assert cli.run(["report", f"{EVIL[:8]}.aez", "evil.npz", "-o", "r.html"]) == 0
    assert "<script>alert('1')</script>\"><img src=x onerror=alert(2)>\\x1b[2J\\u202e" in read().text
    with aezip.open("x.aez") as archive:
        report = archive.report()
        found = inspection.inspect(archive, {"x": FIELD}, verify=True)
    (array,) = report.arrays
    array = replace(
        array, plan={"kind": EVIL, EVIL: {EVIL: [EVIL]}}, candidates=[EVIL, f"{EVIL}: 7"], rates={EVIL: EVIL},
        bytes={EVIL: 5}, bound={"kind": EVIL, "value": 1.0}, dtype=EVIL,
        trained={"id": EVIL, "embedded": True, "file_bytes": 1, "stream_bytes": 1},
    )  # fmt: skip
    source = page.page(replace(report, arrays=[array], software=EVIL, format_version=EVIL), found, EVIL)
    assert Reading(source).text.count("<img src=x onerror=alert(2)>") > 10
    assert "\x1b" not in source
    assert "\u202e" not in source


def test_the_page_forbids_scripts_and_the_network(folder: Path) -> None:
    assert cli.run(["report", "x.aez", "x.npy", "-o", "r.html"]) == 0
    text = Path("r.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    assert not re.findall(r"https?:|url\(|@import", text)


BAD = [
    (["report", "missing.aez", "-o", "r.html"], 2, "does not exist"),
    (["report", "x.aez"], 2, "-o"),
    (["report", "x.aez", "-o", "old.html"], 2, "-f"),
    (["report", "x.aez", "x.npy", "-o", "x.npy", "-f"], 2, "input itself"),
    (["report", "x.aez", "-o", "x.aez", "-f"], 2, "input itself"),
    (["report", "x.aez", "-o", "no/such/r.html"], 2, "does not exist"),
    (["report", "x.npy", "-o", "r.html"], 3, "not an aezip file"),
    (["report", "short.aez", "-o", "r.html"], 3, "damaged"),
    (["report", "x.aez", "small.npy", "-o", "r.html"], 2, "the original is"),
    (["report", "x.aez", "missing.npy", "-o", "r.html"], 2, "does not exist"),
]


@pytest.mark.train
@pytest.mark.parametrize(("words", "code", "text"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_bad_input_is_one_line_and_writes_nothing(
    folder: Path, words: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("old.html").write_text("old")
    Path("short.aez").write_bytes(Path("x.aez").read_bytes()[:-100])
    np.save("small.npy", FIELD[:5])
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    assert cli.run(words) == code
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_file_with_damaged_chunks_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Archive, "damage", lambda *_: ["x: chunk 0 is bad", "x: chunk 1 is bad"])
    assert cli.run(["report", "x.aez", "-o", "r.html"]) == 3
    assert "chunk 0 is bad, and 1 more" in capsys.readouterr().err
    assert not Path("r.html").exists()


ORIGINALS: list[tuple[Any, aezip.Bound | None]] = [
    (np.float32(3), None),
    (np.zeros((0, 3)), aezip.Absolute(1)),
    (np.arange(20).astype("m8[s]").reshape(4, 5), None),
    ((FIELD + 1j * FIELD[::-1]).astype(">c8"), aezip.Absolute(0.5)),
    (np.where(FIELD > 3, np.nan, FIELD), aezip.PointRelative(1e-2)),
    ((FIELD * 9).astype("i2"), aezip.PSNR(40)),
    (FIELD.reshape(5, 20, 3), aezip.RangeRelative(1e-2, per_feature=True)),
    (FIELD > 0, aezip.Absolute(1)),
]


@pytest.mark.train
@pytest.mark.parametrize(("array", "bound"), ORIGINALS, ids=lambda v: str(getattr(v, "dtype", type(v).__name__)))
def test_every_type_and_bound_has_a_page(folder: Path, array: Any, bound: aezip.Bound | None) -> None:
    np.save("a.npy", array)
    aezip.compress(np.load("a.npy"), "a.aez", bound=bound, preset="fast")
    assert cli.run(["report", "a.aez", "a.npy", "-o", "r.html"]) == 0
    assert "within the bound" in read().text


def test_errors_are_counted_where_they_belong() -> None:
    x, y = np.array([0.0, 0, 0, 0, np.nan, 9]), np.array([0.0, 1, -1.01, 2, np.nan, 0])
    tolerance = aezip.array.bounds.Tolerance("absolute", np.array(1.0))
    pair = inspection.Pair(x, y, np.arange(6) == 5)
    counts = inspection._counted(pair, tolerance, 1.0)
    assert counts.sum() == 4
    assert counts[0] == counts[-1] == counts[-2] == counts[1 + inspection.BINS // 2] == 1


def test_a_picture_is_a_png_of_the_values() -> None:
    data = pictures.errors_png(np.array([[-1.0, 0, 1], [np.nan, 0, 0]]), 1.0)
    columns, rows = struct.unpack(">II", data[16:24])
    assert (rows, columns) == (2, 3)
    start = data.index(b"IDAT") + 4
    lines = np.frombuffer(zlib.decompress(data[start:-16]), np.uint8).reshape(rows, 1 + 3 * columns)
    assert lines[0].tolist() == [0, 33, 102, 172, 247, 247, 247, 178, 24, 43]
    assert lines[1, 1:4].tolist() == [200, 200, 200]
    assert pictures.plane((1000, 2000)) == (slice(None, None, 4), slice(None, None, 8))
    assert pictures.plane((9, 40, 50, 3)) == (4, slice(None, None, 1), slice(None, None, 1), 1)
    assert pictures.plane((7,)) is None
    assert pictures.plane((4, 0)) is None
