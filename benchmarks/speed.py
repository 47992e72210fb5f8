"""``python -m benchmarks.speed``: seconds beside bytes, whole commands of aezip and plain settings of its peers, one run."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import aezip
from aezip.tools import bench
from benchmarks.datasets import DATASETS, Array
from benchmarks.measure import RESULTS, environment, revision

BOUND = 1e-3  # of the range
ARRAYS = {  # name of the data set, outer indices taken
    "era5 150 hours": ("era5_uk_t2m", 150),
    "era5": ("era5_uk_t2m", None),
    "viscous_fingers": ("viscous_fingers", None),
}
PRESETS = ("instant", "fast", "balanced")


def array_of(name: str) -> Array:
    """Return one of the arrays."""
    source, count = ARRAYS[name]
    return np.ascontiguousarray(DATASETS[source].load()[:count])


def _command(*words: str) -> float:
    """Return the seconds of a whole command, the start of Python included."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "aezip", *words], check=True, capture_output=True)
    return time.perf_counter() - began


def aezip_rows(name: str, presets: list[str]) -> list[dict[str, Any]]:
    """Measure aezip on one array: compress, then decompress, the second time of each (compiled loops are kept on disk)."""
    x = array_of(name)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        source, target, back = (str(Path(folder) / n) for n in ("x.npy", "x.aez", "y.npy"))
        np.save(source, x)
        for preset in presets:
            command = ["compress", source, "--range-rel", str(BOUND), "--preset", preset, "-q", "-f", "-o", target]
            seconds = _command(*command)
            decoding = min(_command("decompress", target, "-q", "-f", "-o", back) for _ in range(2))
            y = np.load(back)
            error = float(np.abs(y.astype(np.float64) - x).max())
            status = "ok" if error <= BOUND * float(np.ptp(x.astype(np.float64))) else "bound exceeded"
            size = Path(target).stat().st_size
            row = {"codec": f"aezip {preset}", "status": status, "bytes": size, "compress": seconds, "decompress": decoding}
            found.append({"array": name, **row})
            print(f"{name}, {preset}: {size} bytes, {seconds:.1f} s, {decoding:.2f} s", flush=True)
    return found


def peer_rows(name: str) -> list[dict[str, Any]]:
    """Measure the peers in one process each, without the start of Python: plain settings, the axes as they are."""
    rows = bench.compare(array_of(name), aezip.RangeRelative(BOUND), presets=())
    return [
        {
            "array": name, "codec": row["codec"], "status": "ok", "bytes": row["bytes"],
            "compress": row["compress_seconds"], "decompress": row["decompress_seconds"],
        }
        for row in rows if row["status"] == "ok"
    ]  # fmt: skip


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the table."""
    out = [
        "# Seconds beside bytes", "",
        f"Range-relative {BOUND:g}; {environment()['cpu']}, 2 cores; revision {revision()}. aezip: whole commands, Python's "
        "start and the check of the written file included. Peers: calls in memory, one plain setting, without a check.", "",
        "| array | codec | bytes | compress s | decompress s |", "|---|---|--:|--:|--:|",
    ]  # fmt: skip
    for row in sorted(found, key=lambda row: (list(ARRAYS).index(row["array"]), row["bytes"])):
        out.append(f"| {row['array']} | {row['codec']} | {row['bytes']:,} | {row['compress']:.2f} | {row['decompress']:.2f} |")
    return [*out, ""]


def picture(found: list[dict[str, Any]], path: Path) -> None:
    """Draw bytes against seconds for every preset and peer."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(ARRAYS), figsize=(15, 5), layout="constrained")
    for axes, name in zip(panels, ARRAYS, strict=True):
        for row in (r for r in found if r["array"] == name):
            ours = row["codec"].startswith("aezip")
            axes.loglog(row["compress"], row["bytes"], "o", color="tab:red" if ours else "tab:gray")
            side: dict[str, Any] = {"ha": "center", "xytext": (0, -13)} if ours else {"ha": "left", "xytext": (4, 3)}
            word, at = row["codec"].removeprefix("aezip "), (row["compress"], row["bytes"])
            axes.annotate(word, at, fontsize=8, textcoords="offset points", color="tab:red" if ours else "black", **side)
        axes.set(title=name, xlabel="seconds to compress (aezip: red)", ylabel="bytes")
        axes.margins(0.12)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=[*PRESETS, "best"])
    parser.add_argument("--arrays", nargs="+", default=list(ARRAYS), choices=list(ARRAYS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    found: list[dict[str, Any]] = []
    for name in options.arrays:
        found += aezip_rows(name, options.presets) + peer_rows(name)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "speed.json").write_text(json.dumps({"revision": revision(), "rows": found}, indent=1) + "\n")
    (options.out / "speed.md").write_text("\n".join(lines(found)))
    picture(found, options.out / "speed.png")
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
