"""The plan `columns`: buckets, lags, chains of them, and what hostile bytes do."""

from __future__ import annotations

import itertools

import hostile
import numpy as np
import pytest
from helpers import NOT_BUILT
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.entropy import distances, residual
from aezip.plans.columns import clusters, coding, recency
from aezip.plans.columns.lag import follow
from aezip.plans.columns.place import moved
from aezip.plans.columns.plan import ColumnPlan
from aezip.plans.columns.relations import _arborescence, related
from aezip.quantize.grid import HiddenGrid, LinearGrid
from aezip.quantize.lattice import IntegerLattice

GRID = HiddenGrid(IntegerLattice(1, 0))
PLAIN = ColumnPlan()


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


def through(x: np.ndarray, plan: ColumnPlan = PLAIN, masked: np.ndarray | None = None) -> tuple[bytes, np.ndarray]:
    coded = plan.encode(GRID, None, None, x, masked)
    seen = np.ones(x.shape, bool) if masked is None else ~masked
    assert (coded.decoded == x)[seen].all()
    return coded.streams["data"], plan.decode(GRID, None, coded.streams, x.shape, x.dtype, masked)


def ways(data: bytes, count: int) -> list[coding.Coding]:
    """Return how columns are coded."""
    return [coding.Coding.of(byte) for byte in data[:count]]


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
def test_any_chunk_comes_back(x: np.ndarray) -> None:
    assert (through(x)[1] == x).all()
    masked = np.random.default_rng(3).random(x.shape) < 0.3
    seen = ~masked
    assert (through(x, masked=masked)[1] == x)[seen].all()
    assert through(x, masked=np.ones(x.shape, bool))[1].shape == x.shape
    if x.ndim == 2:
        count = x.shape[1]
        keyed = ColumnPlan(tuple(range(count))[::-1], (0, *range(1, count)))
        assert (through(x, keyed)[1] == x).all()
        assert (through(x, keyed, masked)[1] == x)[seen].all()


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
def test_ranks_are_taken_for_what_stays_or_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    x = staircase(9000)
    with_ranks = through(x)[0]
    assert ways(with_ranks, 3)[0].predictor == coding.RECENCY
    assert ways(with_ranks, 3)[2] == (coding.DIFFERENCE, 0)
    monkeypatch.setattr(recency, "promising", lambda column: False)
    assert len(with_ranks) < 0.9 * len(through(x)[0])
    monkeypatch.undo()
    data, report = aezip.compress(x, preset="fast")
    assert report.plan["kind"] == "columns"
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
    assert report.plan["kind"] == "columns"
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


def test_lags_are_worth_their_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x = session_log(20_000)[:, 2:]  # by itself: the users would tell more
    monkeypatch.setattr(clusters, "passes", lambda value, groups: None)
    data, back = through(x)
    assert ways(data, 1)[0].predictor == coding.LAG
    value, difference, lag = (
        residual.cost(coding._passes(x[:, 0].astype("i8"), predictor), 9)
        for predictor in (coding.VALUE, coding.DIFFERENCE, coding.LAG)
    )
    assert lag < 0.8 * min(value, difference)
    assert (back == x).all()


@pytest.mark.train
def test_selection_takes_it_for_a_log() -> None:
    x = session_log(20_000)
    data, report = aezip.compress(x, preset="fast")
    assert report.plan["kind"] == "columns"
    assert (aezip.decompress(data) == x).all()


@pytest.mark.train
@pytest.mark.parametrize("x", [session_log(400), staircase(400)])
def test_damaged_chunks_are_refused_or_decode_to_something(x: np.ndarray) -> None:
    plan = ColumnPlan((), (0, 0, 1))
    data, _ = through(x, plan)
    refused = 0
    for changed in hostile.flips(data, 600):
        try:
            back = plan.decode(GRID, None, {"data": changed}, x.shape, x.dtype, None)
            assert back.shape == x.shape
        except (CorruptFile, ValueError, IndexError, OverflowError):  # the three are named by the decoder of chunks
            refused += 1
    assert refused > 100
    with pytest.raises(CorruptFile):
        follow(np.array([1, 2, 3]), np.array([1, 1, 3]))
    for way in (40, 255, 32, 17, 29, 33):  # a network where there is none, and what nobody has
        with pytest.raises(CorruptFile):
            plan.decode(GRID, None, {"data": bytes([way]) + data[1:]}, x.shape, x.dtype, None)


def routes(rows: int) -> np.ndarray:
    """Return rows of (time, flight, distance, delay): a flight flies each day at about its time, always as far."""
    rng = np.random.default_rng(5)
    flights = rng.permutation(9000)[: rows // 40]
    far, leaves = rng.integers(100, 4000, len(flights)), rng.integers(300, 1300, len(flights))
    which = np.concatenate([rng.permutation(len(flights)) for _ in range(40)])
    return np.stack(
        [leaves[which] + rng.integers(0, 2, len(which)), flights[which], far[which], rng.geometric(0.1, len(which))], axis=1
    )


def test_rows_sorted_by_a_key_stand_still() -> None:
    x = routes(6000)
    plain, keyed = through(x)[0], through(x, ColumnPlan((), (0, 0, 2, 0)))[0]
    assert len(keyed) < 0.8 * len(plain)


def test_keys_and_an_order_are_found() -> None:
    found = related(routes(6000)[:, [2, 0, 3, 1]])
    assert found
    order, keys = found[0]
    named = [(2, 0, 3, 1)[column] for column in order]
    keyed = [column for column, key in zip(named, keys, strict=True) if key]
    assert {1, 2} & set(keyed)  # the flight tells the distance, or the other way round
    assert 3 not in keyed


@given(st.integers(0, 10**6))
def test_the_order_is_that_of_the_cheapest_tree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 5))
    cost = rng.integers(1, 9, (count + 1, count + 1)).astype("f8")
    np.fill_diagonal(cost, np.inf)
    key = _arborescence(cost.copy(), count)
    total = sum(cost[c, key[c]] for c in range(count))

    def reaches(keys: tuple[int, ...], node: int) -> bool:
        for _ in range(count):
            node = keys[node] if node < count else node
        return node == count

    trees = [
        t for t in itertools.product(range(count + 1), repeat=count) if all(t[c] != c and reaches(t, c) for c in range(count))
    ]
    assert total == min(sum(cost[c, t[c]] for c in range(count)) for t in trees)


@pytest.mark.train
def test_networks_predict_what_sums_and_keys_what_returns() -> None:
    rng = np.random.default_rng(6)
    x = np.column_stack([routes(12_000), rng.integers(0, 5000, (12_000, 2))])
    x = np.column_stack([x, x[:, 4] - x[:, 5] + rng.integers(0, 3, len(x))])
    x[::91, 6] = 0
    data, report = aezip.compress(x, preset="fast")
    assert report.plan["kind"] == "columns"
    at = report.plan.get("order", list(range(7)))
    assert at.index(6) in report.plan["networks"]["columns"] or at.index(4) in report.plan["networks"]["columns"]
    assert any(report.plan["keys"])
    assert (aezip.decompress(data) == x).all()
    lossy, report = aezip.compress(x.astype("f8"), bound=aezip.Absolute(1.0), preset="fast")
    assert np.abs(aezip.decompress(lossy) - x).max() <= 1.0


@pytest.mark.parametrize(
    "said",
    [
        {"order": [0, 0, 1]},
        {"order": [0, 1]},
        {"order": "012"},
        {"keys": [1, 0, 0]},
        {"keys": [0, 3, 0]},
        {"keys": [0, -1, 0]},
        {"keys": [0, 0]},
        {"keys": [0, True, 0]},
        {"networks": {}},
        {"networks": {"columns": [], "hidden": 4, "scale_hidden": 4}},
        {"networks": {"columns": [1, 0], "hidden": 4, "scale_hidden": 4}},
        {"networks": {"columns": [3], "hidden": 4, "scale_hidden": 4}},
        {"networks": {"columns": [1], "hidden": 0, "scale_hidden": 0}},
        {"networks": {"columns": [1], "hidden": 4, "scale_hidden": 5}},
        {"networks": {"columns": [1], "hidden": 4, "scale_hidden": 4, "by_feature": 1}},
        {"networks": {"columns": [1], "hidden": 4, "scale_hidden": 4, "differences": [1, 0]}},
        {"networks": {"columns": [1], "hidden": 4, "scale_hidden": 4, "differences": [1, 0, 2]}},
    ],
)
def test_malformed_plans_are_refused(said: dict[str, object]) -> None:
    with pytest.raises(CorruptFile):
        ColumnPlan.read(said, (90, 3), GRID)
