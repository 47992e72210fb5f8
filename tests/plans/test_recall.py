"""The plan `recall`: buckets, lags, chains of them, and what hostile bytes do."""

from __future__ import annotations

import hostile
import numpy as np
import pytest
from helpers import NOT_BUILT
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.entropy import residual
from aezip.plans.columns import distances, recency
from aezip.plans.columns import plan as recall
from aezip.plans.columns.lag import follow
from aezip.plans.columns.place import moved
from aezip.quantize.grid import HiddenGrid, LinearGrid
from aezip.quantize.lattice import IntegerLattice

GRID = HiddenGrid(IntegerLattice(1, 0))


def session_log(rows: int) -> np.ndarray:
    """Return rows of (user, item, time): times of a user's sessions come in any order, many of them repeated."""
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(0, rows // 60 + 1, rows))
    item = np.concatenate([np.sort(rng.integers(0, 1600, n)) for n in np.bincount(user)])
    begin = rng.integers(880_000_000, 890_000_000, user.max() + 1)
    time = begin[user] + 20 * rng.integers(0, 9, rows) ** 3
    return np.stack([user, item, time], axis=1).astype("i4")


def staircase(rows: int) -> np.ndarray:
    """Return columns that stay at one of a few values for long: machines that are on, off, or on one of some settings."""
    rng = np.random.default_rng(1)
    stay = np.repeat(np.arange(rows // 9 + 1), rng.geometric(0.1, rows // 9 + 1))[:rows]
    stay = np.append(stay, np.full(rows - len(stay), rows // 9))
    settings = rng.integers(-(2**40), 2**40, 5)[rng.integers(0, 5, rows // 9 + 1)]
    other = np.where(rng.random(rows) < 0.01, rng.integers(0, 10**6, rows), settings[stay] % 7)
    return np.stack([settings[stay], other, np.arange(rows)], axis=1)


def through(x: np.ndarray, recent: bool = False) -> tuple[bytes, np.ndarray]:
    data, decoded = recall.ColumnPlan(recent).pack(GRID, x, None)
    assert (decoded == x).all()
    return data, recall.ColumnPlan(recent).unpack(GRID, data, x.shape, x.dtype)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60))
def test_buckets_hold_every_number(numbers: list[int]) -> None:
    value = np.array(numbers, np.int64)
    part = distances.buckets(value, np.zeros(len(value), np.uint16))
    counts = residual.TableCounts(1)
    counts.add(part.symbols, part.contexts)
    tables, _ = residual.tables_from_bytes(counts.to_bytes(), 1)
    reader = residual.ResidualReader(tables, residual.encode(tables, [part]))
    assert (distances.from_buckets(reader, part.contexts) == value).all()
    reader.finish()


@pytest.mark.parametrize("recent", [False, True])
@pytest.mark.parametrize(
    "x",
    [
        staircase(9001),
        staircase(4097)[:, 0],
        np.full((3, 2), -7),
        session_log(3000),
        session_log(3000)[:, 2],
        session_log(1),
        np.zeros((0, 3), "i4"),
        np.random.default_rng(0).integers(-(2**40), 2**40, (200, 3)),
        np.array([[-(2**63)], [2**63 - 1], [0], [-1]]),
        np.arange(24).reshape(2, 3, 4),
    ],
)
def test_any_chunk_comes_back(x: np.ndarray, recent: bool) -> None:
    assert (through(x, recent)[1] == x).all()


def test_ranks_are_places_in_the_list_of_what_was_seen_last() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 30, (200, 3)) ** 9
    ranks, away = recency.to_ranks(values)
    seen: list[list[int]] = [[0] * recency.RECENT for _ in range(3)]
    for step in range(200):
        for lane, recent in enumerate(seen):
            value = int(values[step, lane])
            rank = recent.index(value) if value in recent else recency.RECENT
            assert (ranks[step, lane], away[step, lane]) == (rank, value - recent[0])
            recent.insert(0, recent.pop(min(rank, recency.RECENT - 1)) if rank < recency.RECENT else value)
            del recent[recency.RECENT :]
    assert (recency.to_values(ranks, away) == values).all()


@pytest.mark.skipif(not kernels.available(kernels.ENOUGH), reason=NOT_BUILT)
def test_compiled_ranks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(0, 40, (100, 5)) ** 9 - 2**50
    plain = recency.to_ranks(values)
    monkeypatch.setattr(kernels, "ENOUGH", 0)
    compiled = recency.to_ranks(values)
    assert all((a == b).all() for a, b in zip(plain, compiled, strict=True))
    assert (recency.to_values(*compiled) == values).all()


@pytest.mark.train
def test_ranks_are_taken_for_what_stays_or_returns() -> None:
    x = staircase(9000)
    with_ranks, without = through(x, True)[0], through(x)[0]
    assert with_ranks[0] >= recall.RECENCY
    assert with_ranks[2] == recall.DIFFERENCE
    assert len(with_ranks) < 0.8 * len(without)
    data, report = aezip.compress(x, preset="fast")
    assert report.plan["kind"] == "recall"
    assert report.plan["recency"]
    with aezip.open(data) as archive:
        assert archive["data"]._header["plan"]["recency"] is True
    assert (aezip.decompress(data) == x).all()


def test_a_grid_is_moved_to_where_values_repeat_most() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.choice([-0.3, 0.31], 5000), rng.choice([0.3, 0.6], 5000)], axis=1)  # about a border of steps of 1; and not
    grid = LinearGrid(np.array(1.0), np.array(0.5), True)
    placed = moved(grid, x, None)
    assert len(np.unique(grid.integers(x)[:, 0])) == 2
    assert [len(np.unique(k)) for k in placed.integers(x).T] == [1, 1]
    assert np.abs(placed.values(placed.integers(x), x.dtype) - x).max() <= 0.5
    gaps = np.where(rng.random(x.shape) < 0.3, np.nan, x)
    beside = moved(grid, gaps, np.isnan(gaps)).integers(x)
    assert [len(np.unique(k)) for k in beside.T] == [1, 1]


@pytest.mark.train
def test_a_loose_bound_of_a_log_is_kept() -> None:
    x = session_log(20_000)
    data, report = aezip.compress(x, bound=aezip.RangeRelative(1e-3), preset="fast")
    assert report.plan["kind"] == "recall"
    assert len(data) < 2000
    y = aezip.decompress(data)
    assert np.abs(y.astype("f8") - x).max() <= 1e-3 * (float(x.max()) - float(x.min()))


def test_chains_of_lags_end_at_the_first_value() -> None:
    rng = np.random.default_rng(0)
    distance = rng.integers(-9, 9, 1000)
    lag = np.minimum(rng.integers(1, 255, 1000), np.arange(1000).clip(1))
    slow = distance.copy()
    for i in range(1, 1000):
        slow[i] += slow[i - lag[i]]
    assert (follow(distance, lag) == slow).all()


def test_lags_are_worth_their_bits() -> None:
    x = session_log(20_000)
    data, back = through(x)
    assert list(data[:3]) == [recall.DIFFERENCE, recall.DIFFERENCE, recall.LAG]
    plain = [recall._bytes(recall._passes(x[:, 2].astype("i8"), mode, 0)) for mode in (recall.VALUE, recall.DIFFERENCE)]
    assert recall._bytes(recall._passes(x[:, 2].astype("i8"), recall.LAG, 0)) < 0.8 * min(plain)
    assert (back == x).all()


@pytest.mark.train
def test_selection_takes_it_for_a_log() -> None:
    x = session_log(20_000)
    data, report = aezip.compress(x, preset="fast")
    assert report.plan == {"kind": "recall"}
    assert (aezip.decompress(data) == x).all()


@pytest.mark.train
@pytest.mark.parametrize(("x", "recent"), [(session_log(400), False), (staircase(400), True)])
def test_damaged_chunks_are_refused_or_decode_to_something(x: np.ndarray, recent: bool) -> None:
    data, _ = through(x, recent)
    refused = 0
    for changed in hostile.flips(data, 600):
        try:
            back = recall.ColumnPlan(recent).unpack(GRID, changed, x.shape, x.dtype)
            assert back.shape == x.shape
        except (CorruptFile, ValueError, IndexError, OverflowError):  # the three are named by the decoder of chunks
            refused += 1
    assert refused > 100
    with pytest.raises(CorruptFile):
        follow(np.array([1, 2, 3]), np.array([1, 1, 3]))
    with pytest.raises(CorruptFile):
        recall.ColumnPlan().unpack(GRID, bytes([3, 0, 0]) + data[3:], x.shape, x.dtype)
    with pytest.raises(CorruptFile):
        recall.ColumnPlan(True).unpack(GRID, bytes([recall.CLASSES, 0, 0]) + data[3:], x.shape, x.dtype)
