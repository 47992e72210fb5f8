"""Arrays of other libraries are taken as NumPy's, or refused in one line."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import aezip
from aezip.array.foreign import as_numpy
from aezip.core.errors import InvalidInput


def through(data: Any, **options: Any) -> Any:
    return aezip.decompress(aezip.compress(data, preset="fast", **options)[0])


def test_tensors_come_back_as_arrays() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(12.0).reshape(3, 4)
    assert (through(x) == x.numpy()).all()
    assert (through(x.requires_grad_()) == x.detach().numpy()).all()
    assert (through(torch.tensor([1 + 2j]).conj()) == np.array([1 - 2j], "c8")).all()
    brain = torch.linspace(-3, 3, 50).to(torch.bfloat16)
    back = through(brain, bound=aezip.Absolute(0.05))
    assert back.dtype == ml_dtypes.bfloat16
    assert np.abs(back.astype("f4") - brain.to(torch.float32).numpy()).max() <= 0.05
    for odd in (torch.eye(3).to_sparse(), torch.zeros(3, device="meta")):
        with pytest.raises(InvalidInput) as caught:
            aezip.compress(odd)
        assert "\n" not in str(caught.value)


def test_frames_come_back_as_arrays() -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [4, 5, 6], "c": [True, False, True]})
    assert (through(frame) == np.array([[1, 4, 1], [2, 5, 0], [3, 6, 1]], "f8")).all()
    assert (through(frame[["b"]]) == frame[["b"]].to_numpy()).all()
    assert (through(pd.date_range("2020", periods=3)) == pd.date_range("2020", periods=3).to_numpy()).all()
    with pytest.raises(InvalidInput, match="one by one"):
        aezip.compress(pd.DataFrame({"a": [1], "b": ["x"]}))


def test_missing_values_of_nullable_types_are_masked() -> None:
    pd = pytest.importorskip("pandas")
    series = pd.Series([1, None, 3], dtype="Int16")
    back = through(series)
    assert back.dtype == np.int16
    assert back.tolist() == [1, None, 3]
    assert through(pd.Series([True, None], dtype="boolean")).tolist() == [True, None]
    frame = pd.DataFrame({"a": series, "b": [1.5, 2.5, 3.5]})
    assert through(frame).tolist() == [[1.0, 1.5], [None, 2.5], [3.0, 3.5]]
    assert through(pd.Series([1, 2], dtype="Int64")).tolist() == [1, 2]


def test_labelled_and_lazy_arrays_are_read() -> None:
    xr, da = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    x = np.arange(12, dtype="f4").reshape(3, 4)
    assert (through(xr.DataArray(x)) == x).all()
    assert (through(da.from_array(x, chunks=2) + 1) == x + 1).all()


class Exchanged:
    """Has nothing but DLPack, as arrays of other libraries may."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


class OnDevice:
    """Lies on a graphics card, as arrays of CuPy do."""

    __cuda_array_interface__ = None

    def __dlpack_device__(self) -> Any:
        return (2, 0)

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError

    def get(self) -> np.ndarray:
        return np.arange(3)


def test_arrays_are_exchanged_by_dlpack() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert (through(Exchanged(x)) == x).all()
    assert (as_numpy(OnDevice()) == np.arange(3)).all()


class Raising:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("no array\ntoday")


def test_what_cannot_become_an_array_is_refused_in_one_line() -> None:
    with pytest.raises(InvalidInput, match="no array today") as caught:
        aezip.compress(Raising())
    assert "\n" not in str(caught.value)
