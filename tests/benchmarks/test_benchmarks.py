"""The benchmark suite: peers through the code path of the real runs, on arrays made here."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aezip.tools.isolate import Limits, isolated
from benchmarks import estimates, report, targets
from benchmarks.__main__ import arguments as read_arguments
from benchmarks.__main__ import jobs, main
from benchmarks.cells import peer_row
from benchmarks.datasets import BOUNDS, DATASETS, Array, pose
from benchmarks.layouts import crop, orders, shapes
from benchmarks.measure import check, read_cell, write_cell
from benchmarks.peers import PEERS
from benchmarks.search import Search
from benchmarks.views import decimals, fill_holes, integer_views


def field(dtype: str) -> Array:
    t, y, x = np.meshgrid(np.arange(12), np.arange(10), np.arange(14), indexing="ij")
    smooth = 100 * np.sin(0.3 * t + 0.1 * y) + 50 * np.cos(0.2 * x) + np.random.default_rng(1).normal(0, 1, t.shape)
    return np.asarray(smooth + 200).astype(dtype)


def table(dtype: str) -> Array:
    random = np.random.default_rng(2)
    return (np.cumsum(random.normal(size=(300, 4)), axis=0) * [1, 10, 1000, 0.01]).astype(dtype)


def rows_of(peer: str, array: Array, bound: str, fill: float | None = None) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    Search(messages.append, pose(array, BOUNDS[bound], fill), PEERS[peer], [], 20.0).run()
    return [m["row"] for m in messages if "row" in m]


LOSSY = [n for n, p in PEERS.items() if p.takes != "exact"]
EXACT = [n for n, p in PEERS.items() if p.takes == "exact"]


@pytest.mark.parametrize("peer", LOSSY)
@pytest.mark.parametrize(
    ("array", "bound"),
    [
        (field("f4"), "1e-3"),
        (field("u1"), "1e-2"),
        (field("i2"), "lossless"),
        (table("f8"), "1e-3-per-feature"),
    ],
    ids=["field f4", "field u1", "field i2 lossless", "table per feature"],
)
def test_lossy_peers_meet_the_bound_and_shrink_the_array(peer: str, array: Array, bound: str) -> None:
    pytest.importorskip(PEERS[peer].module)
    row = rows_of(peer, array, bound)[-1]
    assert row["status"] == "ok", row
    assert row["share_of_bound"] <= 1
    assert 0 < row["bytes"] < array.nbytes


@pytest.mark.parametrize("peer", EXACT)
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "u1"])
def test_exact_peers_return_every_bit_or_say_that_they_do_not_apply(peer: str, dtype: str) -> None:
    pytest.importorskip(PEERS[peer].module)
    row = rows_of(peer, field(dtype), "lossless")[-1]
    kinds, integer = PEERS[peer].kinds, np.dtype(dtype).kind in "iu"
    known = (integer and "i" in kinds) or (not integer and "f" in kinds)
    assert row["status"] == ("ok" if known else "does not apply"), row


@pytest.mark.parametrize("peer", ["SZ3", "quantize+pcodec", "quantize+zstd"])
def test_holes_are_put_back_and_their_bitmap_is_counted(peer: str) -> None:
    pytest.importorskip(PEERS[peer].module)
    array = field("f4")
    array[np.random.default_rng(3).random(array.shape) < 0.3] = np.nan
    row = rows_of(peer, array, "1e-2")[-1]
    assert row["status"] == "ok", row
    assert row["bytes"] > array.size / 8 * 0.7
    filled = np.where(np.isnan(array), np.float32(1e20), array)
    assert rows_of(peer, filled, "1e-2", fill=1e20)[-1]["status"] == "ok"


def test_a_peer_beyond_its_bound_is_a_failing_row(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    honest = PEERS["quantize+zstd"]
    drifting = replace(honest, decode=lambda *a: honest.decode(*a) + 3)
    monkeypatch.setitem(PEERS, "quantize+zstd", drifting)
    (row,) = rows_of("quantize+zstd", field("f4"), "1e-3")
    assert row["status"] == "bound exceeded"
    assert row["share_of_bound"] > 1


def test_the_check_finds_errors_lost_holes_and_wrong_shapes() -> None:
    array = field("f4")
    array[0, 0, 0] = np.nan
    problem = pose(array, BOUNDS["1e-2"])
    assert check(problem, array).status == "ok"
    moved = array.copy()
    moved[1, 1, 1] += np.float32(1.01 * problem.error)
    assert check(problem, moved).status == "bound exceeded"
    assert "lost" in check(problem, np.nan_to_num(array)).status
    assert check(problem, array[1:]).status.startswith("returned")
    assert check(pose(array, BOUNDS["lossless"]), moved).status == "not bit-identical"


def test_the_fill_value_is_no_part_of_the_range() -> None:
    array = field("f4")
    plain = pose(array, BOUNDS["1e-2"]).error
    assert pose(np.append(array.ravel(), np.float32(1e20)), BOUNDS["1e-2"], fill=1e20).error == plain


def _abort(emit: Any) -> None:
    emit({"row": 1})
    os.abort()


def _sleep(emit: Any) -> None:
    time.sleep(60)


def _allocate(emit: Any) -> None:
    emit({"row": np.ones(1 << 28).sum()})


@pytest.mark.process
def test_a_crash_a_hang_and_a_hog_are_outcomes() -> None:
    crashed = isolated(Limits(), _abort)
    assert (crashed.status, crashed.messages) == ("crash: SIGABRT", [{"row": 1}])
    assert "time limit" in isolated(Limits(wall=2), _sleep).status
    assert isolated(Limits(memory=1 << 30), _allocate).status == "out of memory"


def test_a_peer_runs_in_a_child_on_a_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "etth.npz", a=table("f8"))
    row = peer_row(DATASETS["etth"], BOUNDS["1e-2-per-feature"], "quantize+zstd", folder=tmp_path, seconds=5)
    assert row["status"] == "ok", row


@pytest.mark.parametrize("shape", [(7,), (6, 5), (4, 5, 6), (3, 4, 5, 6)])
def test_layouts_are_undone(shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape) * 64).reshape(*shape[:-1], -1)
    found = [*orders(values.shape), *shapes(values.shape, 1, 4), *shapes(values.shape, 2, 3)]
    assert len({layout.label for layout in orders(values.shape)}) == len(orders(values.shape))
    for layout in found:
        assert np.array_equal(layout.undo(layout.apply(values), values.shape), values), layout


def test_a_window_is_small_and_inside() -> None:
    array = np.zeros((20, 640, 64))
    window = array[crop(array.shape, 1000)]
    assert 0 < window.size <= 1000


def test_holes_are_filled_with_the_value_before() -> None:
    array = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, np.nan]])
    assert fill_holes(array, np.isnan(array), 1).tolist() == [[1, 1, 3], [3, 5, 5]]
    assert fill_holes(array, np.isnan(array), 0).tolist() == [[1, 3, 3], [1, 5, 3]]


def test_decimals_are_found_and_used() -> None:
    column = np.round(np.random.default_rng(4).normal(size=500), 2) + 0.0  # without -0.0
    assert decimals(column) == (2, False)
    assert decimals(column.astype("f4").astype("f8")) == (2, True)
    assert decimals(np.random.default_rng(4).normal(size=50)) is None
    (view,) = integer_views(pose(column, BOUNDS["lossless"]), 1.0)
    assert view.values.dtype == np.int16
    assert np.array_equal(view.restore(view.values), column)


def cell(peers: dict[str, int], aezip: int) -> dict[str, Any]:
    rows = {n: {"status": "ok", "bytes": b, "share_of_bound": 1.0, "how": "as is"} for n, b in peers.items()}
    own = {"status": "ok", "bytes": aezip, "share_of_bound": 1.0, "compress_seconds": 1.0, "plan": {}, "candidates": []}
    return {"raw_bytes": 1000, "shape": [10, 25], "peers": rows, "aezip": {"balanced": own}}


def test_tables_show_losses_and_lossless_peers_count_at_any_bound(tmp_path: Path) -> None:
    etth = DATASETS["etth"]
    write_cell(tmp_path, etth, BOUNDS["1e-2"], read_cell(tmp_path, etth, BOUNDS["1e-2"]) | cell({"A": 500, "B": 300}, 200))
    write_cell(tmp_path, etth, BOUNDS["lossless"], read_cell(tmp_path, etth, BOUNDS["lossless"]) | cell({"C": 250}, 500))
    best = report.best_peer(report.load(tmp_path), "etth", "1e-2")
    assert best is not None
    assert (best.peer, best.bytes) == ("C (lossless)", 250)
    text = report.write_table(tmp_path).read_text()
    assert "**0.500 loss**" in text
    assert "over 2 cells: **0.791**" in text


def test_the_summary_of_a_target_names_both_sizes(tmp_path: Path) -> None:
    etth, bound = DATASETS["etth"], BOUNDS["1e-2"]
    made = cell({"A": 500, "B": 300}, 200)
    made["aezip"]["balanced"] |= {
        "phase_seconds": {"train": 2.0, "select": 1.5},
        "values_per_second": {"1": 10_000_000, "2": 15_000_000},
    }
    write_cell(tmp_path, etth, bound, read_cell(tmp_path, etth, bound) | made)
    found = targets.cell_summary(etth, bound, "balanced", tmp_path)
    assert (found["best_peer"], found["gain"], found["train_and_select_seconds"]) == ("B", 1.5, 3.5)
    assert "| 200 | B | 300 | 1.500 | 3.5 | 10.0 / 15.0 |" in targets.summary_table([found])[-1]


def test_plots_are_drawn(tmp_path: Path) -> None:
    plots = pytest.importorskip("benchmarks.plots")
    pytest.importorskip("matplotlib")
    for label in ("1e-2", "1e-3"):
        made = read_cell(tmp_path, DATASETS["etth"], BOUNDS[label]) | cell({"SZ3": 500, "ZFP": 300}, 200)
        write_cell(tmp_path, DATASETS["etth"], BOUNDS[label], made)
    assert all(path.stat().st_size > 1000 for path in plots.write_plots(tmp_path))


def test_a_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    np.savez(data / "etth.npz", a=table("f8"))
    monkeypatch.setenv("AEZIP_DATA", str(data))
    command = ["--only", "etth", "--bounds", "1e-2", "--codecs", "quantize+zstd", "--out", str(out), "--no-plots"]
    main(command)
    made = json.loads((out / "cells" / "etth.1e-2.json").read_text())
    assert made["peers"]["quantize+zstd"]["status"] == "ok"
    assert jobs(read_arguments(command)) == []
    assert len(jobs(read_arguments([*command, "--no-resume"]))) == 1
    assert "etth" in (out / "TABLE.md").read_text()


def test_estimates_are_compared_with_what_files_take() -> None:
    rows = [
        {"data": name, "bound": "1e-3", "preset": "fast", "plan": "context", "estimate": estimate, "bytes": 1000}
        for name, estimate in (("a", 1010.0), ("b", 930.0), ("c", 990.0))
    ]
    text = estimates.lines(rows)
    assert "Median of the distances 1.0%, the largest -7.0%" in text[2]
    assert text[-2:] == [
        "| b | 1e-3 | fast | context | 930 | 1,000 | -7.0% |",
        "| c | 1e-3 | fast | context | 990 | 1,000 | -1.0% |",
    ]
