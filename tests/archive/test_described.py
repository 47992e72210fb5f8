"""`attrs` and `dims` of arrays that come from HDF5 and netCDF-4 files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr

import aezip
from aezip.container.described import describe
from aezip.core.errors import CorruptFile

FIELD = np.random.default_rng(0).normal(size=(6, 20, 30)).cumsum(axis=1).astype("f4")


def archived(path: Path) -> Path:
    made = path.with_name(f"{path.name}.aez")
    aezip.compress_file(path, made, bounds=[("*tas", aezip.RangeRelative(1e-3))], preset="instant")
    return made


def test_a_variable_of_netcdf_keeps_its_words(tmp_path: Path) -> None:
    about = {"units": "K", "valid": np.array([1.0, 2.0]), "names": ["a", "bé"]}
    variables = {"tas": (("time", "lat", "lon"), FIELD, about), "other": (("lat", "x"), FIELD[0])}
    coordinates = {"time": np.arange(6), "lat": np.arange(20.0)}
    xr.Dataset(variables, coordinates, {"title": "a run"}).to_netcdf(tmp_path / "run.nc", engine="netcdf4")
    with aezip.open(archived(tmp_path / "run.nc")) as archive, xr.open_dataset(tmp_path / "run.nc", decode_cf=False) as ds:
        view = archive["tas"]
        assert view.dims == ("time", "lat", "lon")
        assert archive["other"].dims == ("lat", "x")
        assert set(view.attrs) == set(ds["tas"].attrs)
        assert view.attrs["units"] == "K"
        assert view.attrs["names"] == ["a", "bé"]
        assert view.attrs["valid"].tolist() == [1.0, 2.0]
        assert archive.attrs == {"title": "a run"}


def test_groups_labels_and_scales_of_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        one = file.create_dataset("g/tas", data=FIELD)
        one.dims[0].label = "member"
        one.attrs["gain"], one.attrs["one"], one.attrs["self"] = np.float32(2.5), np.array([7]), one.ref
        scale = file.create_dataset("g/x", data=np.arange(3000.0))
        scale.make_scale("x")
    with aezip.open(archived(tmp_path / "a.h5")) as archive:
        assert archive["g/tas"].dims == ("member", "dim_1", "dim_2")
        assert archive["g/tas"].attrs == {"gain": np.float32(2.5), "one": 7}
        assert archive["g/x"].dims == ("x",)


def test_arrays_of_no_file_have_none() -> None:
    data, _ = aezip.compress({"a": FIELD[0], "b": np.float32(3)}, preset="instant")
    with aezip.open(data) as archive:
        assert archive["a"].dims == ("dim_0", "dim_1")
        assert archive["b"].dims == ()
        assert archive["a"].attrs == archive.attrs == {}


def test_a_skeleton_that_is_none_is_refused() -> None:
    with pytest.raises(CorruptFile, match="cannot be read"):
        describe([b"nothing ", b"of the kind"], ["a"])
