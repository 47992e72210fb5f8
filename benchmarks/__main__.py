"""``python -m benchmarks``: every data set at every bound through every codec, then tables and plots."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.cells import ALONE, PRESETS, SEARCH_SECONDS, aezip_row, peer_row
from benchmarks.datasets import BOUNDS, DATASETS, LOSSLESS, QUICK, Bound, Dataset, cells, data_folder
from benchmarks.measure import RESULTS, environment, read_cell, revision, version, write_cell
from benchmarks.peers import PEERS

Job = tuple[Dataset, Bound, str]


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(DATASETS), help="data sets to measure")
    parser.add_argument("--bounds", nargs="+", metavar="BOUND", choices=list(BOUNDS), help=f"of {', '.join(BOUNDS)}")
    parser.add_argument("--codecs", nargs="+", metavar="CODEC", choices=["aezip", *PEERS], help=f"of aezip, {', '.join(PEERS)}")
    presets = [*PRESETS, *(p + ALONE for p in PRESETS)]
    parser.add_argument("--preset", nargs="+", default=["balanced"], choices=presets, help="effort of aezip, one or several")
    parser.add_argument("--quick", action="store_true", help="a few data sets, aezip at preset fast, short searches")
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep what is in the results, or measure it anew",
    )
    parser.add_argument("--rerun", action="store_true", help="measure aezip anew, keep the peers")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--no-plots", action="store_true")
    return parser.parse_args(argv)


def jobs(options: argparse.Namespace) -> list[Job]:
    """Return what is asked for and not yet in the results; a peer's name, or ``aezip:PRESET``."""
    names = options.only or (list(QUICK) if options.quick else None)
    presets = ["fast"] if options.quick else options.preset
    codecs = options.codecs or [*PEERS, "aezip"]
    found: list[Job] = []
    for dataset, bound in cells(names, options.bounds):
        cell = read_cell(options.out, dataset, bound)
        for codec in codecs:
            if codec == "aezip":
                found += [
                    (dataset, bound, f"aezip:{preset}")
                    for preset in presets
                    if not options.resume or options.rerun or preset not in cell["aezip"]
                ]
            elif not dataset.peers and not (PEERS[codec].takes == "exact" and bound != LOSSLESS):
                if not options.resume or codec not in cell["peers"]:
                    found.append((dataset, bound, codec))
    return found


def run(job: Job, out: Path, seconds: float) -> dict[str, Any]:
    """Measure one codec on one cell and write the cell."""
    dataset, bound, codec = job
    began = time.time()
    if codec.startswith("aezip:"):
        preset = codec.split(":")[1]
        row = aezip_row(dataset, bound, preset)
        row |= {"version": version("aezip"), "commit": revision()}
    else:
        row = peer_row(dataset, bound, codec, seconds=seconds)
        row["version"] = version(PEERS[codec].module)
    row |= {"environment": environment(), "seconds": round(time.time() - began, 2)}
    cell = read_cell(out, dataset, bound)
    array = dataset.load()
    cell |= {"shape": list(array.shape), "dtype": array.dtype.str, "raw_bytes": array.nbytes}
    if codec.startswith("aezip:"):
        cell["aezip"][codec.split(":")[1]] = row
    else:
        cell["peers"][codec] = row
    write_cell(out, dataset, bound, cell)
    return row


def main(argv: list[str] | None = None) -> None:
    """Measure, then write the tables and plots."""
    options = arguments(argv)
    console = Console(stderr=True)
    if not data_folder().is_dir():
        raise SystemExit(f"no data in {data_folder()}: set AEZIP_DATA to the folder that holds the .npz files")
    todo = jobs(options)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(todo))
        for job in todo:
            dataset, bound, codec = job
            progress.update(task, description=f"{dataset.name} {bound.label} {codec}")
            row = run(job, options.out, 10.0 if options.quick else SEARCH_SECONDS)
            if row["status"] not in ("ok", "does not apply"):
                console.print(f"{dataset.name} {bound.label} {codec}: {row['status']}", highlight=False, markup=False)
            progress.advance(task)
    from benchmarks.report import write_table

    path = write_table(options.out)
    console.print(f"wrote {path}", highlight=False)
    if not options.no_plots:
        from benchmarks.plots import write_plots

        for picture in write_plots(options.out):
            console.print(f"wrote {picture}", highlight=False)


if __name__ == "__main__":
    main()
