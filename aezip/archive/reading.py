"""Archives: arrays into a file and back, verified before the file gets its name, read in slices.

Joins codec and container; knows nothing of how either works.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.apps import codes as features
from aezip.array.bounds import Bound, Lossless
from aezip.array.metrics import Metrics
from aezip.codec.encoder import Encoder
from aezip.container.header import dump
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.core.errors import BoundViolated, CorruptFile, DamageWarning, InvalidInput
from aezip.core.parallel import cores, ordered
from aezip.core.progress import Progress, ProgressEvent

from .comparing import matched
from .models import AnyModel, Model, as_model
from .report import Report, report
from .view import ArrayView

Source = str | os.PathLike[str] | bytes
DEFAULT_NAME = "data"
DESCRIBED = 1700  # bytes of a header that leave a file within 4 KiB of the raw bytes


def _threads(threads: int | None) -> int:
    if threads is None:
        return cores()
    if threads < 1:
        raise InvalidInput("the number of threads must be at least 1")
    return threads


class Archive(Mapping[str, ArrayView]):
    """An open archive: a mapping from names to arrays.

    Parameters
    ----------
    source
        Path or bytes.
    threads
        Threads that decode chunks; None: one for each core.
    model
        The model that the file refers to, if it is not in the file; None: it is looked for in AEZIP_MODEL_PATH.
    """

    def __init__(self, source: Source, *, threads: int | None = None, model: AnyModel = None) -> None:
        self._threads = _threads(threads)
        given = as_model(model)
        self._reader = Reader(source)
        if self._reader.kind != "archive":
            self._reader.close()
            raise InvalidInput("this is a model, not an archive: compress and decompress take it with -m (model=)")
        self._views = {name: ArrayView(self._reader, name, self._threads, given) for name in self._reader.names}

    @property
    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._views)

    def __getitem__(self, name: str) -> ArrayView:
        """Return an array by its name."""
        if name not in self._views:
            known = ", ".join(self._views) or "none"
            raise InvalidInput(f"there is no array {name!r} in the file: it has {known}")
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._views)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._views)

    def _named(self, name: str | None) -> ArrayView:
        if name is None and len(self) != 1:
            raise InvalidInput(f"the file has the arrays {', '.join(self) or 'none'}: name one (--dataset)")
        return self[self.names[0] if name is None else name]

    def codes(self, name: str | None = None) -> npt.NDArray[np.int32]:
        """Return the bottleneck codes of an array as a feature matrix; the array itself is not decoded.

        Parameters
        ----------
        name
            The array; None: the only one.

        Returns
        -------
        ndarray of int32, shape (rows, width)
            One row for each block of the plan's layout, in C order: with `compress(..., codes=True)` for each index of
            the outer axis, or, where that has more than 4096 values, for each entry of the axes before the last.

        Raises
        ------
        InvalidInput
            If the array was stored without codes.
        """
        return self._named(name).codes()

    def nearest(self, name: str | None, row: Any, k: int = 10, metric: str = "euclidean") -> features.Neighbours:
        """Return the rows of an array that are nearest to a row, by the codes alone.

        Rows are compared by what the decoder makes of their codes, without the residual. A stored row is compared by
        its codes too; a new one by its own values (Jegou et al., "Product quantization for nearest neighbor search"
        (2011), calls these symmetric and asymmetric distances), as the encoder is not stored.

        Parameters
        ----------
        name
            The array; None: the only one.
        row
            Number of a row of `codes`, or a new row as an array of as many values; NaN entries do not count.
        k
            How many; the row itself is not among them.
        metric
            "euclidean", or "cosine".

        Raises
        ------
        InvalidInput
            If the array was stored without codes, or the row does not fit.
        """
        return self._named(name).nearest(row, k, metric)

    def predict(self, name: str | None = None, rows: Any = None) -> npt.NDArray[np.float64]:
        """Return the stored model's estimates of a ratings matrix, rated or not; the array is not decoded.

        Parameters
        ----------
        name
            The array; None: the only one.
        rows
            Numbers of rows (users); None: all.

        Returns
        -------
        ndarray of float64, shape (len(rows), columns)
            In units of the ratings, within their range; the same bits on every machine.

        Raises
        ------
        InvalidInput
            If the array was stored without a recommender, or a row is out of range.
        """
        return self._named(name).predict(rows)

    def recommend(self, name: str | None, row: int, count: int = 10) -> features.Recommended:
        """Return the columns (items) with the highest estimates among those that a row (user) did not rate.

        Decodes the chunk of that row, to know what it rated.

        Raises
        ------
        InvalidInput
            If the array was stored without a recommender, or the row is out of range.
        """
        return self._named(name).recommend(row, count)

    def report(self) -> Report:
        """Return the ledger and the achieved errors."""
        return report(self._reader)

    def damage(self) -> list[str]:
        """Decode everything and check every digest; return what is wrong, a line each."""
        found = []
        for name, view in self._views.items():
            found += [f"{name}: stream {s!r} does not match its digest" for s in self._reader.damaged_streams(name)]
            try:
                count = view.decoder.chunk_count
            except CorruptFile as error:
                found.append(f"{name}: {error}")
                continue
            problems = ordered(view.problem, range(count), self._threads)
            found += [f"{name}: {problem}" for problem in problems if problem]
        return found

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> Archive:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()


def _named(data: Any) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return {str(name): array for name, array in data.items()}
    return {DEFAULT_NAME: data}


def _encode(encoder: Encoder, writer: Writer, name: str, threads: int, progress: Progress) -> None:
    """Encode an array; where that does not pay after all, store its bytes."""
    encoder.prepare()
    while True:
        writer.begin(name)
        size = 0
        count = encoder.chunk_count
        for index, chunk in enumerate(ordered(encoder.encode_chunk, range(count), threads)):
            writer.add_chunk(chunk.segments, chunk.digest)
            size += sum(map(len, chunk.segments.values()))
            progress("encode", index + 1, count, encoder.raw_bytes * (index + 1) / count / max(1, size), name)
        size += sum(map(len, encoder.shared.values()))
        described = len(dump(encoder.header()))  # steps by column and special values may outweigh a small array
        pays = size <= encoder.raw_bytes + 256 and size + described <= encoder.raw_bytes + DESCRIBED
        if not encoder.tighten() and (pays or not encoder.fall_back()):
            break
        writer.drop()
    header = encoder.header()
    writer.end(header, encoder.shared, header.get("needs", ()))


def _check(
    source: Source, encoders: dict[str, Encoder], threads: int, progress: Progress, model: Model | None = None
) -> None:
    """Decode the finished file and compare every value with the original.

    Raises
    ------
    BoundViolated
        If a value breaks the bound or a digest does not match: a defect of aezip.
    """
    with Archive(source, threads=threads, model=model) as archive:
        for name, encoder in encoders.items():
            view = archive[name]
            count = view.decoder.chunk_count
            try:
                for index, (_, _, values) in enumerate(view.chunks()):
                    wrong = encoder.count_wrong(index, values)
                    if wrong:
                        raise BoundViolated(
                            f"{wrong} values of {name!r} break the bound after decoding: nothing was written; "
                            "use --lossless and report this defect"
                        )
                    progress("verify", index + 1, count, None, name)
            except CorruptFile as error:
                raise BoundViolated(f"verification failed ({error}): nothing was written") from error


def _write(data: Any, writer: Writer, options: dict[str, Any], threads: int, *, verify: bool) -> Report:
    progress = Progress(options["progress"])
    named = _named(data)
    model: Model | None = options.pop("model")
    embed = options.pop("embed_model")
    if model is not None:
        options |= {"trained": model.trained, "reference": model.reference(embedded=embed)}
    fills = options.pop("fill_value")
    if not isinstance(fills, Mapping):
        fills = dict.fromkeys(named, fills)
    encoders = {n: Encoder(array, name=n, fill_value=fills.get(n), threads=threads, **options) for n, array in named.items()}
    for name, encoder in encoders.items():
        _encode(encoder, writer, name, threads, progress)
        encoder.release()
    writer.finish(features=["model-reference"] if any(e.by_reference for e in encoders.values()) else [])
    if verify:
        _check(writer.source(), encoders, threads, progress, model)
    with Reader(writer.source()) as reader:
        made = report(reader)
    writer.publish()
    return made


def compress(
    data: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    bound: Bound | None = None,
    fill_value: Any = None,
    preset: str = "balanced",
    seed: int = 0,
    variant: str = "deep",
    codes: bool | int = False,
    recommend: bool = False,
    device: str = "auto",
    model: AnyModel = None,
    embed_model: bool = True,
    verify: bool = True,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> Any:
    """Compress an array, or a mapping of names to arrays, into one file.

    Parameters
    ----------
    data
        Array of any shape: float16/32/64, integers, bool, complex, datetime64; a memory map stays one.
    path
        The file; None: the archive is returned as bytes.
    bound
        `Absolute`, `RangeRelative`, `PointRelative`, `PSNR` or `Lossless` (default).
    fill_value
        Masked: exact on return, kept out of the value range and of training. A mapping: one for each array.
    preset
        Effort: "fast", "balanced" or "best".
    seed
        Same input, seed, preset and version give the same file on one machine.
    variant
        Kind of autoencoder: "deep" (default: where one pays), "sparse", "denoising", "contractive", "stacked", "rbm", or "auto"
        for the one with the fewest bytes. Any name but "deep" and "auto" is meant: an autoencoder of that kind is used even
        where another plan is smaller, unless the array cannot be stored so. See docs/variants.md.
    codes
        Take a plan with codes even where another is smaller: True, or the width of the bottleneck.
    recommend
        The array is a ratings matrix (users, items), not rated = NaN or a fill value: store a model of what was not
        rated beside it, for `Archive.predict` and `Archive.recommend`.
    device
        "auto", "cpu" or "cuda"; for training only.
    model
        A `Model`, or the path of its file: used in place of training.
    embed_model
        Put the model into the file; otherwise decoding needs it beside the file.
    verify
        Decode the file and compare every value before it gets its name.
    overwrite
        Replace an existing file.
    threads
        None: one for each core.
    progress
        Called with a `ProgressEvent` now and then.

    Returns
    -------
    Report, or (bytes, Report) without a path

    Raises
    ------
    InvalidInput
        If array, options or path cannot be used.
    ModelMismatch
        If the model is for other features, another type or another kind of bound.
    BoundViolated
        If verification fails: nothing is written then, and an existing file stays.
    """
    options = {
        "bound": Lossless() if bound is None else bound,
        "fill_value": fill_value,
        "preset": preset,
        "seed": seed,
        "variant": variant,
        "codes": codes,
        "recommend": recommend,
        "device": device,
        "model": as_model(model),
        "embed_model": embed_model,
        "progress": progress,
    }
    with Writer(path, overwrite=overwrite) as writer:
        made = _write(data, writer, options, _threads(threads), verify=verify)
    return made if path is not None else (writer.getvalue(), made)


def decompress(
    source: Source, *, name: str | None = None, threads: int | None = None, salvage: bool = False, model: AnyModel = None
) -> Any:
    """Return the array of a file, or a dict of arrays if it holds several.

    Parameters
    ----------
    source
        Path or bytes.
    name
        Only this array.
    threads
        None: one for each core.
    salvage
        Of a damaged file, return what is left: values of damaged chunks become the fill value, NaN, NaT, or 0 where the
        type has none of these. Each run of the outer axis that is lost is told in a `DamageWarning`.
    model
        The model that the file refers to, or the path of its file; None: it is looked for in AEZIP_MODEL_PATH.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If the file is damaged (beyond what can be salvaged), hostile, or of a later format.
    ModelMismatch
        If the model is missing, or another one.
    InvalidInput
        If there is no array of that name.
    """
    with Archive(source, threads=threads, model=model) as archive:
        views = dict(archive) if name is None else {name: archive[name]}
        if salvage:
            for view in views.values():
                view.salvage()
        arrays = {n: view.read() for n, view in views.items()}
        for n, view in views.items():
            for lost in (view.lost or {}).values():
                warnings.warn(f"{n}: {lost}", DamageWarning, stacklevel=2)
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


def open(source: Source, *, threads: int | None = None, model: AnyModel = None) -> Archive:
    """Open an archive for reading in slices; see `Archive`."""
    return Archive(source, threads=threads, model=model)


def verify(
    original: Any, source: Source, *, threads: int | None = None, model: AnyModel = None
) -> dict[str, Metrics]:
    """Compare originals with a file, value by value; return the errors of each array.

    Raises
    ------
    BoundViolated
        If a value breaks the bound that was asked for.
    InvalidInput
        If the arrays do not correspond.
    """
    with Archive(source, threads=threads, model=model) as archive:
        compared = matched(_named(original), archive)
        for comparison in compared.values():
            for _ in comparison.pairs():
                pass
            comparison.check()
    return {name: comparison.metrics for name, comparison in compared.items()}


class Codec:
    """Compress and decompress with fixed options.

    Parameters
    ----------
    bound
        What decoded values keep to.
    options
        As in `compress`.
    """

    def __init__(self, bound: Bound | None = None, **options: Any) -> None:
        self.bound = Lossless() if bound is None else bound
        self.options = options

    def encode(self, data: Any) -> bytes:
        """Return the archive of an array as bytes."""
        out: bytes = compress(data, None, bound=self.bound, **self.options)[0]
        return out

    def decode(self, data: bytes) -> Any:
        """Return the array of an archive."""
        return decompress(data, model=self.options.get("model"))
