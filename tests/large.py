"""Compress a memory map and decompress it in a process that may hold a part of it only: see `test_large`.

    python tests/large.py FOLDER VALUES LIMIT

Makes an .npy file of VALUES float64 values, then limits this process's private memory to LIMIT bytes (a memory map of a file does
not count), compresses, decompresses to .npy, reads into a memory-mapped .npy, and compares. Prints the peak.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

import aezip
from aezip import cli
from aezip.search import choose as plan

COLUMNS = 8
BLOCK = 1 << 18


def make(path: Path, values: int) -> None:
    rows = values // COLUMNS
    out = np.lib.format.open_memmap(path, "w+", "f8", (rows, COLUMNS))
    generator = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        stop = min(rows, start + BLOCK)
        out[start:stop] = np.rint(generator.normal(size=(stop - start, COLUMNS)) * 20)
    out.flush()


def private() -> int:
    """Return the bytes of private memory at hand."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) << 10
    return 0


def same(first: Path, second: Path, bound: float) -> bool:
    x, y = (np.load(path, mmap_mode="r") for path in (first, second))
    parts = (slice(start, start + BLOCK) for start in range(0, len(x), BLOCK))
    return x.shape == y.shape and all(float(np.abs(x[p] - y[p]).max()) <= bound for p in parts)


def main() -> None:
    folder, values, limit = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    source, packed, back, mapped = (str(folder / name) for name in ("x.npy", "x.aez", "y.npy", "z.npy"))
    make(Path(source), values)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    plan.SMALL = 1 << 60  # nothing is trained: that takes a constant of its own
    peak = 0

    def watch(_: object) -> None:
        nonlocal peak
        peak = max(peak, private())

    x = np.load(source, mmap_mode="r")
    report = aezip.compress(x, packed, bound=aezip.Absolute(0.6), preset="fast", threads=2, progress=watch)
    assert cli.run(["decompress", packed, "-o", back, "--threads", "2"]) == 0
    watch(None)
    with aezip.open(packed, threads=2) as archive:
        view = archive["data"]
        chunks = view._decoder.chunk_count
        out = np.lib.format.open_memmap(mapped, "w+", view.dtype, view.shape)
        view.read(out)
        out.flush()
    watch(None)
    assert same(Path(source), Path(back), 0.6)
    assert same(Path(source), Path(mapped), 0.6)
    assert report.plan is not None
    print(json.dumps({"peak": peak, "bytes": x.nbytes, "chunks": chunks, "plan": report.plan["kind"], "ratio": report.ratio}))


if __name__ == "__main__":
    main()
