"""A soak: random arrays of every shape, type, bound and content through compress, test, decompress, verify. No violations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import FLOATS, INTEGERS, QUICK

import aezip
from aezip.search import choose as plan

OTHERS = ("c8", "c16", "b1", "M8[s]", "m8[ms]")
LONG = 500


def shape(r: np.random.Generator) -> tuple[int, ...]:
    axes = int(r.choice([0, 1, 1, 2, 2, 2, 3, 3, 4, 5]))
    most = int(r.choice([30, 300, 3000, 20000]))
    out: list[int] = []
    for _ in range(axes):
        left = max(1, most // max(1, int(np.prod(out, dtype=np.int64))))
        out.append(int(r.choice([1, int(r.integers(1, 8)), int(r.integers(1, left + 1)), 0 if r.random() < 0.1 else left])))
    return tuple(out)


def content(r: np.random.Generator, size: tuple[int, ...]) -> np.ndarray:
    """Return float64 values, smooth or not, of any magnitude."""
    x = r.normal(size=size)
    kind = r.integers(0, 9)
    if kind == 0 and x.ndim:
        for axis in range(x.ndim):
            x = x.cumsum(axis=axis)
    elif kind == 1 and x.ndim:
        x = np.sin(np.arange(x.size).reshape(size) / r.uniform(2, 50)) + 0.01 * x
    elif kind == 2:
        x = np.round(x, int(r.integers(0, 4)))
    elif kind == 3:
        x = r.choice([0.0, 1.0, 7.0, -3.0], size=size)
    elif kind == 4:
        x = np.full(size, float(x.flat[0]) if x.size else 0.0)
    elif kind == 5:
        x = np.sign(x) * np.exp(r.uniform(-300, 300, size=size))
    elif kind == 6:
        x = x * 1e-310
    elif kind == 7 and x.ndim:
        x = x * 10.0 ** r.integers(-6, 7, size=size[-1:])
    x = np.asarray(x) * 10.0 ** int(r.choice([0, 0, 0, -20, 5, 30])) + float(r.choice([0, 0, 1e6, -1e15]))
    return np.asarray(x)


def array(r: np.random.Generator) -> np.ndarray:
    size = shape(r)
    dtype = np.dtype(str(r.choice([*FLOATS * 3, *INTEGERS, *OTHERS])))
    if r.random() < 0.2:  # any bits at all
        x = np.frombuffer(r.bytes(int(np.prod(size)) * dtype.itemsize), dtype).reshape(size)
        return (x.view("u1") & 1).view("b1") if dtype.kind == "b" else x
    values = content(r, size)
    with np.errstate(all="ignore"):
        if dtype.kind == "c":
            x = (values + 1j * content(r, size)).astype(dtype)
        elif dtype.kind == "b":
            x = values > 0
        elif dtype.kind == "f":
            x = values.astype(dtype)
        else:
            plain = np.dtype("i8") if dtype.kind in "mM" else dtype
            info = np.iinfo(plain)
            x = np.clip(np.nan_to_num(values), info.min / 2, info.max / 2).astype(plain).astype(dtype)
    if dtype.kind == "f" and x.size and r.random() < 0.4:
        x = x.copy()
        for special in (np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal):
            x.flat[r.integers(0, x.size, max(1, x.size // 40))] = special
    form = r.integers(0, 5)
    if form == 1 and dtype.itemsize > 1:
        x = x.astype(x.dtype.newbyteorder(">"))
    elif form == 2:
        x = np.asfortranarray(x)
    elif form == 3 and x.ndim:
        x = x[::-1]
    elif form == 4 and x.ndim and x.shape[0] > 2:
        x = x[::2]
    return x


def bound(r: np.random.Generator) -> aezip.Bound:
    amount = 10.0 ** r.uniform(-9, 0)
    options: list[aezip.Bound] = [
        aezip.Lossless(), aezip.Absolute(10.0 ** r.uniform(-12, 3)), aezip.RangeRelative(amount),
        aezip.RangeRelative(amount, per_feature=True), aezip.PointRelative(amount), aezip.PSNR(float(r.uniform(20, 120))),
    ]  # fmt: skip
    return options[int(r.integers(0, len(options)))]


def numbers(x: np.ndarray) -> np.ndarray:
    """Return the plain numbers inside."""
    x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    if x.dtype.kind == "c":
        return x.reshape(*x.shape, 1).view(f"f{x.dtype.itemsize // 2}")
    return x.view({"b": "u1", "m": "i8", "M": "i8"}.get(x.dtype.kind, x.dtype))


def broken(x: np.ndarray, y: np.ndarray, asked: aezip.Bound) -> int:
    """Count the values that break the bound, by the definition and in exact arithmetic where floats have none."""
    bits_x, bits_y = (a.view(f"u{a.itemsize}") for a in (x, y))
    different = bits_x != bits_y
    if isinstance(asked, aezip.Lossless) or not x.size:
        return int(different.sum())
    finite = np.isfinite(x)
    count = int((different & (~finite | ((x == 0) & np.signbit(x) if x.dtype.kind == "f" else False))).sum())
    with np.errstate(all="ignore"):  # signalling NaNs among others
        exact = x.astype(object) if x.dtype.kind in "iu" else x.astype("f8")
        gap = np.abs(exact - (y.astype(object) if x.dtype.kind in "iu" else y.astype("f8")))
        if isinstance(asked, aezip.Absolute):
            limit: Any = asked.value
        elif isinstance(asked, aezip.PointRelative):
            limit = np.minimum(asked.value * np.abs(x.astype("f8")), np.finfo("f8").max)
        elif isinstance(asked, aezip.RangeRelative) and finite.any():
            if x.dtype.kind == "f":
                spread = x.astype("f8")[finite].max() - x.astype("f8")[finite].min()
            else:
                spread = float(int(x.max()) - int(x.min()))
            limit = min(asked.value * spread, np.finfo("f8").max)  # a range by feature is at most the whole
        else:
            limit = np.inf
        wrong = finite & different & np.array(gap > limit, bool)
    return count + int(wrong.sum())


def one(seed: int, patch: pytest.MonkeyPatch) -> str:
    """Put one array through everything; return the kind of plan."""
    r = np.random.default_rng(seed)
    x, asked = array(r), bound(r)
    patch.setattr(plan, "SMALL", 0 if r.random() < 0.3 else 6000)
    data, report = aezip.compress(x, bound=asked, preset="fast", seed=seed, threads=int(r.integers(1, 3)))
    assert len(data) <= x.nbytes + 4096
    with aezip.open(data) as archive:
        assert archive.damage() == []
    y = aezip.decompress(data)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    aezip.verify(x, data)
    effective = aezip.Lossless() if x.dtype.kind in "bmM" else asked
    assert broken(numbers(x), numbers(y), effective) == 0, (seed, x.dtype, x.shape, asked)
    assert report.plan is not None
    return str(report.plan["kind"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setitem(plan.PRESETS, "fast", QUICK)
    return monkeypatch


@pytest.mark.train
def test_a_few_random_arrays(quick: pytest.MonkeyPatch) -> None:
    kinds = {one(seed, quick) for seed in range(16)}
    assert len(kinds) >= 3


@pytest.mark.long
@pytest.mark.timeout(6000)
def test_500_random_arrays(quick: pytest.MonkeyPatch) -> None:
    kinds = {one(seed, quick) for seed in range(1000, 1000 + LONG)}
    assert len(kinds) >= 4
