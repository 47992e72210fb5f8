"""``python -m benchmarks.recommend``: estimates of ratings that were held out, and the bytes of the ratings beside peers."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import aezip
from aezip.apps.recommend.training.raters import biases
from benchmarks.datasets import Array, data_folder
from benchmarks.measure import RESULTS
from benchmarks.peers import PEERS

Float64 = npt.NDArray[np.float64]
RANKS = (2, 5, 10, 20)


@dataclass(frozen=True)
class Problem:
    """Ratings to store and train on, and ratings held out; both (users, items), NaN elsewhere; `unit`: all are its multiples."""

    name: str
    known: Array
    held: Array
    unit: float

    def error(self, estimates: Float64) -> float:
        """Return the root mean square error on what is held out; estimates are cut to the range of the ratings."""
        there = ~np.isnan(self.held)
        low, high = float(np.nanmin(self.known)), float(np.nanmax(self.known))
        off = estimates[there].clip(low, high) - self.held[there].astype(np.float64)
        return float(np.sqrt(np.square(off).mean()))


def movielens(folder: Path) -> Problem:
    """Return MovieLens-100k, split u1."""
    parts = []
    for name in ("train", "test"):
        rows = np.load(folder / f"ml100k_{name}_triplets.npz")["a"]
        matrix = np.full((943, 1682), np.nan, np.float32)
        matrix[rows[:, 0] - 1, rows[:, 1] - 1] = rows[:, 2]
        parts.append(matrix)
    return Problem("MovieLens-100k, split u1", parts[0], parts[1], 1.0)


def jester(folder: Path) -> Problem:
    """Return Jester with a tenth of the ratings held out."""
    whole = np.load(folder / "jester_ratings.npz")["a"]
    held = np.random.default_rng(0).random(whole.shape) < 0.1
    held &= ~np.isnan(whole)
    held[(~np.isnan(whole) & ~held).sum(axis=1) == 0] = False
    return Problem("Jester, 10 % held out", np.where(held, np.nan, whole), np.where(held, whole, np.nan), 0.01)


def _components(known: Float64, rank: int, base: Float64) -> Float64:
    """Return estimates by principal components of the matrix filled with the biases' estimates, once filled again."""
    filled = np.where(np.isnan(known), base, known)
    for _ in range(2):
        mean = filled.mean(axis=0)
        u, s, vt = np.linalg.svd(filled - mean, full_matrices=False)
        estimates = mean + (u[:, :rank] * s[:rank]) @ vt[:rank]
        filled = np.where(np.isnan(known), estimates, known)
    return np.asarray(estimates)


def baselines(problem: Problem) -> Iterator[tuple[str, float]]:
    """Yield name and error of what needs no network."""
    known = problem.known.astype(np.float64)
    mean, rows, columns = biases(known)
    with np.errstate(invalid="ignore"):
        counts = (~np.isnan(known)).sum(axis=0)
        items = np.where(counts > 0, np.nansum(known, axis=0) / np.maximum(counts, 1), mean)
    base = mean + rows[:, None] + columns
    yield "global mean", problem.error(np.full(known.shape, mean))
    yield "item means", problem.error(np.broadcast_to(items, known.shape))
    yield "biases of users and items", problem.error(base)
    found = {rank: problem.error(_components(known, rank, base)) for rank in RANKS}
    best = min(found, key=found.__getitem__)
    yield f"PCA, {best} components (the best of {', '.join(map(str, RANKS))} on the test itself)", found[best]


def peer_bytes(problem: Problem) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of each way to store the ratings exactly, both orders of the axes tried."""
    whole = np.rint(np.nan_to_num(problem.known.astype(np.float64)) / problem.unit).astype(np.int16)
    exact = np.where(np.isnan(problem.known), np.nan, (whole * problem.unit).astype(np.float32))
    if not np.array_equal(exact, problem.known, equal_nan=True):
        raise ValueError("the ratings are no multiples of the unit")
    there = ~np.isnan(problem.known)
    low = int(whole[there].min()) - 1
    for name in ("pcodec", "zstd-19", "Blosc2"):
        yield name, min(_encoded(name, a) for a in _turned(problem.known))
    filled = np.where(there, whole - low, 0).astype(np.int16)
    yield "quantize+pcodec", min(_encoded("quantize+pcodec", a) for a in _turned(filled))
    yield "quantize+zstd", min(_encoded("quantize+zstd", a) for a in _turned(filled))
    yield (
        "SZ3 (absolute bound 0.49 unit, 0 = not rated)",
        min(_encoded("SZ3", a.astype(np.float32), 0.49) for a in _turned(filled)),
    )
    masks = [_encoded("zstd-19", np.packbits(a)) for a in _turned(there.astype(np.uint8))]
    for name in ("quantize+pcodec", "quantize+zstd"):
        values = [_encoded(name, whole.T[there.T]), _encoded(name, whole[there])]
        yield f"{name} of the ratings, zstd-19 of a bit mask", min(masks) + min(values)


def _turned(array: Array) -> list[Array]:
    return [array, np.ascontiguousarray(array.T)]


def _encoded(name: str, array: Array, tolerance: float = 0.0) -> int:
    """Return the bytes of the peer's best setting."""
    peer = PEERS[name]
    return min(len(peer.encode(array, tolerance, setting, True)) for setting in peer.settings)


def measured(problem: Problem, preset: str) -> dict[str, Any]:
    """Compress with and without a recommender; return bytes, errors and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.aez"
        plain = aezip.compress(problem.known, path, preset=preset)
        start = time.perf_counter()
        report = aezip.compress(problem.known, path, preset=preset, recommend=True, overwrite=True)
        seconds = time.perf_counter() - start
        if not np.array_equal(aezip.decompress(path), problem.known, equal_nan=True):
            raise ValueError("the ratings did not come back")
        with aezip.open(path) as archive:
            error = problem.error(archive.predict())
    held_out = report.arrays[0].recommender
    return {
        "preset": preset,
        "plain": plain.file_bytes,
        "mask": plain.bytes.get("mask", 0),
        "bytes": report.file_bytes,
        "recommender": report.bytes["recommender"],
        "error": error,
        "seconds": seconds,
        "held_out": None if held_out is None else held_out["held_out_rmse"],
    }


def lines(problem: Problem, presets: list[str]) -> Iterator[str]:
    """Yield the section of a problem."""
    there, held = (int((~np.isnan(a)).sum()) for a in (problem.known, problem.held))
    users, items = problem.known.shape
    yield from ("", f"## {problem.name}", "")
    yield f"{users} users, {items} items, {there} ratings stored and trained on, {held} held out."
    yield from ("", "| estimates | RMSE |", "|---|--:|")
    for name, error in baselines(problem):
        yield f"| {name} | {error:.4f} |"
    rows = [measured(problem, preset) for preset in presets]
    for row in rows:
        yield f"| **aezip**, preset {row['preset']}, from the stored model | **{row['error']:.4f}** |"
    yield from ("", "| bytes, ratings exact | |", "|---|--:|")
    for name, size in sorted(peer_bytes(problem), key=lambda p: p[1]):
        yield f"| {name} | {size:,} |"
    for row in rows:
        yield f"| **aezip**, preset {row['preset']} (of it the mask {row['mask']:,}) | **{row['plain']:,}** |"
        yield f"| **aezip**, preset {row['preset']}, with the recommender ({row['recommender']:,}) | **{row['bytes']:,}** |"
    for row in rows:
        yield ""
        yield (
            f"Preset {row['preset']}: {row['seconds']:.0f} s to compress with the recommender; the networks' error on the tenth "
            f"of the stored ratings that they held out to choose settings: {row['held_out']:.4f}."
        )


def main() -> None:
    """Measure and write ``recommend.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommend", description=__doc__)
    parser.add_argument("--preset", nargs="+", default=["fast", "balanced"], choices=["fast", "balanced", "best"])
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    folder = data_folder()
    text = ["# Recommendation", ""]
    text.append(
        "Made by `python -m benchmarks.recommend`. Estimates are those of the integer model in the file, read without PyTorch; "
        "settings are chosen on a tenth of the stored ratings, never on what is held out here. Peers are given the ratings in "
        "the way that suits each best; the mask of what was not rated is counted everywhere."
    )
    for problem in (movielens(folder), jester(folder)):
        for line in lines(problem, arguments.preset):
            text.append(line)
            print(line, flush=True)
    (arguments.out / "recommend.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
