"""Achieved errors: equal to their definitions, whatever the chunks."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aezip.array.metrics import Accumulator, Metrics


def measure(x: np.ndarray, y: np.ndarray, mask: np.ndarray | None = None) -> Metrics:
    accumulator = Accumulator()
    accumulator.update(x, y, mask)
    return accumulator.result()


def test_definitions() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 30)) + 5.0
    y = x + rng.normal(size=x.shape) * 1e-3
    found = measure(x, y)
    error = np.abs(x - y)
    mse = np.mean(error**2)
    assert found.max_abs_error == error.max()
    assert found.rmse == pytest.approx(math.sqrt(mse), rel=1e-12)
    assert found.nrmse == pytest.approx(math.sqrt(mse) / np.ptp(x), rel=1e-12)
    assert found.psnr == pytest.approx(20 * math.log10(np.ptp(x)) - 10 * math.log10(mse), rel=1e-12)
    assert found.max_rel_error == pytest.approx((error / np.abs(x)).max(), rel=1e-12)
    assert found.count == x.size


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", "u8", ">f4", ">u2"])
def test_chunks_do_not_matter(dtype: str) -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(0, 100, (1000, 7)).astype(dtype)
    y = rng.integers(0, 100, (1000, 7)).astype(dtype)
    pieces = Accumulator()
    for start in range(0, 1000, 130):
        pieces.update(x[start : start + 130], y[start : start + 130])
    merged = Accumulator()
    for part in (slice(0, 0), slice(0, 300), slice(300, 1000)):
        other = Accumulator()
        other.update(x[part], y[part])
        merged.merge(other)
    one = measure(x, y)
    for many in (pieces.result(), merged.result()):
        for name, value in vars(one).items():
            assert getattr(many, name) == pytest.approx(value, rel=1e-12)


def test_lossless_has_infinite_psnr_which_json_calls_none() -> None:
    found = measure(np.arange(5.0), np.arange(5.0))
    assert found.psnr == math.inf
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["psnr"] is None


def test_nothing_to_compare() -> None:
    for x in (np.zeros((0, 3)), np.array([np.nan, np.inf])):
        assert measure(x, x) == Metrics(0.0, 0.0, 0.0, math.inf, 0.0, 0)


def test_masked_and_non_finite_values_are_left_out() -> None:
    x = np.array([1.0, 2.0, np.nan, 1e20])
    found = measure(x, np.array([1.0, 2.5, np.nan, 1e20]), x == 1e20)
    assert (found.count, found.max_abs_error, found.rmse) == (2, 0.5, pytest.approx(math.sqrt(0.125)))
    assert found.nrmse == pytest.approx(math.sqrt(0.125))


def test_extreme_magnitudes_do_not_overflow_the_squares() -> None:
    for size in (1e300, 1e-300):
        x = np.array([0.0, size, 2 * size])
        found = measure(x, x + np.array([0.0, size / 2, 0.0]))
        assert found.rmse == pytest.approx(size / 2 / math.sqrt(3))
        assert found.nrmse == pytest.approx(1 / 4 / math.sqrt(3))


def test_a_lost_value_is_an_infinite_error() -> None:
    found = measure(np.array([1.0, 2.0]), np.array([1.0, np.nan]))
    assert found.max_abs_error == math.inf
    assert found.psnr == -math.inf
    assert json.dumps(found.to_json(), allow_nan=False)


def test_a_zero_that_moved_is_an_infinite_relative_error() -> None:
    assert measure(np.array([0.0, 1.0]), np.array([0.1, 1.0])).max_rel_error == math.inf
    assert measure(np.array([0.0, 1.0]), np.array([0.0, 1.5])).max_rel_error == 0.5


def test_wide_integers_are_compared_exactly() -> None:
    x = np.array([2**63 - 1, -(2**63)], dtype="i8")
    assert measure(x, x - np.array([3, 0])).max_abs_error == 3.0
    u = np.array([2**64 - 1, 0], dtype="u8")
    assert measure(u, u[::-1].copy()).max_abs_error == float(2**64 - 1)


def test_zero_dimensional_arrays() -> None:
    assert measure(np.array(1.0), np.array(1.5)).max_abs_error == 0.5


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), min_size=1, max_size=20))
def test_any_floats_give_metrics_without_warnings(pairs: list[tuple[float, float]]) -> None:
    x, y = np.array(pairs).T
    found = measure(x, y)
    assert 0.0 <= found.rmse <= max(found.max_abs_error * 1.000001, found.max_abs_error)
