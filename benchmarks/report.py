"""Turns the cells on disk into Markdown tables. Knows nothing of how they were measured."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets import DATASETS, cells
from benchmarks.measure import cell_path

Cell = dict[str, Any]


@dataclass(frozen=True)
class Best:
    """The smallest result of all peers for a cell; a lossless one counts at any bound."""

    peer: str
    bytes: int
    how: str


def load(folder: Path) -> dict[tuple[str, str], Cell]:
    """Return every cell in ``folder`` by data set and bound, in the order of the tables."""
    found: dict[tuple[str, str], Cell] = {}
    for dataset, bound in cells(None, None):
        path = cell_path(folder, dataset, bound)
        if path.is_file():
            found[dataset.name, bound.label] = json.loads(path.read_text())
    return found


def passing(rows: dict[str, Cell]) -> list[tuple[str, Cell]]:
    """Return the rows that met the bound."""
    return [(name, row) for name, row in rows.items() if row.get("status") == "ok"]


def best_peer(all_cells: dict[tuple[str, str], Cell], dataset: str, bound: str) -> Best | None:
    """Return the smallest file that any peer made within the bound."""
    source = DATASETS[dataset].peers or dataset
    options: list[Best] = []
    for label in dict.fromkeys((bound, "lossless")):
        cell = all_cells.get((source, label))
        if cell is None:
            continue
        suffix = " (lossless)" if label == "lossless" and bound != "lossless" else ""
        options += [Best(f"{n}{suffix}", row["bytes"], row.get("how", "")) for n, row in passing(cell["peers"])]
    return min(options, key=lambda b: b.bytes, default=None)


def _effort(cell: Cell, preset: str) -> Cell | None:
    row: Cell | None = cell["aezip"].get(preset)
    return row


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean of positive numbers; NaN for none."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def plan_name(row: Cell) -> str:
    """Return the plan of a row in a few words."""
    plan = row.get("plan") or {}
    kind = str(plan.get("kind", ""))
    if kind == "context":
        base = plan.get("base")
        kind = "signal" if plan.get("signal") else "context " + ">".join("+".join(map(str, axes)) for axes in plan["order"])
        return f"autoencoder, {base['width']} codes; {kind}" if base else kind
    return f"{kind}, {plan['width']} codes" if plan.get("width") else kind


def _coded(candidates: list[Any], *, with_codes: bool) -> str:
    """Return the smallest bytes among candidates with, or without, codes; they are ``description: bytes``."""
    sizes = []
    for candidate in candidates:
        text, _, size = str(candidate).rpartition(": ")
        if size.replace(".", "", 1).isdigit() and (re.search(r"\b[1-9]\d* codes", text) is not None) is with_codes:
            sizes.append(float(size))
    return f"{min(sizes):,.0f}" if sizes else ""


def megas(rates: dict[str, int] | None) -> str:
    """Return millions of values a second for each number of threads, as ``12.0 / 20.1``."""
    return " / ".join(f"{value / 1e6:.1f}" for value in (rates or {}).values())


def presets(all_cells: dict[tuple[str, str], Cell]) -> list[str]:
    """Return the presets that were measured."""
    return [p for p in ("balanced", "fast", "best") if any(p in c["aezip"] for c in all_cells.values())]


def table(all_cells: dict[tuple[str, str], Cell], preset: str) -> list[str]:
    """Return the lines of the main table for one preset."""
    lines = [
        "| data | bound | raw bytes | best peer | its bytes | aezip bytes | best peer / aezip | raw / aezip | plan "
        "| best with codes | best without | compress s | decode Mvalues/s, 1 / 2 threads |",
        "|---|---|--:|---|--:|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    gains: list[float] = []
    for (name, label), cell in all_cells.items():
        best, row = best_peer(all_cells, name, label), _effort(cell, preset)
        line = [name, label, f"{cell['raw_bytes']:,}", best.peer if best else "", f"{best.bytes:,}" if best else ""]
        if row is None or row["status"] != "ok":
            line += [row["status"] if row else "", *[""] * 7]
        else:
            gain = best.bytes / row["bytes"] if best else math.nan
            if best and not DATASETS[name].peers:
                gains.append(gain)
            candidates = row.get("candidates") or []
            line += [
                f"{row['bytes']:,}",
                "" if best is None else f"{gain:.3f}" if gain >= 1 else f"**{gain:.3f} loss**",
                f"{cell['raw_bytes'] / row['bytes']:.2f}",
                plan_name(row),
                _coded(candidates, with_codes=True),
                _coded(candidates, with_codes=False),
                f"{row['compress_seconds']:.0f}",
                megas(row.get("values_per_second")),
            ]
        lines.append("| " + " | ".join(line) + " |")
    wins = sum(g >= 1 for g in gains)
    lines += [
        "",
        f"Geometric mean of best peer / aezip over {len(gains)} cells: **{geometric_mean(gains):.3f}**. "
        f"Smaller than every peer in {wins} cells, larger than the best in {len(gains) - wins}.",
    ]
    return lines


def losses(all_cells: dict[tuple[str, str], Cell], preset: str) -> list[str]:
    """Return the lines of the table of cells in which a peer is smaller, the worst first."""
    found = []
    for (name, label), cell in all_cells.items():
        best, row = best_peer(all_cells, name, label), _effort(cell, preset)
        if best and row and row["status"] == "ok" and best.bytes < row["bytes"]:
            found.append((best.bytes / row["bytes"], f"| {name} | {label} | {best.peer} | {best.how.replace('|', '/')} |"))
    if not found:
        return ["None."]
    head = ["| best peer / aezip | data | bound | peer | given as |", "|--:|---|---|---|---|"]
    return head + [f"| {gain:.3f} {line}" for gain, line in sorted(found)]


def peer_table(all_cells: dict[tuple[str, str], Cell]) -> list[str]:
    """Return the lines of the table of every peer's bytes."""
    names = sorted({n for c in all_cells.values() for n, r in c["peers"].items() if r["status"] != "does not apply"})
    lines = ["| data | bound | " + " | ".join(names) + " |", "|---|---|" + "--:|" * len(names)]
    for (dataset, label), cell in all_cells.items():
        if DATASETS[dataset].peers:
            continue
        sizes = {n: r["bytes"] for n, r in passing(cell["peers"])}
        smallest = min(sizes.values(), default=0)
        entries = [
            (f"**{sizes[n]:,}**" if sizes[n] == smallest else f"{sizes[n]:,}") if n in sizes else _why(cell["peers"].get(n))
            for n in names
        ]
        lines.append(f"| {dataset} | {label} | " + " | ".join(entries) + " |")
    return lines


def _why(row: Cell | None) -> str:
    return "" if row is None or row["status"] == "does not apply" else str(row["status"]).replace("|", "/")


def failures(all_cells: dict[tuple[str, str], Cell]) -> list[str]:
    """Return a line for each codec that failed, crashed on a layout, or missed the bound."""
    lines = []
    for (dataset, label), cell in all_cells.items():
        rows = [*cell["peers"].items(), *((f"aezip {p}", r) for p, r in cell["aezip"].items())]
        for name, row in rows:
            error = f", {row['share_of_bound']:.4g} of the bound" if math.isfinite(row.get("share_of_bound") or math.inf) else ""
            if row["status"] not in ("ok", "does not apply"):
                lines.append(f"- {dataset} {label} {name}: {row['status']}{error}. {row.get('note', '')}".rstrip())
            elif row.get("crashes"):
                lines.append(f"- {dataset} {label} {name}: {row['crashes']} on some layouts or settings")
    return lines or ["None."]


def _made_on(all_cells: dict[tuple[str, str], Cell]) -> str:
    rows = [r for c in all_cells.values() for r in (*c["aezip"].values(), *c["peers"].values()) if "environment" in r]
    if not rows:
        return ""
    where = rows[0]["environment"]
    packages = ", ".join(f"{n} {v}" for n, v in where["packages"].items())
    return f"{where['cpu']}, {where['cores']} cores, Python {where['python']}; {packages}."


def _made_by(all_cells: dict[tuple[str, str], Cell]) -> str:
    """Return which commits measured how many cells: sizes of older ones may be larger than those of today's code."""
    counts = Counter(row["commit"][:7] for cell in all_cells.values() for row in cell["aezip"].values() if row.get("commit"))
    return "aezip's results by commit: " + ", ".join(f"{commit} ({n})" for commit, n in counts.most_common()) + "."


INTRODUCTION = """\
Every number is the bytes of all that decoding needs; raw bytes are those of the original dtype. Each result was
decoded and compared with the original in float64 after the cast to the original dtype: none that exceeds the bound
counts. Peers are given the axis order, reshape, cut and setting that suit them best; the best peer of a cell is the
smallest of all of them, lossless ones included. Bounds are shares of the value range, "per-feature" of the range of
each column. `jasper_ridge_rows` is `jasper_ridge` given to aezip as rows and features; the geometric mean counts the
data once. "Best with codes" and "best without" are estimates made while the plan was chosen. Cells were measured two at a time on
two cores: times and speeds are those of a busy machine."""


def write_table(folder: Path) -> Path:
    """Write ``TABLE.md`` from the cells in ``folder`` and return its path."""
    all_cells = load(folder)
    lines = ["# Sizes at equal checked error", "", INTRODUCTION, "", _made_on(all_cells), "", _made_by(all_cells)]
    for preset in presets(all_cells) or ["balanced"]:
        lines += ["", f"## aezip at preset {preset}", "", *table(all_cells, preset)]
        lines += ["", f"### Cells in which a peer is smaller (preset {preset})", "", *losses(all_cells, preset)]
    lines += ["", "## Bytes of every peer", "", *peer_table(all_cells), "", "## Failures", "", *failures(all_cells)]
    path = folder / "TABLE.md"
    path.write_text("\n".join(lines) + "\n")
    return path
