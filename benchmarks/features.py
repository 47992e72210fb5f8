"""``python -m benchmarks.features``: what codes are worth, to a classifier and to a search for neighbours."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import aezip
from benchmarks.datasets import Array, data_folder
from benchmarks.measure import RESULTS

Float64 = npt.NDArray[np.float64]
WIDTHS = (4, 8, 16, 32)
TRAINING = 1200  # digits; the others are the test
QUERIES = 200
# array, rows that are stored, bound, widths, preset
SEARCHES: dict[str, tuple[int, float, tuple[int, ...], str]] = {
    "fashion_mnist": (3000, 1e-2, (16, 32), "fast"),
    "olivetti_faces": (400, 1e-2, (16, 32), "fast"),
    "glove100": (10_000, 1e-2, (32, 64), "fast"),
}


# accuracy ------------------------------------------------------------------------------------------------------------
def _scores(train: Array, test: Array, labels: tuple[Array, Array]) -> tuple[float, float]:
    """Return the accuracies of 5 nearest neighbours and of logistic regression on standardized features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    nearest = KNeighborsClassifier(5).fit(train, labels[0]).score(test, labels[1])
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(train, labels[0]).score(test, labels[1])
    return float(nearest), float(linear)


def _transformers(width: int, seeds: int) -> Iterator[tuple[str, Callable[[int], Any], int]]:
    from sklearn.decomposition import PCA

    from aezip.integrations.sklearn import AutoencoderCodes

    yield f"PCA, {width}", lambda seed: PCA(width, random_state=seed), 1
    for error in (0.03, 0.005):

        def make(seed: int, error: float = error) -> AutoencoderCodes:
            return AutoencoderCodes(width, error=error, random_state=seed)

        yield f"codes, {width}, error {error:g}", make, seeds


def accuracy(seeds: int) -> Iterator[str]:
    """Yield the table of accuracies on the digits of scikit-learn."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x, y = digits.data, digits.target
    labels = (y[:TRAINING], y[TRAINING:])
    yield from ("", "| features | nearest neighbours | logistic regression |", "|---|--:|--:|")
    yield "| pixels, 64 | {:.3f} | {:.3f} |".format(*_scores(x[:TRAINING], x[TRAINING:], labels))
    for width in WIDTHS:
        for name, make, count in _transformers(width, seeds):
            found = []
            for seed in range(count):
                transformer = make(seed).fit(x[:TRAINING])
                found.append(_scores(transformer.transform(x[:TRAINING]), transformer.transform(x[TRAINING:]), labels))
            mean, spread = np.mean(found, axis=0), np.std(found, axis=0)
            cells = (f"{m:.3f}" + (f" ± {s:.3f}" if count > 1 else "") for m, s in zip(mean, spread, strict=True))
            yield f"| {name} | " + " | ".join(cells) + " |"


# neighbours ----------------------------------------------------------------------------------------------------------
def _true(rows: Float64, query: int, metric: str) -> set[int]:
    """Return the 10 true nearest rows."""
    if metric == "cosine":
        lengths = np.sqrt(np.square(rows).sum(axis=1))
        distance = -(rows @ rows[query]) / np.maximum(lengths, 1e-30)
    else:
        distance = np.square(rows - rows[query]).sum(axis=1)
    distance[query] = np.inf
    return set(np.argsort(distance, kind="stable")[:10].tolist())


def _recall(found: Callable[[int], npt.NDArray[np.int64]], rows: Float64, queries: Array, metric: str) -> float:
    return float(np.mean([len(set(found(int(q)).tolist()) & _true(rows, int(q), metric)) / 10 for q in queries]))


def _by(values: Float64) -> Callable[[int], npt.NDArray[np.int64]]:
    """Return a search by Euclidean distance between rows of `values`."""

    def search(query: int) -> npt.NDArray[np.int64]:
        distance = np.square(values - values[query]).sum(axis=1)
        distance[query] = np.inf
        return np.argsort(distance, kind="stable")[:10]

    return search


def search(name: str, folder: Path) -> Iterator[str]:
    """Yield the rows of an array: recall of the 10 true neighbours among the 10 found, and bytes."""
    count, share, widths, preset = SEARCHES[name]
    whole = np.load(folder / f"{name}.npz")["a"]
    x = np.ascontiguousarray(whole[:: len(whole) // count][:count])
    rows = x.reshape(len(x), -1).astype(np.float64)
    queries = np.random.default_rng(0).choice(len(rows), min(QUERIES, len(rows)), replace=False)
    metric = "cosine" if name == "glove100" else "euclidean"
    centred = rows - rows.mean(axis=0)
    _, _, basis = np.linalg.svd(centred[: 4 * rows.shape[1]], full_matrices=False)
    for width in widths:
        data, report = aezip.compress(x, bound=aezip.RangeRelative(share), codes=width, preset=preset)
        with aezip.open(data) as archive:
            view = archive["data"]
            codes = archive.codes().astype(np.float64)
            start = time.perf_counter()
            made = [view.nearest(int(q), 10, metric).rows for q in queries[:5]]
            seconds = (time.perf_counter() - start) / len(made)
            predicted = np.concatenate(list(view.predictions()))
        nearest = predicted / np.sqrt(np.square(predicted).sum(axis=1, keepdims=True)) if metric == "cosine" else predicted
        pca = _recall(_by(centred @ basis[:width].T), rows, queries, metric)
        plain = _recall(_by(codes), rows, queries, metric)
        recall = _recall(_by(nearest), rows, queries, metric)
        yield (
            f"| {name}, {len(rows)} rows, {metric} | {width} | **{recall:.3f}** | {plain:.3f} | {pca:.3f} | {10 / len(rows):.4f} "
            f"| {report.bytes['codes']:,} + {report.bytes['model']:,} of {report.file_bytes:,} | {1e3 * seconds:.0f} |"
        )


def main() -> None:
    """Measure and write ``features.md``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.features", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--search", nargs="*", default=list(SEARCHES), choices=list(SEARCHES))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    text = ["# Codes as features", "", "Made by `python -m benchmarks.features`.", ""]
    text += ["## Accuracy on the digits of scikit-learn", ""]
    text.append(
        f"8 x 8 images of ten digits: the first {TRAINING} train encoder and classifier, the other 597 are the test. The encoder "
        "sees no label and no test image. Nearest neighbours: 5, Euclidean, on the features as they are; logistic regression "
        f"on standardized features. Codes: mean and standard deviation over {arguments.seeds} seeds of the training."
    )
    text += accuracy(arguments.seeds)
    text += ["", "## Neighbours on compressed data", ""]
    text.append(
        "Share of the 10 true nearest rows of the original among the 10 that are found. `nearest` compares what the decoder "
        "makes of the codes; plain codes and principal components are compared by Euclidean distance. The last column is "
        "milliseconds a query."
    )
    columns = ("array", "width", "`nearest`", "plain codes", "PCA of that width", "chance", "bytes read of the file", "ms")
    text += ["", f"| {' | '.join(columns)} |"]
    text.append("|---|--:|--:|--:|--:|--:|--:|--:|")
    print("\n".join(text), flush=True)
    for name in arguments.search:
        for line in search(name, data_folder()):
            text.append(line)
            print(line, flush=True)
    (arguments.out / "features.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
