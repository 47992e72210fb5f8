"""The command `bench`: rows for every codec, whatever becomes of it, and the check that they pass."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.tools import bench, peers
from aezip.tools.peers import PEERS, Peer

SMOOTH = np.cumsum(np.random.default_rng(0).normal(size=(60, 5)), axis=0).astype("f4")
OPTIONAL = ("pysz", "zfpy", "pcodec", "blosc2")
ZSTD = next(p for p in PEERS if p.name == "quantize+zstd")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every peer of the extra missing."""
    for module in OPTIONAL:
        monkeypatch.setitem(sys.modules, module, None)


def rows_of(*chosen: Peer, array: Any = SMOOTH, bound: aezip.Bound | None = None, **options: Any) -> list[dict[str, Any]]:
    return bench.compare(array, bound or aezip.Absolute(0.01), presets=(), peers=chosen, **options)


def test_the_command_compares_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: None, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    np.save("x.npy", SMOOTH)
    assert cli.run(["bench", "x.npy", "--range-rel", "1e-2", "--preset", "fast", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    made = {row["codec"]: row for row in told["arrays"]["x"]["codecs"]}
    assert set(made) == {"aezip fast", *(p.name for p in PEERS)}
    for name, row in made.items():
        missing = next((p.module in OPTIONAL for p in PEERS if p.name == name), False)
        assert row["status"] == (bench.MISSING if missing else "ok"), name
        if not missing:
            assert row["ratio"] == SMOOTH.nbytes / row["bytes"]
            assert 0 <= row["max_error"] <= 1e-2 * np.ptp(SMOOTH)
            assert row["peak_memory"] > 0 < row["compress_mb_per_s"]
    good = [row["bytes"] for row in told["arrays"]["x"]["codecs"] if row["status"] == "ok"]
    assert good == sorted(good)
    assert not [name for name in os.listdir() if name != "x.npy"]


def test_the_table_names_the_remedy_for_a_missing_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    np.savez("m.npz", **{"[red]a\x1b[2J": SMOOTH})
    good = {"status": "ok", "bytes": 10, "ratio": 2.0, "compress_mb_per_s": 1.0, "decompress_mb_per_s": 2.0, "peak_memory": 1}
    rows = [{"codec": "aezip fast", "max_error": 0.1, **good}, {"codec": "ZFP", "status": bench.MISSING}]
    monkeypatch.setattr(bench, "compare", lambda *_, **__: [dict(row) for row in rows])
    assert cli.run(["bench", "m.npz", "--abs", "1"]) == 0
    out = capsys.readouterr().out
    assert "not installed: pip install aezip[bench]" in out
    assert "[red]a" in out
    assert "\x1b" not in out
    for status, code in (("bound exceeded", 4), ("crash: SIGSEGV", 1)):
        rows[0]["status"] = status
        assert cli.run(["bench", "m.npz", "--abs", "1"]) == code


def _abort(*_: Any) -> bytes:
    os.abort()


def _hang(*_: Any) -> bytes:
    time.sleep(60)
    return b""


def _leave(*_: Any) -> bytes:
    with tempfile.TemporaryDirectory():
        return _hang()


def _raise(*_: Any) -> bytes:
    raise ValueError("no such\nthing")


def _drift(payload: bytes, dtype: Any, shape: Any, tolerance: float, setting: str) -> Any:
    return peers.zstd_decode(payload, dtype, shape, tolerance, setting) + 3


@pytest.mark.train
def test_a_peer_that_fails_is_a_row() -> None:
    crash, wrong = replace(ZSTD, name="crash", encode=_abort), replace(ZSTD, name="wrong", decode=_drift)
    found = {row["codec"]: row["status"] for row in rows_of(crash, wrong, replace(ZSTD, name="raises", encode=_raise), ZSTD)}
    assert found == {"quantize+zstd": "ok", "crash": "crash: SIGABRT", "wrong": "bound exceeded", "raises": "ValueError: no such"}
    (late,) = rows_of(replace(ZSTD, name="late", encode=_hang), seconds=3)
    assert "time limit" in late["status"]


@pytest.mark.process
def test_a_child_that_is_ended_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (late,) = rows_of(replace(ZSTD, name="late", encode=_leave), seconds=2)
    assert "time limit" in late["status"]
    assert not list(tmp_path.iterdir())


def test_lost_holes_are_a_row() -> None:
    holes = SMOOTH.copy()
    holes[3, 2] = np.nan
    (row,) = rows_of(ZSTD, array=holes)
    assert row["status"] == "NaN, infinity or fill value lost"


@pytest.mark.parametrize("peer", PEERS, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", ["f4", ">f8", "f2", "u1", "i8", "c8"])
def test_peers_keep_every_bound_or_do_not_apply(peer: Peer, dtype: str) -> None:
    pytest.importorskip(peer.module)
    array = (SMOOTH * 10 + 120).astype(dtype)
    relative, columns = aezip.PointRelative(1e-2), aezip.RangeRelative(1e-2, per_feature=True)
    for bound in (aezip.Absolute(1.5), aezip.RangeRelative(1e-2), columns, aezip.PSNR(40), relative, aezip.Lossless()):
        problem = bench.pose(array, bound)
        found = [bench.attempt(peer, problem, factor) for factor in (*peer.factors, bench.ONE_THIRD)]
        if found[0] is None:
            assert peer.takes != "exact" or np.dtype(dtype).kind == "i", (bound, dtype)
            assert peer.takes == "exact" or isinstance(bound, type(relative) | type(columns) | aezip.Lossless)
        else:
            assert "ok" in [row["status"] for row in found if row], (bound, dtype)


def test_the_check_knows_every_bound() -> None:
    array = np.array([[-0.0, 1.0], [np.nan, 1e20]], "f4")
    problem = bench.pose(array, aezip.Absolute(0.5), fill_value=1e20)
    assert bench.check(problem, np.array([[0.0, 1.5], [np.nan, 1e20]], "f4")) == ("ok", 0.5)
    assert bench.check(problem, np.array([[0.0, 1.6], [np.nan, 1e20]], "f4"))[0] == "bound exceeded"
    assert bench.check(problem, np.array([[0.0, np.nan], [np.nan, 1e20]], "f4"))[0] == "bound exceeded"
    assert "lost" in bench.check(problem, np.array([[0.0, 1.0], [np.nan, 1e19]], "f4"))[0]
    assert bench.check(problem, array[:1])[0].startswith("returned")
    assert bench.check(bench.pose(array, aezip.Lossless()), np.abs(array))[0] == "not bit-identical"
    ramp = np.arange(10.0)
    assert bench.check(bench.pose(ramp, aezip.PSNR(20)), ramp + 0.8)[0] == "ok"
    assert bench.check(bench.pose(ramp, aezip.PSNR(20)), ramp + 1.0)[0] == "bound exceeded"
    assert bench.check(bench.pose(ramp, aezip.PointRelative(0.1)), ramp * 1.2)[0] == "bound exceeded"


BAD = [
    (["bench", "missing.npy"], "does not exist"),
    (["bench", "x.npy", "--abs", "0"], "positive"),
    (["bench", "x.npy", "--rel", "1"], "--point-rel"),
    (["bench", "x.npy", "--preset", "turbo"], "turbo"),
    (["bench", "empty.npy"], "no values"),
    (["bench", "text.npy"], "numeric"),
    (["bench", "x.npy", "--fill-value", "one"], "--fill-value"),
]


@pytest.mark.parametrize(("words", "text"), BAD, ids=lambda v: " ".join(v) if isinstance(v, list) else None)
def test_bad_input_is_one_line(
    words: list[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", SMOOTH)
    np.save("empty.npy", np.zeros((0, 3)))
    np.save("text.npy", np.array(["a"]))
    assert cli.run(words) == 2
    err = capsys.readouterr().err
    assert text in err
    assert err.count("\n") == 1
