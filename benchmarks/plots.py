"""Draws the cells on disk: rate against distortion for each data set, and gains over the best peer."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from benchmarks.datasets import BOUNDS, DATASETS
from benchmarks.report import Cell, best_peer, load, passing, presets

PANELS = 4  # in a row
INK, PAPER = "#1a1a1a", "white"
AEZIP = "#d1495b"
STYLES = {  # a colour-blind-safe choice, told apart by marker as well
    "SZ3": ("#0072b2", "o"),
    "SZ3-filter": ("#56b4e9", "o"),
    "SZ2": ("#56b4e9", "s"),
    "ZFP": ("#e69f00", "^"),
    "SPERR": ("#009e73", "v"),
    "quantize+pcodec": ("#7a5195", "D"),
    "quantize+zstd": ("#999999", "P"),
}


def _points(all_cells: dict[tuple[str, str], Cell], dataset: str, codec: str, *, per_feature: bool) -> list[tuple[float, float]]:
    """Return (error as a share of the range, bits a value) over the bounds; a preset's name stands for aezip."""
    source = dataset if codec in ("fast", "balanced", "best") else DATASETS[dataset].peers or dataset
    found = []
    for label, bound in BOUNDS.items():
        cell = all_cells.get((source, label))
        if cell is None or not bound.share or bound.per_feature != per_feature:
            continue
        row = dict(passing({**cell["peers"], **cell["aezip"]})).get(codec)
        if row and row["share_of_bound"] > 0:
            found.append((bound.share * row["share_of_bound"], 8 * row["bytes"] / math.prod(cell["shape"])))
    return sorted(found)


def _panel(axes: Any, all_cells: dict[tuple[str, str], Cell], dataset: str, preset: str, *, per_feature: bool) -> None:
    for codec, (color, marker) in STYLES.items():
        points = _points(all_cells, dataset, codec, per_feature=per_feature)
        if points:
            axes.plot(*zip(*points, strict=True), color=color, marker=marker, ms=4, lw=1, label=codec)
    points = _points(all_cells, dataset, preset, per_feature=per_feature)
    if points:
        axes.plot(*zip(*points, strict=True), color=AEZIP, marker="*", ms=9, lw=2, label=f"aezip ({preset})", zorder=5)
    axes.set(xscale="log", yscale="log", title=dataset + (", per feature" if per_feature else ""))
    axes.title.set_fontsize(10)
    axes.grid(True, which="both", alpha=0.2, lw=0.5)
    axes.tick_params(labelsize=8)


def rate_distortion(all_cells: dict[tuple[str, str], Cell], preset: str, path: Path) -> Path | None:
    """Draw a panel for each data set with lossy results; return ``path``, or None where there are none."""
    from matplotlib.figure import Figure

    wanted = dict.fromkeys(
        (name, BOUNDS[label].per_feature) for name, label in all_cells if BOUNDS[label].share and not DATASETS[name].peers
    )
    if not wanted:
        return None
    across = min(PANELS, len(wanted))
    rows = math.ceil(len(wanted) / across)
    size = (max(4.2 * across, 8.0), 3.2 * rows + (1.0 if rows == 1 else 0.0))
    figure = Figure(figsize=size, facecolor=PAPER, layout="constrained")
    panels = figure.subplots(rows, across, squeeze=False).ravel()
    for axes, (name, per_feature) in zip(panels, wanted, strict=False):
        _panel(axes, all_cells, name, preset, per_feature=per_feature)
    for axes in panels[len(wanted) :]:
        axes.set_visible(False)
    handles: dict[str, Any] = {}
    for axes in panels[: len(wanted)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=len(handles) if across > 2 else 4,
        frameon=False,
    )
    figure.supxlabel("largest error, as a share of the value range")
    figure.supylabel("bits a value, everything counted")
    figure.savefig(path, dpi=110)
    return path


def gains(all_cells: dict[tuple[str, str], Cell], preset: str, path: Path) -> Path | None:
    """Draw best-peer bytes over aezip bytes for each cell; return ``path``, or None where aezip has no result."""
    from matplotlib.figure import Figure

    found: list[tuple[float, str, str]] = []
    for (name, label), cell in all_cells.items():
        best, row = best_peer(all_cells, name, label), cell["aezip"].get(preset)
        if best and row and row["status"] == "ok" and not DATASETS[name].peers:
            found.append((best.bytes / row["bytes"], f"{name} {label}", best.peer))
    if not found:
        return None
    found.sort()
    figure = Figure(figsize=(9, 1.5 + 0.21 * len(found)), facecolor=PAPER, layout="constrained")
    axes = figure.subplots()
    places = range(len(found))
    colors = [AEZIP if gain < 1 else "#2a7f62" for gain, _, _ in found]
    axes.barh(places, [gain - 1 for gain, _, _ in found], left=1, color=colors, height=0.75)
    axes.set_yticks(places, [text for _, text, _ in found], fontsize=7)
    for place, (gain, _, peer) in zip(places, found, strict=True):
        axes.annotate(
            f" {gain:.2f}  {peer} ",
            (gain, place),
            va="center",
            ha="left" if gain >= 1 else "right",
            fontsize=6.5,
            color=INK,
        )
    axes.axvline(1, color=INK, lw=0.8)
    axes.set_xscale("log")
    ticks = [t for t in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50) if found[0][0] / 1.5 < t < found[-1][0] * 1.5]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlim(min(0.8, found[0][0] / 1.3), found[-1][0] * 1.5)
    axes.set_ylim(-1, len(found))
    axes.set_xlabel(f"bytes of the best peer over bytes of aezip (preset {preset}); the peer is named")
    figure.savefig(path, dpi=110)
    return path


def write_plots(folder: Path) -> list[Path]:
    """Write the plots of the cells in ``folder``, each data set's under ``plots``, and return their paths."""
    all_cells = load(folder)
    measured = presets(all_cells)
    preset = measured[0] if measured else "balanced"
    drawn = [
        rate_distortion(all_cells, preset, folder / "rate-distortion.png"),
        gains(all_cells, preset, folder / "gains.png"),
    ]
    (folder / "plots").mkdir(exist_ok=True)
    for name in dict.fromkeys(name for name, _ in all_cells):
        chosen = {key: cell for key, cell in all_cells.items() if key[0] == name}
        drawn.append(rate_distortion(chosen, preset, folder / "plots" / f"{name}.png"))
    return [path for path in drawn if path is not None]
