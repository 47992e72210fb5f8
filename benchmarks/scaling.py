"""``python -m benchmarks.scaling``: time and memory over the size of an array, from 1 to 100 MB of one simulation."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from aezip.tools.isolate import Emit, isolated
from benchmarks.cells import AEZIP_LIMITS, compress_and_check
from benchmarks.datasets import BOUNDS, DATASETS, Array
from benchmarks.measure import RESULTS, environment, revision, version

NAME, BOUND = "viscous_fingers", "1e-3"
FRAMES = {1: 1, 10: 10, 20: 20, 100: 100}  # of 64 x 64 x 64 float32: about a megabyte each
SECONDS = {"fast": 30.0, "balanced": 120.0}  # for 20 MB
MEMORY = 1.5e9  # for 100 MB


def array_of(frames: int) -> Array:
    """Return so many frames; beyond what there is they repeat, in chunks of their own."""
    source = DATASETS[NAME].load()
    return np.ascontiguousarray(np.concatenate([source] * -(-frames // len(source)))[:frames])


def _measure(emit: Emit, frames: int, preset: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dataset = DATASETS[NAME]
        row = compress_and_check(array_of(frames), dataset, BOUNDS[BOUND], preset, Path(folder) / "array.aez")
    emit({"row": row})


def rows(presets: list[str], sizes: list[int]) -> list[dict[str, Any]]:
    """Measure each size at each preset in a process of its own."""
    found = []
    for preset in presets:
        for size in sizes:
            outcome = isolated(AEZIP_LIMITS, _measure, FRAMES[size], preset)
            row = outcome.messages[0]["row"] if outcome.messages else {"status": outcome.status}
            found.append({"megabytes": size, "preset": preset, "peak_memory": outcome.peak_memory, **row})
            print(f"{preset} {size} MB: {row.get('compress_seconds')} s, {outcome.peak_memory / 1e9:.2f} GB", flush=True)
    return found


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the table."""
    out = [
        "# Time and memory over size",
        "",
        f"{NAME}, range-relative {BOUND}, {environment()['cpu']}, 2 cores. Peak memory is that of the whole process: the array, "
        "PyTorch, compressing, decompressing with 1 and 2 threads.",
        "",
        "| preset | MB | compress s | of it selecting and training | ratio | peak memory GB | decode Mvalues/s, 1 / 2 threads |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        if row["status"] != "ok":
            out.append(f"| {row['preset']} | {row['megabytes']} | {row['status']} | | | | |")
            continue
        phases = row["phase_seconds"]
        trained = sum(phases.get(name, 0.0) for name in ("scan", "select", "train"))
        rates = " / ".join(f"{v / 1e6:.1f}" for v in row["values_per_second"].values())
        ratio = FRAMES[row["megabytes"]] * 64**3 * 4 / row["bytes"]
        out.append(
            f"| {row['preset']} | {row['megabytes']} | {row['compress_seconds']:.0f} | {trained:.0f} | {ratio:.1f} "
            f"| {row['codec_memory'] / 1e9:.2f} | {rates} |"
        )
    return out


def main() -> None:
    """Measure and write ``scaling.md`` and ``scaling.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--preset", nargs="+", default=["fast", "balanced"], choices=list(SECONDS))
    parser.add_argument("--megabytes", nargs="+", type=int, default=list(FRAMES), choices=list(FRAMES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    found = rows(options.preset, options.megabytes)
    about = {"version": version("aezip"), "commit": revision(), "environment": environment()}
    (options.out / "scaling.json").write_text(json.dumps({**about, "rows": found}, indent=1) + "\n", encoding="utf-8")
    (options.out / "scaling.md").write_text("\n".join(lines(found)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
