"""G1, G2, G3, G4, G6, G7, G22: what comes back is what was promised."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import QUICK
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import aezip
from aezip.array.bounds import Lossless
from aezip.codec import decoder
from aezip.plans.bytes import BytesPlan
from aezip.plans.delta import DeltaPlan
from aezip.search import choose as plan
from aezip.search.choice import Choice
from aezip.search.static import Static
from aezip.search.untrained import Untrained

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for a moment only: the guarantee does not depend on how good a network is."""
    monkeypatch.setitem(plan.PRESETS, "fast", QUICK)


def round_trip(x: Any, bound: aezip.Bound, **options: Any) -> tuple[Any, bytes]:
    data, report = aezip.compress(x, bound=bound, preset="fast", **options)
    assert sum(report.bytes.values()) == len(data) == report.file_bytes
    y = aezip.decompress(data)
    plain = x
    assert y.shape == np.asarray(plain).shape
    assert y.dtype == np.asarray(plain).dtype
    aezip.verify(plain, data)
    return y, data


def within(x: np.ndarray, y: np.ndarray, limit: Any) -> None:
    """Compare exactly, independently of the library's own check."""
    finite = np.isfinite(x)
    assert (x.view(f"u{x.itemsize}")[~finite] == y.view(f"u{x.itemsize}")[~finite]).all()
    if x.dtype.kind in "iu" and x.itemsize == 8:
        gap = np.array([abs(int(a) - int(b)) for a, b in zip(x.ravel(), y.ravel(), strict=True)], object)
        assert (gap.reshape(x.shape) <= np.floor(limit)).all() if x.size else True
        return
    with np.errstate(over="ignore"):
        gap = np.abs(x[finite].astype("f8") - y[finite].astype("f8"))
    assert (gap <= np.broadcast_to(limit, x.shape)[finite]).all()


shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=12)
arrays = st.sampled_from(DTYPES).flatmap(
    lambda d: hnp.arrays(d, shapes, elements=hnp.from_dtype(np.dtype(d), allow_subnormal=True))
)


@pytest.mark.train
@example(x=np.array([-1.79769313e308, 9.97920155e291]), exponent=0.0)  # the range overflows
@given(x=arrays, exponent=st.floats(-12, 3))
def test_absolute_bound_holds_for_any_bits(x: np.ndarray, exponent: float) -> None:
    bound = 10.0**exponent
    y, _ = round_trip(x, aezip.Absolute(bound))
    within(x, y, bound)


@pytest.mark.train
@given(x=arrays)
def test_lossless_is_bit_identical_for_any_bits(x: np.ndarray) -> None:
    y, _ = round_trip(x, Lossless())
    assert y.tobytes() == x.tobytes()


@pytest.mark.train
@given(x=arrays, exponent=st.floats(-6, -0.5))
def test_point_relative_bound_holds_and_zeros_stay(x: np.ndarray, exponent: float) -> None:
    bound = 10.0**exponent
    y, _ = round_trip(x, aezip.PointRelative(bound))
    finite = np.isfinite(x)
    assert (y[finite & (x == 0)] == 0).all()
    if x.itemsize < 8 or x.dtype.kind == "f":
        with np.errstate(over="ignore"):
            gap = np.abs(x[finite].astype("f8") - y[finite].astype("f8"))
            assert (gap <= bound * np.abs(x[finite].astype("f8"))).all()


def smooth(shape: tuple[int, ...], dtype: str = "f4", seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for axis in range(len(shape)):
        x = x.cumsum(axis=axis)
    return (10 * x / np.abs(x).max()).astype(dtype)


LARGE = [
    (smooth((400, 40)), aezip.RangeRelative(1e-2)),
    (smooth((400, 40), "f8"), aezip.RangeRelative(1e-3, per_feature=True)),
    (smooth((30, 20, 30)), aezip.Absolute(0.01)),
    (smooth((9000,)), aezip.RangeRelative(1e-3)),
    (smooth((3000, 5)), aezip.PSNR(55)),
    (smooth((3000, 5), seed=2), aezip.NRMSE(2e-3)),
    (smooth((2000, 5)), aezip.PointRelative(1e-2)),
    ((smooth((700, 20), "f8") * 100).astype("i2"), aezip.Lossless()),
    (np.round(smooth((700, 20), "f8"), 2), aezip.Lossless()),
    (smooth((500, 20)), aezip.Lossless()),
]


@pytest.mark.train
@pytest.mark.parametrize(("x", "bound"), LARGE, ids=lambda v: v.kind if isinstance(v, aezip.Bound) else str(v.shape))
def test_learned_plans_keep_the_bound(x: np.ndarray, bound: aezip.Bound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL", 0)
    y, data = round_trip(x, bound)
    with aezip.open(data) as opened:
        error = opened.report().max_abs_error
    assert error == np.abs(x.astype("f8") - y.astype("f8")).max()
    if isinstance(bound, aezip.RangeRelative):
        spread = np.ptp(x.astype("f8"), axis=0 if bound.per_feature else None)
        within(x, y, bound.value * spread)
    if isinstance(bound, aezip.PSNR):
        mse = np.square(x.astype("f8") - y).mean()
        assert 20 * math.log10(float(np.ptp(x))) - 10 * math.log10(mse) >= bound.db
    if isinstance(bound, aezip.NRMSE):
        assert np.sqrt(np.square(x.astype("f8") - y).mean()) <= bound.value * np.ptp(x.astype("f8"))


@pytest.mark.train
@pytest.mark.parametrize("distortion", ["zero", "negated", "noise", "huge"])
@pytest.mark.parametrize("bound", [aezip.RangeRelative(1e-2), aezip.Lossless()])
def test_any_predictor_keeps_the_bound(distortion: str, bound: aezip.Bound, monkeypatch: pytest.MonkeyPatch) -> None:
    """However bad the predictions: the residual and the exceptions make up for them."""
    from aezip.plans.autoencoder.decoder import IntegerDecoder

    honest = IntegerDecoder.predict
    rng = np.random.default_rng(0)

    def predict(self: IntegerDecoder, narrow: Any, wide: Any) -> Any:
        mean, level, bins = honest(self, narrow, wide)
        changed = {
            "zero": np.zeros_like(mean),
            "negated": -mean,
            "noise": mean + np.random.default_rng(mean.size).integers(-(2**30), 2**30, mean.shape),
            "huge": np.full_like(mean, 2**40),
        }[distortion]
        return changed, level, bins

    x = np.round(smooth((300, 12), "f8"), 2) + rng.integers(0, 2, (300, 12))
    monkeypatch.setattr(plan, "SMALL", 0)
    monkeypatch.setattr(Untrained, "untrained", lambda *_: [Choice(BytesPlan(False), None, 1e300)])
    monkeypatch.setattr(IntegerDecoder, "predict", predict)
    y, _data = round_trip(x, bound)
    limit = 0.0 if isinstance(bound, Lossless) else 1e-2 * float(np.ptp(x))
    within(x, y, limit)


SPECIAL = [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, 1e-40, 6e-8, 65504.0, 1.0]


@pytest.mark.train
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize(
    "bound", [Lossless(), aezip.Absolute(1e-3), aezip.RangeRelative(1e-2), aezip.PointRelative(1e-2), aezip.PSNR(40)]
)
def test_special_values_come_back_bit_identical(dtype: str, bound: aezip.Bound) -> None:
    with np.errstate(over="ignore"):
        x = np.tile(np.array(SPECIAL, "f8").astype(dtype), (40, 3))
    x[3, 3:] = np.arange(27).astype(dtype)
    y, _ = round_trip(x, bound)
    exact = ~np.isfinite(x) | ((x == 0) & np.signbit(x))
    bits = f"u{x.itemsize}"
    assert (x.view(bits)[exact] == y.view(bits)[exact]).all()


def test_nan_payloads_come_back() -> None:
    x = np.array([0x7FC00001, 0x7FC00002, 0xFFC12345, 0x3F800000], "u4").view("f4").repeat(30)
    y, _ = round_trip(x, aezip.Absolute(0.5))
    assert (x.view("u4")[:90] == y.view("u4")[:90]).all()


@pytest.mark.train
@pytest.mark.parametrize("fill", [1e20, -9999.0])
def test_fill_values_are_exact_and_out_of_the_range(fill: float) -> None:
    x = smooth((200, 10))
    x[::7] = fill
    y, _ = round_trip(x, aezip.RangeRelative(1e-2), fill_value=fill)
    assert (y[::7] == np.float32(fill)).all()
    kept = np.delete(x, np.s_[::7], axis=0).astype("f8")
    assert np.abs(np.delete(y, np.s_[::7], axis=0) - kept).max() <= 1e-2 * np.ptp(kept)


def odd_arrays() -> list[Any]:
    base = smooth((24, 18), "f8")
    read_only = base.copy()
    read_only.flags.writeable = False
    return [
        np.zeros((0,)),
        np.zeros((3, 0, 2), "i4"),
        np.array(2.5),
        np.array([7], "i2"),
        np.full((5, 4), 3.25),
        base[::2, ::3],
        np.asfortranarray(base),
        base[::-1, ::-1],
        base.astype(">f8"),
        base.astype(">i2"),
        read_only,
        (base + 1j * base).astype("c8"),
        base > 0,
        (base * 1e6).astype("i8").view("M8[us]"),
        (base * 1e6).astype("i8").view("m8[s]"),
        base.reshape(2, 3, 4, 3, 6),
    ]


@pytest.mark.train
@pytest.mark.parametrize("x", odd_arrays(), ids=lambda x: f"{x.dtype.str}{x.shape}")
def test_shape_dtype_and_byte_order_are_restored(x: np.ndarray) -> None:
    y, _ = round_trip(x, Lossless())
    assert y.dtype.str == x.dtype.str
    assert y.tobytes() == np.ascontiguousarray(x).tobytes()


@pytest.mark.train
def test_memory_map_and_masked_array(tmp_path: Path) -> None:
    x = smooth((50, 30))
    np.save(tmp_path / "x.npy", x)
    y, _ = round_trip(np.load(tmp_path / "x.npy", mmap_mode="r"), aezip.Absolute(1e-3))
    within(x, y, 1e-3)
    masked = np.ma.masked_array(x, x > 5, fill_value=-99.0)
    y, _ = round_trip(masked, aezip.Absolute(1e-3))
    assert (y[x > 5] == -99).all()


@pytest.mark.parametrize(
    "x", [np.array([{}], object), np.array(["a"]), np.zeros(2, [("a", "i4")]), np.zeros(2, "f8").astype(np.longdouble)]
)
def test_unsupported_input_is_refused_before_a_file_exists(x: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(aezip.InvalidInput) as failure:
        aezip.compress(x, tmp_path / "x.aez")
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.train
def test_a_decoder_that_drifts_is_caught_and_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.aez"
    path.write_bytes(b"old")
    honest = decoder.ArrayDecoder._decoded
    monkeypatch.setattr(decoder.ArrayDecoder, "_decoded", lambda *arguments: honest(*arguments) + 1)
    monkeypatch.setattr(plan, "SMALL", 0)
    with pytest.raises(aezip.BoundViolated):
        aezip.compress(smooth((400, 30)), path, bound=aezip.RangeRelative(1e-2), preset="fast", overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.aez"]


@pytest.mark.train
def test_same_input_gives_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL", 0)
    x = smooth((500, 30))
    files = [aezip.compress(x, bound=aezip.RangeRelative(1e-2), preset="fast", seed=3)[0] for _ in range(2)]
    assert hashlib.sha256(files[0]).digest() == hashlib.sha256(files[1]).digest()


@pytest.mark.train
@pytest.mark.parametrize("size", [10, 1000, 200_000])
def test_noise_grows_by_at_most_4_kib(size: int) -> None:
    x = np.random.default_rng(0).integers(0, 2**32, size, "u4")
    data, _ = aezip.compress(x, preset="fast")
    assert len(data) <= x.nbytes + 4096


@pytest.mark.train
def test_each_array_of_many_may_cost_4_kib() -> None:
    rng = np.random.default_rng(26)
    named = {f"a{i:04d}": rng.normal(size=5).astype("f4") for i in range(40)}
    data, _report = aezip.compress(named, preset="fast")
    assert len(data) <= sum(x.nbytes + 4096 for x in named.values())
    assert all(y.tobytes() == named[name].tobytes() for name, y in aezip.decompress(data).items())


@pytest.mark.train
def test_several_arrays_in_one_file() -> None:
    arrays = {"a/b": smooth((40, 5)), "": np.arange(10), "c": np.array(1.5)}
    data, report = aezip.compress(arrays, preset="fast")
    out = aezip.decompress(data)
    assert {n: v.tobytes() for n, v in out.items()} == {n: v.tobytes() for n, v in arrays.items()}
    assert [a.name for a in report.arrays] == list(arrays)
    assert sum(report.bytes.values()) == len(data)


@pytest.mark.parametrize("dtype", ["u2", "f4", "c16", ">i8"])
@pytest.mark.parametrize("bound", [aezip.PSNR(60), aezip.Absolute(2), aezip.RangeRelative(1e-3), aezip.PointRelative(0.1)])
def test_arrays_without_values_keep_any_bound(dtype: str, bound: aezip.Bound) -> None:
    for shape in ((0,), (0, 119), (3, 0, 4)):
        round_trip(np.zeros(shape, dtype), bound)


@pytest.mark.train
@pytest.mark.parametrize("kept", [0, 1, 40])
def test_arrays_of_hardly_anything_but_specials(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampled parts may hold nothing to learn from."""
    monkeypatch.setattr(plan, "SMALL", 0)
    x = np.full((600, 5, 5), np.inf, "f4")
    x[300:].flat[: 90 * kept : 90] = np.arange(kept)
    y, _ = round_trip(x, aezip.Absolute(1e-3))
    within(x, y, 1e-3)


@pytest.mark.train
@pytest.mark.parametrize("shape", [(1, 310), (1, 1, 3000)])
def test_a_single_row_is_enough_to_train_on(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SMALL", 0)
    x = smooth(shape)
    y, _ = round_trip(x, aezip.RangeRelative(1e-4))
    within(x, y, 1e-4 * float(np.ptp(x)))


def test_fall_back_to_bytes_where_a_plan_misjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.random.default_rng(0).normal(size=(2000, 20)).astype("f4")
    monkeypatch.setattr(Untrained, "untrained", lambda self, sample, _: [Choice(DeltaPlan(0), sample.wholes[0], 1.0)])
    monkeypatch.setattr(plan, "SMALL", 10**9)
    monkeypatch.setattr(Static, "static", lambda *_: [])
    data, _report = aezip.compress(x, preset="fast")
    assert len(data) <= x.nbytes + 4096
    assert aezip.decompress(data).tobytes() == x.tobytes()
