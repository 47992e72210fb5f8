"""``python -m benchmarks.targets``: size, training time, decode speed and start-up of a few cells against limits.

The peers are measured in the same run, on the same cells. Knows nothing of codecs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markdown import Markdown

from aezip.tools.isolate import Emit, isolated
from benchmarks.__main__ import run
from benchmarks.cells import AEZIP_LIMITS, PRESETS, SEARCH_SECONDS
from benchmarks.datasets import BOUNDS, DATASETS, LOSSLESS, Array, Bound, Dataset
from benchmarks.measure import RESULTS, environment, read_cell, revision, version
from benchmarks.peers import PEERS
from benchmarks.report import best_peer, load, megas, passing, plan_name

CELLS: tuple[tuple[str, str, int | None], ...] = (  # data, bound, most bytes; None: fewer than the best peer
    ("jasper_ridge_rows", "1e-2", 150_000),
    ("uci_protein", "1e-2-per-feature", 190_000),
    ("etth", "1e-3-per-feature", None),
    ("nycflights13", "lossless", None),
)
TRAINING_SECONDS = 60.0
DECODE_VALUES_PER_SECOND = 20e6
DECOMPRESS_SECONDS = 0.5
REPEATS = 5
COPIES = 8  # of the rows of the decode-speed array, so that a fixed cost does not hide the rate
SMALL_ROWS = 1000


@dataclass(frozen=True)
class Line:
    """One measurement beside its limit."""

    what: str
    measured: str
    limit: str
    met: bool
    remark: str = ""


def fill_cell(dataset: Dataset, bound: Bound, preset: str, out: Path, console: Console, *, again: bool) -> None:
    """Measure aezip and all peers on a cell; with ``again`` False keep the peers that are in the results."""
    source = DATASETS[dataset.peers] if dataset.peers else dataset
    for label in dict.fromkeys((bound, LOSSLESS)):
        known = read_cell(out, source, label)["peers"]
        for name, peer in PEERS.items():
            if (peer.takes == "exact") is (label == LOSSLESS) or label == bound == LOSSLESS:
                if again or name not in known:
                    console.print(f"{source.name} {label.label} {name}", highlight=False)
                    run((source, label, name), out, SEARCH_SECONDS)
    console.print(f"{dataset.name} {bound.label} aezip {preset}", highlight=False)
    run((dataset, bound, f"aezip:{preset}"), out, SEARCH_SECONDS)


def cell_summary(dataset: Dataset, bound: Bound, preset: str, out: Path) -> dict[str, Any]:
    """Return one measured cell in numbers: both sizes, times, rates and the plan."""
    row = read_cell(out, dataset, bound)["aezip"][preset]
    all_cells = load(out)
    best = best_peer(all_cells, dataset.name, bound.label)
    source = all_cells.get((dataset.peers or dataset.name, bound.label), {"peers": {}})
    found = {
        "data": dataset.name,
        "bound": bound.label,
        "status": row["status"],
        "best_peer": best.peer if best else None,
        "best_peer_bytes": best.bytes if best else None,
        "best_peer_given_as": best.how if best else None,
        "peers": {name: peer["bytes"] for name, peer in passing(source["peers"])},
    }
    if "bytes" not in row:
        return found
    phases = row["phase_seconds"]
    return found | {
        "bytes": row["bytes"],
        "gain": best.bytes / row["bytes"] if best else None,
        "share_of_bound": row["share_of_bound"],
        "train_and_select_seconds": round(phases.get("train", 0.0) + phases.get("select", 0.0), 2),
        "phase_seconds": phases,
        "values_per_second": row["values_per_second"],
        "plan": plan_name(row),
    }


def summary_table(found: Iterable[dict[str, Any]]) -> list[str]:
    """Return the Markdown lines of the cells beside their best peers."""
    lines = [
        "| data | bound | aezip bytes | best peer | its bytes | best peer / aezip | train + select s "
        "| decode Mvalues/s, 1 / 2 threads | plan |",
        "|---|---|--:|---|--:|--:|--:|--:|---|",
    ]
    for cell in found:
        peer = f"{cell['best_peer_bytes']:,}" if cell["best_peer_bytes"] else ""
        if "bytes" not in cell:
            lines.append(f"| {cell['data']} | {cell['bound']} | {cell['status']} | {cell['best_peer'] or ''} | {peer} | | | | |")
            continue
        size = f"{cell['bytes']:,}" if cell["status"] == "ok" else cell["status"]
        gain = f"{cell['gain']:.3f}" if cell["gain"] else ""
        lines.append(
            f"| {cell['data']} | {cell['bound']} | {size} | {cell['best_peer'] or ''} | {peer} | {gain} "
            f"| {cell['train_and_select_seconds']:.1f} | {megas(cell['values_per_second'])} | {cell['plan']} |"
        )
    return lines


def cell_lines(dataset: Dataset, bound: Bound, most: int | None, preset: str, out: Path) -> list[Line]:
    """Return size and training time of a measured cell."""
    name = f"{dataset.name}, {bound.label}"
    row = read_cell(out, dataset, bound)["aezip"][preset]
    if row["status"] != "ok":
        return [Line(f"{name}: bytes", row["status"], "", False)]
    best = best_peer(load(out), dataset.name, bound.label)
    limit = most if most is not None else (best.bytes - 1 if best else row["bytes"])
    remark = f"best peer {best.peer}: {best.bytes:,}" if best else ""
    seconds = row["phase_seconds"].get("train", 0.0)
    parts = ", ".join(f"{phase} {s:.1f}" for phase, s in row["phase_seconds"].items() if s >= 0.05)
    return [
        Line(f"{name}: bytes", f"{row['bytes']:,}", f"at most {limit:,}", row["bytes"] <= limit, remark),
        Line(f"{name}: training, s", f"{seconds:.1f}", f"under {TRAINING_SECONDS:g}", seconds < TRAINING_SECONDS, parts),
    ]


def _write(emit: Emit, dataset: str, bound: str, preset: str, copies: int, rows: int | None, path: str) -> None:
    import aezip
    from benchmarks.cells import aezip_bound

    array = DATASETS[dataset].load()[:rows]
    array = np.concatenate([array] * copies)
    report = aezip.compress(array, path, bound=aezip_bound(BOUNDS[bound]), preset=preset, overwrite=True)
    emit({"plan": report.plan, "values": array.size, "bytes": report.file_bytes})


def decode_seconds(path: Path, threads: int) -> list[float]:
    """Return the seconds of each of a few decodings of the file, read from disk every time."""
    import aezip

    found = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        decoded: Array = aezip.decompress(path, threads=threads)
        found.append(time.perf_counter() - began)
        del decoded
    return found


def decode_lines(preset: str, folder: Path) -> list[Line]:
    """Return the decoding rate of a file whose plan has codes, for one and two threads."""
    path = folder / "rows.aez"
    outcome = isolated(AEZIP_LIMITS, _write, "jasper_ridge_rows", "1e-2", preset, COPIES, None, str(path))
    name = f"jasper_ridge_rows, {COPIES} copies, 1e-2: decoded values/s"
    if not outcome.messages:
        return [Line(name, outcome.status, "", False)]
    made = outcome.messages[0]
    plan = made["plan"] or {}
    kind = f"plan {plan.get('kind')}, {plan.get('width') or 'no'} codes, {plan.get('hidden')} hidden"
    lines = []
    for threads in (1, 2):
        rates = [made["values"] / s for s in decode_seconds(path, threads)]
        remark = f"median {statistics.median(rates) / 1e6:.1f} M, best of {REPEATS} shown; {kind}"
        limit = "" if threads == 1 else f"at least {DECODE_VALUES_PER_SECOND / 1e6:g} M"
        met = not limit or max(rates) >= DECODE_VALUES_PER_SECOND
        lines.append(Line(f"{name}, threads {threads}", f"{max(rates) / 1e6:.1f} M", limit, met, remark))
    return lines


def start_lines(preset: str, folder: Path) -> list[Line]:
    """Return the wall time of the decompress command, start-up included, on a small file."""
    path, output = folder / "small.aez", folder / "small.npy"
    outcome = isolated(AEZIP_LIMITS, _write, "etth", "1e-3", preset, 1, SMALL_ROWS, str(path))
    name = f"aezip decompress, etth {SMALL_ROWS} rows: wall s"
    if not outcome.messages:
        return [Line(name, outcome.status, "", False)]
    script = Path(sys.executable).parent / "aezip"
    command = [str(script)] if script.exists() else [sys.executable, "-c", "from aezip.cli import main; main()"]
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        subprocess.run([*command, "decompress", str(path), "-o", str(output), "-f"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    middle = statistics.median(seconds)
    remark = f"best {min(seconds):.3f}, median of {REPEATS} shown; file of {outcome.messages[0]['bytes']:,} bytes"
    return [Line(name, f"{middle:.3f}", f"under {DECOMPRESS_SECONDS:g}", middle < DECOMPRESS_SECONDS, remark)]


def write(lines: list[Line], measured: list[dict[str, Any]], preset: str, out: Path) -> str:
    """Write ``targets.json`` and ``targets.md``; return the Markdown."""
    about = {"preset": preset, "version": version("aezip"), "commit": revision(), "environment": environment()}
    out.mkdir(parents=True, exist_ok=True)
    whole = {**about, "cells": measured, "lines": [asdict(line) for line in lines]}
    (out / "targets.json").write_text(json.dumps(whole, indent=1) + "\n")
    where = about["environment"]
    assert isinstance(where, dict)
    text = [
        "# Sizes, speed and start-up of a few cells",
        "",
        f"aezip {about['version']}, preset {preset}; {where['cpu']}, {where['cores']} cores. Sizes are whole files,",
        "every byte counted, and every result was decoded and checked against the bound, the peers' as well.",
        "",
        *summary_table(measured),
        "",
        "| what | measured | limit | met | remark |",
        "|---|--:|--:|---|---|",
        *(f"| {x.what} | {x.measured} | {x.limit} | {'yes' if x.met else '**no**'} | {x.remark} |" for x in lines),
    ]
    (out / "targets.md").write_text("\n".join(text) + "\n")
    return "\n".join(text)


def main(argv: list[str] | None = None) -> int:
    """Measure and print; 0 where every limit is met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.targets", description=__doc__)
    parser.add_argument("--preset", default="balanced", choices=PRESETS)
    parser.add_argument("--resume", action="store_true", help="keep the peers that are in the results")
    parser.add_argument("--only", nargs="+", choices=[name for name, _, _ in CELLS], help="cells to measure")
    parser.add_argument("--no-speed", action="store_true", help="sizes alone")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    options = parser.parse_args(argv)
    console = Console(stderr=True)
    lines: list[Line] = []
    measured: list[dict[str, Any]] = []
    for name, label, most in CELLS:
        if options.only and name not in options.only:
            continue
        dataset, bound = DATASETS[name], BOUNDS[label]
        fill_cell(dataset, bound, options.preset, options.out, console, again=not options.resume)
        lines += cell_lines(dataset, bound, most, options.preset, options.out)
        measured.append(cell_summary(dataset, bound, options.preset, options.out))
    if not options.no_speed:
        with tempfile.TemporaryDirectory() as folder:
            lines += decode_lines(options.preset, Path(folder))
            lines += start_lines(options.preset, Path(folder))
    Console().print(Markdown(write(lines, measured, options.preset, options.out)))
    return 0 if all(line.met for line in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
