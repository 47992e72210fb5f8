"""CSV and Parquet files come back with names, types, nulls and order; numeric columns are coded together."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import zstandard

import aezip
from aezip import cli
from aezip.core.errors import InvalidInput

N = 1200
RNG = np.random.default_rng(5)
WALK = np.round(np.cumsum(RNG.normal(size=N)), 2)
EVERY = np.arange(N) % 7 == 3


def table() -> pa.Table:
    days = np.datetime64("2020-01-01") + np.arange(N)
    fields = {
        "when": pa.array(days.astype("M8[us]")),
        "day": pa.array(days.astype("M8[D]")),
        "temp": pa.array(WALK, mask=EVERY),
        "wind": pa.array(np.abs(WALK) / 3),
        "nan": pa.array(np.where(EVERY, np.nan, WALK)),
        "count": pa.array(RNG.integers(0, 9, N).astype("i4"), mask=~EVERY),
        "flag": pa.array(RNG.random(N) > 0.3, mask=EVERY),
        "site": pa.array(RNG.choice(["a", "b,c", 'd"'], N), mask=EVERY),
        "kind": pa.array(RNG.choice(["x", "y"], N)).dictionary_encode(),
        "parts": pa.array([[1, 2], None, []] * (N // 3)),
        "half": pa.array(WALK.astype("f2")),
        "gone": pa.nulls(N),
    }
    return pa.table(fields).replace_schema_metadata({"made by": "a test"})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def again(name: str, **options: object) -> str:
    aezip.compress_file(name, "x.aez", preset="instant", overwrite=True, **options)  # type: ignore[arg-type]
    aezip.decompress_file("x.aez", f"again-{name}", overwrite=True)
    return f"again-{name}"


def test_parquet_comes_back_with_types_nulls_and_metadata(folder: Path) -> None:
    want = table()
    pyarrow.parquet.write_table(want, "t.parquet")
    want = pyarrow.parquet.read_table("t.parquet")
    found = pyarrow.parquet.read_table(again("t.parquet"))
    assert found.schema.equals(want.schema, check_metadata=True)
    assert found.drop_columns("nan").equals(want.drop_columns("nan"))
    np.testing.assert_array_equal(found["nan"].to_numpy(), want["nan"].to_numpy())
    assert found["nan"].null_count == 0
    with aezip.open("x.aez") as archive:
        assert {view.shape[1] for view in archive.values()} >= {3}  # doubles lie side by side


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zst"])
def test_csv_comes_back_with_equal_values(folder: Path, name: str) -> None:
    plain = table().select(["when", "temp", "wind", "count", "flag", "site"])
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(plain, sink)
    raw = sink.getvalue().to_pybytes()
    packed = {"t.csv": lambda b: b, "t.csv.gz": gzip.compress, "t.csv.zst": zstandard.compress}[name](raw)
    Path(name).write_bytes(packed)
    back = Path(again(name)).read_bytes()
    text = {"t.csv": lambda b: b, "t.csv.gz": gzip.decompress, "t.csv.zst": zstandard.decompress}[name](back)
    assert pyarrow.csv.read_csv(pa.py_buffer(text)).equals(pyarrow.csv.read_csv(pa.py_buffer(raw)))


LINES = {
    "plain": "a,b,c\n" + "".join(f"{i},{WALK[i]:.2f},s{i % 5}\n" for i in range(N)),
    "odd numbers": "a,b\n" + "".join(f"{i:05d},{WALK[i]:.3e}\n" for i in range(N)),
    "quotes": "a,b\n" + "".join(f'{i},"x {i}"\n' for i in range(N)),
    "windows": "a,b\r\n" + "".join(f"{i},{i}\r\n" for i in range(N)),
    "no end": "a,b\n" + "\n".join(f"{i},{i}" for i in range(N)),
    "gaps": "a,b\n" + "".join(f"{i if i % 3 else ''},-0.0\n" for i in range(N)),
    "large": "a\n" + "".join(f"{10**20 + i}\n" for i in range(N)),
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES)
def test_the_very_text_comes_back_where_that_is_asked(folder: Path, text: str) -> None:
    Path("t.csv").write_bytes(text.encode())
    assert Path(again("t.csv", exact_text=True)).read_bytes() == text.encode()


def test_columns_are_read_alone_and_bounds_are_by_column(folder: Path) -> None:
    want = table()
    pyarrow.parquet.write_table(want, "t.parquet")
    aezip.compress_file("t.parquet", bounds={"temp": aezip.Absolute(0.5), "w*": aezip.Absolute(0.1)}, preset="instant")
    found = aezip.read_table("t.parquet.aez", columns=["temp", "site"])
    assert found.column_names == ["temp", "site"]
    error = np.abs(found["temp"].to_numpy() - np.where(EVERY, np.nan, WALK))
    assert 0 < np.nanmax(error) <= 0.5
    assert found["temp"].null_count == EVERY.sum()
    whole = aezip.read_table("t.parquet.aez")
    assert np.abs(whole["wind"].to_numpy() - np.abs(WALK) / 3).max() <= 0.1
    assert whole["count"].equals(want["count"])
    assert whole["day"].equals(want["day"])
    with pytest.raises(InvalidInput, match="no column 'no'"):
        aezip.read_table("t.parquet.aez", columns=["no"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--bound", "site:abs=1"], "a bound is for numbers"),
        (["--bound", "when:abs=1"], "takes no bound"),
        (["--bound", "no:abs=1"], "fits no variable"),
        (["--exact-text"], "is no CSV file"),
    ],
)
def test_what_a_table_cannot_do(folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    pyarrow.parquet.write_table(table(), "t.parquet")
    assert cli.run(["compress", "t.parquet", "--preset", "instant", *words]) == 2
    assert said in capsys.readouterr().err


def test_malformed_tables_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, raw in {
        "a.csv": b"a,b\n1,2\n1,2,3\n",
        "b.csv.gz": b"no gzip",
        "c.csv.zst": b"no zstd",
        "d.parquet": b"PAR1 nothing",
        "e.csv": b"a,a\n1,2\n",
        "f.csv": b"",
    }.items():
        Path(name).write_bytes(raw)
        assert cli.run(["compress", name, "--preset", "instant"]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert name in err
    aezip.compress(np.arange(9.0), "x.aez", preset="instant")
    with pytest.raises(InvalidInput, match="of no table"):
        aezip.read_table("x.aez")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    Path("a.csv").write_bytes(b"a\n1\n")
    assert cli.run(["compress", "a.csv"]) == 2
    assert "pip install 'aezip[tables]'" in capsys.readouterr().err


def test_small_tables_are_kept_as_they_are(folder: Path) -> None:
    Path("t.csv").write_text("a,b\n1,x\n2,y\n")
    assert pyarrow.csv.read_csv(again("t.csv")).equals(pyarrow.csv.read_csv("t.csv"))
    with aezip.open("x.aez") as archive:
        assert list(archive) == []


def test_info_tells_which_columns_an_array_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = range(300)
    columns = {"id": [*rows], "name": [f"n{i}" for i in rows], "count": [i % 7 for i in rows], "temp": [i / 8 for i in rows]}
    pyarrow.csv.write_csv(pa.table(columns), "t.csv")
    assert cli.run(["compress", "t.csv", "--preset", "instant", "-q"]) == 0
    assert cli.run(["info", "t.csv.aez"]) == 0
    out = capsys.readouterr().out
    assert "holds     id, count\n" in out
    assert "holds     temp\n" in out
