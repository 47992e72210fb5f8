"""A fill value that nobody declared is told of; data that merely look odd are not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.array.layout import Piece
from aezip.array.undeclared import suspect, undeclared


def field() -> np.ndarray:
    """Return temperatures, a tenth of them filled with 1e20."""
    x = np.linspace(270.0, 300.0, 4096).reshape(64, 64).astype(np.float32)
    x[:7] = 1e20
    return x


@pytest.mark.train
@pytest.mark.parametrize("bound", [aezip.RangeRelative(1e-3), aezip.PSNR(60.0)])
def test_a_filled_field_is_told_of(bound: aezip.Bound) -> None:
    with pytest.warns(aezip.FillWarning, match=r"1e\+20 looks like a fill value"):
        aezip.Codec(bound=bound, preset="fast").encode(field())


@pytest.mark.train
@pytest.mark.parametrize(
    ("bound", "fill"),
    [(aezip.RangeRelative(1e-3), 1e20), (aezip.Absolute(0.1), None), (aezip.Lossless(), None)],
)
def test_declared_or_not_relative_is_silent(bound: aezip.Bound, fill: float | None) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        aezip.compress(field(), None, bound=bound, fill_value=fill, preset="fast")


@pytest.mark.parametrize(
    "values",
    [
        np.r_[np.zeros(500), np.ones(500)],  # a mask
        np.r_[np.linspace(0, 1, 100_000), 1e9],  # one outlier
        np.minimum(np.linspace(0, 2, 1000), 1.0),  # clipped
        np.exp(np.random.default_rng(0).normal(0, 3, 10_000)),  # heavy tail
        np.full(100, np.nan),
        np.zeros(0),
    ],
)
def test_others_are_not_suspected(values: np.ndarray) -> None:
    assert suspect(values, 1e-3) is None


@pytest.mark.parametrize("share", [1e-3, 0.1, 0.999, 2.0])
@pytest.mark.parametrize("top", [2, 16, 255, 65535])
def test_random_integers_are_not_suspected(top: int, share: float) -> None:
    for seed in range(20):
        values = np.random.default_rng(seed).integers(0, top, 5000)
        assert suspect(values, share) is None
        assert suspect(np.r_[values, top + 1, top + 1], share) is None


@pytest.mark.parametrize("fill", [-9999.0, 1e20, -32768.0])
def test_low_and_high_ones_are_found(fill: float) -> None:
    values = np.r_[np.linspace(0.0, 1.0, 990), np.full(10, fill)]
    assert suspect(values, 1e-3) == fill


def test_one_column_is_enough_where_each_has_its_range() -> None:
    table = np.random.default_rng(1).normal(size=(1000, 3))
    table[::7, 1] = -1e10
    piece = Piece(table, None, 0)
    assert undeclared([piece], 1e-3, by_column=True) == -1e10
    assert undeclared([Piece(table, table == -1e10, 0)], 1e-3, by_column=True) is None


@pytest.mark.train
def test_the_command_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("t.npy", field())
    command = ["compress", "t.npy", "--range-rel", "1e-3", "--preset", "fast", "--no-progress"]
    assert cli.run(command) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(lines) == 1
    assert "--fill-value" in lines[0]
    assert cli.run([*command, "-f", "-q"]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("fill", [-9999.0, -999.0, -32768.0, 1e20])
def test_what_is_customary_needs_not_lose_all_else(fill: float) -> None:
    values = np.linspace(-120.0, 150.0, 2000)
    values[::100] = fill
    assert suspect(values, 1e-6) == fill
    assert suspect(np.where(values == fill, 1234.5, values), 1e-6) is None
