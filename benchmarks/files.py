"""``python -m benchmarks.files``: whole netCDF files through aezip and other ways of storing them, sizes and seconds.

Three reanalysis arrays become one netCDF-4 file with CF metadata, uncompressed. Lossless: `nccopy -d9 -s`, Zarr with Blosc
(zstd 9, shuffle), aezip. At one bound for every variable: SZ3 and ZFP as HDF5 filters, Zarr with aezip's codec, aezip. Error
is recomputed from what was read back. Slices of one percent of an array of many chunks are read, beside the whole; `--slices`
measures these alone.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import xarray as xr
import zarr

import aezip
from aezip.integrations.zarr import Aezip
from benchmarks.datasets import DATASETS
from benchmarks.measure import RESULTS, environment, revision

NAMES = {"era5_uk_t2m": "t2m", "ukmo_north_america_tair": "tair", "ipsl_sst_fill": "sst"}
SHARE = 1e-3  # of each variable's range
FIELD = 400, 256, 256  # of slices: 105 MB
BOXES = 8  # of each shape


def make(path: Path) -> dict[str, float]:
    """Write the file; return the bound of each variable."""
    variables: dict[str, Any] = {}
    bounds = {}
    for name, short in NAMES.items():
        values = DATASETS[name].load()
        fill = DATASETS[name].fill
        dims = [f"{short}_{axis}" for axis in range(values.ndim)]
        attributes = {"units": "K", "long_name": name, **({} if fill is None else {"_FillValue": values.dtype.type(fill)})}
        variables[short] = (dims, values, attributes)
        good = values[np.isfinite(values) & (values != fill)] if fill is not None else values[np.isfinite(values)]
        bounds[short] = SHARE * float(good.max() - good.min())
    xr.Dataset(variables, attrs={"Conventions": "CF-1.11"}).to_netcdf(path, engine="netcdf4")
    return bounds


def size_of(path: Path) -> int:
    """Return the bytes of a file or of all files in a folder."""
    return path.stat().st_size if path.is_file() else sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return seconds and what an action returns."""
    start = time.perf_counter()
    found = action()
    return round(time.perf_counter() - start, 2), found


def arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the variables of a netCDF file as they are stored."""
    with h5py.File(path) as file:
        return {name: file[name][...] for name in NAMES.values()}


def filtered(source: Path, target: Path, filters: dict[str, Any]) -> None:
    """Write the variables with an HDF5 filter each, one chunk for each variable's run of some 4 MiB."""
    with h5py.File(target, "w") as file:
        for name, values in arrays(source).items():
            rows = max(1, (1 << 20) // max(1, values[0].size))
            file.create_dataset(name, data=values, chunks=(min(rows, len(values)), *values.shape[1:]), **filters[name])


def zarred(source: Path, target: Path, codecs: dict[str, Any]) -> None:
    """Write the variables into a Zarr store."""
    group = zarr.open_group(target, mode="w")
    for name, values in arrays(source).items():
        rows = max(1, (1 << 20) // max(1, values[0].size))
        chunks = (min(rows, len(values)), *values.shape[1:])
        array = group.create_array(name, shape=values.shape, dtype=values.dtype, chunks=chunks, filters=None, **codecs[name])
        array[...] = values


def worst(source: Path, back: dict[str, np.ndarray[Any, Any]], bounds: dict[str, float]) -> float:
    """Return the largest error over the bound, of ordinary values."""
    found = 0.0
    for name, values in arrays(source).items():
        ordinary = np.isfinite(values) & (np.abs(values) < 1e19)
        error = np.abs(values[ordinary].astype("f8") - back[name][ordinary].astype("f8")).max()
        found = max(found, float(error) / bounds[name])
    return round(found, 4)


def ways(source: Path, folder: Path, bounds: dict[str, float]) -> dict[str, tuple[Callable[[], Any], Callable[[], Any], Path]]:
    """Return for each way how it writes, how it reads, and where."""
    found: dict[str, tuple[Callable[[], Any], Callable[[], Any], Path]] = {}
    copy, back = folder / "copy.nc", folder / "back.nc"
    if shutil.which("nccopy"):
        words = ["nccopy", "-d9", "-s", str(source), str(copy)]
        found["nccopy -d9 -s"] = (lambda: subprocess.run(words, check=True), lambda: arrays(copy), copy)
    fills = {short: DATASETS[name].fill for name, short in NAMES.items()}
    blosc = zarr.codecs.BloscCodec(cname="zstd", clevel=9, shuffle="shuffle")
    stores = {
        "Zarr, Blosc zstd 9": {name: {"compressors": blosc} for name in bounds},
        "Zarr, aezip instant": {
            n: {"serializer": Aezip(aezip.Absolute(e), fill_value=fills.get(n)), "compressors": None} for n, e in bounds.items()
        },
    }
    for label, codecs in stores.items():
        store = folder / f"{label}.zarr"

        def read(store: Path = store) -> dict[str, Any]:
            group = zarr.open_group(store, mode="r")
            return {name: group[name][...] for name in bounds}

        found[label] = (lambda s=store, c=codecs: zarred(source, s, c), read, store)  # type: ignore[misc]
    peers = {
        "HDF5, SZ3": {name: dict(hdf5plugin.SZ3(absolute=e)) for name, e in bounds.items()},
        "HDF5, ZFP": {name: dict(hdf5plugin.Zfp(accuracy=e)) for name, e in bounds.items()},
    }
    for label, filters in peers.items():
        place = folder / f"{label}.h5"
        found[label] = (lambda p=place, f=filters: filtered(source, p, f), lambda p=place: arrays(p), place)  # type: ignore[misc]
    for preset in ("instant", "fast"):
        for label, chosen in (("lossless", None), ("1e-3", {name: aezip.Absolute(e) for name, e in bounds.items()})):
            place = folder / f"{preset}-{label}.aez"

            def write(place: Path = place, chosen: Any = chosen, preset: str = preset) -> None:
                aezip.compress_file(source, place, bounds=chosen, preset=preset)

            def restore(place: Path = place) -> dict[str, Any]:
                aezip.decompress_file(place, back, overwrite=True)
                return arrays(back)

            found[f"aezip {preset}, {label}"] = (write, restore, place)
    return found


def made_up() -> np.ndarray[Any, Any]:
    """Return a smooth field with noise, of many chunks."""
    rng = np.random.default_rng(0)
    t, y, x = np.ogrid[0 : FIELD[0], 0 : FIELD[1], 0 : FIELD[2]]
    wave = np.sin(t / 23 + x / 31) * np.cos(y / 37 - t / 51)
    return np.asarray(280 + 10 * wave + rng.normal(scale=0.05, size=FIELD), np.float32)


def slices() -> list[dict[str, Any]]:
    """Return, for one percent of an array of many chunks in two shapes, chunks touched and seconds, beside whole and chunk."""
    rng = np.random.default_rng(1)
    data, _ = aezip.compress(made_up(), None, bound=aezip.RangeRelative(SHARE), preset="instant", verify=False)
    rows = []
    with aezip.open(data) as archive:
        view = archive["data"]
        count, step = -(-view.shape[0] // view.chunks[0]), view.chunks[0]
        whole = min(timed(lambda: view[...])[0] for _ in range(2))
        chunk = min(timed(lambda: view[:step])[0] for _ in range(3))
        side = 0.01 ** (1 / view.ndim)
        for label, sizes in {
            "outer indices": (max(1, view.shape[0] // 100), *view.shape[1:]),
            "box": tuple(max(1, round(side * size)) for size in view.shape),
        }.items():
            for _ in range(BOXES):
                starts = [int(rng.integers(size - own + 1)) for size, own in zip(view.shape, sizes, strict=True)]
                key = tuple(slice(start, start + own) for start, own in zip(starts, sizes, strict=True))
                touched = (key[0].stop - 1) // step - key[0].start // step + 1
                seconds, _ = timed(lambda key=key: view[key])  # type: ignore[misc]
                rows.append({"shape": label, "chunks": touched, "s": seconds, "whole_s": whole, "chunk_s": chunk, "count": count})
                print(rows[-1])
    return rows


def table_of_slices(rows: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the table of slices."""
    first = rows[0]
    most = 0.05 * first["whole_s"] + first["chunk_s"]
    lines = [
        f"## Slices of one percent, by commit {revision()}",
        "",
        f"A made-up field of {' x '.join(map(str, FIELD))} float32 in {first['count']} chunks, range-relative {SHARE:g}, "
        f"preset instant. All of it takes {first['whole_s']} s, one chunk {first['chunk_s']} s; "
        f"5 % of all and one chunk would be {most:.2f} s.",
        "`python -m benchmarks.files --slices` makes this table alone.",
        "",
        "| 1 % of the values as | chunks touched | reads | median, s | longest, s | within 5 % and one chunk |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for label, touched in sorted({(row["shape"], row["chunks"]) for row in rows}):
        seconds = [row["s"] for row in rows if (row["shape"], row["chunks"]) == (label, touched)]
        within = sum(s <= most for s in seconds)
        figures = f"{np.median(seconds):.2f} | {max(seconds):.2f} | {within} of {len(seconds)}"
        lines.append(f"| {label} | {touched} | {len(seconds)} | {figures} |")
    return [*lines, ""]


def write_slices() -> None:
    """Measure slices and put their table below that of files."""
    rows = slices()
    (RESULTS / "slices.json").write_text(
        json.dumps({"revision": revision(), "environment": environment(), "rows": rows}, indent=1) + "\n"
    )
    page = RESULTS / "files.md"
    above = page.read_text().partition("\n## Slices")[0].rstrip("\n")
    page.write_text("\n".join([above, "", *table_of_slices(rows)]))


def main() -> None:
    """Measure and write the results."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "run.nc"
        bounds = make(source)
        raw = source.stat().st_size
        for label, (write, read, place) in ways(source, folder, bounds).items():
            seconds, _ = timed(write)
            back_seconds, back = timed(read)
            size = size_of(place)
            error = worst(source, back, bounds)
            row = {"way": label, "bytes": size, "ratio": round(raw / size, 2), "write_s": seconds, "read_s": back_seconds}
            rows.append({**row, "error_over_bound": error})
            print(rows[-1])
    told = {"revision": revision(), "environment": environment(), "raw_bytes": raw, "rows": rows}
    (RESULTS / "files.json").write_text(json.dumps(told, indent=1) + "\n")
    lines = [
        "# Whole files",
        "",
        f"A netCDF-4 file of {', '.join(NAMES)} ({raw:,} bytes), on two cores, by commit {told['revision']}.",
        "Error: the largest of ordinary values, over the bound",
        "(1e-3 of each variable's range; 0: lossless). `python -m benchmarks.files` makes this page.",
        "",
        "| way | bytes | ratio | write, s | read, s | error / bound |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {r['way']} | {r['bytes']:,} | {r['ratio']} | {r['write_s']} | {r['read_s']} | {r['error_over_bound']} |" for r in rows
    ]
    lines += [""]
    (RESULTS / "files.md").write_text("\n".join(lines))
    write_slices()


if __name__ == "__main__":
    write_slices() if sys.argv[1:] == ["--slices"] else main()
