"""G6: what is reported is what is real: every field recomputed from the file and the arrays."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import h5py
import hostile
import numpy as np
import pytest
from helpers import QUICK

import aezip
from aezip.container import header as rules
from aezip.search import choose as plan


def field(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    x = np.random.default_rng(len(shape)).normal(size=shape)
    for axis in range(len(shape)):
        x = x.cumsum(axis=axis)
    return x.astype(dtype)


def holes(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flat[::11], x.flat[5], x.flat[7] = np.nan, np.inf, -0.0
    return x


CASES = [
    (field((400, 24)), aezip.RangeRelative(1e-3), None),
    (holes(field((300, 8))), aezip.Absolute(0.05), None),
    (np.where(field((300, 8)) > 5, -99.0, field((300, 8))), aezip.RangeRelative(1e-2), -99.0),
    (field((20, 24, 22), "f8"), aezip.PointRelative(1e-3), None),
    (field((300, 8), ">f8"), aezip.PSNR(50), None),
    ((field((300, 8)) * 100).astype("i4"), aezip.Absolute(3), None),
    (field((300, 8)), aezip.Lossless(), None),
]


@pytest.mark.train
@pytest.mark.parametrize(("x", "bound", "fill"), CASES, ids=lambda v: v.kind if isinstance(v, aezip.Bound) else None)
def test_every_field_of_a_report(
    x: np.ndarray, bound: aezip.Bound, fill: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(plan.PRESETS, "fast", QUICK)
    monkeypatch.setattr(plan, "SMALL", 0)
    path = tmp_path / "x.aez"
    made = aezip.compress(x, path, bound=bound, fill_value=fill, preset="fast", seed=7)
    with aezip.open(path) as archive:
        report = archive.report()
    assert report.to_json() == made.to_json() == json.loads(str(made))
    data = path.read_bytes()
    y = aezip.decompress(path)
    # sizes
    assert report.file_bytes == len(data) == sum(report.bytes.values())
    assert report.raw_bytes == x.nbytes
    assert report.ratio == x.nbytes / len(data)
    assert report.bits_per_value == 8 * len(data) / x.size
    assert report.ratio_without_model == x.nbytes / (len(data) - report.bytes.get("model", 0))
    with h5py.File(io.BytesIO(data)) as file:
        streams = file["data"].size if "data" in file else 0
    assert sum(size for name, size in report.bytes.items() if name != "container") == streams
    # errors, over what is finite and not masked
    kept = np.isfinite(x.astype("f8")) if fill is None else x != fill
    a, b = x[kept].astype("f8"), y[kept].astype("f8")
    gap = np.abs(a - b)
    spread = a.max() - a.min()
    assert report.max_abs_error == gap.max()
    assert report.rmse == pytest.approx(math.sqrt(float(np.square(gap).mean())), rel=1e-8)
    assert report.nrmse == pytest.approx(math.sqrt(float(np.square(gap).mean())) / spread, rel=1e-8)
    array = report.arrays[0]
    nonzero = a != 0
    if gap[~nonzero].any():
        assert array.max_rel_error is None  # infinite
    else:
        assert array.max_rel_error == pytest.approx(float((gap[nonzero] / np.abs(a[nonzero])).max()), rel=1e-8)
    if gap.max():
        assert report.psnr == pytest.approx(20 * math.log10(spread / math.sqrt(float(np.square(gap).mean()))), rel=1e-8)
    else:
        assert report.psnr is None
    # what was done
    parts = hostile.take_apart(data)
    stored = sum(len(chunk.get("outliers", b"")) // (4 + x.itemsize) for chunk in parts.chunks)
    assert array.outliers == stored
    assert array.chunks == len(parts.chunks)
    assert (array.shape, array.dtype, array.bound) == (x.shape, str(x.dtype), bound.to_json())
    assert array.plan == parts.header["plan"] == report.plan
    assert array.raw_bytes == x.nbytes
    assert array.file_bytes == len(data)
    assert (array.ratio, array.bits_per_value) == (report.ratio, report.bits_per_value)
    if array.efficiency is not None:
        coded = array.bytes.get("codes", 0) + array.bytes.get("residual", 0)
        assert array.efficiency == pytest.approx(coded / parts.header["achieved"]["ideal_bytes"])
        assert 0.97 < array.efficiency < 1.3
    assert report.format_version == ".".join(map(str, rules.VERSION))
    assert report.software == f"aezip {aezip.__version__}"


def test_the_report_of_several_arrays_sums_up() -> None:
    arrays = {"a": field((50, 4)), "b": np.arange(300), "c": np.zeros((0, 3))}
    data, report = aezip.compress(arrays, preset="fast")
    assert sum(report.bytes.values()) == sum(a.file_bytes for a in report.arrays) == len(data)
    assert report.raw_bytes == sum(a.nbytes for a in arrays.values())
    assert report.bits_per_value == 8 * len(data) / sum(a.size for a in arrays.values())
