"""Ratings: what was not rated is estimated by a stored model, in integers; what was rated comes back bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import cli
from aezip.apps.recommend import estimates as recommender
from aezip.apps.recommend.training import posterior, raters, ratings

USERS, ITEMS = 80, 50


def matrix() -> tuple[np.ndarray, np.ndarray]:
    """Return ratings of 1 to 5 by taste, nine in ten of them missing or held out, and all of them."""
    rng = np.random.default_rng(0)
    taste = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS))
    liked = rng.normal(size=ITEMS) + 0.5 * rng.normal(size=(USERS, 1))
    full = np.clip(np.rint(3.0 + 0.8 * taste + 0.7 * liked), 1, 5).astype("f4")
    known = rng.random(full.shape) < 0.4
    known[:, 0] = True
    return np.where(known, full, np.nan).astype("f4"), full


def error(estimates: np.ndarray, x: np.ndarray, full: np.ndarray) -> float:
    hidden = np.isnan(x)
    return float(np.sqrt(np.square(estimates - full)[hidden].mean()))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ratings") / "ratings.aez"
    aezip.compress(matrix()[0], path, recommend=True, preset="fast")
    return path


@pytest.mark.train
def test_ratings_come_back_bit_for_bit_and_estimates_beat_means(stored: Path) -> None:
    x, full = matrix()
    assert aezip.decompress(stored).tobytes() == x.tobytes()
    with aezip.open(stored) as archive:
        estimates = archive.predict("data")
        assert archive.report().arrays[0].recommender is not None
        assert archive.report().bytes["recommender"] > 0
        assert (archive.predict(None, [3, 70]) == estimates[[3, 70]]).all()
    assert estimates.shape == x.shape
    assert (estimates >= 1).all()
    assert (estimates <= 5).all()
    mean, rows, columns = raters.biases(x.astype(np.float64))
    # beyond what means of users and items tell
    assert error(estimates, x, full) < 0.9 * error(mean + rows[:, None] + columns, x, full)


def test_recommended_are_the_highest_of_what_was_not_rated(stored: Path) -> None:
    x, _ = matrix()
    with aezip.open(stored) as archive:
        found = archive.recommend(None, 5, 7)
        estimates = archive.predict(None, 5)[0]
    assert np.isnan(x[5, found.columns]).all()
    assert (found.estimates == np.sort(estimates[np.isnan(x[5])])[::-1][:7]).all()


@pytest.mark.train
def test_ratings_with_a_fill_value(tmp_path: Path) -> None:
    x, _ = matrix()
    filled = np.nan_to_num(x).astype("u1")
    path = tmp_path / "filled.aez"
    aezip.compress(filled, path, recommend=True, fill_value=0, preset="fast")
    with aezip.open(path) as archive:
        assert (archive["data"].read() == filled).all()
        assert (filled[4, archive.recommend(None, 4).columns] == 0).all()


def test_the_kernelized_network_learns_too() -> None:
    x, full = matrix()
    data = ratings._split(x.astype(np.float64), (1.0, 5.0), 0)
    kind = raters.Kernelized(0)
    kind.hidden = 40
    estimates, checks = kind(data, None)
    assert checks >= 1
    mean = np.full_like(x, np.nanmean(x))
    assert error(estimates.clip(1, 5), x, full) < 0.9 * error(mean, x, full)
    weights, found = ratings._weights(data, [estimates, mean.astype(np.float64)])
    assert weights[0] >= 0.5
    assert found <= data.error(estimates)


def test_what_others_held_out_with_the_same_seed_leaves_a_tenth_to_hold_out() -> None:
    x = matrix()[0].astype(np.float64)
    x[np.random.default_rng(0).random(x.shape) < 0.1] = np.nan
    held = ~np.isnan(ratings._split(x, (1.0, 5.0), 0).held)
    assert 0.05 < held.sum() / (~np.isnan(x)).sum() < 0.15


def test_latents_that_rows_share_are_found_whatever_is_missing() -> None:
    rng = np.random.default_rng(1)
    full = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 40)) + 2.0
    x = np.where(rng.random(full.shape) < 0.5, full, np.nan)
    data = ratings._split(x, (float(full.min()), float(full.max())), 0)
    made, networks = posterior.Probabilistic(0, epochs=2, networks=1)(data, None)
    assert networks in (0, 1)
    assert error(made, x, full) < 0.2 * float(full.std())


@pytest.mark.parametrize("rank", [1, 5, 400])
@pytest.mark.parametrize("precision", [0.02, 0.2])
def test_factors_are_as_precise_as_asked_and_survive_their_bytes(rank: int, precision: float) -> None:
    rng = np.random.default_rng(rank)
    full = 3.0 + rng.normal(size=(60, 3)) @ rng.normal(size=(3, 45))
    deviation = float(full.std())
    model = recommender.factored(full, 3.0, deviation, (float(full.min()), float(full.max())), rank, precision)
    again = recommender.from_bytes(recommender.to_bytes(model), full.shape)
    estimates = again.estimate(np.arange(60))
    assert (estimates == model.estimate(np.arange(60))).all()
    if rank >= 3:
        assert np.sqrt(np.square(estimates - full).mean()) < 1.5 * precision * deviation


def test_estimates_are_exact_integers(stored: Path) -> None:
    with aezip.open(stored) as archive:
        model = archive["data"].recommender
        row = archive.predict(None, 9)[0]
    factors = [int(v) for v in model.rows[9].tolist()]
    for column in range(0, ITEMS, 7):
        other = [int(v) for v in model.columns[column].tolist()]
        product = sum(a * b for a, b in zip(factors[1:], other[1:], strict=True))
        half, rest = divmod(product, 1 << model.shift) if model.shift else (product, 0)
        up = 2 * rest > 1 << model.shift or (2 * rest == 1 << model.shift and half % 2)
        whole = half + bool(model.shift and up) + factors[0] + other[0]
        assert row[column] == min(max(model.centre + whole * model.unit, model.lowest), model.highest)


GOOD = recommender.to_bytes(
    recommender.factored(np.outer(np.arange(1.0, 21.0), np.arange(1.0, 13.0)), 60.0, 40.0, (1.0, 240.0), 2, 0.05)
)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_change_of_a_byte_is_read_or_refused(at: int, change: int) -> None:
    wrong = bytearray(GOOD)
    wrong[at] ^= change
    try:
        estimates = recommender.from_bytes(bytes(wrong), (20, 12)).estimate(np.arange(20))
    except aezip.CorruptFile:
        return
    assert np.isfinite(estimates).all()


@given(st.integers(0, len(GOOD) - 1))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(aezip.CorruptFile):
        recommender.from_bytes(GOOD[:size], (20, 12))


def test_a_recommender_of_another_matrix_is_refused() -> None:
    with pytest.raises(aezip.CorruptFile, match="does not fit"):
        recommender.from_bytes(GOOD, (12, 20))


def holes(row: int) -> np.ndarray:
    x = matrix()[0]
    x[row] = np.nan
    return x


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (holes(7), "row 7 has no rating"),
        (matrix()[1], "no entry is missing"),
        (np.full((30, 30), np.nan), "row 0 has no rating"),
        (np.where(np.eye(20) > 0, 3.0, np.nan), "too few"),
        (matrix()[0].reshape(USERS, 5, 10), "matrix of real ratings"),
    ],
)
def test_what_is_no_ratings_matrix_is_refused(array: np.ndarray, words: str, tmp_path: Path) -> None:
    with pytest.raises(aezip.InvalidInput, match=words):
        aezip.compress(array, tmp_path / "x.aez", recommend=True, preset="fast")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rows", "words"), [(USERS, "out of range"), ([0, -1], "out of range"), (1.5, "whole number"), ("all", "whole number")]
)
def test_bad_rows_are_refused(stored: Path, rows: Any, words: str) -> None:
    with aezip.open(stored) as archive, pytest.raises(aezip.InvalidInput, match=words):
        archive.predict(None, rows)


def test_the_command(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["recommend", str(stored), "--user", "3", "-n", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["items"]) == len(found["estimates"]) == 4
    assert cli.run(["recommend", str(stored), "--user", "3", "-n", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert cli.run(["info", str(stored)]) == 0
    assert "held out" in capsys.readouterr().out
    aezip.compress(np.arange(9), tmp_path / "plain.aez", preset="fast")
    assert cli.run(["recommend", str(tmp_path / "plain.aez"), "--user", "0"]) == 2
    assert cli.run(["recommend", str(stored), "--user", str(USERS)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "--recommend" in lines[0]
    assert "out of range" in lines[1]


def test_estimates_need_no_torch_and_no_decoding(stored: Path) -> None:
    program = (
        "import sys\nsys.modules['torch'] = None\nimport aezip\nfrom aezip.codec import decoder\n"
        "def refuse(*a, **k):\n    raise AssertionError\n"
        f"archive = aezip.open({str(stored)!r})\n"
        "assert len(archive.recommend(None, 0, 4).columns) == 4\n"
        "decoder.ArrayDecoder.decode_chunk = refuse\n"
        f"assert archive.predict(None, [0, 1]).shape == (2, {ITEMS})\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
