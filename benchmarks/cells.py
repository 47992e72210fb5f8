"""Fills the cells: one row for each codec, each made in a child process. Knows nothing of tables or terminals."""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from aezip.tools.isolate import Emit, Limits, isolated
from benchmarks.datasets import BOUNDS, DATASETS, Array, Bound, Dataset, pose
from benchmarks.measure import check
from benchmarks.peers import PEERS
from benchmarks.search import Search

SEARCH_SECONDS = 60.0  # of processor time, for comparing layouts and settings of one peer
PEER_LIMITS = Limits(cpu=120, wall=480, memory=12 << 30)
AEZIP_LIMITS = Limits(cpu=7200, wall=3600, memory=0)  # torch maps far more than it uses
CRASHES = 6  # attempts after which a peer that keeps crashing is left alone
PRESETS = ("instant", "fast", "balanced", "best")
ALONE = "-alone"  # after a preset: each variable or channel by itself, in one file


def _search(emit: Emit, dataset: str, bound: str, peer: str, skip: list[str], folder: Path | None, seconds: float) -> None:
    chosen = DATASETS[dataset]
    Search(emit, pose(chosen.load(folder), BOUNDS[bound], chosen.fill), PEERS[peer], skip, seconds).run()


def peer_row(
    dataset: Dataset, bound: Bound, name: str, *, folder: Path | None = None, seconds: float = SEARCH_SECONDS
) -> dict[str, Any]:
    """Return the row of one peer: its smallest result that passed the check, or why there is none.

    What crashes the child is left out and the rest tried again, so that one bad shape does not cost a peer its row.
    """
    if not PEERS[name].installed:
        return {"status": "not installed"}
    began = time.perf_counter()
    skip: list[str] = []
    rows: list[dict[str, Any]] = []
    crashes: Counter[str] = Counter()
    for _ in range(CRASHES):
        outcome = isolated(PEER_LIMITS, _search, dataset.name, bound.label, name, skip, folder, seconds)
        rows += [m["row"] for m in outcome.messages if "row" in m]
        if outcome.status == "ok":
            break
        crashes[outcome.status] += 1
        tried = [m["trying"] for m in outcome.messages if "trying" in m]
        if not tried or "limit" in outcome.status:
            break
        skip.append(tried[-1])
    good = [r for r in rows if r["status"] == "ok"]
    row = min(good, key=lambda r: int(r["bytes"])) if good else (rows[-1] if rows else {"status": crashes.most_common(1)[0][0]})
    found = {**row, "search_seconds": round(time.perf_counter() - began, 2)}
    return {**found, "crashes": dict(crashes)} if crashes else found


def aezip_bound(bound: Bound) -> Any:
    """Return the bound as aezip's own."""
    import aezip

    return aezip.RangeRelative(bound.share, per_feature=bound.per_feature) if bound.share else aezip.Lossless()


class Phases:
    """Seconds spent in each phase that a job reports, from the first event of one to the first of the next."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._phase, self._since = "start", time.perf_counter()

    def __call__(self, event: Any) -> None:
        """Take note of a progress event."""
        self.turn(event.phase)

    def turn(self, phase: str) -> None:
        """Close the phase that runs and begin another."""
        now = time.perf_counter()
        self.seconds[self._phase] = round(self.seconds.get(self._phase, 0.0) + now - self._since, 3)
        self._phase, self._since = phase, now


def given(array: Array, dataset: Dataset, bound: Bound, alone: bool) -> tuple[Any, Any]:
    """Return what aezip is given for an array, and the bound: an array for each variable, or for each channel alone."""
    import aezip

    names = dataset.variables or (tuple(f"{i:04d}" for i in range(array.shape[-1])) if alone else ())
    if not names:
        return array, aezip_bound(bound)
    parts = {name: np.ascontiguousarray(array[..., i]) for i, name in enumerate(names)}
    return parts, dict.fromkeys(names, aezip.RangeRelative(bound.share))


def compress_and_check(array: Array, dataset: Dataset, bound: Bound, preset: str, path: Path) -> dict[str, Any]:
    """Write ``array`` to ``path`` with aezip, read it back, check it as any peer is checked, and return the row."""
    import aezip

    alone = preset.endswith(ALONE)
    values, wanted = given(array, dataset, bound, alone)
    phases = Phases()
    began = time.perf_counter()
    report = aezip.compress(
        values,
        path,
        bound=wanted,
        fill_value=dataset.fill,
        preset=preset.removesuffix(ALONE),
        separate=alone,
        overwrite=True,
        progress=phases,
    )
    phases.turn("end")
    compressed = time.perf_counter()
    rates: dict[str, int] = {}
    for threads in (1, 2):
        started = time.perf_counter()
        found = aezip.decompress(path, threads=threads)
        rates[str(threads)] = round(array.size / max(time.perf_counter() - started, 1e-9))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # before the comparison, which takes more
    decoded = np.stack([found[name] for name in values], axis=-1) if isinstance(values, dict) else found
    checked = check(pose(array, bound, dataset.fill), decoded)
    size = path.stat().st_size
    written = report.to_json()
    details = written["arrays"][0]
    status = checked.status
    if status == "ok" and written["file_bytes"] != size:
        status = f"reports {written['file_bytes']} bytes"
    return {
        "status": status,
        "bytes": size,
        "max_error": checked.max_error,
        "share_of_bound": checked.share_of_bound,
        "plan": details["plan"] if len(written["arrays"]) == 1 else [a["plan"] for a in written["arrays"]],
        "candidates": details["candidates"],
        "ledger": written["bytes"],
        "efficiency": details["efficiency"],
        "compress_seconds": round(compressed - began, 3),
        "phase_seconds": phases.seconds,
        "values_per_second": rates,
        "codec_memory": peak,
    }


def _compress(emit: Emit, dataset: str, bound: str, preset: str, folder: Path | None) -> None:
    chosen = DATASETS[dataset]
    with tempfile.TemporaryDirectory() as place:
        row = compress_and_check(chosen.load(folder), chosen, BOUNDS[bound], preset, Path(place) / "array.aez")
    emit({"row": row})


def aezip_row(dataset: Dataset, bound: Bound, preset: str, *, folder: Path | None = None) -> dict[str, Any]:
    """Return the row of aezip at one preset."""
    outcome = isolated(AEZIP_LIMITS, _compress, dataset.name, bound.label, preset, folder)
    if outcome.messages:
        return {**outcome.messages[0]["row"], "peak_memory": outcome.peak_memory}
    return {"status": outcome.status}
