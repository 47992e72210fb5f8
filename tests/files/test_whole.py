"""Whole files come back equivalent, in all that they hold; bounds by variable; what cannot be done is told in a line."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
from making import PACKED, odd, weather
from scipy.io import netcdf_file

import aezip
from aezip.core.errors import CorruptFile, InvalidInput
from aezip.files import hdf5, netcdf3, whole
from aezip.files.whole import Taken


def again(path: Path, **options: Any) -> Path:
    """Return a file that went through an archive."""
    archive, out = path.with_name("made.aez"), path.with_name(f"again-{path.name}")
    aezip.compress_file(path, archive, preset="instant", overwrite=True, **options)
    aezip.decompress_file(archive, out, overwrite=True)
    return out


def identical(path: Path, other: Path) -> None:
    for decode in (True, False):
        with xr.open_dataset(path, decode_cf=decode) as a, xr.open_dataset(other, decode_cf=decode) as b:
            xr.testing.assert_identical(a, b)
            assert {n: v.encoding.get("chunksizes") for n, v in a.variables.items()} == {
                n: v.encoding.get("chunksizes") for n, v in b.variables.items()
            }


def dumped(path: Path, *words: str) -> list[str]:
    """Return what the netCDF library says of a file, without its name."""
    out = subprocess.run(["ncdump", *words, str(path)], capture_output=True, text=True, check=True).stdout
    return out.splitlines()[1:]


def test_a_netcdf4_file_comes_back_identical(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, unlimited_dims=["time"], encoding=PACKED, engine="netcdf4")
    identical(path, again(path))


@pytest.mark.skipif(shutil.which("ncdump") is None, reason="ncdump is not installed")
def test_the_netcdf_library_sees_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, unlimited_dims=["time"], encoding=PACKED, engine="netcdf4")
    assert dumped(path, "-s") == dumped(again(path), "-s")


@pytest.mark.parametrize("version", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("unlimited", [["time"], []])
def test_a_classic_netcdf_file_comes_back_byte_for_byte(tmp_path: Path, version: Any, unlimited: list[str]) -> None:
    import netCDF4

    path = tmp_path / "run.nc"
    with netCDF4.Dataset(path, "w", format=version) as file:
        source = weather(text=False)
        for name, size in source.sizes.items():
            file.createDimension(name, None if name in unlimited else size)
        for name, variable in source.variables.items():
            made = file.createVariable(name, variable.dtype, variable.dims)
            made.setncatts(variable.attrs)
            made[...] = variable.values
        file.createVariable("letters", "S1", ("time",))[...] = np.array([b"x"] * source.sizes["time"])
    out = again(path)
    assert out.read_bytes() == path.read_bytes()
    out = again(path, bounds={"air": aezip.Absolute(0.05)})
    with xr.open_dataset(path) as a, xr.open_dataset(out) as b:
        assert 0 < float(abs(a["air"] - b["air"]).max()) <= 0.05
        xr.testing.assert_identical(a.drop_vars("air"), b.drop_vars("air"))
        assert a["air"].attrs.items() < b["air"].attrs.items()
        assert b["air"].attrs["lossy_compression_bound"] == "absolute 0.05"
        assert 0 < b["air"].attrs["lossy_compression_max_abs_error"] <= 0.05
    if version != "NETCDF3_64BIT_DATA":
        with netcdf_file(out, mmap=False) as read, netcdf_file(path, mmap=False) as plain:
            assert read.variables["air"].lossy_compression == f"aezip {aezip.__version__}".encode()
            assert (read.variables["rain"][:] == plain.variables["rain"][:]).all()
    told: list[Taken] = []
    aezip.compress_file(out, bounds={"air": aezip.Absolute(0.1)}, preset="instant", told=told.append, overwrite=True)
    assert told[0].lossy == {"air": "attribute lossy_compression"}
    twice = again(out, bounds={"air": aezip.Absolute(0.1)})
    with netCDF4.Dataset(twice) as read:  # told once
        assert read["air"].lossy_compression_bound == "absolute 0.1"
        assert len(read["air"].ncattrs()) == len(set(read["air"].ncattrs()))


def test_a_header_grows_into_its_padding_and_not_beyond_the_format(tmp_path: Path) -> None:
    import netCDF4

    path = tmp_path / "roomy.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension("x", 400)
        file.createVariable("v", "f4", ("x",))[...] = np.linspace(0, 1, 400)
        file.createVariable("w", "f8", ("x",))[...] = np.linspace(0, 9, 400)
    raw = path.read_bytes()
    head = netcdf3.parse(raw)
    assert head is not None
    told = {"v": {"lossy_compression_max_abs_error": 0.25}}
    grown = netcdf3.extended(raw[: head.size], told)
    assert grown is not None
    assert grown.moved % 4 == 0
    roomy = grown.data + raw[head.size :]  # as written with h_minfree
    begins = {name: run.offset for name, run in netcdf3.parse(roomy).runs.items()}  # type: ignore[union-attr]
    assert {name: run.offset + grown.moved for name, run in head.runs.items()} == begins
    less = netcdf3.extended(grown.data, {"v": {"lossy_compression_max_abs_error": 1.5}})  # replaced: no room needed
    assert less is not None
    assert less.moved == 0
    place = raw.index(struct.pack(">I", head.runs["w"].offset), 60)
    far = raw[:place] + struct.pack(">I", (1 << 31) - 5) + raw[place + 4 : head.size]
    assert netcdf3.extended(far, told) is None


def test_what_a_file_has_no_room_for_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.nc"
    weather(text=False).to_netcdf(path, format="NETCDF3_CLASSIC", engine="netcdf4")
    monkeypatch.setattr(whole, "_EXTEND", {"netcdf3": lambda *_: None})
    with pytest.warns(UserWarning, match="no room"):
        out = again(path, bounds={"air": aezip.Absolute(0.05)})
    assert out.stat().st_size == path.stat().st_size


def described(file: h5py.File) -> dict[str, Any]:
    """Return everything in an HDF5 file that h5py tells, in plain words."""
    found: dict[str, Any] = {"block": None}

    def note(name: str, item: Any) -> None:
        told = {key: plain(item.attrs[key]) for key in item.attrs}
        if isinstance(item, h5py.Dataset):
            values = None if item.shape is None else plain(item[()])
            kept = (item.chunks, item.compression, item.shuffle, item.fletcher32, item.maxshape, item.is_virtual)
            told |= {"@values": values, "@type": item.id.get_type().get_class(), "@kept": kept, "@shape": item.shape}
            told["@fill"] = None if item.dtype.hasobject or item.dtype.fields else plain(item.fillvalue)
            told["@committed"] = item.id.get_type().committed()
        found[name] = told

    def plain(value: Any) -> Any:
        if isinstance(value, h5py.RegionReference):
            return (file[value].name, file[value][value].shape) if value else None
        if isinstance(value, h5py.Reference):
            return file[value].name if value else None
        if isinstance(value, np.ndarray) and (value.dtype.hasobject or value.dtype.names):
            return [plain(v) for v in value.ravel()]
        if isinstance(value, np.void) and value.dtype.names:
            return [plain(value[name]) for name in value.dtype.names]
        if isinstance(value, np.ndarray | np.generic):
            return value.dtype.str, value.shape, value.tobytes()
        return value if not isinstance(value, h5py.Empty) else ("empty", value.dtype.str)

    file.visititems(note)
    note("/", file)
    for group in ("/", "g", "g/deep"):
        for name in file[group]:
            link = file[group].get(name, getlink=True)
            found[f"link {group} {name}"] = {key: value for key, value in vars(link).items()}, type(link).__name__
    found["same"] = file["alias"] == file["g/deep/big"]
    found["scales"] = [dict(d.items())["S"].name if len(d) else d.label for d in file["g/deep/big"].dims]
    return found


def test_everything_that_hdf5_has_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    odd(path)
    out = again(path)
    with h5py.File(path) as a, h5py.File(out) as b:
        assert described(a) == described(b)
        assert "alias" in described(a)
    assert out.read_bytes()[:512] == path.read_bytes()[:512]


@pytest.mark.skipif(shutil.which("h5diff") is None, reason="h5diff is not installed")
def test_the_hdf5_library_finds_no_difference(tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    odd(path)
    made = subprocess.run(["h5diff", "-r", str(path), str(again(path))], capture_output=True, text=True, check=False)
    assert "differences found" not in made.stdout.replace("0 differences found", "")


def test_the_same_file_gives_the_same_archive(tmp_path: Path) -> None:
    path = tmp_path / "odd.h5"
    odd(path)
    archives = []
    for number in range(2):
        place = tmp_path / f"{number}.aez"
        aezip.compress_file(path, place, preset="instant")
        time.sleep(1.1)  # a time noted anywhere would differ
        archives.append(hashlib.sha256(place.read_bytes()).hexdigest())
    assert archives[0] == archives[1]


def test_bounds_are_kept_and_told_variable_by_variable(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, encoding=PACKED, engine="netcdf4")
    bounds = {"*_bnds": aezip.Lossless(), "a*": aezip.RangeRelative(1e-2), "*": aezip.Absolute(0.5)}
    out = again(path, bounds=bounds)
    with xr.open_dataset(path) as a, xr.open_dataset(out) as b:
        for name in ("time", "lat", "lon", "time_bnds", "rain", "count", "station"):  # coordinates, integers, text: untouched
            xr.testing.assert_identical(a[name].variable, b[name].variable)
        bound = 1e-2 * float(a["air"].max() - a["air"].min())
        error = float(abs(a["air"] - b["air"]).max())
        assert 0 < error <= bound
        np.testing.assert_array_equal(np.isnan(a["air"]), np.isnan(b["air"]))
        told = {key: b["air"].attrs.pop(key) for key in list(b["air"].attrs) if key.startswith("lossy_compression")}
        assert b["air"].attrs == a["air"].attrs
    assert told["lossy_compression"].startswith("aezip ")
    assert told["lossy_compression_bound"] == "range_relative 0.01"
    assert error <= told["lossy_compression_max_abs_error"] <= bound
    exact = again(path, bounds=[("count", aezip.Absolute(3)), *bounds.items()])
    with xr.open_dataset(path) as a, xr.open_dataset(exact) as b:
        assert 0 < int(abs(a["count"] - b["count"]).max()) <= 3


def test_the_original_is_named_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, engine="netcdf4")
    report = aezip.compress_file(path, preset="instant")
    with aezip.open(tmp_path / "run.nc.aez") as archive:
        assert archive.origin == report.file
        assert {"air", "rain", "count"} <= set(archive.names)
        assert archive.damage() == []
    assert report.file is not None
    assert report.file["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (report.file["name"], report.file["bytes"], report.file["format"]) == ("run.nc", path.stat().st_size, "hdf5")
    assert report.file["modified"].endswith("Z")
    assert sum(report.bytes.values()) == report.file_bytes


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"wind": aezip.Absolute(1)}, "'wind' fits no variable"),
        ({"air": aezip.Lossless(), "zz*": aezip.Absolute(1)}, "'zz*' fits no variable"),
        ({"station": aezip.Absolute(1)}, "a bound is for numbers"),
    ],
)
def test_a_bound_that_fits_nothing_is_refused(tmp_path: Path, bounds: Any, words: str) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, engine="netcdf4")
    with pytest.raises(InvalidInput, match=words.replace("*", r"\*")):
        aezip.compress_file(path, bounds=bounds, preset="instant")
    assert not (tmp_path / "run.nc.aez").exists()


def refused(path: Path) -> str:
    """Return why a file is not taken; "" where it is."""
    try:
        aezip.compress_file(path, preset="instant", overwrite=True)
    except InvalidInput as error:
        return str(error)
    return ""


def test_damaged_files_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, engine="netcdf4", encoding=PACKED)
    good = path.read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(60):
        bad = bytearray(good)
        for place in rng.integers(0, len(bad), 20):
            bad[place] ^= int(rng.integers(1, 256))
        path.write_bytes(bad[: int(rng.integers(len(bad) // 2, len(bad)))] if rng.random() < 0.3 else bad)
        said = refused(path)
        assert said == "" or ("run.nc" in said and "\n" not in said)


@pytest.mark.parametrize("cut", [3, 40, 700, -5])
def test_a_classic_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "run.nc"
    weather(text=False).to_netcdf(path, format="NETCDF3_64BIT", engine="netcdf4")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInput, match=r"cut short|no sound"):
        aezip.compress_file(path, preset="instant")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.nc"]


def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, engine="netcdf4")
    take_apart: Callable[..., Any] = hdf5.take_apart

    def meanwhile(*words: Any) -> Any:
        parts = take_apart(*words)
        with open(path, "ab") as file:
            file.write(b"more")
        return parts

    monkeypatch.setattr(whole.hdf5, "take_apart", meanwhile)
    with pytest.raises(InvalidInput, match="changed while it was read"):
        aezip.compress_file(path, preset="instant")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run.nc"]


def test_what_cannot_be_kept_is_named_or_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = np.arange(3000.0), np.array([file.ref], dtype=h5py.ref_dtype)

    def broken(*_: Any) -> Any:
        raise ValueError("no such object")

    monkeypatch.setattr("aezip.files.skeleton._Copy._moved", broken)
    with pytest.raises(InvalidInput, match=r"/b cannot be kept.*--drop"):
        aezip.compress_file(path, preset="instant")
    aezip.compress_file(path, preset="instant", drop=True)
    aezip.decompress_file(tmp_path / "x.h5.aez", tmp_path / "y.h5")
    with h5py.File(tmp_path / "y.h5") as file:
        np.testing.assert_array_equal(file["a"], np.arange(3000.0))


def test_a_flipped_bit_beside_the_arrays_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.nc"
    weather().to_netcdf(path, engine="netcdf4")
    aezip.compress_file(path, preset="instant")
    archive = tmp_path / "run.nc.aez"
    with h5py.File(archive, "r+") as file:
        file["file"][40] ^= 1
    with aezip.open(archive) as opened:
        assert opened.damage()
        with xr.open_dataset(path) as original:
            np.testing.assert_array_equal(opened["count"][...], original["count"])  # the arrays are whole
    with pytest.raises(CorruptFile):
        aezip.decompress_file(archive, tmp_path / "out.nc")
    assert not (tmp_path / "out.nc").exists()


def test_an_archive_of_arrays_is_no_file(tmp_path: Path) -> None:
    aezip.compress(np.arange(10.0), tmp_path / "x.aez")
    with pytest.raises(InvalidInput, match="made of arrays"):
        aezip.decompress_file(tmp_path / "x.aez", tmp_path / "x.nc")
