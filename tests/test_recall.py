"""The plan `recall`: buckets, lags, chains of them, and what hostile bytes do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import recall, residual
from aezip.errors import CorruptFile
from aezip.forms import Whole
from aezip.quantizer import HiddenGrid

GRID = HiddenGrid(Whole(1, 0))


def session_log(rows: int) -> np.ndarray:
    """Return rows of (user, item, time): times of a user's sessions come in any order, many of them repeated."""
    rng = np.random.default_rng(0)
    user = np.sort(rng.integers(0, rows // 60 + 1, rows))
    item = np.concatenate([np.sort(rng.integers(0, 1600, n)) for n in np.bincount(user)])
    begin = rng.integers(880_000_000, 890_000_000, user.max() + 1)
    time = begin[user] + 20 * rng.integers(0, 9, rows) ** 3
    return np.stack([user, item, time], axis=1).astype("i4")


def through(x: np.ndarray) -> tuple[bytes, np.ndarray]:
    data, decoded = recall.RecallPlan().encode(GRID, x, None)
    assert (decoded == x).all()
    return data, recall.RecallPlan().decode(GRID, data, x.shape, x.dtype)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=60))
def test_buckets_hold_every_number(numbers: list[int]) -> None:
    value = np.array(numbers, np.int64)
    part = recall.buckets(value, np.zeros(len(value), np.uint16))
    counts = residual.TableCounts(1)
    counts.add(part.symbols, part.contexts)
    tables, _ = residual.tables_from_bytes(counts.to_bytes(), 1)
    reader = residual.Decoder(tables, residual.encode(tables, [part]))
    assert (recall.from_buckets(reader, part.contexts) == value).all()
    reader.finish()


@pytest.mark.parametrize("x", [
    session_log(3000), session_log(3000)[:, 2], session_log(1), np.zeros((0, 3), "i4"),
    np.random.default_rng(0).integers(-(2**40), 2**40, (200, 3)),
    np.array([[-(2**63)], [2**63 - 1], [0], [-1]]), np.arange(24).reshape(2, 3, 4),
])
def test_any_chunk_comes_back(x: np.ndarray) -> None:
    assert (through(x)[1] == x).all()


def test_chains_of_lags_end_at_the_first_value() -> None:
    rng = np.random.default_rng(0)
    distance = rng.integers(-9, 9, 1000)
    lag = np.minimum(rng.integers(1, 255, 1000), np.arange(1000).clip(1))
    slow = distance.copy()
    for i in range(1, 1000):
        slow[i] += slow[i - lag[i]]
    assert (recall.follow(distance, lag) == slow).all()


def test_lags_are_worth_their_bits() -> None:
    x = session_log(20_000)
    data, back = through(x)
    assert list(data[:3]) == [recall.DIFFERENCE, recall.DIFFERENCE, recall.LAG]
    plain = [recall._bytes(recall._passes(x[:, 2].astype("i8"), mode, 0)) for mode in (recall.VALUE, recall.DIFFERENCE)]
    assert recall._bytes(recall._passes(x[:, 2].astype("i8"), recall.LAG, 0)) < 0.8 * min(plain)
    assert (back == x).all()


def test_selection_takes_it_for_a_log() -> None:
    x = session_log(20_000)
    data, report = aezip.compress(x, preset="fast")
    assert report.plan == {"kind": "recall"}
    assert (aezip.decompress(data) == x).all()


def test_damaged_chunks_are_refused_or_decode_to_something() -> None:
    x = session_log(400)
    data, _ = through(x)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(600):
        changed = bytearray(data)
        changed[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        try:
            back = recall.RecallPlan().decode(GRID, bytes(changed), x.shape, x.dtype)
            assert back.shape == x.shape
        except (CorruptFile, ValueError, IndexError, OverflowError):  # the three are named by the decoder of chunks
            refused += 1
    assert refused > 100
    with pytest.raises(CorruptFile):
        recall.follow(np.array([1, 2, 3]), np.array([1, 1, 3]))
    with pytest.raises(CorruptFile):
        recall.RecallPlan().decode(GRID, bytes([3, 0, 0]) + data[3:], x.shape, x.dtype)
