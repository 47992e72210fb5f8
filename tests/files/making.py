"""Files of other formats as programs write them, made on the fly."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

RNG = np.random.default_rng(7)


def weather(times: int = 24, *, text: bool = True) -> xr.Dataset:
    """Return a small data set as CF has it: a packed and a plain variable, coordinates, bounds, text."""
    lat, lon = np.linspace(-80, 80, 17), np.linspace(0, 345, 24)
    noise = np.cumsum(RNG.normal(size=(times, 17, 24)), 0)
    air = (280 + 10 * np.cos(lat / 40)[:, None] + noise).astype("f4")
    air[3, 4, 5:9] = np.nan
    variables = {
        "air": (("time", "lat", "lon"), air, {"units": "K", "long_name": "air temperature"}),
        "rain": (("time", "lat", "lon"), np.maximum(noise, 0) / 3, {"units": "mm"}),
        "count": (("time", "lat", "lon"), RNG.integers(0, 900, noise.shape).astype("i4")),
        "time_bnds": (("time", "edge"), np.arange(2.0 * times).reshape(times, 2)),
    }
    if text:
        variables["station"] = ("time", np.array([f"s{i}" for i in range(times)], dtype=object))  # type: ignore[assignment]
    coordinates = {
        "time": ("time", np.arange(float(times)), {"units": "hours since 1990-01-01", "bounds": "time_bnds"}),
        "lat": ("lat", lat, {"units": "degrees_north"}),
        "lon": ("lon", lon, {"units": "degrees_east"}),
    }
    return xr.Dataset(variables, coordinates, {"Conventions": "CF-1.11", "title": "weather"})


PACKED = {"rain": {"dtype": "i2", "scale_factor": 0.01, "add_offset": 5.0, "_FillValue": -32768}, "air": {"zlib": True}}


def odd(path: Path) -> None:
    """Write an HDF5 file with a bit of everything that HDF5 has."""
    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_group("g/deep", track_order=True).create_dataset(
            "big", data=np.cumsum(RNG.normal(size=(50, 100)), 0), chunks=(7, 30), compression="gzip", fletcher32=True
        )
        file["alias"], file["soft"], file["ext"] = data, h5py.SoftLink("/g/deep/big"), h5py.ExternalLink("x.h5", "/y")
        file["refs"] = np.array([data.ref, file["g"].ref, h5py.Reference()], dtype=h5py.ref_dtype)
        file.create_dataset("region", (2,), dtype=h5py.regionref_dtype)[0] = data.regionref[2:5, 3:9]
        pair = np.dtype([("a", "<i4"), ("b", "S5"), ("c", h5py.string_dtype())])
        file["compound"] = np.array([(1, b"xx", "hé"), (2, b"y", "z")], pair)
        file["committed"] = np.dtype([("x", "f4"), ("y", "u1")])
        file.create_dataset("typed", (3,), dtype=file["committed"])[...] = np.array([(1, 2)] * 3, file["committed"].dtype)
        colours = h5py.enum_dtype({"R": 0, "G": 1, "B": 2}, "i2")
        file.create_dataset("colours", data=RNG.integers(0, 3, 3000).astype("i2"), dtype=colours)
        file["flags"], file["complex"] = RNG.random(4000) > 0.5, (RNG.random(700) + 1j).astype("c8")
        file["half"], file["big_endian"] = RNG.random(2000).astype("f2"), RNG.random(2000).astype(">f8")
        file["opaque"], file["empty"], file["scalar"] = np.void(b"\0abc\0"), h5py.Empty("f4"), 3.5
        file["none"], file["fixed"], file["text"] = np.zeros((0, 4)), np.array([b"abc", b"de"], "S4"), ["ä", "b", ""]
        ragged = file.create_dataset("ragged", (3,), dtype=h5py.vlen_dtype("i4"))
        ragged[0], ragged[2] = [1, 2, 3], [5]
        layout = h5py.VirtualLayout((50, 100), "f8")
        layout[...] = h5py.VirtualSource(".", "/g/deep/big", (50, 100))
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("unwritten", shape=(100, 100), dtype="f4", fillvalue=7)
        file.create_dataset("growing", data=RNG.random((60, 60)).astype("f4"), maxshape=(None, 60), chunks=(1, 60), shuffle=True)
        file["scale"] = np.arange(100.0)
        file["scale"].make_scale("S")
        data.dims[1].attach_scale(file["scale"])
        data.dims[0].label = "rows"
        file.attrs["ref"], file["g"].attrs["empty"], data.attrs["texts"] = data.ref, h5py.Empty("i4"), ["a", "ü"]
    with open(path, "r+b") as raw:
        raw.write(b"user block")


def write_safetensors(path: Path, tensors: dict[str, tuple[str, np.ndarray[Any, Any]]], metadata: dict[str, str]) -> None:
    """Write a safetensors file as the format's description says."""
    told: dict[str, Any] = {"__metadata__": metadata}
    at, parts = 0, []
    for name, (kind, values) in tensors.items():
        raw = values.tobytes()
        told[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        parts.append(raw)
    header = json.dumps(told).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"".join(parts))
