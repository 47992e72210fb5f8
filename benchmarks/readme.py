"""Puts the summary of the cells into README: ``python -m benchmarks.readme``."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from benchmarks.datasets import DATASETS
from benchmarks.measure import RESULTS
from benchmarks.report import Cell, best_peer, geometric_mean, load

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"
COLUMNS = ("1e-2", "1e-3", "1e-4", "lossless")


def entry(all_cells: dict[tuple[str, str], Cell], name: str, label: str, preset: str) -> tuple[str, float]:
    """Return ratio and gain of a cell as text, and the gain (NaN if there is none)."""
    cell = all_cells.get((name, label))
    row = None if cell is None else cell["aezip"].get(preset)
    best = None if cell is None else best_peer(all_cells, name, label)
    if cell is None or row is None or best is None or row["status"] != "ok":
        return "", math.nan
    gain = best.bytes / row["bytes"]
    text = f"{gain:.2f}" if gain >= 1 else f"**{gain:.2f}**"
    return f"{cell['raw_bytes'] / row['bytes']:.1f} ({text})", gain


def summary(all_cells: dict[tuple[str, str], Cell], preset: str) -> list[str]:
    """Return the lines of the table, a data set a line."""
    lines = [
        "| data | " + " | ".join(COLUMNS) + " |",
        "|---|" + "--:|" * len(COLUMNS),
    ]
    gains: list[float] = []
    for name in dict.fromkeys(name for name, _ in all_cells):
        if DATASETS[name].peers:
            continue
        entries = [entry(all_cells, name, label, preset) for label in COLUMNS]
        extra = [entry(all_cells, name, label, preset)[1] for n, label in all_cells if n == name and label not in COLUMNS]
        gains += [gain for gain in (*(g for _, g in entries), *extra) if not math.isnan(gain)]
        if any(text for text, _ in entries):
            lines.append(f"| {name} | " + " | ".join(text for text, _ in entries) + " |")
    worse = sum(gain < 1 for gain in gains)
    lines += [
        "",
        "Raw bytes over aezip bytes, and in brackets the best peer's bytes over aezip's: above 1 aezip is smaller, **bold** "
        "where a peer is. Columns are range-relative bounds; the best peer of a cell is the smallest of all peers there. "
        f"Preset {preset}. Geometric mean over all {len(gains)} cells (per-feature bounds included): "
        f"**{geometric_mean(gains):.2f}**; aezip is smaller in {len(gains) - worse}, larger in {worse}.",
    ]
    return lines


def write(folder: Path, readme: Path, preset: str) -> None:
    """Replace the part of ``readme`` between the marks."""
    text = readme.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    lines = summary(load(folder), preset)
    picture = "![Bytes of the best peer over bytes of aezip, cell by cell](benchmarks/results/gains.png)"
    readme.write_text("\n".join([head + BEGIN, *lines, "", picture, END]) + tail, encoding="utf-8")


def main() -> None:
    """Write the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.readme", description=__doc__)
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    parser.add_argument("--preset", default="balanced")
    options = parser.parse_args()
    write(options.out, README, options.preset)


if __name__ == "__main__":
    main()
