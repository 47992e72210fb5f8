"""Scans: raster order by diagonals, with the same guarantees as any context refinement."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from helpers import NOT_BUILT

import aezip
from aezip.array.layout import Piece
from aezip.codec import encoder as codec
from aezip.core import memory as limits
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile, UnsafeFile
from aezip.entropy import residual
from aezip.plans.context import plan as contextplan
from aezip.plans.context import raster as scan
from aezip.plans.context.net import ContextSizes
from aezip.quantize.grid import Grid, HiddenGrid, LinearGrid
from aezip.quantize.lattice import IntegerLattice
from aezip.search import choose as plan
from aezip.search import context as contextual
from aezip.search.choice import ContextChoice

SHAPES: list[tuple[tuple[int, ...], scan.Axes]] = [
    ((7, 9), (0, 1)),
    ((1, 9), (0, 1)),
    ((9, 1), (0, 1)),
    ((2, 2), (0, 1)),
    ((3, 5, 6), (1, 2)),
    ((3, 5, 6), (0, 2)),
    ((4, 5, 6), (0, 1, 2)),
    ((4, 1, 6), (0, 1, 2)),
    ((3, 4, 3, 5), (0, 1, 2, 3)),
    ((5, 4, 3), (2, 0, 1)),
]


def smooth(shape: tuple[int, ...]) -> np.ndarray:
    x = np.random.default_rng(sum(shape)).normal(size=shape)
    for axis in range(len(shape)):
        x = x.cumsum(axis=axis)
    return x.astype("f4")


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_every_value_is_decoded_once_and_sees_only_what_was_decoded(shape: tuple[int, ...], axes: scan.Axes) -> None:
    known = np.full(shape, np.nan, np.float32)
    for runs in scan.Wave(axes, shape).diagonals():
        for run in runs:
            seen = run.gather(known)
            assert seen.shape == (len(run.active), len(run.index))
            assert not np.isnan(seen).any()
        for run in runs:  # runs of a diagonal are predicted at the same time
            assert np.isnan(known.reshape(-1)[run.index]).all()
            known.reshape(-1)[run.index] = 1.0
    assert not np.isnan(known).any()


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_neighbours_are_where_their_offset_says(shape: tuple[int, ...], axes: scan.Axes) -> None:
    index = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    hits: dict[tuple[int, ...], int] = defaultdict(int)
    for run in (run for runs in scan.Wave(axes, shape).diagonals() for run in runs if not run.first):
        seen = run.gather(index)
        for column, flat in enumerate(run.index):
            for slot, offset in enumerate(scan.offsets(len(axes))):
                place = list(np.unravel_index(int(flat), shape))
                for axis, step in zip(axes, offset, strict=True):
                    place[axis] += step
                if all(0 <= p < n for p, n in zip(place, shape, strict=True)):
                    assert seen[slot, column] == index[tuple(place)]
                    hits[offset] += 1
    if min(shape[a] for a in axes) >= 3:
        assert set(hits) == set(scan.offsets(len(axes)))


def test_errors_of_both_kinds_are_summed() -> None:
    inner, outer = scan.error_places(3)
    names = scan.offsets(3)
    assert {names[i] for i in inner} == {(0, -1, -1), (0, -1, 0), (0, -1, 1), (0, 0, -1)}
    assert {names[i] for i in outer} == {(-1, 0, 0), (-1, 0, 1), (-1, 0, -1), (-1, 1, 0), (-1, -1, 0)}
    made = np.random.default_rng(0).integers(0, 9, (6, 7, 8)).astype(np.float32)
    for run in (run for runs in scan.Wave((0, 1, 2), made.shape).diagonals() for run in runs if run.inner):
        near, far = run.errors(made)
        t, y, x = np.unravel_index(int(run.index[0]), made.shape)
        assert near[0] == made[t, y - 1, x - 1 : x + 2].sum() + made[t, y, x - 1]
        assert far[0] == made[t - 1, y, x - 1 : x + 2].sum() + made[t - 1, y - 1, x] + made[t - 1, y + 1, x]


def train(grid: Grid, x: np.ndarray, axes: scan.Axes, masked: np.ndarray | None = None, **more: Any) -> ContextChoice:
    return contextual.train(grid, [Piece(x, masked, 0)], 1.0, (), 8, 24, 0, scan=axes, **more)


def both_ways(refined: ContextChoice, grid: Grid, x: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
    coded = contextplan.code(refined.plan, grid, refined.model.net, None, None, x, masked)
    streams = {"codes": b"", "residual": residual.encode(refined.model.residual_tables, coded.residual)}
    for workers in (1, 3):
        y = contextplan.decode(refined.plan, grid, refined.model, streams, x.shape, x.dtype, masked, workers)
        assert y.tobytes() == coded.decoded.tobytes()
    return y


@pytest.mark.train
@pytest.mark.parametrize(
    ("shape", "axes"), [((12, 20, 14), (0, 1, 2)), ((40, 50), (0, 1)), ((9, 20, 30), (1, 2)), ((3, 12, 11, 13), (0, 1, 2, 3))]
)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_scan_keeps_the_bound(
    shape: tuple[int, ...], axes: scan.Axes, whole: bool, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compiled and not kernels.available(1 << 30):
        pytest.skip(NOT_BUILT)
    monkeypatch.setattr(kernels, "available", lambda values: compiled)
    x = smooth(shape)
    grid = LinearGrid(np.array(2e-3 * float(np.ptp(x)) * (1 - 1e-6)), np.array(float(x.mean())), whole)
    refined = train(grid, x, axes)
    assert np.abs(both_ways(refined, grid, x) - x.astype("f8")).max() <= 1e-3 * np.ptp(x)
    longer = np.concatenate([x, x[::-1]])  # a chunk of another length
    assert np.abs(both_ways(refined, grid, longer) - longer.astype("f8")).max() <= 1e-3 * np.ptp(x)


def test_holes_and_a_frequent_value() -> None:
    x = np.maximum(smooth((10, 20, 20)), 0).round().astype("i4")
    masked = np.zeros(x.shape, bool)
    masked[:, 5:9, :7] = True
    refined = train(HiddenGrid(IntegerLattice()), x, (0, 1, 2), masked, spike=0)
    y = both_ways(refined, HiddenGrid(IntegerLattice()), x, masked)
    assert (y[~masked] == x[~masked]).all()


@pytest.mark.train
def test_a_scan_predicts_waves_that_bisection_does_not() -> None:
    t, y, x = np.meshgrid(*(np.arange(n) for n in (12, 32, 32)), indexing="ij")
    waves = np.sin(1.9 * x + 0.3 * t) * np.cos(1.7 * y - 0.2 * t)  # about three values a period
    grid = LinearGrid(np.array(1e-2), np.array(0.0), True)
    piece = [Piece(waves.astype("f4"), None, 0)]
    scanned = contextual.train(grid, piece, 1.0, (), 8, 100, 0, scan=(0, 1, 2))
    bisected = contextual.train(grid, piece, 1.0, ((0,), (1, 2)), 8, 100, 0)
    assert scanned.size < 0.8 * bisected.size


@pytest.mark.parametrize(
    "change",
    [
        {"raster": [0]},
        {"raster": [0, 0]},
        {"raster": [0, 3]},
        {"raster": ["0", 1]},
        {"raster": 3},
        {"raster": [0, 1], "order": [[2]]},
        {"raster": []},
        {"raster": [0, 1], "signal": {"axis": 0, "columns": None, "segments": 1}},
    ],
)
def test_a_malformed_scan_is_refused(change: dict[str, object]) -> None:
    written = contextplan.ContextPlan(ContextSizes((), 8, 10, scan=(0, 1)), False, 5, None)
    good = written.to_json()
    assert contextplan.ContextPlan.from_json(good, (4, 5, 6), whole=False) == written
    with pytest.raises(CorruptFile):
        contextplan.ContextPlan.from_json({**good, **change}, (4, 5, 6), whole=False)


def test_what_to_try() -> None:
    assert scan.scans((20, 64, 64, 64)) == [(0, 1, 2, 3), (1, 2, 3)]
    assert scan.scans((400, 28, 28)) == [(0, 1, 2), (1, 2)]
    assert scan.scans((1, 100, 100)) == [(1, 2)]
    assert scan.scans((100_000, 3)) == []  # diagonals of three values
    assert scan.scans((5000,)) == []


def test_chunks_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorruptFile):
        limits.check_scan(1 << 31)
    monkeypatch.setattr(limits, "memory", lambda: 1 << 20)
    with pytest.raises(UnsafeFile):
        limits.check_scan(1 << 20)


@pytest.mark.train
def test_files_and_models_with_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL", 0)
    monkeypatch.setattr(codec, "CHUNK_VALUES_CONTEXT", 6000)
    monkeypatch.setattr(contextual, "orders", lambda shape: [])
    quick = plan.Preset(30, 10, 2, 3, context_steps=60, context_trial=20, context_trials=2, crop=1 << 14)
    monkeypatch.setitem(plan.PRESETS, "fast", quick)
    x = smooth((30, 20, 24))
    data, report = aezip.compress(x, bound=aezip.RangeRelative(1e-3), preset="fast")
    assert report.plan is not None
    assert report.plan["raster"]
    with aezip.open(data) as archive:
        y = archive["data"][:]
        assert (archive["data"][11:13] == y[11:13]).all()
    assert np.abs(y.astype("f8") - x).max() <= 1e-3 * np.ptp(x.astype("f8"))
    model = aezip.train(x, bound=aezip.Absolute(0.5), preset="fast")
    assert model.plan["raster"]
