"""What presets are expected to make, before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.archive.foreseeing import foresee

ROUGH = np.random.default_rng(1).normal(size=(60, 700)).cumsum(axis=1).astype("f4")
BOUND = aezip.RangeRelative(1e-3)


@pytest.mark.train
def test_what_is_expected_is_near_what_is_made() -> None:
    arrays = {"rough": ROUGH, "exact": np.arange(6000).reshape(20, 300) % 7}
    instant, fast, *longer = foresee(arrays, {"rough": BOUND})
    assert [one.preset for one in (instant, fast, *longer)] == ["instant", "fast", "balanced", "best"]
    for one in (instant, fast):
        made = len(aezip.compress(arrays, bound={"rough": BOUND}, preset=one.preset)[0])
        assert abs(one.bytes / made - 1) < 0.1
        assert not one.at_most
        assert one.ratio == pytest.approx(sum(a.nbytes for a in arrays.values()) / one.bytes)
    assert all(one.at_most and one.bytes == fast.bytes for one in longer)
    assert 0 < instant.seconds < fast.seconds < longer[0].seconds < longer[1].seconds


@pytest.mark.train
def test_of_a_large_array_a_part_is_compressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aezip.archive.foreseeing.PART", 1 << 13)
    wide = np.concatenate([ROUGH, ROUGH[::-1]])
    instant, fast, *_ = foresee({"x": wide}, BOUND)
    made = len(aezip.compress(wide, bound=BOUND, preset="instant")[0])
    assert abs(instant.bytes / made - 1) < 0.1
    assert fast.bytes <= instant.bytes


@pytest.mark.train
def test_of_nothing_little_is_expected() -> None:
    assert all(one.bytes < 1000 for one in foresee({"none": np.zeros((0, 3))}))
    assert all(one.bytes < 1000 for one in foresee({"one": np.float32(3.5)}))


@pytest.mark.train
def test_a_dry_run_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    h5py = pytest.importorskip("h5py")
    np.save(tmp_path / "x.npy", ROUGH[:20])
    with h5py.File(tmp_path / "y.nc", "w") as file:
        file["rough"] = ROUGH[:20]
    for words in (["x.npy", "--range-rel", "1e-3"], ["y.nc", "--bound", "rough:range-rel=1e-3"]):
        assert cli.run(["compress", str(tmp_path / words[0]), *words[1:], "--dry-run"]) == 0
        told = capsys.readouterr().out
        assert all(preset in told for preset in ("instant", "fast", "balanced", "best"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.npy", "y.nc"]


def test_what_a_dry_run_does_not_tell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", ROUGH[:2])
    assert cli.run(["compress", str(tmp_path / "x.npy"), "--dry-run", "--target-ratio", "3"]) == 2
    assert "leave --dry-run away" in capsys.readouterr().err
