"""dask: arrays larger than memory, or than one machine, into one archive and back. Needs the extra `dask`.

The plan is chosen here, on a sample, or a model is given; chunks are encoded wherever the scheduler that is active puts
them, and checked there; one writer puts them into the file, in order. The bytes are those of `aezip.compress` in one process.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import dask.array as da
import numpy as np
import numpy.typing as npt

import aezip
from aezip.archive.models import AnyModel, as_model
from aezip.archive.report import Report, report
from aezip.archive.writing import encode
from aezip.array.admission import admissible
from aezip.array.bounds import Bound, Lossless
from aezip.codec import elsewhere
from aezip.codec.encoder import ArrayEncoder, EncodedChunk
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.core.atomic import check_target
from aezip.core.errors import BoundViolated, InvalidInput
from aezip.core.progress import Progress

if TYPE_CHECKING:
    from aezip.core.progress import ProgressEvent

_AHEAD = 4  # chunks in flight for each worker


class _Values:
    """A dask array as an encoder sees its values: runs of the outer axis, fetched when asked for, the last one kept.

    Runs are whole dask chunks: what the scan reads in small pieces is computed once.
    """

    def __init__(self, array: da.Array) -> None:
        self.array, self.shape, self.dtype, self.size, self.ndim = array, array.shape, array.dtype, array.size, array.ndim
        ends = np.cumsum(array.chunks[0])
        self._bounds = [(int(stop - size), int(stop)) for stop, size in zip(ends, array.chunks[0], strict=True)]
        self._kept: tuple[int, npt.NDArray[Any]] | None = None

    def _run(self, number: int) -> npt.NDArray[Any]:
        if self._kept is None or self._kept[0] != number:
            start, stop = self._bounds[number]
            self._kept = number, np.asarray(self.array[start:stop].compute())
        return self._kept[1]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        if isinstance(key, tuple) and isinstance(key[-1], np.ndarray):  # single places, or a run of them, point by point
            found = np.asarray(self.array.vindex[key].compute())
            return np.moveaxis(found, 0, -1) if isinstance(key[0], slice) else found
        if not isinstance(key, slice):
            return np.asarray(self.array[key].compute())
        start, stop, step = key.indices(self.shape[0])
        wanted = np.arange(start, stop, step)
        parts = []
        for number, (low, high) in enumerate(self._bounds):
            here = wanted[(wanted >= low) & (wanted < high)]
            if len(here):
                parts.append(self._run(number)[here[0] - low : here[-1] - low + 1 : step])
        return np.concatenate(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def __iter__(self) -> Iterator[npt.NDArray[Any]]:
        return (self[index : index + 1][0] for index in range(self.shape[0]))


def compress(
    array: da.Array,
    path: str | os.PathLike[str],
    bound: Bound | None = None,
    *,
    name: str = "data",
    model: AnyModel = None,
    preset: str = "instant",
    seed: int = 0,
    fill_value: Any = None,
    valid_range: Any = None,
    overwrite: bool = False,
    verify: bool = True,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> Report:
    """Compress a dask array into an archive, its chunks encoded by the workers of the active scheduler.

    The values pass this process once, run by run, for range and special values; a second time on the workers. Its memory does
    not grow with the number of chunks.

    Parameters
    ----------
    array
        Of floats or integers, at least one axis; chunks along the outer axis are best some 4 million values.
    path, bound, model, preset, seed, fill_value, valid_range, overwrite, progress
        As in `aezip.compress`; the bound may not be a PSNR, which takes several passes.
    name
        Of the array in the archive.
    verify
        Decode the finished file and compare every chunk with the digest of what was checked on the worker.

    Raises
    ------
    InvalidInput
        If array, bound, path or an option cannot be used.
    BoundViolated
        If verification fails: nothing is written then.
    """
    asked = Lossless() if bound is None else bound
    _check(array, asked, path, overwrite=overwrite)
    given = as_model(model)
    encoder = _encoder(array, name, asked, given, preset, seed, fill_value, valid_range)
    told = Progress(progress)
    with Writer(Path(os.fspath(path)), overwrite=overwrite) as writer:
        encode(encoder, writer, name, 1, told, through=lambda own: _encoded(own, array))
        writer.finish()
        if verify:
            with aezip.open(writer.source(), model=given) as archive:
                wrong = archive.damage()
            if wrong:
                raise BoundViolated(f"verification failed ({wrong[0]}): nothing was written")
        with Reader(writer.source()) as reader:
            made = report(reader)
        writer.publish()
    return made


def _check(array: Any, bound: Bound, path: Any, *, overwrite: bool) -> None:
    if not isinstance(array, da.Array):
        raise InvalidInput(f"{type(array).__name__} is no dask array: use aezip.compress")
    if not array.ndim or not array.size or np.isnan(array.size):
        raise InvalidInput("the array has no values, or no known size: call compute_chunk_sizes() first")
    if array.dtype.kind not in "fiu" or not admissible(array.dtype):
        raise InvalidInput(f"arrays of type {array.dtype} are not taken from dask: convert them to floats or integers")
    if bound.to_json()["kind"] in ("psnr", "nrmse"):
        raise InvalidInput("a mean error takes several passes over the data: give another bound")
    check_target(Path(os.fspath(path)), overwrite=overwrite)


def _encoder(
    array: da.Array, name: str, bound: Bound, model: Any, preset: str, seed: int, fill_value: Any, valid_range: Any
) -> ArrayEncoder:
    trained = {} if model is None else {"trained": model.trained, "reference": model.reference(embedded=True)}
    if model is not None:
        model.trained.check(array.shape, array.dtype, bound, lossless_only=False)
    empty = np.empty((0, *array.shape[1:]), array.dtype)
    made = ArrayEncoder(
        empty, bound, name=name, preset=preset, seed=seed, fill_value=fill_value, valid_range=valid_range, **trained
    )  # fmt: skip
    made.values = _Values(array)  # type: ignore[assignment]
    made._admitted = replace(made._admitted, shape=array.shape, values=made.values)
    return made


def _encoded(encoder: ArrayEncoder, array: da.Array) -> Iterator[EncodedChunk]:
    """Yield the chunks, encoded by the workers, in order."""
    bare = elsewhere.portable(encoder)

    def task(index: int) -> Any:
        start, stop = encoder._chunks.bounds(index)
        return dask.delayed(elsewhere.encode, pure=False)(shared, index, array[start:stop])

    client = _client()
    if client is None:
        shared: Any = dask.delayed(bare, traverse=False)
        most = _AHEAD * (os.cpu_count() or 1)
        for first in range(0, encoder.chunk_count, most):
            numbers = range(first, min(first + most, encoder.chunk_count))
            for index, done in zip(numbers, dask.compute(*map(task, numbers)), strict=True):
                yield elsewhere.take(encoder, index, done)
        return
    shared = client.scatter(bare, broadcast=True, hash=False)
    waiting: deque[tuple[int, Any]] = deque()
    most = _AHEAD * max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    try:
        for index in range(encoder.chunk_count):
            waiting.append((index, client.compute(task(index), retries=3)))
            if len(waiting) > most:
                number, future = waiting.popleft()
                yield elsewhere.take(encoder, number, future.result())
        while waiting:
            number, future = waiting.popleft()
            yield elsewhere.take(encoder, number, future.result())
    finally:
        for _, future in waiting:
            future.cancel()


def _client() -> Any:
    """Return the client of a cluster that is active; None: threads or processes of this machine."""
    try:
        from distributed import get_client
    except ImportError:
        return None
    try:
        return get_client()
    except ValueError:
        return None


def from_aez(path: str | os.PathLike[str], name: str | None = None, *, chunks: Any = None, model: AnyModel = None) -> da.Array:
    """Return an array of an archive as a dask array, decoded chunk by chunk wherever it is computed.

    Parameters
    ----------
    path
        A file, or a URL, that the workers reach too.
    name
        The array; None: the only one.
    chunks
        As in `dask.array.from_array`; None: those of the archive.
    model
        The path of the model that the archive refers to, if it is not in the file.

    Raises
    ------
    AezipError
        As `aezip.open`; if there is no such array.
    """
    with aezip.open(path, model=model) as archive:
        view = archive._named(name)
        source = _Source(os.fspath(path), view.name, view.shape, view.dtype, model)
        cut = view.chunks if chunks is None else chunks
    return da.from_array(
        source, chunks=cut, name=f"aez-{dask.base.tokenize(source.path, source.name, os.urandom(8))}", asarray=True
    )


class _Source:
    """An array of an archive that pickles as path and name, and is opened where it is indexed."""

    def __init__(self, path: str, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], model: AnyModel) -> None:
        self.path, self.name, self.shape, self.dtype, self.model = path, name, shape, dtype, model
        self.ndim = len(shape)

    def __getitem__(self, key: Any) -> Any:
        with aezip.open(self.path, threads=1, model=self.model) as archive:
            return np.asarray(archive[self.name][key])
