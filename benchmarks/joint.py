"""``python -m benchmarks.joint``: variables and channels together against each alone, and against peers; makes a page of cells.

``python -m benchmarks --only NAME ... --preset instant instant-alone fast`` fills the cells of the multi-channel data sets
(`benchmarks.fetch` makes these). Beside the bytes stands what a regression promises: how many bits a value of each channel's
error of prediction (from its neighbours along the outer axes, by differences) is smaller once the other channels' errors at the
same place are known. Where that is nothing, no method of this kind gains.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.datasets import BOUNDS, DATASETS, JOINT_BOUNDS, MULTICHANNEL, Array
from benchmarks.measure import RESULTS, read_cell, revision

ROWS = 50_000  # of the regression
MOST = 64  # channels of it, evenly chosen


def promised(array: Array, share: float) -> tuple[float, float]:
    """Return bits a value of differences at a bound, and how many of them the channels before tell, by least squares.

    Differences are taken along every outer axis of more than two entries, errors below the bound count as noise of the size of
    the bound's step.
    """
    most = min(MOST, array.shape[-1], max(2, array[..., 0].size // 16))  # too few rows for a channel tell anything
    channels = np.linspace(0, array.shape[-1] - 1, most).astype(int)
    values = array[..., np.unique(channels)].astype(np.float64)
    outer = tuple(range(values.ndim - 1))
    steps = 2.0 * share * (values.max(axis=outer) - values.min(axis=outer))
    values = values / np.where(steps > 0, steps, 1.0)
    for axis in outer:
        if values.shape[axis] > 2:
            values = np.diff(values, axis=axis)
    rows = values.reshape(-1, values.shape[-1])
    rows = rows[np.linspace(0, len(rows) - 1, min(ROWS, len(rows))).astype(int)]
    rows = rows - rows.mean(axis=0)
    noise = 1.0 / 12.0
    alone = 0.5 * np.log2(rows.var(axis=0) + noise)
    gained = 0.0
    for channel in range(1, rows.shape[1]):
        before = rows[:, :channel]
        weights, *_ = np.linalg.lstsq(before, rows[:, channel], rcond=None)
        left = float(np.var(rows[:, channel] - before @ weights))
        gained += max(0.0, float(alone[channel]) - 0.5 * math.log2(left + noise))
    return float(np.mean(alone) + 0.5 * math.log2(2 * math.pi * math.e)), gained / rows.shape[1]


def line(name: str, label: str, folder: Path) -> str:
    """Return the row of a cell."""
    dataset, bound = DATASETS[name], BOUNDS[label]
    cell = read_cell(folder, dataset, bound)
    peers = [(row["bytes"], peer) for peer, row in cell["peers"].items() if row["status"] == "ok"]
    made = {preset: row["bytes"] for preset, row in cell["aezip"].items() if row["status"] == "ok"}
    if not made:
        return ""
    best, peer = min(peers, default=(0, "-"))
    smallest = min(size for preset, size in made.items() if not preset.endswith("-alone"))
    shown = [f"{made[p]:,}" if p in made else "" for p in ("instant-alone", "instant", "fast")]
    gain = f"{made['instant-alone'] / made['instant']:.3f}" if {"instant", "instant-alone"} <= made.keys() else ""
    against = f"{best / smallest:.2f}" if best else ""
    bits, told = promised(dataset.load(), bound.share)
    words = [name, label.removesuffix("-per-feature"), f"{cell['raw_bytes']:,}", f"{best:,} ({peer})" if best else ""]
    return "| " + " | ".join([*words, *shown, gain, against, f"{told:.2f} of {max(bits, 0.0):.2f}"]) + " |"


def main(folder: Path = RESULTS) -> None:
    """Write the page."""
    heads = ["data", "bound", "raw", "best peer", "alone", "together", "fast", "alone / together", "peer / aezip", "promised"]
    rows = [line(name, label, folder) for name in MULTICHANNEL for label in JOINT_BOUNDS if DATASETS[name].path().exists()]
    lines = [
        "# Variables and channels together",
        "",
        f"Bytes of files, bounds relative to each variable's or channel's range, by commit {revision()}.",
        "*Alone* and *together*: the preset instant. Peers get the array in their best order of axes, and each channel alone.",
        "*Promised*: of the bits of a value, how many a linear regression on the channels before it at the same place tells.",
        "`python -m benchmarks.joint` makes this page.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---|---|" + "--:|" * (len(heads) - 2),
        *[row for row in rows if row],
        "",
    ]
    (folder / "joint.md").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
