"""G24: what is missing on return is what was missing before, under any bound, number of fill values and valid range."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers import QUICK
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import cli
from aezip.array.missing import ValidRange, beside, values_of_fill
from aezip.cli.formats import read
from aezip.core.errors import InvalidInput
from aezip.search import presets

TYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i2", ">f4"]


def missing(x: np.ndarray, fills: Any = (), limits: Any = None) -> np.ndarray:
    """Return where values are missing, found in exact numbers."""
    low, high = (None, None) if limits is None else limits

    def lost(value: Any) -> bool:
        if value != value:
            return any(fill != fill for fill in fills)
        return value in fills or (low is not None and value < low) or (high is not None and value > high)

    return np.array([lost(value) for value in x.reshape(-1).tolist()], bool).reshape(x.shape)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, list[Any], Any, aezip.Bound]:
    """Draw values around a centre, fill values inside, beside and outside of them, a range that cuts some off, a wide bound."""
    dtype = np.dtype(draw(st.sampled_from(TYPES)))
    whole = dtype.kind != "f"
    ends = np.iinfo(dtype) if whole else np.finfo(dtype)
    centre = draw(st.sampled_from([0, 100, -100, ends.min, ends.max]))
    step = 1 if whole else draw(st.sampled_from([0.25, 1.0]))
    reach = draw(st.integers(1, 8))
    offsets = [draw(st.integers(-reach - 2, reach + 2)) for _ in range(draw(st.integers(0, 5)))]

    def value(offset: int) -> Any:
        number = int(centre) + offset if whole else float(centre) + offset * step
        return dtype.type(min(max(number, int(ends.min)), int(ends.max)) if whole else number).item()

    with np.errstate(over="ignore"):
        rng = np.random.default_rng(draw(st.integers(0, 9)))
        shape = draw(st.sampled_from([(90,), (30, 5), (6, 7, 4)]))
        x = np.array([value(int(k)) for k in rng.integers(-reach, reach + 1, math.prod(shape))], dtype).reshape(shape)
        fills = [f for f in dict.fromkeys(value(offset) for offset in offsets) if np.isfinite(f)]
    if not whole:
        x = np.where(np.isfinite(x), x, dtype.type(0)).astype(dtype)
        if draw(st.booleans()):
            x.reshape(-1)[::7] = np.nan
            fills += [math.nan] if draw(st.booleans()) else []
    limits = None
    if draw(st.booleans()):
        low, high = value(-reach + 1), value(reach - 1)
        limits = draw(st.sampled_from([(low, None), (None, high), (low, high)]))
    bounds = [aezip.Absolute(draw(st.sampled_from([0.3, 1.0, 5.0, 50.0]))), aezip.RangeRelative(0.4), aezip.PSNR(5.0)]
    return x, fills, limits, draw(st.sampled_from(bounds))


@pytest.mark.train
@given(case=cases())
def test_the_mask_comes_back_as_it_went_in(case: tuple[np.ndarray, list[Any], Any, aezip.Bound]) -> None:
    x, fills, limits, bound = case
    data, _report = aezip.compress(x, bound=bound, fill_value=fills or None, valid_range=limits, preset="fast")
    y = aezip.decompress(data)
    gone = missing(x, fills, limits)
    assert (missing(y, fills, limits) == gone).all()
    assert y[gone].tobytes() == x[gone].tobytes()
    if isinstance(bound, aezip.Absolute):
        kept = [(a, b) for a, b in zip(x[~gone].tolist(), y[~gone].tolist(), strict=True) if a == a]
        assert all(abs(a - b) <= bound.value for a, b in kept)
    with aezip.open(data) as archive:
        [view] = archive.values()
        assert view[1:3].tobytes() == y[1:3].tobytes()
    aezip.verify(x, data)


@pytest.mark.train
@pytest.mark.parametrize("bound", [aezip.Absolute(0.5), aezip.PSNR(30)])
def test_networks_keep_off_the_fill_values(bound: aezip.Bound, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(presets.PRESETS, "fast", QUICK)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 300)).T.cumsum(axis=0)[:, [0, 1, 2, 0, 1, 2]].astype("f4")
    x[40:60, 2:4] = 0.25
    x[100:110] = -1.0
    options: dict[str, Any] = {"bound": bound, "fill_value": [0.25, -1.0, 0.0], "preset": "fast"}
    y = aezip.decompress(aezip.compress(x, codes=True, **options)[0])
    assert (missing(y, [0.25, -1.0, 0.0]) == missing(x, [0.25, -1.0, 0.0])).all()


def test_fill_values_do_not_widen_the_range() -> None:
    x = np.linspace(0, 1, 4000, dtype="f4").reshape(100, 40)
    x[3], x[4], x[5] = 1e20, -9999, 7
    data, _ = aezip.compress(x, bound=aezip.RangeRelative(1e-3), fill_value=[1e20, -9999], valid_range=(0, 1), preset="fast")
    assert np.abs(aezip.decompress(data) - x).max() <= 1e-3
    assert (aezip.decompress(data)[3:6] == x[3:6]).all()


def test_what_takes_the_place_of_a_fill_value() -> None:
    def places(fills: list[Any], dtype: str, limits: Any = None) -> list[tuple[Any, Any]]:
        kind = np.dtype(dtype)
        valid = None if limits is None else ValidRange.of(limits, kind)
        return [(a.item(), b.item()) for a, b in beside(values_of_fill(fills, kind), valid)]

    assert places([5, 6], "i2") == [(5, 7), (6, 7)]
    assert places([255, 254], "u1") == [(255, 253), (254, 253)]
    assert places([5], "i2", (0, 5)) == [(5, 4)]
    assert places([9], "i2", (0, 5)) == []
    assert places([5], "i2", (5, 5)) == []
    assert places([0.0], "f4") == [(0.0, 2.0**-149), (-0.0, 2.0**-149)]
    assert places([math.nan], "f8") == []


def test_a_valid_range_ends_at_values_of_the_type() -> None:
    found = ValidRange.of((0.5, 99.5), np.dtype("u1"))
    assert (found.low, found.high) == (1, 99)
    found = ValidRange.of((0.1, None), np.dtype("f4"))
    assert found.low >= 0.1
    assert found.high == np.finfo("f4").max
    assert ValidRange.of((-(2**70), 2**70), np.dtype("i8")).high == 2**63 - 1


@pytest.mark.parametrize("limits", [5, (1, 2, 3), ("a", 1), (2, 1), (0.2, 0.8), (math.nan, 1), (300, None)])
def test_odd_valid_ranges_are_refused(limits: Any) -> None:
    with pytest.raises(InvalidInput, match="valid range"):
        aezip.compress(np.zeros((4, 4), "u1"), valid_range=limits)


@pytest.fixture
def netcdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of variables with several kinds of marks; the working folder is its own."""
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).integers(0, 200, (60, 50))
    with h5py.File("m.nc", "w") as file:
        for name in ("both", "packed", "limits", "unpacked", "malformed"):
            file[name] = x.astype("f4") if name == "both" else x.astype("i2")
        file["both"].attrs.update({"_FillValue": np.float32(3), "missing_value": np.array([5, 7], "f4")})
        file["packed"].attrs.update({"_FillValue": np.int16(9), "scale_factor": 0.1, "valid_min": np.int16(2)})
        file["limits"].attrs.update({"valid_range": np.array([10, 150], "i2")})
        file["unpacked"].attrs.update({"scale_factor": 0.1, "valid_range": np.array([1.0, 15.0])})
        file["malformed"].attrs.update({"valid_range": np.array([9, 8], "i2"), "missing_value": "none", "valid_max": "x"})
    return tmp_path / "m.nc"


def test_attributes_tell_what_is_missing(netcdf: Path) -> None:
    inputs = read(str(netcdf), datasets=("both", "packed", "limits", "unpacked", "malformed"))
    assert inputs.fills == {"both": [3, 5, 7], "packed": [9]}
    assert inputs.valid == {"packed": (2, None), "limits": (10, 150)}


@pytest.mark.train
@pytest.mark.parametrize(
    ("name", "options", "fills", "limits"),
    [
        ("both", [], [3, 5, 7], None),
        ("packed", [], [9], (2, None)),
        ("limits", [], [], (10, 150)),
        ("both", ["--fill-value", "11", "--fill-value", "12"], [11, 12], None),  # what is asked for counts
        ("limits", ["--valid-range", ",20"], [], (None, 20)),
    ],
)
def test_files_keep_what_is_missing(netcdf: Path, name: str, options: list[str], fills: list[int], limits: Any) -> None:
    code = cli.run(["compress", "m.nc", "--dataset", name, "--abs", "5", "--preset", "fast", "-q", "-o", "m.aez", *options])
    assert code == 0
    assert cli.run(["verify", "m.nc", "m.aez", "--dataset", name]) == 0
    with h5py.File("m.nc") as file:
        x = file[name][()]
    y = aezip.decompress(netcdf.with_name("m.aez"))
    y = y[name] if isinstance(y, dict) else y
    assert (missing(y, fills, limits) == missing(x, fills, limits)).all()
    assert missing(x, fills, limits).any()
    assert np.abs(y.astype("f8") - x).max() > 0


def test_a_file_whose_values_were_moved_says_so(tmp_path: Path) -> None:
    x = np.tile(np.arange(-50, 50, dtype="i2"), (40, 1))
    data, _ = aezip.compress(x, bound=aezip.Absolute(5), fill_value=[-9999, 0], preset="fast")
    path = tmp_path / "x.aez"
    path.write_bytes(data)
    with aezip.open(data) as archive:
        [view] = archive.values()
        assert "apart" in json.dumps(view._header)
    assert cli.run(["test", str(path)]) == 0


@pytest.mark.parametrize(("text", "word"), [("1", "pair"), (",", "pair"), ("a,b", "--valid-range"), ("5,1", "LOW first")])
def test_odd_ranges_of_the_command_line(netcdf: Path, text: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", "m.nc", "--dataset", "limits", "--valid-range", text]) != 0
    assert word in capsys.readouterr().err
