"""bfloat16 and float8: their bits and float32, as ml_dtypes has them; bounds hold in the type, special values keep their bits."""

from __future__ import annotations

import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip.array.narrow import NARROW, Narrow
from aezip.core.errors import CorruptFile, InvalidInput, ModelMismatch
from aezip.quantize.find_narrow import _half, _safe

KINDS = [pytest.param(kind, id=kind.name) for kind in NARROW.values()]
BOUNDS = [
    aezip.Lossless(), aezip.Absolute(0.03), aezip.RangeRelative(1e-3), aezip.RangeRelative(1e-2, per_feature=True),
    aezip.PointRelative(0.02), aezip.PointRelative(0.2), aezip.PSNR(40), aezip.NRMSE(1e-2),
]  # fmt: skip


def every(kind: Narrow) -> np.ndarray:
    return np.arange(1 << 8 * kind.plain.itemsize).astype(kind.plain)


@pytest.mark.parametrize("kind", KINDS)
def test_all_bit_patterns_are_those_of_ml_dtypes(kind: Narrow) -> None:
    bits = every(kind)
    wide = kind.widen(bits)
    assert np.array_equal(wide, bits.view(kind.dtype()).astype("f4"), equal_nan=True)
    assert (kind.narrow(wide) == bits).all()  # NaN among them
    finite = np.unique(wide[np.isfinite(wide) & (wide >= 0)])
    assert (kind.spacing(finite[:-1]) == np.diff(finite.astype("f8"))).all()


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_rounded_as_ml_dtypes_rounds(kind: Narrow) -> None:
    rng = np.random.default_rng(0)
    wide = kind.widen(every(kind))
    finite = np.unique(wide[np.isfinite(wide)])
    middle = (0.5 * finite[1:].astype("f8") + 0.5 * finite[:-1]).astype("f4")
    x = np.concatenate(
        [middle, np.nextafter(middle, np.inf), (rng.normal(size=9999) * np.exp(3 * rng.normal(size=9999))).astype("f4")]
    )
    x = x[np.abs(x) <= finite[-1]]
    assert (kind.narrow(x) == x.astype(kind.dtype()).view(kind.plain)).all()
    assert (kind.rounded(np.array([3e38, -3.4e38], "f4")) == [min(finite[-1], np.float32(3e38)), -finite[-1]])[1]


@pytest.mark.parametrize("bound", BOUNDS, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_bound_holds_in_the_type(kind: Narrow, bound: aezip.Bound) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(300, 5)) * [0.01, 0.1, 1, 5, 0]
    x = values.astype(kind.dtype())
    bits = x.view(kind.plain)
    bits[:3, 0] = [kind.largest + 1, every(kind)[-1], 1 << (8 * kind.plain.itemsize - 1)]  # infinity or NaN, a NaN, -0.0
    data, report = aezip.compress(x, bound=bound, preset="instant")
    y = aezip.decompress(data)
    assert (y.dtype, y.shape) == (x.dtype, x.shape)
    wide, close = x.astype("f8"), y.astype("f8")
    odd = ~np.isfinite(wide) | (bits == 1 << (8 * kind.plain.itemsize - 1))
    assert (bits[odd] == y.view(kind.plain)[odd]).all()
    error = np.where(odd, 0, np.abs(np.where(odd, 0, wide) - np.where(odd, 0, close)))
    spread = np.nanmax(np.where(odd, np.nan, wide), axis=0) - np.nanmin(np.where(odd, np.nan, wide), axis=0)
    if isinstance(bound, aezip.Absolute | aezip.Lossless):
        assert error.max() <= getattr(bound, "value", 0)
    elif isinstance(bound, aezip.PointRelative):
        assert (error <= bound.value * np.abs(np.where(odd, 0, wide))).all()
    elif isinstance(bound, aezip.RangeRelative) and bound.per_feature:
        assert (error <= bound.value * spread).all()
    aezip.verify(x, data)
    assert report.raw_bytes == x.nbytes
    assert report.arrays[0].dtype == kind.name
    with aezip.open(data) as archive:
        assert (archive["data"][5:9, 2].view(kind.plain) == y[5:9, 2].view(kind.plain)).all()
        assert (archive["data"].oindex[[7, 3], :].view(kind.plain) == y[[7, 3]].view(kind.plain)).all()
        out = np.empty_like(x)
        archive["data"].read(out)
        assert (out.view(kind.plain) == y.view(kind.plain)).all()


def test_lossy_is_smaller_than_lossless() -> None:
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(400, 300)) * np.exp(rng.normal(size=300)) * 0.02).astype(ml_dtypes.bfloat16)
    sizes = [len(aezip.compress(x, bound=bound, preset="instant")[0]) for bound in (aezip.Lossless(), aezip.RangeRelative(1e-3))]
    assert sizes[1] < 0.5 * sizes[0]
    noise = rng.integers(0, 1 << 16, x.shape).astype("u2").view(ml_dtypes.bfloat16)
    assert len(aezip.compress(noise, bound=aezip.PointRelative(1e-3), preset="instant")[0]) <= noise.nbytes + 4096


@given(
    bound=st.floats(1e-3, 10), kind=st.sampled_from(list(NARROW.values())), seed=st.integers(0, 99), safe=st.booleans(),
)  # fmt: skip
def test_rounding_after_even_steps_keeps_the_bound(bound: float, kind: Narrow, seed: int, safe: bool) -> None:
    rng = np.random.default_rng(seed)
    x = kind.rounded((rng.normal(size=500) * np.exp(2 * rng.normal(size=500))).astype("f4"))
    half = _safe(bound) if safe else _half(x, bound, kind)
    moved = (x.astype("f8") + half * rng.uniform(-0.999, 0.999, 500)).astype("f4")
    wrong = np.abs(kind.rounded(moved).astype("f8") - x) > bound
    apart = kind.spacing(x)
    below, above = (kind.spacing((np.abs(x) + end).clip(0).astype("f4")) for end in (-bound, bound))
    promised = half <= np.minimum(*((np.floor(bound / d) + 0.5) * d for d in (apart, below)))
    counted = half > 1e-3 * np.abs(x)  # float32 tells what was added
    assert not (wrong & counted & (safe | promised) & (apart == above)).any()  # else rounding is coarser than the value
    assert half <= bound


def test_what_does_not_suit_is_refused_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.ones((30, 4), ml_dtypes.bfloat16)
    refused: list[tuple[Any, dict[str, Any]]] = [
        (x, {"fill_value": 1.0}), (x, {"valid_range": (0, 1)}), (np.ma.masked_array(x, False), {}),
        (x.astype(ml_dtypes.int4), {}),
    ]  # fmt: skip
    for data, options in refused:
        with pytest.raises(InvalidInput) as caught:
            aezip.compress(data, bound=aezip.Absolute(0.1), preset="instant", **options)
        assert "\n" not in str(caught.value)
    with pytest.raises((InvalidInput, ModelMismatch), match="share no model"):
        aezip.train(x, bound=aezip.Absolute(0.1), preset="fast")
    data = aezip.compress(x, preset="instant")[0]
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(InvalidInput, match="pip install ml_dtypes"):
        aezip.decompress(data)


def test_a_sign_is_kept_where_that_is_asked_for() -> None:
    x = (np.random.default_rng(4).normal(size=4000) * 0.1).astype(ml_dtypes.bfloat16)
    y = aezip.decompress(aezip.compress(x, bound=aezip.Absolute(0.05), keep_sign=True, preset="instant")[0])
    assert (np.sign(x.astype("f4")) == np.sign(y.astype("f4"))).all()


@pytest.mark.parametrize(
    "change", [{"narrow": "float7"}, {"narrow": "float8_e5m2"}, {"narrow": 3}, {"wide": 1}, {"narrow": None}]
)
def test_malformed_headers_are_damage(change: dict[str, Any]) -> None:
    from aezip.codec.decoder import ArrayDecoder

    x = np.linspace(0, 1, 500).astype(ml_dtypes.bfloat16)
    with aezip.open(aezip.compress(x, bound=aezip.Absolute(0.01), preset="instant")[0]) as archive:
        view = archive["data"]
        header, shared = view._header, view._reader.shared("data")
    ArrayDecoder(header, shared)
    with pytest.raises(CorruptFile):
        ArrayDecoder({**header, **change}, shared)
