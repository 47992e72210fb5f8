"""Structural similarity asked for: the bound is found, and every plane of the decoded array is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.core.errors import InvalidInput
from aezip.tools import alike
from aezip.tools.quality import similarity

RNG = np.random.default_rng(3)
PICTURES = (np.cumsum(np.cumsum(RNG.normal(size=(3, 60, 70)), 1), 2) + RNG.normal(size=(3, 60, 70))).astype("f4")


def least(x: np.ndarray, y: np.ndarray) -> float:  # type: ignore[type-arg]
    x, y = x.astype("f8") - x.mean(), y.astype("f8") - x.mean()
    return min(float(similarity(a, b, np.ones(a.shape, bool), float(np.ptp(x))).mean()) for a, b in zip(x, y, strict=True))


@pytest.mark.parametrize("ssim", [0.9, 0.999])
def test_every_plane_is_as_like_as_asked_and_not_much_more(ssim: float) -> None:
    tried = []
    data, report = aezip.compress_alike(PICTURES, None, ssim, preset="instant", told=lambda *one: tried.append(one))
    found = least(PICTURES, aezip.decompress(data))
    assert ssim <= found <= 1 - 0.4 * (1 - ssim)
    assert len(tried) <= alike.FILES
    assert report.arrays[0].bound["kind"] == "range_relative"
    smaller = aezip.RangeRelative(report.arrays[0].bound["value"] * 2)
    assert least(PICTURES, aezip.decompress(aezip.compress(PICTURES, bound=smaller, preset="instant")[0])) < ssim


def test_several_arrays_each_have_a_bound_of_their_own() -> None:
    named = {"rough": RNG.normal(size=(40, 40)), "smooth": PICTURES[0]}
    data, report = aezip.compress_alike(named, None, 0.99, preset="instant")
    back = aezip.decompress(data)
    assert all(least(named[name][None], back[name][None]) >= 0.99 for name in named)
    assert len({one.bound["value"] for one in report.arrays}) == 2


def test_missing_values_do_not_count() -> None:
    holed = PICTURES.copy()
    holed[:, :20, :20], holed[0, 40, 40] = 1e20, np.nan
    data, report = aezip.compress_alike(holed, None, 0.99, preset="instant", fill_value=1e20)
    back = aezip.decompress(data)
    np.testing.assert_array_equal(back[:, :20, :20], holed[:, :20, :20])
    assert report.arrays[0].bound["value"] > 1e-6


def test_an_array_of_one_value_is_kept() -> None:
    flat = np.full((9, 9), 2.5, "f4")
    np.testing.assert_array_equal(aezip.decompress(aezip.compress_alike(flat, None, 0.99, preset="instant")[0]), flat)


def test_the_command_line_says_what_it_looked_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", PICTURES)
    assert cli.run(["compress", str(tmp_path / "x.npy"), "--ssim", "0.99", "--preset", "instant", "--no-progress"]) == 0
    assert "at least 0.99 wanted" in capsys.readouterr().err
    assert least(PICTURES, aezip.decompress(tmp_path / "x.npy.aez")) >= 0.99


@pytest.mark.parametrize(
    ("array", "words", "told"),
    [
        (PICTURES[0, 0], ["--ssim", "0.9"], "planes of at least 7 x 7"),
        (PICTURES, ["--ssim", "1.5"], "between 0 and 1"),
        (PICTURES, ["--ssim", "0.9", "--abs", "1"], "--ssim finds the bound by itself"),
        (PICTURES, ["--ssim", "0.9", "--target-ratio", "4"], "give one of them"),
    ],
)
def test_what_cannot_be_is_refused(
    array: np.ndarray,
    words: list[str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],  # type: ignore[type-arg]
) -> None:
    np.save(tmp_path / "x.npy", array)
    assert cli.run(["compress", str(tmp_path / "x.npy"), *words]) == 2
    assert told in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


def test_a_bound_beside_a_similarity_is_refused() -> None:
    with pytest.raises(InvalidInput, match="leave bound= away"):
        aezip.compress_alike(PICTURES, None, 0.9, bound=aezip.Absolute(1.0))
