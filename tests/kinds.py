"""Arrays of the kinds that people have, put through everything, each in a child of its own; see test_kinds.

Run as a module it is one case: ``python -m tests.kinds SEED``.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from helpers import QUICK

import aezip
from aezip.search import choose, presets

SHAPES = [(2400,), (60, 40), (7, 300), (12, 10, 20), (1, 500), (400, 3)]
TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f4", ">i2"]
FILL = -99  # in range of every signed type
Values = np.ndarray[Any, np.dtype[np.float64]]


def _walks(r: np.random.Generator, shape: tuple[int, ...]) -> Values:
    x = r.normal(size=shape)
    for axis in range(x.ndim):
        x = x.cumsum(axis=axis)
    return x


def _near_constant(r: np.random.Generator, shape: tuple[int, ...]) -> Values:
    x = np.full(shape, 3.5)
    x[r.random(shape) < 0.01] = 4.25
    return x


KINDS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Values]] = {
    "walks": _walks,
    "noise": lambda r, shape: r.normal(size=shape),
    "mixed scales": lambda r, shape: r.normal(size=shape) * 10.0 ** r.integers(-8, 9, shape[-1]),
    "heavy tails": lambda r, shape: r.standard_t(1.1, size=shape),
    "exponentials": lambda r, shape: np.exp(8 * r.normal(size=shape)),
    "near constant": _near_constant,
    "counts": lambda r, shape: r.poisson(3.0, size=shape).astype(np.float64),
    "offset": lambda r, shape: 1e6 + 1e-2 * _walks(r, shape),
    "huge": lambda r, shape: 1e30 * _walks(r, shape),
    "tiny": lambda r, shape: 1e-30 * _walks(r, shape),
    "alternating": lambda r, shape: (
        np.where(np.arange(math.prod(shape)) % 2, -1.0, 1.0).reshape(shape) * 10.0 ** r.uniform(-10, 10, shape)
    ),
}


def array(r: np.random.Generator, kind: str) -> tuple[np.ndarray[Any, Any], bool]:
    """Return an array, and whether it has values of FILL that are to be masked."""
    dtype = np.dtype(str(r.choice(TYPES)))
    values = KINDS[kind](r, SHAPES[int(r.integers(len(SHAPES)))])
    with np.errstate(all="ignore"):
        if dtype.kind == "f":
            x = values.astype(dtype)
        else:
            ends = np.iinfo(dtype)
            x = np.clip(np.rint(values), ends.min / 2, ends.max / 2).astype(dtype)
    holes = r.random(x.shape) < float(r.choice([0.0, 0.05, 0.6]))
    if dtype.kind == "f" and r.random() < 0.4:
        x[holes] = np.nan
    filled = dtype.kind != "u" and r.random() < 0.4
    if filled:
        x[holes] = FILL
    return x, filled


def bound(r: np.random.Generator, x: np.ndarray[Any, Any]) -> aezip.Bound:
    """Return a bound of any kind; absolute ones suit the values."""
    amount = 10.0 ** r.uniform(-7, 0)
    finite = np.abs(x.astype("f8")[np.isfinite(x)])
    scale = float(np.median(finite)) if finite.size and np.median(finite) > 0 else 1.0
    options: list[aezip.Bound] = [
        aezip.Lossless(), aezip.Absolute(max(scale * amount, 1e-300)), aezip.RangeRelative(amount),
        aezip.RangeRelative(amount, per_feature=True), aezip.PointRelative(amount), aezip.PSNR(10.0 * int(r.integers(1, 13))),
        aezip.NRMSE(amount),
    ]  # fmt: skip
    return options[int(r.integers(len(options)))]


def broken(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any], asked: aezip.Bound, *, filled: bool) -> str:
    """Return what breaks the bound, in rational arithmetic; "" if nothing does."""
    bits = np.dtype(f"u{x.itemsize}")
    x, y = (np.ascontiguousarray(a, a.dtype.newbyteorder("=")) for a in (x, y))
    same = x.view(bits) == y.view(bits)
    ordinary = np.isfinite(x) & (x != FILL if filled else True)
    if not same[~ordinary].all():
        return "a special value changed"
    if filled and (y[ordinary] == FILL).any():
        return "a value became the fill value"
    if isinstance(asked, aezip.Lossless):
        return "" if same.all() else "not bit-identical"
    if not ordinary.any() or same.all():
        return ""
    if not np.isfinite(y[ordinary]).all():
        return "a value became NaN or infinite"
    exact = np.vectorize(lambda value: Fraction(value.item() if hasattr(value, "item") else value), otypes=[object])
    a, b, where = exact(np.where(ordinary, x, 0).astype(object)), exact(np.where(ordinary, y, 0).astype(object)), ordinary
    gap = np.abs(a - b)
    spread = max(a[where]) - min(a[where])
    if isinstance(asked, aezip.PSNR):
        mean = sum((gap[where] ** 2).tolist(), Fraction(0)) / int(where.sum())
        return "" if mean * Fraction(10) ** round(asked.db / 10) <= spread**2 else "the PSNR is missed"
    if isinstance(asked, aezip.NRMSE):
        mean = sum((gap[where] ** 2).tolist(), Fraction(0)) / int(where.sum())
        return "" if mean <= (Fraction(asked.value) * spread) ** 2 else "the NRMSE is missed"
    if isinstance(asked, aezip.Absolute):
        limit: Any = Fraction(asked.value)
    elif isinstance(asked, aezip.PointRelative):
        limit = Fraction(asked.value) * np.abs(a)
    elif isinstance(asked, aezip.RangeRelative) and asked.per_feature and x.ndim > 1:
        columns = zip(*(part.reshape(-1, x.shape[-1]).T for part in (a, where)), strict=True)
        spans = [max(v[w], default=0) - min(v[w], default=0) for v, w in columns]
        limit = Fraction(asked.value) * np.array(spans, object)
    else:
        limit = Fraction(asked.value) * spread
    over = where & np.array(gap > limit, bool)
    return f"{int(over.sum())} values beyond the bound" if over.any() else ""


def case(seed: int) -> str:
    """Put one array through everything; return what is wrong, "" if nothing is."""
    kind = list(KINDS)[seed % len(KINDS)]
    r = np.random.default_rng(seed)
    x, filled = array(r, kind)
    asked = bound(r, x)
    presets.PRESETS["fast"] = QUICK
    if r.random() < 0.2:
        choose.SMALL = 0  # networks compete for the smallest arrays too
    data, _report = aezip.compress(x, bound=asked, fill_value=FILL if filled else None, preset="fast", seed=seed, threads=1)
    y = aezip.decompress(data)
    wrong = f"came back as {y.dtype} {y.shape}" if (y.dtype, y.shape) != (x.dtype, x.shape) else ""
    wrong = wrong or broken(x, y, asked, filled=filled)
    if not wrong and len(data) > x.nbytes + 4096:
        wrong = f"{x.nbytes} bytes became {len(data)}"
    aezip.verify(x, data)
    return f"seed {seed}, {kind}, {x.dtype} {x.shape}, {asked}, filled {filled}: {wrong}" if wrong else ""


if __name__ == "__main__":
    sys.exit(case(int(sys.argv[1])) or None)
