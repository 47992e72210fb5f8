"""xarray reads archives lazily and writes them; its own tests of backends run against the engine."""

from __future__ import annotations

import contextlib
import pickle
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # xarray's tests use marks of their own
    from xarray.tests import test_backends as theirs

import aezip
import aezip.integrations.xarray
from aezip.archive.view import ArrayView
from aezip.core.errors import CorruptFile, InvalidInput

sys.path.insert(0, str(Path(__file__).parent.parent / "files"))
from making import PACKED, weather


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("xarray")
    for number, form in enumerate(("NETCDF4", "NETCDF3_64BIT")):
        path = made / f"run{number}.nc"
        encoding: Any = PACKED if form == "NETCDF4" else None
        weather(text=form == "NETCDF4").to_netcdf(path, engine="netcdf4", format=form, encoding=encoding, unlimited_dims=["time"])  # type: ignore[call-overload]
        aezip.compress_file(path, preset="instant")
    return made


@pytest.mark.parametrize("name", ["run0.nc", "run1.nc"])
@pytest.mark.parametrize("decode", [True, False])
def test_an_archive_looks_like_the_file(folder: Path, name: str, decode: bool) -> None:
    with (
        xr.open_dataset(folder / name, decode_cf=decode, engine="netcdf4") as a,
        xr.open_dataset(folder / f"{name}.aez", engine="aezip", decode_cf=decode) as b,
        xr.open_dataset(folder / f"{name}.aez", engine="aezip", decode_cf=decode, chunks={}) as c,
    ):
        xr.testing.assert_identical(a, b)
        xr.testing.assert_identical(a, c)
        assert c["air"].chunks is not None
        assert b.encoding["unlimited_dims"] == {"time"}
        xr.testing.assert_identical(a, pickle.loads(pickle.dumps(b)))
        for key in (
            {"time": 3},
            {"lat": [0, 5], "lon": slice(2, 9, 3)},
            {"time": slice(None, None, -2)},
            {"lat": [True] + [False] * 16},
        ):
            xr.testing.assert_identical(a["air"].isel(key), b["air"].isel(key))


def test_only_the_chunks_that_are_touched_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = xr.Dataset({"x": (("t", "y", "z"), np.random.default_rng(0).normal(size=(40, 500, 300)).astype("f4"))})
    big.aezip.save(tmp_path / "big.aez", {"x": aezip.Absolute(0.1)}, preset="instant")
    seen: list[int] = []
    chunk = ArrayView._chunk
    monkeypatch.setattr(ArrayView, "_chunk", lambda self, index: (seen.append(index), chunk(self, index))[1])
    with xr.open_dataset(tmp_path / "big.aez", engine="aezip") as found:
        assert seen == []
        assert found["x"].shape == (40, 500, 300)
        part = found["x"][20, 4:9]
        assert float(abs(part - big["x"][20, 4:9]).max()) <= 0.1
        assert len(set(seen)) == 1


def test_threads_read_at_once(folder: Path) -> None:
    with xr.open_dataset(folder / "run0.nc.aez", engine="aezip", cache=False) as found:
        want = found["air"].values
        wrong: list[int] = []

        def read(number: int) -> None:
            for at in range(24):
                if not np.array_equal(found["air"][at].values, want[at], equal_nan=True):
                    wrong.append(number)

        threads = [threading.Thread(target=read, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_several_archives_are_one_data_set(tmp_path: Path) -> None:
    whole = weather(40, text=False)
    for number in range(2):
        whole.isel(time=slice(20 * number, 20 * number + 20)).aezip.save(tmp_path / f"{number}.aez", preset="instant")
    how: Any = {"data_vars": "minimal", "compat": "no_conflicts", "join": "outer", "combine": "by_coords"}
    with xr.open_mfdataset(str(tmp_path / "*.aez"), engine="aezip", chunks={}, **how) as found:
        xr.testing.assert_equal(found.load(), xr.decode_cf(whole))


def test_arrays_that_are_of_no_file_are_variables(tmp_path: Path) -> None:
    arrays = {"a": np.arange(12.0).reshape(3, 4), "b": np.float32(3.5)}
    aezip.compress(arrays, tmp_path / "x.aez", preset="instant")
    with xr.open_dataset(tmp_path / "x.aez", engine="aezip") as found:
        assert found["a"].dims == ("a_0", "a_1")
        np.testing.assert_array_equal(found["a"], arrays["a"])
        assert found["b"].item() == 3.5


def test_what_cannot_be_opened_is_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no group"):
        xr.open_dataset(folder / "run0.nc.aez", engine="aezip", group="nowhere")
    (tmp_path / "x.aez").write_bytes(b"nothing" * 100)
    with pytest.raises(CorruptFile):
        xr.open_dataset(tmp_path / "x.aez", engine="aezip")
    with pytest.raises(InvalidInput, match="exists"):
        weather().aezip.save(tmp_path / "x.aez", preset="instant")
    with pytest.raises(InvalidInput, match="fits no variable"):
        weather().aezip.save(tmp_path / "y.aez", {"wind": aezip.Absolute(1)}, preset="instant")


class TestTheirs(theirs.DatasetIOBase):
    """What xarray asks of every backend."""

    engine = "aezip"  # type: ignore[assignment]
    file_format = "NETCDF4"
    test_load_async = None  # type: ignore[assignment]  # needs a plugin
    test_roundtrip_timedelta_data_via_dtype = None  # type: ignore[assignment]  # these two need fixtures of theirs
    test_vectorized_indexing_negative_step = None  # type: ignore[assignment]
    test_vectorized_indexing = None  # type: ignore[assignment]  # its variables are small: they are read at once

    def save(self, dataset: xr.Dataset, path: Any, **kwargs: Any) -> Any:
        kwargs.pop("engine", None), kwargs.pop("format", None)
        if kwargs.keys() - {"encoding"}:
            pytest.skip("an option of to_netcdf that archives have not")
        return aezip.integrations.xarray.save(dataset, path, encoding=kwargs.get("encoding"), overwrite=True, preset="instant")

    @contextlib.contextmanager
    def open(self, path: Any, **kwargs: Any) -> Iterator[xr.Dataset]:
        with xr.open_dataset(path, engine="aezip", **kwargs) as found:
            yield found

    @contextlib.contextmanager
    def create_store(self) -> Iterator[Any]:
        pytest.skip("archives are written in one go")
        yield
