"""``python -m benchmarks.sharing``: train on the first tenth of an array, compress the rest with that model.

Beside it: the rest compressed with a training of its own, at the same absolute bound.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import DATASETS, Array
from benchmarks.measure import RESULTS, environment, revision, version

SHARE = 0.1  # of the outer axis, or of the second where the outer has only a few records
AIM = 10e6  # values a second
BOUND = 1e-3  # of the range of the whole


@dataclass(frozen=True)
class Parts:
    """An array cut in two: what is trained on, and the rest; and the bound, in units of the data."""

    first: Array
    rest: Array
    error: float


def parts_of(name: str) -> Parts:
    """Cut an array along its outer axis; records of signals become one long signal with the records as columns."""
    array = DATASETS[name].load()
    if name == "cwru_bearing":  # (record, sample, sensor): a tenth of the time of each
        array = np.ascontiguousarray(np.moveaxis(array, 1, 0))
    cut = max(1, round(SHARE * len(array)))
    values = array.astype(np.float64)
    return Parts(array[:cut], array[cut:], BOUND * float(np.ptp(values[np.isfinite(values)])))


def _timed(job: Any) -> tuple[Any, float]:
    began = time.perf_counter()
    out = job()
    return out, time.perf_counter() - began


def measure(name: str, preset: str, *, lossless: bool) -> dict[str, Any]:
    """Return bytes and seconds with a shared model, and with a training of its own; results are checked."""
    import aezip

    cut = parts_of(name)
    bound: Any = aezip.Lossless() if lossless else aezip.Absolute(cut.error)
    model, training = _timed(lambda: aezip.train(cut.first, bound=bound, preset=preset))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rest.aez"
        aezip.compress(cut.rest[: max(1, len(cut.rest) // 50)], bound=bound, model=model, verify=False)  # loads what loads once
        settings = {"bound": bound, "model": model, "embed_model": False, "overwrite": True}
        report, plain = _timed(lambda: aezip.compress(cut.rest, path, verify=False, **settings))
        _, verified = _timed(lambda: aezip.compress(cut.rest, path, **settings))
        size = path.stat().st_size
        decoded, reading = _timed(lambda: aezip.decompress(path, model=model))
    wide = np.abs(cut.rest.astype(np.float64) - decoded.astype(np.float64))
    good = decoded.tobytes() == cut.rest.tobytes() if lossless else float(np.nanmax(wide)) <= cut.error
    (_, own), alone = _timed(lambda: aezip.compress(cut.rest, bound=bound, preset=preset, verify=False))
    return {
        "data": name, "bound": "lossless" if lossless else f"{BOUND:g}", "status": "ok" if good else "bound broken",
        "plan": model.describe(), "used": report.plan["kind"], "model_used": report.arrays[0].trained is not None,
        "trained_on": list(cut.first.shape), "rest": list(cut.rest.shape), "raw_bytes": cut.rest.nbytes,
        "bytes": size, "model_file": len(model.data), "pays_after": report.shared_model_pays_after,
        "training_seconds": round(training, 2), "values": int(cut.rest.size),
        "seconds": round(plain, 3), "seconds_verified": round(verified, 3), "seconds_decode": round(reading, 3),
        "own_bytes": own.file_bytes, "own_plan": own.arrays[0].candidates and own.plan["kind"], "own_seconds": round(alone, 2),
    }  # fmt: skip


def lines(rows: list[dict[str, Any]], preset: str) -> list[str]:
    """Return the table."""
    out = [
        "# Train once, compress many",
        "",
        f"A model is trained on the first tenth (preset {preset}), the other nine tenths are compressed with it, by reference. "
        f"Bound: {BOUND:g} of the range, or lossless. {environment()['cpu']}, 2 cores, shared with other work. Speed is values "
        f"a second of compressing, reading the statistics included, without and with the check of every value; aim: {AIM:.0e}. "
        "`own` is the same data with a training of its own. A model is left away where a plan without training is smaller "
        "on a sample.",
        "",
        "| data | bound | plan | raw bytes | bytes | model file | ratio | with the model | own bytes | speed | verified "
        "| decoding | training s | own s | pays from |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        speeds = " | ".join(f"{row['values'] / row[n] / 1e6:.1f} M" for n in ("seconds", "seconds_verified", "seconds_decode"))
        plan = row["plan"] + ("" if row.get("model_used", True) else f" (left away for the plan {row['used']})")
        status = "" if row["status"] == "ok" else f" ({row['status']})"
        needed = row["model_file"] if row.get("model_used", True) else 0
        ratios = f"{row['raw_bytes'] / row['bytes']:.2f} | {row['raw_bytes'] / (row['bytes'] + needed):.2f}"
        pays = "-" if row["pays_after"] is None else f"{row['pays_after']} files"
        out.append(
            f"| {row['data']}{status} | {row['bound']} | {plan} | {row['raw_bytes']:,} | {row['bytes']:,} "
            f"| {row['model_file']:,} | {ratios} | {row['own_bytes']:,} | {speeds} | {row['training_seconds']:.0f} "
            f"| {row['own_seconds']:.0f} | {pays} |"
        )
    return out


def _kept(out: Path, preset: str, again: list[str]) -> list[dict[str, Any]]:
    """Return the rows of an earlier run, of data that is not measured again."""
    path = out / "sharing.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    rows: list[dict[str, Any]] = before.get("rows", []) if before.get("preset") == preset else []
    return [row for row in rows if row["data"] not in again]


def main() -> None:
    """Measure and write ``sharing.md`` and ``sharing.json``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sharing", description=__doc__)
    parser.add_argument("--data", nargs="+", default=["viscous_fingers", "cwru_bearing", "glove100"], choices=list(DATASETS))
    parser.add_argument("--preset", default="balanced", choices=["fast", "balanced", "best"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    rows = _kept(options.out, options.preset, options.data)
    for name in options.data:
        for lossless in (False, True):
            rows.append(measure(name, options.preset, lossless=lossless))
            print(json.dumps(rows[-1]), flush=True)
            about = {"version": version("aezip"), "commit": revision(), "environment": environment(), "preset": options.preset}
            text = json.dumps({**about, "rows": rows}, indent=1) + "\n"
            (options.out / "sharing.json").write_text(text, encoding="utf-8")
            (options.out / "sharing.md").write_text("\n".join(lines(rows, options.preset)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
