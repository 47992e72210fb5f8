"""``python -m benchmarks.estimates``: what the search thought a file would take beside what it takes, cell by cell."""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any
from unittest import mock

import aezip
from benchmarks.cells import aezip_bound
from benchmarks.datasets import BOUNDS, DATASETS
from benchmarks.measure import RESULTS, environment, revision

NAMES = (
    "cwru_bearing", "era5_uk_t2m", "etth", "fashion_mnist", "flights", "fmi_radar", "glove100", "ipsl_sst_fill", "jasper_ridge",
    "kuramoto_sivashinsky", "lstm_weights", "md_adk", "mitbih100_ecg", "nycflights13", "olivetti_faces", "uci_protein",
    "ukmo_north_america_tair", "viscous_fingers",
)  # fmt: skip


def measure(name: str, label: str, preset: str) -> dict[str, Any]:
    """Return the estimate and the bytes of one cell; what every file has, container and mask, is in neither."""
    from aezip.codec.encoder import ArrayEncoder

    estimates: list[float] = []
    honest = ArrayEncoder.prepare

    def prepare(self: Any, *arguments: Any, **options: Any) -> Any:
        found = honest(self, *arguments, **options)
        estimates.append(self.chosen.size)
        return found

    dataset = DATASETS[name]
    with mock.patch.object(ArrayEncoder, "prepare", prepare):
        _, report = aezip.compress(
            dataset.load(), bound=aezip_bound(BOUNDS[label]), fill_value=dataset.fill, preset=preset, verify=False
        )
    one = report.arrays[0]
    size = sum(one.bytes.get(stream, 0) for stream in ("codes", "residual", "data", "model"))
    return {"data": name, "bound": label, "preset": preset, "plan": one.plan["kind"], "estimate": estimates[-1], "bytes": size}


def lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table."""
    off = {id(row): row["estimate"] / row["bytes"] - 1.0 for row in rows}
    worst = max(off.values(), key=abs)
    median = statistics.median(map(abs, off.values()))
    out = [
        "# Estimates", "",
        "What the search thought the streams and the model of an array would take, and what they take in the file. "
        f"{environment()['cpu']}; revision {revision()}. Median of the distances {median:.1%}, the largest {worst:+.1%}.", "",
        "| data | bound | preset | plan | estimate | bytes | off by |", "|---|---|---|---|--:|--:|--:|",
    ]  # fmt: skip
    for row in rows:
        cells = row["data"], row["bound"], row["preset"], row["plan"], f"{row['estimate']:,.0f}", f"{row['bytes']:,}"
        out.append(f"| {' | '.join(cells)} | {off[id(row)]:+.1%} |")
    return out


def main() -> None:
    """Measure, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="*", default=list(NAMES), choices=list(DATASETS))
    parser.add_argument("--bound", nargs="*", default=["1e-2", "1e-3"], choices=list(BOUNDS))
    parser.add_argument("--preset", nargs="*", default=["instant"])
    asked = parser.parse_args()
    rows = []
    for name in asked.data:
        for label in asked.bound:
            for preset in asked.preset:
                rows.append(measure(name, label, preset))
                print(json.dumps(rows[-1]), flush=True)
    (RESULTS / "estimates.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "estimates.md").write_text("\n".join(lines(rows)) + "\n")


if __name__ == "__main__":
    main()
