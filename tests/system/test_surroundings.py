"""The caller's state is as it was, and files do not depend on it, nor on what else the process does."""

from __future__ import annotations

import decimal
import importlib.util
import os
import random
import threading
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import aezip
from aezip.search.presets import PRESETS

QUICK = replace(PRESETS["fast"], steps=60, trial_steps=20, trials=2, context_steps=60, context_trial=20)
OPTIONS: dict[str, Any] = {"preset": "fast", "device": "cpu", "threads": 1}
BOUND = aezip.RangeRelative(1e-3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", QUICK)


def rows(seed: int = 0) -> np.ndarray[Any, Any]:
    t = np.linspace(0.0, 20.0, 120)[:, None]
    noise = np.random.default_rng(seed).normal(size=(120, 40)) * 0.3
    return np.asarray(np.sin(t * (1 + seed) + np.arange(40) / 7) * 50 + noise, np.float32)


def ratings() -> np.ndarray[Any, Any]:
    chance = np.random.default_rng(2)
    return np.where(chance.random((40, 30)) < 0.5, np.nan, chance.integers(1, 6, (40, 30))).astype(np.float32)


def transformed() -> None:
    if importlib.util.find_spec("sklearn") is None:  # importing it here would change what is compared
        pytest.skip("scikit-learn is missing")
    from aezip.integrations.sklearn import AutoencoderCodes

    AutoencoderCodes(4, steps=20).fit_transform(rows())


def failing(event: aezip.ProgressEvent) -> None:
    if event.phase in ("select", "train"):
        raise LookupError


def interrupted() -> None:
    with pytest.raises(LookupError):
        aezip.compress(rows(), bound=BOUND, codes=4, progress=failing, **OPTIONS)


JOBS: dict[str, Callable[[], object]] = {
    "compress": lambda: aezip.compress(rows(), bound=BOUND, codes=4, **OPTIONS),
    "layers": lambda: aezip.compress(rows(), bound=BOUND, variant="rbm", **OPTIONS),
    "recommend": lambda: aezip.compress(ratings(), recommend=True, **OPTIONS),
    "train": lambda: aezip.train(rows(), bound=BOUND, preset="fast", device="cpu"),
    "transformer": transformed,
    "interrupted": interrupted,
}


def state() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "threads": torch.get_num_threads(),
        "type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "numpy": str(np.random.get_state()),
        "random": random.getstate(),
        "errors": np.geterr(),
        "filters": list(warnings.filters),
        "environment": dict(os.environ),
        "decimal": str(decimal.getcontext()),
    }


@pytest.mark.train
@pytest.mark.parametrize("job", JOBS)
def test_the_callers_state_is_as_it_was(job: str) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.manual_seed(5)
    try:
        found = state()
        JOBS[job]()
        assert state() == found
    finally:
        torch.set_num_threads(before)


@pytest.mark.train
def test_files_do_not_depend_on_the_callers_state() -> None:
    made = aezip.compress(rows(), bound=BOUND, codes=4, **OPTIONS)[0]
    with np.errstate(all="raise"), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        torch.set_default_dtype(torch.float64)
        try:
            assert aezip.compress(rows(), bound=BOUND, codes=4, **OPTIONS)[0] == made
            aezip.verify(rows(), made)
        finally:
            torch.set_default_dtype(torch.float32)


@pytest.mark.train
def test_denormals_are_kept_where_the_caller_flushes_them() -> None:
    x = np.ldexp(np.random.default_rng(3).normal(size=(30, 20)), -1050)
    made = aezip.compress(x, **OPTIONS)[0]
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormals")
    try:
        assert aezip.compress(x, **OPTIONS)[0] == made
        back = aezip.decompress(made)
        assert not (np.full(2, np.finfo(np.float64).smallest_subnormal) * 1.0).any()  # as the caller left it
    finally:
        torch.set_flush_denormal(False)
    assert back.tobytes() == x.tobytes()


BOUNDS = [aezip.Absolute(1e-312), aezip.RangeRelative(1e-2), aezip.PointRelative(1e-2), aezip.PSNR(60.0)]


@pytest.mark.train
@pytest.mark.parametrize("bound", BOUNDS)
def test_errors_of_arithmetic_are_not_the_callers(bound: aezip.Bound) -> None:
    x = np.random.default_rng(19).normal(size=(50, 40)) * 1e-310
    with np.errstate(all="raise"):
        data, _ = aezip.compress(x, bound=bound, **OPTIONS)
        aezip.verify(x, data)


@pytest.mark.process
def test_threads_make_the_bytes_of_one() -> None:
    alone = [aezip.compress(rows(i), bound=BOUND, codes=4, **OPTIONS)[0] for i in range(3)]
    made: dict[int, bytes] = {}

    def work(i: int) -> None:
        made[i] = aezip.compress(rows(i), bound=BOUND, codes=4, **OPTIONS)[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [made[i] for i in range(3)] == alone


@pytest.mark.train
@pytest.mark.parametrize("db", [0.001, 20.0, 60.0, 400.0, 1000.0])
@pytest.mark.parametrize("dtype", ["i8", "u8", "f4", "f8"])
def test_a_psnr_is_met_in_the_end(dtype: str, db: float) -> None:
    chance = np.random.default_rng(37)
    if dtype in ("i8", "u8"):
        x = (chance.integers(0, 99, (12, 8)).astype(object) + 2**60).astype(dtype)
    else:
        one = np.array(1.0, dtype)
        x = np.where(chance.random((12, 8)) < 0.5, one, np.nextafter(one, np.array(2.0, dtype)))
    y = aezip.decompress(aezip.compress(x, bound=aezip.PSNR(db), **OPTIONS)[0])
    error = (x.astype(object) - y.astype(object)).astype(np.float64)
    spread = float(x.max() - x.min())
    assert np.square(error).mean() <= spread**2 * 10.0 ** (-db / 10.0) * (1 + 1e-9)
