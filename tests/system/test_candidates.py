"""No candidate of the search ends a command: one that fails drops out, is named, and the file is made without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import aezip
from aezip.core.errors import CorruptFile
from aezip.search import choose as planning
from aezip.search.presets import PRESETS
from aezip.search.sample import Sample

QUICK = replace(PRESETS["fast"], steps=60, trial_steps=20, trials=2, context_steps=60, context_trial=20)
SMALL = {"preset": "fast", "device": "cpu", "threads": 1}
# (module, class or nothing, function): where a failure is put; every stage of the search, of freezing and of encoding
STAGES = [
    ("codec.encoder", "", "grids_for"),
    ("codec.encoder", "", "native_steps"),
    ("quantize.choose_grids", "", "find_hidden"),
    ("search.sample", "Sample", "fits"),
    ("plans.buckets", "BucketPlan", "proposals"),
    ("plans.columns.plan", "ColumnPlan", "proposals"),
    ("search.static", "", "differences"),
    ("search.autoencoder", "", "_rows"),
    ("search.autoencoder", "_Frozen", "count"),
    ("plans.bytes", "BytesPlan", "encode"),
    ("plans.delta", "DeltaPlan", "pack"),
    ("plans.buckets", "BucketPlan", "pack"),
    ("plans.columns.plan", "ColumnPlan", "encode"),
    ("search.autoencoder", "", "static_decoders"),
    ("plans.autoencoder.training.fit", "", "fit"),
    ("plans.autoencoder.training.fit", "", "_start"),
    ("plans.autoencoder.training.fit", "", "freeze_encoder"),
    ("plans.autoencoder.training.fit", "", "freeze_decoder"),
    ("search.context", "", "orders"),
    ("search.context", "", "_samples"),
    ("search.context", "", "_count"),
    ("plans.context.training.fit", "", "fit"),
    ("plans.context.training.fit", "", "collect"),
    ("plans.context.training.fit", "", "freeze"),
    ("plans.autoencoder.chunk", "", "code"),
    ("plans.context.plan", "", "code"),
    ("search.static", "Static", "static"),
    ("search.learned", "", "search"),
    ("search.contexts", "", "look"),
    ("search.contexts", "", "fitted_at_length"),
    ("search.learned", "", "convolved"),
    ("search.learned", "", "finish"),
]
FAILURES = [CorruptFile("a layer leaves the exact range"), MemoryError(), FloatingPointError("overflow\nin two lines")]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    monkeypatch.setattr(planning, "SMALL", 0)  # networks are tried on small arrays too


def waves() -> np.ndarray[Any, Any]:
    t = np.linspace(0.0, 9.0, 24)[:, None, None]
    noise = np.random.default_rng(5).normal(size=(24, 16, 16))
    return (np.sin(t + np.arange(16)[:, None] / 5) * np.cos(np.arange(16) / 4) * 20 + 0.2 * noise).astype(np.float32)


def spectra() -> np.ndarray[Any, Any]:
    """Rows with features to share: an autoencoder wins on them."""
    random = np.random.default_rng(6)
    return np.asarray(random.normal(size=(240, 3)) @ random.normal(size=(3, 48)) * 20.0, np.float32)


def failing(error: BaseException) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def put(monkeypatch: pytest.MonkeyPatch, stage: tuple[str, str, str], error: BaseException) -> None:
    module, owner, name = stage
    place: Any = import_module(f"aezip.{module}")
    monkeypatch.setattr(getattr(place, owner) if owner else place, name, failing(error))


def check(bound: aezip.Bound | None, x: np.ndarray[Any, Any] | None = None, **options: Any) -> aezip.Report:
    x = waves() if x is None else x
    data, report = aezip.compress(x, bound=bound, **SMALL, **options)
    y = aezip.decompress(data)
    limit = 0.0 if bound is None else 1e-2 * float(np.ptp(x))
    assert np.abs(x.astype(np.float64) - y).max() <= limit
    return report


@pytest.mark.train
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: "-".join(filter(None, stage)))
def test_a_stage_that_fails_drops_out(stage: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    if stage == ("plans.bytes", "BytesPlan", "encode"):
        pytest.skip("bytes as they are must be encoded by something: see the test of all stages at once")
    put(monkeypatch, stage, FAILURES[STAGES.index(stage) % len(FAILURES)])
    of_rows = "training" in stage[0] or stage[2] == "finish"
    report = check(aezip.RangeRelative(1e-2), spectra() if of_rows else waves())
    lines = " ".join(report.arrays[0].candidates)
    assert "dropped out" in lines or stage[2] in {"orders", "convolved", "find_hidden"}
    assert "\n" not in lines


def test_all_stages_that_fail_leave_plain_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in STAGES:
        if stage != ("plans.bytes", "BytesPlan", "encode"):
            put(monkeypatch, stage, FAILURES[0])
    assert check(aezip.RangeRelative(1e-2)).arrays[0].plan["kind"] == "bytes"
    assert check(None).arrays[0].plan["kind"] == "bytes"


def test_plain_bytes_that_cannot_be_measured_are_taken_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in STAGES:
        if stage != ("plans.bytes", "BytesPlan", "encode"):
            put(monkeypatch, stage, FAILURES[1])
    monkeypatch.setattr(Sample, "cost", failing(FAILURES[1]))
    check(None)


@pytest.mark.train
def test_a_variant_that_fails_leaves_another_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ("plans.autoencoder.training.fit", "", "freeze_decoder"), FAILURES[0])
    check(aezip.RangeRelative(1e-2), variant="sparse")


def test_codes_that_cannot_be_had_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    put(monkeypatch, ("plans.autoencoder.training.fit", "", "fit"), FAILURES[0])
    with pytest.raises(aezip.InvalidInput, match="exact range"):
        check(aezip.RangeRelative(1e-2), codes=4)


def test_what_the_callback_raises_goes_on() -> None:
    class EnoughError(Exception):
        pass

    def stop(event: aezip.ProgressEvent) -> None:
        if event.phase in ("select", "train"):
            raise EnoughError

    with pytest.raises(EnoughError):
        check(aezip.RangeRelative(1e-2), progress=stop)


@pytest.mark.train
@pytest.mark.parametrize("seed", [0, 14])
def test_a_random_walk_of_floats_is_compressed(seed: int) -> None:
    x = np.cumsum(np.random.default_rng(seed).normal(size=(60, 40)), axis=0).astype(np.float32)
    data, _ = aezip.compress(x, **SMALL)
    assert np.array_equal(aezip.decompress(data), x)


@pytest.mark.train
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("how", ["wide", "small", "smallest normal"])
def test_floats_of_many_exponents_are_compressed(dtype: type, how: str) -> None:
    base = np.random.default_rng(100).normal(size=(50, 40))
    info = np.finfo(dtype)
    powers = np.random.default_rng(1).integers(info.minexp, info.maxexp - 2, base.shape) if how == "wide" else info.minexp
    x = np.ldexp(base, powers).astype(dtype) if how != "small" else (base * float(info.tiny) * 50.0).astype(dtype)
    data, _ = aezip.compress(x, **SMALL)
    assert aezip.decompress(data).tobytes() == x.tobytes()
