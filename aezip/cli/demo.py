"""The whole job on two real data sets that ship with the package, beside zstd."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zstandard
from rich.console import Console
from rich.table import Table

from aezip.archive.comparing import verify
from aezip.archive.reading import decompress
from aezip.archive.writing import compress
from aezip.array.bounds import Bound, Lossless, RangeRelative
from aezip.tools import words

from . import progress
from .common import print_json

CASES: tuple[tuple[str, str, Bound], ...] = (
    ("field", "air_temperature", RangeRelative(1e-3)),
    ("table", "flights", Lossless()),
)


def load(name: str, key: str) -> npt.NDArray[Any]:
    """Return a data set that ships with the package."""
    with (files("aezip") / "data" / f"{name}.npz").open("rb") as file, np.load(file) as arrays:
        return np.asarray(arrays[key])


def _zstd(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=19).compress(data))


def _peers(x: npt.NDArray[Any], bound: Bound) -> tuple[int, int | None]:
    """Return the bytes of zstd -19 on the values, and on the values quantized to the bound."""
    plain = _zstd(x.tobytes())
    if not isinstance(bound, RangeRelative):
        return plain, None
    step = 2.0 * bound.value * float(x.max() - x.min())
    whole = np.rint(x.astype(np.float64) / step).astype(np.int32)
    return plain, _zstd(np.diff(whole, axis=-1, prepend=0).astype(np.int16).tobytes())


def run_demo(preset: str, threads: int | None, options: Mapping[str, Any]) -> None:
    """Compress, compare, decode and verify; print a table, or JSON."""
    found = []
    out = Console(highlight=False, quiet=options["quiet"] or options["as_json"])
    table = Table("data", "raw", "zstd -19", "quantized\n+ zstd", "aezip", "ratio", "max error", "time", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    with tempfile.TemporaryDirectory() as folder:
        for name, key, bound in CASES:
            x = load(name, key)
            path = Path(folder) / f"{name}.aez"
            out.print(f"{name}: {key}, {x.dtype}, {' x '.join(map(str, x.shape))}, {words.bound_text(bound.to_json())}")
            start = time.perf_counter()
            with progress.followed(options, name) as told:
                report = compress({key: x}, path, bound=bound, preset=preset, threads=threads, progress=told)
            seconds = time.perf_counter() - start
            plain, quantized = _peers(x, bound)
            start = time.perf_counter()
            y = decompress(path, threads=threads)
            speed = x.size / (time.perf_counter() - start) / 1e6
            verify({key: x}, path)
            out.print(f"  decoded {y.size:,} values at {speed:.0f} million a second; every value is within the bound")
            table.add_row(
                name,
                words.size(x.nbytes),
                words.size(plain),
                "-" if quantized is None else words.size(quantized),
                words.size(report.file_bytes),
                f"{report.ratio:.1f}",
                words.number(report.max_abs_error),
                f"{seconds:.0f} s",
            )
            codecs = {"aezip": report.file_bytes, "zstd": plain, "quantized_zstd": quantized}
            about = {"name": name, "shape": x.shape, "dtype": str(x.dtype), "bound": bound.to_json(), "raw_bytes": x.nbytes}
            about |= {"bytes": codecs, "ratio": report.ratio, "max_abs_error": report.max_abs_error}
            found.append({**about, "seconds": seconds, "decoded_values_per_s": speed * 1e6})
    if options["as_json"]:
        print_json({"preset": preset, "data": found})
    out.print(table)
    out.print("sources and licences: aezip/data/ATTRIBUTION.md")
