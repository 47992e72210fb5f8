"""``python -m benchmarks.variants``: the six kinds of autoencoder on the same arrays, at the same bound and effort.

Each is made to encode every array, whether it pays or not, and alone: nothing refines it, no plan without codes takes its
place. What users get by default is smaller: the other benchmarks measure that.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.cells import Phases, aezip_bound
from benchmarks.datasets import BOUNDS, DATASETS, ROOT, Array, pose
from benchmarks.measure import RESULTS, check, environment, revision, version

VARIANTS = ("deep", "sparse", "denoising", "contractive", "stacked", "rbm")
NAMES = ("fashion_mnist", "olivetti_faces", "jasper_ridge_rows", "uci_protein")
BOUND = "1e-2"
MOST = 4_000_000  # values: a larger array is cut along its outer axis
COLOR = "#d1495b"


def array_of(name: str) -> Array:
    """Return an array, or its first part."""
    array = DATASETS[name].load()
    return array[: max(1, MOST // math.prod(array.shape[1:]))]


def measure(name: str, variant: str, preset: str) -> dict[str, Any]:
    """Return bytes, rates and seconds of one variant on one array, checked on what was decoded."""
    import aezip
    from aezip.search import variants

    array, bound, phases = array_of(name), BOUNDS[BOUND], Phases()
    forced = mock.patch("aezip.plans.autoencoder.variants.insisted", return_value=True)
    with tempfile.TemporaryDirectory() as folder, forced, mock.patch.object(variants, "REFINED", False):
        path = Path(folder) / "array.aez"
        report = aezip.compress(
            array, path, bound=aezip_bound(bound), preset=preset, variant=variant, verify=False, progress=phases
        )
        phases.turn("end")
        size = path.stat().st_size
        found = check(pose(array, bound), aezip.decompress(path))
    one = report.arrays[0]
    plan = one.plan
    return {
        "data": name, "variant": variant, "status": found.status, "shape": list(array.shape), "bytes": size,
        "ledger": report.bytes, "raw_bytes": array.nbytes, "used": one.variant,
        "width": plan.get("width"), "hidden": plan.get("hidden"),
        "block": plan.get("layout"), "rates": one.rates, "seconds": {k: phases.seconds.get(k, 0.0) for k in ("select", "train")},
    }  # fmt: skip


def lines(rows: list[dict[str, Any]], preset: str) -> list[str]:
    """Return the table."""
    out = [
        "# The kinds of autoencoder",
        "",
        f"Range-relative {BOUND}, preset {preset}, one thread, {environment()['cpu']}. Each kind by itself: nothing refines it, "
        f"no plan without codes takes its place. Arrays of more than {MOST:,} values are cut along the outer axis. Rates are "
        "bits a value that the loss counts, with rounded weights and codes; one row in ten was held out of training.",
        "",
        "| data | variant | file bytes | ratio | codes | residual | model | width | hidden | block | trained | held out "
        "| choosing s | training s |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        parts = " | ".join(f"{row['ledger'].get(name, 0):,}" for name in ("codes", "residual", "model"))
        best = min(r["bytes"] for r in rows if r["data"] == row["data"])
        size = f"**{row['bytes']:,}**" if row["bytes"] == best else f"{row['bytes']:,}"
        block = "x".join(map(str, row["block"] or []))
        status = "" if row["status"] == "ok" and row["used"] == row["variant"] else f" ({row['status']}, used {row['used']})"
        rates = " | ".join(f"{row['rates'].get(name, math.nan):.3f}" for name in ("trained", "held_out"))
        times = " | ".join(f"{row['seconds'][name]:.0f}" for name in ("select", "train"))
        out.append(
            f"| {row['data']} | {row['variant']}{status} | {size} | {row['raw_bytes'] / row['bytes']:.2f} | {parts} "
            f"| {row['width']} | {row['hidden']} | {block} | {rates} | {times} |"
        )
    return out


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw the bytes of each variant over those of the deep one, a panel for each array."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(row["data"] for row in rows))
    figure = Figure(figsize=(3.1 * len(names), 2.8), layout="constrained")
    for place, name in enumerate(names, 1):
        axes = figure.add_subplot(1, len(names), place)
        sizes = {row["variant"]: row["bytes"] for row in rows if row["data"] == name}
        deep = sizes.get("deep", max(sizes.values()))
        labels = [v for v in VARIANTS if v in sizes][::-1]
        bars = axes.barh(labels, [sizes[v] / deep for v in labels], color=COLOR)
        axes.bar_label(bars, fmt="%.2f", fontsize=8, padding=2)
        axes.axvline(1.0, color="#1a1a1a", lw=0.8)
        axes.set_xlim(0, 1.2 * max(sizes[v] / deep for v in labels))
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=8)
    figure.supxlabel(f"file bytes over those of the deep variant, range-relative {BOUND}", fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main() -> None:
    """Measure and write ``variants.md``, ``variants.json`` and the figure of ``docs/variants.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("--data", nargs="+", default=list(NAMES), choices=list(DATASETS))
    parser.add_argument("--variant", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--preset", default="fast", choices=["fast", "balanced", "best"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--figure", type=Path, default=ROOT / "docs" / "variants.png")
    options = parser.parse_args()
    rows = []
    for name in options.data:
        for variant in options.variant:
            rows.append(measure(name, variant, options.preset))
            print(f"{name} {variant}: {rows[-1]['bytes']} bytes, {rows[-1]['status']}, {rows[-1]['seconds']}", flush=True)
    about = {"version": version("aezip"), "commit": revision(), "environment": environment(), "preset": options.preset}
    (options.out / "variants.json").write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    (options.out / "variants.md").write_text("\n".join(lines(rows, options.preset)) + "\n", encoding="utf-8")
    draw(rows, options.figure)


if __name__ == "__main__":
    main()
