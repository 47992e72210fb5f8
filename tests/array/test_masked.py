"""Masked arrays come back masked: mask, values and fill value as they were, under any bound."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip import cli
from aezip.array.masked import Masking, unmasked
from aezip.core.errors import CorruptFile, InvalidInput

TYPES = ["f2", "f4", "f8", ">f4", "i1", "u1", "i4", ">i2", "u8", "?", "c8", "c16", "M8[s]", "m8[ms]"]


@given(
    dtype=st.sampled_from(TYPES), seed=st.integers(0, 99), fill=st.sampled_from([None, 0, 1, 5]),
    share=st.sampled_from([0.0, 0.2, 1.0]), bound=st.sampled_from([aezip.Lossless(), aezip.Absolute(2.0)]),
)  # fmt: skip
def test_masked_arrays_come_back_as_they_were(dtype: str, seed: int, fill: Any, share: float, bound: aezip.Bound) -> None:
    rng = np.random.default_rng(seed)
    data = rng.integers(0, 7, (40, 5)).astype("i8").astype(dtype)
    x = np.ma.masked_array(data, rng.random(data.shape) < share)
    if fill is not None:
        x.fill_value = np.array(fill, "i8").astype(dtype)
    blob, _ = aezip.compress(x, bound=bound, preset="fast")
    y = aezip.decompress(blob)
    assert isinstance(y, np.ma.MaskedArray)
    assert y.dtype == x.dtype
    assert (np.ma.getmaskarray(y) == np.ma.getmaskarray(x)).all()
    with np.errstate(over="ignore"):
        assert np.asarray(y.fill_value, x.dtype).tobytes() == np.asarray(x.fill_value, x.dtype).tobytes()
    if isinstance(bound, aezip.Lossless) or x.dtype.kind in "bmM":
        assert y.compressed().tobytes() == x.compressed().tobytes()
    elif x.dtype.kind != "c" and y.count():
        assert np.abs(y.compressed().astype("f8") - x.compressed().astype("f8")).max() <= 2
    aezip.verify(x, blob)
    with aezip.open(blob) as archive:
        [view] = archive.values()
        assert (np.ma.getmaskarray(view[3:9, 1:]) == np.ma.getmaskarray(x[3:9, 1:])).all()
        one = view[2, 2]
        assert (one is np.ma.masked) == bool(np.ma.getmaskarray(x)[2, 2])
        with np.errstate(over="ignore"):  # the fill value of NumPy is beyond float16
            assert np.asarray(view)[np.ma.getmaskarray(x)].tobytes() == x.filled()[np.ma.getmaskarray(x)].tobytes()


def test_a_single_masked_flag_is_masked() -> None:
    x = np.ma.masked_array(np.ones((5, 6), bool), np.eye(5, 6, dtype=bool))
    with aezip.open(aezip.compress(x)[0]) as archive:
        [view] = archive.values()
        assert view[2, 2] is np.ma.masked
        assert view[2, 3] == True  # noqa: E712
    single = np.ma.masked_array(np.array(True), True)
    with aezip.open(aezip.compress(single)[0]) as archive:
        assert archive["data"][()] is np.ma.masked


def test_valid_values_may_equal_the_fill_value() -> None:
    x = np.ma.masked_array(np.arange(200, dtype="u1"), np.arange(200) % 9 == 0, fill_value=7)
    y = aezip.decompress(aezip.compress(x)[0])
    assert (y.mask == x.mask).all()
    assert y[7] == 7
    assert y.fill_value == 7


def test_a_type_without_a_value_left_is_refused() -> None:
    full = np.ma.masked_array(np.r_[np.arange(256), 0].astype("u1"), np.r_[np.zeros(256, bool), True])
    with pytest.raises(InvalidInput, match="astype"):
        aezip.compress(full)
    gap = full.copy()
    gap.data[100] = 101
    y = aezip.decompress(aezip.compress(gap)[0])
    assert (y.mask == gap.mask).all()
    assert y.compressed().tobytes() == gap.compressed().tobytes()


def test_nans_stay_apart_from_masked_elements() -> None:
    x = np.ma.masked_array([np.nan, 1.0, np.nan, 2.0], [0, 0, 1, 0], fill_value=np.nan)
    y = aezip.decompress(aezip.compress(x)[0])
    assert y.mask.tolist() == [False, False, True, False]
    assert np.isnan(y.data[0])


def test_the_command_line_writes_the_fill_value(tmp_path: Path) -> None:
    x = np.ma.masked_array(np.arange(60, dtype="i2").reshape(6, 10), np.arange(60).reshape(6, 10) % 7 == 0, fill_value=3)
    aezip.compress(x, tmp_path / "x.aez")
    assert cli.run(["decompress", str(tmp_path / "x.aez"), "-q", "-o", str(tmp_path / "x.npy")]) == 0
    assert (np.load(tmp_path / "x.npy") == x.filled()).all()
    assert cli.run(["decompress", str(tmp_path / "x.aez"), "-q", "--slice", "1:3", "-o", str(tmp_path / "y.npy")]) == 0
    assert (np.load(tmp_path / "y.npy") == x.filled()[1:3]).all()


@pytest.mark.parametrize("said", [None, {}, {"pattern": "zz", "fill_value": "00"}, {"pattern": "0011", "fill_value": "00"}])
def test_malformed_masks_are_corrupt(said: Any) -> None:
    with pytest.raises(CorruptFile):
        Masking.from_json(said, np.dtype("u1"))


def test_data_without_masked_elements_are_not_copied() -> None:
    x = np.ma.masked_array(np.arange(5), False)
    plain, masking = unmasked(x)
    assert np.shares_memory(plain, x.data)
    assert masking.pattern == b""
    assert isinstance(aezip.decompress(io.BytesIO(aezip.compress(x)[0])), np.ma.MaskedArray)
