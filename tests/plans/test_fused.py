"""Compiled loops over whole chunks give the bits of the loops over tiles, whatever the shape and the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import NOT_BUILT
from nets import some_net, values

from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FLAG_BINS
from aezip.entropy import residual
from aezip.entropy.residual import CONTEXTS_WHOLE, TABLE_LEVELS
from aezip.plans.context import walk as refinement
from aezip.plans.context.bisection import Order
from aezip.plans.context.net import ContextNet, ContextSizes
from aezip.plans.context.walk import Base, Offset, Walked

SCANS = [
    ((1, 1), (0, 1)),
    ((1, 9), (0, 1)),
    ((9, 1), (0, 1)),
    ((2, 2), (0, 1)),
    ((60, 90), (0, 1)),
    ((70, 5, 6), (1, 2)),
    ((12, 15, 16), (0, 1, 2)),
    ((4, 1, 6), (0, 1, 2)),
    ((5, 4, 3), (2, 0, 1)),
    ((3, 5, 4, 6), (0, 1, 2, 3)),
    ((200, 300), (0, 1)),
]
ORDERS: list[tuple[tuple[int, ...], Order]] = [
    ((1,), ((0,),)),
    ((13,), ((0,),)),
    ((9000,), ((0,),)),
    ((9, 1), ((0, 1),)),
    ((2, 2), ((0, 1),)),
    ((40, 70), ((1,), (0,))),
    ((15, 17, 16), ((0,), (1, 2))),
    ((5, 7, 6), ((2,), (0,), (1,))),
    ((3, 50, 60), ((1, 2),)),
    ((2, 3, 4, 5), ((0,), (1, 2, 3))),
    ((4, 3, 4, 5), ((0, 1, 2, 3),)),
    ((1, 8, 1), ((1,),)),
    ((40, 30, 50), ((0,),)),
    ((9, 3, 40), ((0, 2),)),
    ((2, 130, 300), ((1, 2),)),
]
SERIES = [(1, 5, 1), (2, 70, 3), (50, 1, 1), (40, 64, 2), (9, 130, 4), (300, 100, 1)]  # length, segments, columns


@pytest.fixture(autouse=True)
def compiled_for_all_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernels.available(1 << 30):
        pytest.skip(NOT_BUILT)
    monkeypatch.setattr(kernels, "ENOUGH", 0)


def both_ways(
    net: ContextNet, x: np.ndarray, ignore: np.ndarray | None, offset: Offset, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> Walked:
    """Encode and decode by compiled loops and without; all must agree."""
    integers = np.rint(x).astype(np.int64) if whole else None
    found: list[tuple[Walked, bytes]] = []
    tables = None
    for enough in (0, 1 << 60):
        monkeypatch.setattr(kernels, "ENOUGH", enough)
        coded = refinement.code(net, x, integers, ignore, offset)
        if tables is None:
            counts = residual.TableCounts(CONTEXTS_WHOLE + FLAG_BINS if whole else TABLE_LEVELS)
            for part in coded.residual:
                counts.add(part.symbols, part.contexts)
            tables, _ = residual.tables_from_bytes(counts.to_bytes(), len(counts.counts))
        found.append((coded, residual.encode(tables, coded.residual)))
        for data in (found[0][1], found[-1][1]):
            reader = residual.ResidualReader(tables, data, fast=enough == 0)
            value = refinement.decode(net, reader, x.shape, ignore, offset, whole=whole, workers=1 if data is found[0][1] else 3)
            assert value.tobytes() == found[0][0].value.tobytes()
    (one, first), (two, second) = found
    assert first == second
    assert (one.errors == two.errors).all()
    ends = [
        np.concatenate([[0], *([len(p.contexts)] if p.ends is None else p.ends for p in part.residual)]) for part in (one, two)
    ]
    if len(one.residual) == 1:  # all passes in one, or one by one
        assert np.array_equal(np.unique(ends[0]), np.unique(np.cumsum(ends[1])))
    if ignore is None:
        error = one.value / 64.0 - x
        assert np.abs(error[np.abs(x) < 1e9]).max(initial=0.0) <= 0.5
    return one


@pytest.mark.train
@pytest.mark.parametrize(("shape", "axes"), SCANS)
@pytest.mark.parametrize("whole", [False, True])
def test_scans(shape: tuple[int, ...], axes: tuple[int, ...], whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(some_net(ContextSizes((), 16, 10, scan=axes)), values(shape, 3.0), None, 640, whole, monkeypatch)


@pytest.mark.train
@pytest.mark.parametrize(("shape", "order"), ORDERS)
@pytest.mark.parametrize("whole", [False, True])
def test_bisection(shape: tuple[int, ...], order: Order, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(some_net(ContextSizes(order, 16, 10)), values(shape, 3.0), None, 640, whole, monkeypatch)


@pytest.mark.train
@pytest.mark.parametrize("shape", SERIES)
@pytest.mark.parametrize("whole", [False, True])
def test_signals(shape: tuple[int, ...], whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    both_ways(some_net(ContextSizes((), 8, 10, columns=shape[2])), values(shape, 3.0), None, -64, whole, monkeypatch)


@pytest.mark.train
@pytest.mark.parametrize("precision", [10, 12, 20])
@pytest.mark.parametrize("more", [{"scan": (0, 1, 2)}, {"columns": 16}, {"order": ((0,), (1, 2))}])
@pytest.mark.parametrize("whole", [False, True])
def test_holes_large_values_and_a_frequent_one(
    precision: int, more: dict[str, Any], whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = values((20, 70, 16), 2e4 if precision == 20 else 30.0)
    ignore = np.random.default_rng(1).random(x.shape) < 0.2
    ignore[:, 5:9] = True
    given = {"order": (), "hidden": 16, "precision": precision, "spike": 0 if whole else None, **more}
    sizes = ContextSizes(**given)
    coded = both_ways(some_net(sizes), x, ignore, 0, whole, monkeypatch)
    high = np.concatenate([part.high for part in coded.residual])
    assert any(part.shifts is not None for part in coded.residual)
    assert np.abs(high).max() > 127


@pytest.mark.parametrize("more", [{"scan": (0, 1, 2)}, {"order": ((0,), (1, 2))}])
def test_refinement_of_an_autoencoder(more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    x = values((20, 30, 30), 3.0)
    generator = np.random.default_rng(2)
    base = Base(generator.integers(-99, 99, x.shape), generator.integers(0, 40, x.shape).astype(np.uint8))
    net = some_net(ContextSizes(**{"order": (), "hidden": 12, "precision": 10, **more}))
    coded = both_ways(net, x, None, base, False, monkeypatch)
    other = both_ways(net, x, None, Base(base.mean, base.level + np.uint8(1)), False, monkeypatch)
    assert (coded.value != other.value).any()


def test_damaged_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    x = values((20, 64, 2), 300.0)
    net = some_net(ContextSizes((), 8, 10, columns=2))
    coded = refinement.code(net, x, None, None, 0)
    counts = residual.TableCounts(TABLE_LEVELS)
    for part in coded.residual:
        counts.add(part.symbols, part.contexts)
    tables, _ = residual.tables_from_bytes(counts.to_bytes(), TABLE_LEVELS)
    data = residual.encode(tables, coded.residual)
    generator = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        wrong = bytearray(data)
        for place in generator.integers(0, len(wrong), generator.integers(1, 4)):
            wrong[place] = generator.integers(0, 256)
        del wrong[len(wrong) - int(generator.integers(0, 3)) * int(generator.integers(0, len(wrong))) :]
        results = []
        for enough in (0, 1 << 60):
            monkeypatch.setattr(kernels, "ENOUGH", enough)
            try:
                reader = residual.ResidualReader(tables, bytes(wrong), fast=enough == 0)
                results.append(refinement.decode(net, reader, x.shape, None, 0, whole=False).tobytes())
            except CorruptFile:
                results.append(b"")
        assert results[0] == results[1]
        refused += not results[0]
    assert refused > 200


def test_too_few_tables_are_refused() -> None:
    tables, _ = residual.tables_from_bytes(bytes(TABLE_LEVELS), TABLE_LEVELS)
    net = some_net(ContextSizes((), 8, 10, columns=2))
    with pytest.raises(CorruptFile, match="too few tables"):
        refinement.decode(net, residual.ResidualReader(tables, b"\0\0"), (5, 6, 2), None, 0, whole=True)
