"""The one check that every result passes, what machine it was measured on, and the results of cells on disk.

A cell is a data set at a bound; its file is written anew after each codec, so that an interrupted run goes on.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets import ROOT, Array, Bound, Dataset, Problem

RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("pysz", "zfpy", "pcodec", "blosc2", "zstandard", "hdf5plugin", "numpy", "h5py", "torch")


@dataclass(frozen=True)
class Check:
    """What the check of a decoded array found: ``ok``, or what is wrong, and the largest error.

    ``max_error`` is in units of the data; ``share_of_bound`` is the largest error over what was allowed there.
    """

    status: str
    max_error: float
    share_of_bound: float


def check(problem: Problem, decoded: Array) -> Check:
    """Compare a decoded array with the original, in float64, after the cast to the original dtype.

    Parameters
    ----------
    problem : Problem
        The original and what is allowed.
    decoded : ndarray
        What a codec gave back.
    """
    original = problem.array
    if decoded.shape != original.shape or decoded.dtype != original.dtype:
        return Check(f"returned {decoded.dtype.str} {decoded.shape}", np.inf, np.inf)
    if problem.lossless:
        same = decoded.tobytes() == original.tobytes()
        return Check("ok" if same else "not bit-identical", 0.0 if same else np.inf, 0.0 if same else np.inf)
    ordinary = np.ones(original.shape, bool) if problem.special is None else ~problem.special
    if not np.array_equal(original[~ordinary], decoded[~ordinary], equal_nan=original.dtype.kind == "f"):
        return Check("NaN, infinity or fill value lost", np.inf, np.inf)
    with np.errstate(all="ignore"):
        errors = np.abs(original.astype(np.float64) - decoded.astype(np.float64))
    errors = np.where(np.isnan(errors), np.inf, errors)
    errors[~ordinary] = 0.0
    allowed = np.broadcast_to(problem.error, original.shape)
    shares = np.divide(errors, allowed, out=np.where(errors > 0, np.inf, 0.0), where=allowed > 0)
    worst = float(shares.max(initial=0.0))
    within = bool((errors <= allowed).all())
    return Check("ok" if within else "bound exceeded", float(errors.max(initial=0.0)), worst)


def version(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def environment() -> dict[str, Any]:
    """Return what a result depends on besides the data: processor and versions of everything that codes."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "packages": {p: version(p) for p in PACKAGES if version(p)},
    }


def revision() -> str:
    """Return the git commit, with ``-dirty`` where sources differ from it; empty outside a repository."""

    def git(*arguments: str) -> str:
        done = subprocess.run(("git", "-C", str(ROOT), *arguments), capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "HEAD")
    return commit + ("-dirty" if commit and git("status", "--porcelain", "--", "aezip") else "")


def cell_path(folder: Path, dataset: Dataset, bound: Bound) -> Path:
    """Return the file of a cell, in ``cells`` of the folder of the results."""
    return folder / "cells" / f"{dataset.name}.{bound.label}.json"


def read_cell(folder: Path, dataset: Dataset, bound: Bound) -> dict[str, Any]:
    """Return what is known of a cell; a new one where its file is missing or damaged."""
    try:
        cell: dict[str, Any] = json.loads(cell_path(folder, dataset, bound).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        cell = {}
    cell.setdefault("dataset", dataset.name)
    cell.setdefault("bound", bound.label)
    cell.setdefault("peers", {})
    cell.setdefault("aezip", {})
    return cell


def write_cell(folder: Path, dataset: Dataset, bound: Bound, cell: dict[str, Any]) -> None:
    """Write a cell, whole or not at all."""
    path = cell_path(folder, dataset, bound)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".json.tmp")
    draft.write_text(json.dumps(cell, indent=1, sort_keys=True, allow_nan=True) + "\n")
    draft.replace(path)
