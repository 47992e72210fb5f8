"""Arrays into a file, verified before the file gets its name. Joins codec and container; knows nothing of how either works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, TypedDict, Unpack, overload

import numpy as np

from aezip.apps.recommend.train import train
from aezip.array.bounds import Bound, Lossless
from aezip.array.narrow import narrow_of
from aezip.array.safeguards import Safeguards
from aezip.codec import companions
from aezip.codec.encoder import ArrayEncoder, EncodedChunk, PlanFailed
from aezip.container.deflate import FILE_DICTIONARY, deflated
from aezip.container.header import dump
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.core.errors import BoundViolated, CorruptFile
from aezip.core.parallel import ordered
from aezip.core.progress import Progress, ProgressEvent
from aezip.core.sources import Source, Writable, is_writable
from aezip.core.sources import named as checked_path
from aezip.core.surroundings import undisturbed

from .comparing import by_name
from .models import AnyModel, Model, as_model
from .reading import Archive, decompress, thread_count
from .report import Report, report

DESCRIBED = 1700  # bytes of a header that leave a file within 4 KiB of the raw bytes


class Taking(Protocol):
    """What takes the chunks of arrays, a `Writer` among others."""

    def begin(self, name: str) -> None:
        """Start an array."""

    def drop(self) -> None:
        """Forget the array begun last."""

    def add_chunk(self, segments: dict[str, bytes], digest: bytes) -> None:
        """Take the segments of a chunk and the sha256 of what they decode to."""

    def end(self, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        """Finish an array."""


Through = Callable[[ArrayEncoder], Iterable[EncodedChunk]]


def _chunks(encoder: ArrayEncoder, writer: Taking, name: str, progress: Progress, through: Through) -> int:
    """Encode and write the chunks of an array; return their bytes."""
    size, count = 0, encoder.chunk_count
    for index, chunk in enumerate(through(encoder)):
        writer.add_chunk(chunk.segments, chunk.digest)
        size += sum(map(len, chunk.segments.values()))
        progress("encode", index + 1, count, encoder.raw_bytes * (index + 1) / count / max(1, size), name, encoder.raw_bytes)
    return size


def encode(
    encoder: ArrayEncoder, writer: Taking, name: str, threads: int, progress: Progress, through: Through | None = None
) -> None:
    """Encode an array; where that does not pay after all, store its bytes.

    Parameters
    ----------
    through
        Gives the chunks of a prepared encoder, in order; None: on threads of this process.
    """
    encoder.prepare()
    way = through or (lambda own: ordered(own.encode_chunk, range(own.chunk_count), threads))
    while True:
        writer.begin(name)
        try:
            size = _chunks(encoder, writer, name, progress, way) + sum(map(len, encoder.shared.values()))
        except PlanFailed as failure:
            if failure.__cause__ is None or not encoder.fall_back(failure.__cause__):
                raise (failure.__cause__ or failure) from None
            writer.drop()
            continue
        # steps by column and special values may outweigh a small array
        described = len(deflated(dump(encoder.header()), FILE_DICTIONARY))
        pays = size <= encoder.raw_bytes + 256 and size + described <= encoder.raw_bytes + DESCRIBED
        if not encoder.tighten() and (pays or not encoder.fall_back()):
            break
        writer.drop()
    header = encoder.header()
    writer.end(header, encoder.shared)


def _check(
    source: Source, encoders: dict[str, ArrayEncoder], threads: int, progress: Progress, model: Model | None = None
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
            count = view._decoder.chunk_count
            try:
                for index, (_, _, values) in enumerate(view._parts()):
                    wrong = encoder.count_wrong(index, values)
                    if wrong:
                        raise BoundViolated(
                            f"{wrong} values of {name!r} break the bound after decoding: nothing was written; "
                            "use --lossless and report this defect"
                        )
                    progress("verify", index + 1, count, None, name, encoder.raw_bytes)
            except CorruptFile as error:
                raise BoundViolated(f"verification failed ({error}): nothing was written") from error


def _for_each(option: Any, named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an option for each array: a mapping has its own."""
    return {str(name): own for name, own in option.items()} if isinstance(option, Mapping) else dict.fromkeys(named, option)


def _safeguards(array: Any, bound: Bound, places: Any, sign: bool | None, thresholds: Any) -> Safeguards | None:
    """Return what is demanded of an array beside its bound, if anything."""
    crossed = [float(one) for one in np.atleast_1d(() if thresholds is None else thresholds)]
    limits = tuple(dict.fromkeys([*([0.0] if sign else []), *crossed]))
    if places is not None:
        return Safeguards(np.asanyarray(places), limits)
    plain = getattr(array, "dtype", np.dtype(float))
    numbers = getattr(plain, "kind", "f") in "iuf" or (isinstance(plain, np.dtype) and narrow_of(plain) is not None)
    if not limits or isinstance(bound, Lossless) or not numbers:
        return None
    return Safeguards(None, limits)


@dataclass(frozen=True)
class Origin:
    """The file that arrays are of.

    Parameters
    ----------
    told
        What the root header says of it.
    parts
        Its bytes without those of the arrays, piece by piece.
    check
        Called before the archive gets its name; raises where the file changed meanwhile.
    """

    told: dict[str, Any]
    parts: Iterable[bytes]
    check: Callable[[], None]


def _write(
    data: Any, writer: Writer, options: dict[str, Any], threads: int, *, verify: bool, origin: Origin | None = None
) -> Report:
    progress = Progress(options["progress"])
    named = by_name(data)
    model: Model | None = options.pop("model")
    embed, separate = options.pop("embed_model"), options.pop("separate")
    if model is not None:
        options |= {"trained": model.trained, "reference": model.reference(embedded=embed)}
    narrow = options.pop("narrow", {})
    fills, ranges, bounds = (_for_each(options.pop(option), named) for option in ("fill_value", "valid_range", "bound"))
    demands = [_for_each(options.pop(option, None), named) for option in ("error_map", "keep_sign", "keep_thresholds")]
    encoders = {}
    for n, array in named.items():
        own: dict[str, Any] = {"fill_value": fills.get(n), "valid_range": ranges.get(n), "bound": bounds.get(n) or Lossless()}
        own["narrow"] = narrow.get(n)
        own["safeguards"] = _safeguards(array, own["bound"], *(option.get(n) for option in demands))
        encoders[n] = ArrayEncoder(array, name=n, threads=threads, **own, **options)
    if not separate:
        companions.kept_together(encoders.values())
    known: list[companions.Known] = []
    for name, encoder in encoders.items():
        encoder.place_beside(companions.suited(encoder, known))
        encode(encoder, writer, name, threads, progress)
        done = encoder.known()
        known += [] if done is None else [done]
        encoder.release()
    if origin is not None:
        writer.attach(origin.told, origin.parts)
    needs = {
        "model-reference": any(e.by_reference for e in encoders.values()),
        "narrow": any(e.narrow for e in encoders.values()),
    }
    writer.finish(features=[feature for feature, needed in needs.items() if needed])
    if verify:
        _check(writer.source(), encoders, threads, progress, model)
    with Reader(writer.source()) as reader:
        made = report(reader)
    if origin is not None:
        origin.check()
    writer.publish()
    return replace(made, tried={name: list(encoder.tried) for name, encoder in encoders.items()})


class Options(TypedDict, total=False):
    """What `compress` may be told beside data and path."""

    bound: Bound | Mapping[str, Bound] | None
    fill_value: Any
    valid_range: Any
    preset: str
    seed: int
    variant: str
    codes: bool | int
    recommend: bool
    device: str
    model: AnyModel
    embed_model: bool
    separate: bool
    verify: bool
    error_map: Any
    keep_sign: bool | Mapping[str, bool]
    keep_thresholds: Any
    overwrite: bool
    threads: int | None
    progress: Callable[[ProgressEvent], None] | None


@overload
def compress(data: Any, path: None = None, **options: Unpack[Options]) -> tuple[bytes, Report]: ...
@overload
def compress(data: Any, path: str | os.PathLike[str] | Writable, **options: Unpack[Options]) -> Report: ...
@undisturbed
def compress(
    data: Any,
    path: str | os.PathLike[str] | Writable | None = None,
    *,
    bound: Bound | Mapping[str, Bound] | None = None,
    fill_value: Any = None,
    valid_range: Any = None,
    preset: str = "balanced",
    seed: int = 0,
    variant: str = "deep",
    codes: bool | int = False,
    recommend: bool = False,
    device: str = "auto",
    model: AnyModel = None,
    embed_model: bool = True,
    separate: bool = False,
    error_map: Any = None,
    keep_sign: bool | Mapping[str, bool] = False,
    keep_thresholds: Any = (),
    verify: bool = True,
    overwrite: bool = False,
    threads: int | None = None,
    progress: Callable[[ProgressEvent], None] | None = None,
) -> Report | tuple[bytes, Report]:
    """Compress an array, or a mapping of names to arrays, into one file.

    Parameters
    ----------
    data
        Array of any shape: float16/32/64, integers, bool, complex, datetime64; a memory map stays one. Tensors of PyTorch,
        frames of pandas, arrays of xarray, dask or CuPy are taken as NumPy makes them; masked arrays come back masked.
    path
        The file, or one open for writing in binary mode; None: the archive is returned as bytes.
    bound
        `Absolute`, `RangeRelative`, `PointRelative`, `PSNR`, `NRMSE` or `Lossless` (default). A mapping: for each array its own,
        those that are not named are lossless.
    fill_value
        Masked: exact on return, kept out of the value range and of training; no other value comes back as it. Several: a
        sequence. A mapping: for each array its own.
    valid_range
        Pair (low, high), None for no limit on one side: values outside are masked too, none inside comes back outside.
        A mapping: for each array its own.
    preset
        Effort: "instant" (nothing is trained), "fast", "balanced" or "best".
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
    separate
        Code each array alone. Else arrays of one shape may be predicted from those before them, where that is smaller: to read
        one, those it is predicted from are decoded too.
    error_map
        Array of the same shape: the largest absolute error at each place, 0 for none; holds beside the bound, and without one
        `Absolute` is chosen to suit it. A mapping: for each array its own.
    keep_sign
        No value changes its sign, zeros stay zero. A mapping: for each array its own.
    keep_thresholds
        Numbers that no value crosses: what is less stays less, what is equal stays equal. A mapping: for each array its own.
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
        "valid_range": valid_range,
        "preset": preset,
        "seed": seed,
        "variant": variant,
        "codes": codes,
        "recommend": partial(train, seed=seed, thorough=preset != "fast") if recommend else None,
        "device": device,
        "model": as_model(model),
        "embed_model": embed_model,
        "separate": separate,
        "error_map": error_map,
        "keep_sign": keep_sign,
        "keep_thresholds": keep_thresholds,
        "progress": progress,
    }
    given = path is None or is_writable(path)
    with Writer(None if given else checked_path(path), overwrite=overwrite) as writer:
        made = _write(data, writer, options, thread_count(threads), verify=verify)
    if path is None:
        return writer.getvalue(), made
    if is_writable(path):
        path.write(writer.getvalue())
    return made


def write_archive(
    arrays: Mapping[str, Any], path: str | os.PathLike[str], origin: Origin, *, overwrite: bool = False, **options: Any
) -> Report:
    """Compress the arrays of a file, with the rest of it, into an archive; `options` as in `compress`."""
    given: dict[str, Any] = {
        "fill_value": None,
        "valid_range": None,
        "preset": "balanced",
        "seed": 0,
        "variant": "deep",
        "codes": False,
    }
    given |= {"device": "auto", "model": None, "embed_model": True, "separate": False, "progress": None, "recommend": None}
    verify, threads = options.pop("verify", True), thread_count(options.pop("threads", None))
    given |= options
    given["model"] = as_model(given["model"])
    with Writer(path, overwrite=overwrite) as writer:
        return _write(arrays, writer, given, threads, verify=verify, origin=origin)


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

    def __repr__(self) -> str:
        """Return bound and options."""
        words = [repr(self.bound), *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"aezip.Codec({', '.join(words)})"

    def encode(self, data: Any) -> bytes:
        """Return the archive of an array as bytes."""
        data_, _ = compress(data, None, bound=self.bound, **self.options)
        return data_

    def decode(self, data: Source) -> Any:
        """Return the array of an archive."""
        return decompress(data, model=self.options.get("model"))
