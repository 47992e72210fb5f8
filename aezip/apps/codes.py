"""Codes as features: read from their stream alone, and rows compared by what the decoder makes of their codes.

    stream "codes" -> codes (rows, width) -> integer decoder -> prediction (rows, features) -> distances

The residual, which is most of a file, is never read. Knows nothing of files: chunks come as streams.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile, InvalidInput
from aezip.core.fixed import FRACTION_BITS, HALF
from aezip.core.types import Float64, Int64
from aezip.plans.autoencoder import chunk as network

if TYPE_CHECKING:
    from aezip.codec.decoder import ArrayDecoder
    from aezip.plans.autoencoder.networks import Networks
    from aezip.plans.autoencoder.plan import AutoencoderPlan

METRICS = ("euclidean", "cosine")


class NearestRows(NamedTuple):
    """The rows nearest to a query, the nearest first.

    Attributes
    ----------
    rows
        int64, shape (k,): numbers of rows of the feature matrix.
    distances
        float64, shape (k,), in units of the data (euclidean) or 1 - cosine.
    """

    rows: Int64
    distances: Float64


class Recommended(NamedTuple):
    """Columns with the highest estimates, the highest first.

    Attributes
    ----------
    columns
        int64, shape (k,).
    estimates
        float64, shape (k,), in units of the ratings.
    """

    columns: Int64
    estimates: Float64


def highest(estimates: Float64, missing: npt.NDArray[np.bool_], count: int) -> Recommended:
    """Return the `count` highest estimates among the missing ones; all three of one row."""
    columns = np.flatnonzero(missing)
    order = columns[np.argsort(-estimates[columns], kind="stable")[:count]]
    return Recommended(order, estimates[order])


def autoencoder(decoder: ArrayDecoder, name: str) -> tuple[AutoencoderPlan, Networks]:
    """Return plan and model of the autoencoder of an array.

    Raises
    ------
    InvalidInput
        If its plan has no codes.
    """
    found = decoder.autoencoder
    if found is None:
        raise InvalidInput(f"{name!r} was stored without codes: compress it with --codes (codes=True) to have features")
    return found


def row_count(decoder: ArrayDecoder, plan: AutoencoderPlan) -> int:
    """Return the number of rows of the feature matrix."""
    shapes = [decoder.work_shape(i) for i in range(decoder.chunk_count)]
    return sum(int(np.prod(plan.row_layout(shape).grid(shape))) for shape in shapes)


def codes(decoder: ArrayDecoder, index: int, stream: bytes, name: str) -> Int64:
    """Return the codes of a chunk, int64, shape (rows, width), from its stream `codes`.

    Of a convolution a row holds those of all blocks of an image.

    Raises
    ------
    InvalidInput
        If the plan has no codes.
    CorruptFile
        If the stream does not make sense.
    """
    plan, _ = autoencoder(decoder, name)
    return plan.row_codes(_block_codes(decoder, index, stream, name), decoder.work_shape(index))


def _block_codes(decoder: ArrayDecoder, index: int, stream: bytes, name: str) -> Int64:
    plan, model = autoencoder(decoder, name)
    try:
        return model.book.decode(model.code_tables, stream, plan.layout.grid(decoder.work_shape(index)))
    except (ValueError, IndexError, OverflowError) as error:
        raise CorruptFile(f"the codes of chunk {index} do not make sense: the file is damaged") from error


def predictions(decoder: ArrayDecoder, index: int, stream: bytes, name: str) -> Float64:
    """Return what the autoencoder alone makes of a chunk, float64, shape (rows, features), in units of the data.

    Raises
    ------
    InvalidInput
        If the plan has no codes, or they describe differences.
    CorruptFile
        If the stream does not make sense.
    """
    plan, model = autoencoder(decoder, name)
    if plan.difference is not None:
        raise InvalidInput(f"the codes of {name!r} describe differences of rows, not rows: compress it with --codes")
    grid = decoder.grid
    assert grid is not None
    shape = decoder.work_shape(index)
    mean, _ = network.predictions(plan, model, _block_codes(decoder, index, stream, name), shape)
    k = plan.layout.array((mean + HALF) >> FRACTION_BITS if grid.whole else mean, shape)
    values = grid.at(decoder.chunk_range(index)[0]).values(k, decoder.work_type)
    return plan.row_layout(shape).rows(values.astype(np.float64))


def nearest(chunks: Iterable[Float64], query: Float64, k: int, metric: str, without: int | None = None) -> NearestRows:
    """Return the `k` rows nearest to a query.

    Parameters
    ----------
    chunks
        The rows, float64, shape (rows, features) each.
    query
        Shape (features,); NaN entries do not count.
    metric
        "euclidean" or "cosine".
    without
        A row that is left out: the query itself.
    """
    used = np.isfinite(query)
    wanted = query[used]
    best = NearestRows(np.zeros(0, np.int64), np.zeros(0))
    start = 0
    for values in chunks:
        distance = _distances(values[:, used], wanted, metric)
        if without is not None and 0 <= without - start < len(values):
            distance[without - start] = np.inf
        rows = np.concatenate([best.rows, np.arange(start, start + len(values))])
        distance = np.concatenate([best.distances, distance])
        order = np.lexsort((rows, distance))[:k]
        best = NearestRows(rows[order], distance[order])
        start += len(values)
    kept = np.isfinite(best.distances)
    return NearestRows(best.rows[kept], best.distances[kept])


def _distances(rows: Float64, query: Float64, metric: str) -> Float64:
    if metric == "euclidean":
        return np.asarray(np.sqrt(np.square(rows - query).sum(axis=1)))
    lengths = np.sqrt(np.square(rows).sum(axis=1)) * np.sqrt(np.square(query).sum())
    return np.asarray(1.0 - (rows @ query) / np.maximum(lengths, np.finfo(np.float64).tiny))


def check_query(k: int, metric: str) -> None:
    """Check the options of a search.

    Raises
    ------
    InvalidInput
        If one cannot be used.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InvalidInput(f"the number of neighbours must be at least 1, not {k!r}")
    if metric not in METRICS:
        raise InvalidInput(f"unknown metric {metric!r}: use one of {', '.join(METRICS)}")


def as_query(vector: Any, features: int) -> Float64:
    """Return a new row as a query, float64, shape (features,).

    Raises
    ------
    InvalidInput
        If it is no row of the array.
    """
    try:
        query = np.asarray(vector, np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise InvalidInput("the query is no row of numbers: give the index of a row, or an array") from error
    if len(query) != features:
        raise InvalidInput(f"the query has {len(query)} values, a row of the array has {features}")
    if not np.isfinite(query).any():
        raise InvalidInput("the query has no finite value: there is nothing to compare")
    return query
