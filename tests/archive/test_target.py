"""Files of a size: the bound is found, not given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.archive import target
from aezip.core.errors import InvalidInput

ROUGH = np.random.default_rng(1).normal(size=(60, 700)).cumsum(axis=1).astype("f4")
EIGHTH = ROUGH.nbytes / 8


def test_a_file_is_as_small_as_asked_and_not_much_smaller(tmp_path: Path) -> None:
    tried: list[tuple[aezip.Bound, int]] = []
    path = tmp_path / "x.aez"
    data, report = aezip.compress_to(ROUGH, path, EIGHTH, preset="instant", told=lambda *one: tried.append(one))
    assert path.read_bytes() == data
    assert target.SMALL_ENOUGH * EIGHTH <= len(data) <= EIGHTH
    bound, made = tried[-1]
    assert made == len(data)
    assert report.arrays[0].bound == bound.to_json()
    assert bound.share_of_range is not None
    assert np.abs(aezip.decompress(data) - ROUGH).max() <= bound.share_of_range * np.ptp(ROUGH.astype("f8"))
    assert len(tried) <= target.FILES


def test_a_tighter_bound_would_not_do() -> None:
    data, report = aezip.compress_to(ROUGH, None, EIGHTH, preset="instant")
    tighter = aezip.RangeRelative(report.arrays[0].bound["value"] * 0.8)
    assert len(data) <= EIGHTH < len(aezip.compress(ROUGH, bound=tighter, preset="instant")[0])


def test_where_it_fits_nothing_is_lost() -> None:
    data, report = aezip.compress_to(ROUGH, None, 2 * ROUGH.nbytes, preset="instant")
    assert report.arrays[0].bound == {"kind": "lossless"}
    assert (aezip.decompress(data) == ROUGH).all()


def test_several_arrays_have_one_bound_and_one_size() -> None:
    columns = np.ascontiguousarray(ROUGH.T[:400, :6])
    arrays = {"a": columns, "b": columns[:, ::-1] * 3 + 7}
    data, report = aezip.compress_to(arrays, None, columns.nbytes / 2, preset="instant", per_feature=True)
    assert 0.9 * columns.nbytes / 2 < len(data) <= columns.nbytes / 2
    first, second = (array.bound for array in report.arrays)
    assert first == second
    assert first["per_feature"]


@pytest.mark.parametrize(("size", "words"), [(200.0, "ask for more"), (0.0, "positive"), (float("nan"), "positive")])
def test_what_cannot_be_is_refused_and_nothing_written(size: float, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=words):
        aezip.compress_to(ROUGH, tmp_path / "x.aez", size, preset="instant")
    assert not list(tmp_path.iterdir())


def test_a_bound_beside_a_size_is_refused() -> None:
    with pytest.raises(InvalidInput, match="leave bound= away"):
        aezip.compress_to(ROUGH, None, EIGHTH, bound=aezip.Absolute(1.0))


@pytest.mark.parametrize("factor", [1.4, 0.7])
def test_an_estimate_that_is_wrong_is_set_right(factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = target._Expected.of
    monkeypatch.setattr(target._Expected, "of", lambda self, bound: expected(self, bound) / factor)
    data, _ = aezip.compress_to(ROUGH, None, EIGHTH, preset="instant")
    assert 0.9 * EIGHTH < len(data) <= EIGHTH


@pytest.fixture
def source(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", ROUGH)
    return tmp_path / "x.npy"


def test_the_command_line_says_what_it_looked_at(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = source.with_name("x.npy.aez")
    assert cli.run(["compress", str(source), "--target-ratio", "8", "--preset", "instant", "--no-progress"]) == 0
    assert "range-relative" in capsys.readouterr().err
    assert target.SMALL_ENOUGH * EIGHTH <= made.stat().st_size <= EIGHTH
    assert cli.run(["compress", str(source), "-f", "-q", "--target-size", "20KiB", "--preset", "instant"]) == 0
    assert capsys.readouterr() == ("", "")
    assert made.stat().st_size <= 20 * 1024


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--target-size", "10xB"], "is no size"),
        (["--target-size", "0MB"], "is no size"),
        (["--target-size", "1.2.3MB"], "is no size"),
        (["--target-ratio", "-3"], "positive"),
        (["--target-ratio", "3", "--abs", "1"], "--target-ratio finds the bound by itself"),
        (["--target-ratio", "3", "--lossless"], "--target-ratio finds the bound by itself"),
        (["--target-ratio", "3", "--bound", "x:abs=1"], "--target-ratio finds the bound by itself"),
        (["--target-ratio", "3", "--target-size", "1MB"], "one of them"),
        (["--target-ratio", "3", "--recommend"], "go with a bound"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    source: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["compress", str(source), "--preset", "instant", *words]) == 2
    assert said in capsys.readouterr().err
    assert not source.with_name("x.npy.aez").exists()


def test_whole_files_of_a_size(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source, made = tmp_path / "x.h5", tmp_path / "x.aez"
    with h5py.File(source, "w") as file:
        file["rough"], file["rougher"], file["count"] = ROUGH, ROUGH[::-1] * 3.0, np.arange(5000)
    assert cli.run(["compress", str(source), "-o", str(made), "-q", "--target-size", "20kB", "--preset", "instant"]) == 0
    assert target.SMALL_ENOUGH * 20_000 <= made.stat().st_size <= 20_000
    with aezip.open(made) as archive:
        shares = {name: archive[name].bound.to_json()["kind"] for name in archive}
        np.testing.assert_array_equal(archive["count"][:], np.arange(5000))
    assert shares == {"rough": "range_relative", "rougher": "range_relative", "count": "lossless"}


def test_a_file_without_a_variable_that_a_size_can_be_for_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["count"] = np.arange(5000)
    assert cli.run(["compress", str(tmp_path / "x.h5"), "--target-size", "1kB"]) == 2
    assert "no variable that a bound is for" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]
