"""Bounds: what is refused, what they resolve to, and the exact check."""

from __future__ import annotations

import json
import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import FLOATS, INTEGERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aezip.array import checking
from aezip.array.bounds import (
    NRMSE,
    PSNR,
    Absolute,
    Bound,
    Lossless,
    PointRelative,
    RangeRelative,
    Tolerance,
    bound_from_json,
    resolve,
)
from aezip.array.checking import violations
from aezip.array.statistics import measure
from aezip.core.errors import CorruptFile, InvalidInput, UnsupportedVersion

BOUNDS = [
    Absolute(0.5),
    RangeRelative(1e-3),
    RangeRelative(1e-3, per_feature=True),
    PointRelative(1e-2),
    PSNR(60.0),
    NRMSE(1e-3),
    Lossless(),
]


def any_bits(dtype: str, count: int = 40) -> st.SearchStrategy[np.ndarray]:
    """Values of a type with arbitrary bits: NaN payloads, denormals and infinities included."""
    size = np.dtype(dtype).itemsize
    return st.binary(min_size=size * count, max_size=size * count).map(lambda raw: np.frombuffer(raw, dtype=dtype))


def absolute(value: float) -> Tolerance:
    return Tolerance("absolute", np.array(value))


@pytest.mark.parametrize("kind", [Absolute, RangeRelative, PointRelative, PSNR, NRMSE])
@pytest.mark.parametrize("value", [0, 0.0, -1.0, -0.0, math.nan, math.inf, -math.inf, 10**400, True, "1", None, 1j])
def test_unusable_values_are_refused_in_one_line(kind: type[Bound], value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        kind(value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bound", BOUNDS)
def test_json_round_trip(bound: Bound) -> None:
    assert bound_from_json(json.loads(json.dumps(bound.to_json()))) == bound


def test_numpy_numbers_become_plain_floats() -> None:
    assert type(Absolute(np.float32(0.5)).value) is float
    assert Absolute(np.int64(2)) == Absolute(2.0)
    assert Absolute(Fraction(1, 2)) == Absolute(0.5)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "absolute"},
        {"kind": "absolute", "value": "1"},
        {"kind": "psnr", "db": -1},
        {"kind": "range_relative", "value": 1.0, "per_feature": 3},
        [],
        None,
        "absolute",
    ],
)
def test_malformed_json_is_corrupt(data: object) -> None:
    with pytest.raises(CorruptFile):
        bound_from_json(data)


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnsupportedVersion, match="spectral"):
        bound_from_json({"kind": "spectral", "value": 1.0})


def test_resolve_range_relative() -> None:
    x = np.array([[0.0, 10.0], [4.0, 30.0]])
    assert resolve(RangeRelative(0.1), measure(x)).absolute == pytest.approx(3.0)
    np.testing.assert_allclose(resolve(RangeRelative(0.1, per_feature=True), measure(x)).absolute, [0.4, 2.0])
    assert resolve(RangeRelative(0.1, per_feature=True), measure(x[:, 0])).absolute == pytest.approx(0.4)


def test_a_share_of_the_range_is_exact() -> None:
    x = np.array([0, 10], dtype="i4")
    assert resolve(RangeRelative(0.1), measure(x)).absolute == 1.0  # float64 0.1 is a little more
    assert resolve(RangeRelative(0.3), measure(x)).absolute == np.nextafter(0.3 * 10, 0)  # and 0.3 a little less


def test_resolve_keeps_out_fill_values_and_non_finite_values() -> None:
    x = np.array([1.0, 3.0, np.nan, np.inf, 1e20], dtype="f4")
    assert resolve(RangeRelative(0.5), measure(x, np.array([1e20], dtype="f4"))).absolute == 1.0


def test_ranges_that_overflow_stay_finite() -> None:
    stats = measure(np.array([[-1.7e308, 1.0], [1.7e308, 2.0]]))
    for bound in (RangeRelative(1e3), RangeRelative(1e3, per_feature=True), PSNR(1.0), PSNR(1e6)):
        tolerance = resolve(bound, stats)
        assert np.isfinite(tolerance.absolute).all()
        assert math.isfinite(tolerance.mse)


def test_wide_integer_columns_have_exact_ranges() -> None:
    x = np.array([[2**62, 0], [2**62 + 3, 1]], dtype="i8")
    np.testing.assert_array_equal(resolve(RangeRelative(1.0, per_feature=True), measure(x)).absolute, [3.0, 1.0])


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.full((4, 3), np.nan), np.full((4, 3), 2.5)])
def test_data_without_a_range_must_be_exact(x: np.ndarray) -> None:
    for bound in (RangeRelative(0.1), RangeRelative(0.1, per_feature=True)):
        assert not resolve(bound, measure(x)).absolute.any()
    assert resolve(PSNR(40.0), measure(x)).mse == 0.0


def test_too_many_features_are_refused() -> None:
    with pytest.raises(InvalidInput, match="65536"):
        resolve(RangeRelative(0.1, per_feature=True), measure(np.zeros((2, 65537), dtype="u1")))


def test_nrmse_target() -> None:
    statistics = measure(np.array([0.0, 10.0]))
    assert resolve(NRMSE(1e-2), statistics).mse == pytest.approx(1e-2)
    assert resolve(NRMSE(1e9), statistics).mse == pytest.approx(100.0)
    assert resolve(NRMSE(1e-300), statistics).mse == 0.0


def test_psnr_target() -> None:
    assert resolve(PSNR(40.0), measure(np.array([0.0, 10.0]))).mse == pytest.approx(1e-2)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.kind)
@given(data=st.data())
def test_identical_bits_never_violate(dtype: str, bound: Bound, data: st.DataObject) -> None:
    x = data.draw(any_bits(dtype)).reshape(10, 4)
    assert not violations(x, x.copy(), resolve(bound, measure(x))).any()


@pytest.mark.parametrize("dtype", FLOATS)
@given(data=st.data(), bound=st.floats(1e-12, 1e3))
def test_float_check_is_the_definition(dtype: str, data: st.DataObject, bound: float) -> None:
    x, y = data.draw(any_bits(dtype)), data.draw(any_bits(dtype))
    if data.draw(st.booleans()):
        with np.errstate(all="ignore"):
            y = x + np.dtype(dtype).type(bound)
    same = x.view(f"u{x.itemsize}") == y.view(f"u{x.itemsize}")
    free = np.isfinite(x) & ~((x == 0) & np.signbit(x))
    with np.errstate(all="ignore"):
        both = free & np.isfinite(y)
        near, close = np.zeros(x.size, bool), np.zeros(x.size, bool)
        near[both] = ~_exactly(x[both], y[both], [Fraction(bound)] * int(both.sum()))
        close[both] = ~_exactly(x[both], y[both], [Fraction(bound) * abs(Fraction(a)) for a in x[both].tolist()])
        np.testing.assert_array_equal(violations(x, y, absolute(bound)), ~(same | near))
        found = violations(x, y, Tolerance("relative", np.array(0.0), relative=bound))
        # what a product near the smallest normal loses is no float64: there an error that rounds to the bound is over it
        told = ~np.isfinite(x) | (np.abs(x.astype("f8")) * bound > checking._LEAST_PRODUCT)
    assert (found >= ~(same | close)).all()
    np.testing.assert_array_equal(found[told], ~(same | close)[told])
    np.testing.assert_array_equal(violations(x, y, Tolerance("lossless", np.array(0.0))), ~same)
    np.testing.assert_array_equal(violations(x, y, Tolerance("psnr", np.array(0.0), mse=1.0)), ~(same | (free & np.isfinite(y))))


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data(), bound=st.one_of(st.floats(1e-12, 1e3), st.floats(1e3, 1e20)))
def test_integer_check_is_exact(dtype: str, data: st.DataObject, bound: float) -> None:
    x, y = data.draw(any_bits(dtype)), data.draw(any_bits(dtype))
    expected = [abs(a - b) > Fraction(bound) for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    assert violations(x, y, absolute(bound)).tolist() == expected


def test_relative_integer_bound() -> None:
    x = np.array([0, 0, 100, 100, -100, -(2**63), 2**63 - 1], dtype="i8")
    y = np.array([0, 1, 101, 102, -101, -(2**63) + 1, -(2**63)], dtype="i8")
    bad = violations(x, y, Tolerance("relative", np.array(0.0), relative=0.01))
    assert bad.tolist() == [False, True, False, True, False, False, True]


def test_zeros_stay_zero_under_a_relative_bound() -> None:
    x = np.array([0.0, 0.0, -0.0, -0.0])
    y = np.array([0.0, 5e-324, -0.0, 0.0])
    assert violations(x, y, Tolerance("relative", np.array(0.0), relative=0.5)).tolist() == [False, True, False, True]


def test_an_overflowing_difference_is_a_violation() -> None:
    assert violations(np.array([1.7e308]), np.array([-1.7e308]), absolute(np.finfo("f8").max)).all()
    assert violations(np.array([6e4], dtype="f2"), np.array([np.inf], dtype="f2"), absolute(1e9)).all()


def test_special_values_must_keep_their_bits() -> None:
    quiet, payload = np.array([0x7FC00000, 0x7FC00001], dtype="u4").view("f4")
    x = np.array([np.inf, -np.inf, quiet, quiet, payload, -0.0, 0.0, np.inf], dtype="f4")
    y = np.array([np.inf, np.inf, quiet, payload, payload, 0.0, -0.0, 1.0], dtype="f4")
    assert violations(x, y, absolute(1e3)).tolist() == [False, True, False, True, False, True, False, True]


def test_masked_values_must_be_identical() -> None:
    x, y = np.array([1.0, 1.0]), np.array([1.25, 1.25])
    assert violations(x, y, absolute(0.5), np.array([True, False])).tolist() == [True, False]


def test_limits_by_column() -> None:
    x = np.zeros((200_000, 2))
    bad = violations(x, x + 1.0, Tolerance("absolute", np.array([0.5, 1.0])))
    assert bad[:, 0].all()
    assert not bad[:, 1].any()


@given(hnp.arrays("f4", hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)))
def test_any_layout_of_memory_gives_the_same(x: np.ndarray) -> None:
    with np.errstate(over="ignore"):
        y = np.asarray((x.astype("f8") * 1.001).astype("f4"))
    expected = violations(x, y, absolute(0.25))
    for change in (lambda a: a.astype(">f4"), np.asfortranarray, lambda a: a[..., ::-1][..., ::-1] if a.ndim else a):
        np.testing.assert_array_equal(violations(change(x), change(y), absolute(0.25)), expected)


def test_different_shapes_or_types_are_refused() -> None:
    with pytest.raises(InvalidInput):
        violations(np.zeros(3), np.zeros(4), absolute(1.0))
    with pytest.raises(InvalidInput):
        violations(np.zeros(3), np.zeros(3, dtype="f4"), absolute(1.0))


def _exactly(x: np.ndarray, y: np.ndarray, limits: list[Fraction]) -> np.ndarray:
    """Return where values are farther apart than their limit, in rational arithmetic."""
    pairs = zip(x.tolist(), y.tolist(), limits, strict=True)
    return np.array([abs(Fraction(a) - Fraction(b)) > limit for a, b, limit in pairs])


@pytest.mark.parametrize("dtype", FLOATS)
@given(seed=st.integers(0, 2**32), exponent=st.integers(-12, 3))
def test_floats_are_compared_exactly(dtype: str, seed: int, exponent: int) -> None:
    """Decoded values lie at the bound but for the last bits: whatever is let through is within it, exactly."""
    rng = np.random.default_rng(seed)
    bound = float(10.0**exponent * rng.choice([1.0, 0.3, 7.0, 1.0 + 2.0**-52]))
    x = (rng.normal(size=60) * 10.0 ** rng.integers(-3, 4, 60)).astype(dtype)
    x = x[np.isfinite(x)]
    for kind in (Absolute(bound), PointRelative(bound)):
        limit = np.full(x.size, bound) if isinstance(kind, Absolute) else bound * np.abs(x.astype("f8"))
        with np.errstate(all="ignore"):
            y = (x + rng.choice([-1, 1], x.size) * limit).astype(dtype)
            y = np.where(rng.random(x.size) < 0.5, np.nextafter(y, x), y)
        keep = np.isfinite(y)
        wanted = [Fraction(bound) * (1 if isinstance(kind, Absolute) else abs(Fraction(a))) for a in x[keep].tolist()]
        found = violations(x[keep], y[keep], resolve(kind, measure(x)))
        np.testing.assert_array_equal(found, _exactly(x[keep], y[keep], wanted))


@pytest.mark.parametrize("dtype", INTEGERS)
@given(seed=st.integers(0, 2**32), bound=st.sampled_from([0.1, 0.29, 0.07, 0.5, 1.0, 1 / 3, 1e-3, 1e-15, 2.5]))
def test_integers_are_compared_exactly(dtype: str, seed: int, bound: float) -> None:
    rng = np.random.default_rng(seed)
    ends = np.iinfo(dtype)
    near = rng.integers(-100, 101, 30) + rng.choice([0, ends.max, ends.min, 2**53], 30).astype(object)
    x = np.array([min(max(int(v), ends.min), ends.max) for v in near], dtype)
    limits = [Fraction(bound) * abs(int(v)) for v in x]
    steps = [int(limit) + int(k) for limit, k in zip(limits, rng.integers(0, 2, x.size), strict=True)]
    y = np.array([min(max(int(v) + s, ends.min), ends.max) for v, s in zip(x, steps, strict=True)], dtype)
    found = violations(x, y, resolve(PointRelative(bound), measure(x)))
    exact = _exactly(x, y, limits)
    assert not (exact & ~found).any()
    small = np.array([max(abs(int(v)), limit) < 2**53 for v, limit in zip(x, limits, strict=True)])
    np.testing.assert_array_equal(found[small], exact[small])


@given(x=hnp.arrays("f8", (9, 3), elements=st.floats(-1e300, 1e300)), value=st.floats(1e-9, 2.0), each=st.booleans())
def test_shares_of_the_range_are_rounded_down(x: np.ndarray, value: float, each: bool) -> None:
    found = resolve(RangeRelative(value, per_feature=each), measure(x)).absolute
    columns = x.T.tolist() if each else [x.reshape(-1).tolist()]
    for allowed, column in zip(found.reshape(-1).tolist(), columns, strict=True):
        exact = Fraction(value) * (Fraction(max(column)) - Fraction(min(column)))
        assert Fraction(allowed) <= exact
        assert allowed == np.finfo("f8").max or Fraction(float(np.nextafter(allowed, np.inf))) > exact
