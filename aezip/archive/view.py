"""One array of an archive: indexing, reading, codes, neighbours and estimates, each from the chunks and streams it needs."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.array.bounds import Bound, bound_from_json
from aezip.codec.decoder import ArrayDecoder, digest_of
from aezip.container.reader import Reader
from aezip.core import memory as limits
from aezip.core.errors import AezipError, CorruptFile, InvalidInput, meaningful
from aezip.core.parallel import ordered, within
from aezip.core.surroundings import undisturbed
from aezip.core.types import Array

from .models import Model, stream_of

if TYPE_CHECKING:  # reading alone needs none
    from aezip.apps import codes as features
    from aezip.apps.learned import Learned
    from aezip.apps.recommend.estimates import Recommender
    from aezip.container.described import Described
    from aezip.core.progress import ProgressEvent

    from .salvage import Lost


MOST_LEVEL = 30  # of a preview
KEPT = 1 << 28  # bytes of chunks that stay: an array that several are predicted from is decoded once


class Preview(NamedTuple):
    """Some values of an array: `array[np.ix_(*places)]` are the same."""

    values: Array
    places: tuple[Array, ...]


class OrthogonalIndex:
    """What `ArrayView.oindex` returns: to be indexed."""

    def __init__(self, view: ArrayView) -> None:
        self._view = view

    def __getitem__(self, key: Any) -> Any:
        """Return the values at all combinations of the indices of each axis."""
        part = self._view._orthogonal(key)
        return part if part.ndim else part[()]


class Before:
    """The arrays of a file, and chunks of those that others are predicted from: a few stay, the last ones asked for."""

    def __init__(self, views: dict[str, ArrayView], described: Callable[[], dict[str, Described]] = dict) -> None:
        self.views, self.described = views, described
        self._lock = threading.Lock()
        self._chunks: OrderedDict[tuple[str, int], Array] = OrderedDict()
        self._most = min(KEPT, limits.memory() // 16)

    def chunk(self, view: ArrayView, index: int) -> Array:
        """Return a chunk of an array."""
        key = view.name, index
        with self._lock:
            found = self._chunks.get(key)
            if found is not None:
                self._chunks.move_to_end(key)
                return found
        found = view._chunk(index)
        with self._lock:
            self._chunks[key] = found
            while len(self._chunks) > 1 and sum(part.nbytes for part in self._chunks.values()) > self._most:
                self._chunks.popitem(last=False)
        return found


class ArrayView:
    """One array of an archive; indexing decodes the chunks it touches and no others."""

    def __init__(self, reader: Reader, name: str, threads: int, model: Model | None = None, before: Before | None = None) -> None:
        self._reader, self.name, self._threads, self._given = reader, name, threads, model
        self._before = before
        self._header = reader.header(name)
        self._made: ArrayDecoder | None = None
        self._lost: dict[int, Lost] | None = None  # by chunk; None: damage is an error

    @property
    def _decoder(self) -> ArrayDecoder:
        """The decoder, made when first needed."""
        self._reader.check_open()
        if self._made is None:
            streams, outside = self._reader.shared(self.name), stream_of(self._header, self._given)
            if outside is not None:
                streams["model"] = outside
            with meaningful("the header of an array"):
                decoder = ArrayDecoder(self._header, streams)
            if decoder.chunk_count != self._reader.chunk_count(self.name):
                raise CorruptFile("the chunks do not fit the header: the file is damaged")
            if decoder.companions:
                decoder.others = partial(self._others, self._before or Before({}))
                for other in decoder.companions:
                    self._other(self._before or Before({}), other, decoder)
            decoder.workers = within(self._threads, decoder.chunk_count)
            self._threads = limits.threads(self._threads, decoder.chunk_shape, decoder.dtype.itemsize)
            self._made = decoder
        return self._made

    def _other(self, before: Before, name: str, decoder: ArrayDecoder) -> ArrayView:
        """Return an array of the file that this one is predicted from."""
        order = list(before.views)
        other = before.views.get(name)
        if other is None or order.index(name) >= order.index(self.name) or other._decoder.masking is not None:
            raise CorruptFile(f"{self.name!r} needs the array {name[:40]!r}, which does not come before it: the file is damaged")
        inner = other._decoder
        if inner.shape != decoder.shape or inner.dtype.kind not in "iuf" or inner.narrow is not None:
            raise CorruptFile(f"{self.name!r} needs the array {name[:40]!r}, which does not suit it: the file is damaged")
        return other

    def _others(self, before: Before, name: str, start: int, stop: int) -> tuple[Array, Array | None]:
        """Return a run of the outer axis of an array that this one is predicted from, and its fill values."""
        other = before.views[name]
        decoder = other._decoder
        found = [i for i in range(decoder.chunk_count) if decoder.chunk_range(i)[0] < stop and decoder.chunk_range(i)[1] > start]
        parts = [before.chunk(other, i) for i in found]
        first = decoder.chunk_range(found[0])[0]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts)
        return joined[start - first : stop - first], decoder.fill

    @property
    def keeps(self) -> dict[str, Any]:
        """What holds beside the bound: `thresholds` that no value crosses, `map` of errors: `least`, `most`, `sha256`."""
        return dict(self._header.get("keeps", {}))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._decoder.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array, with its byte order."""
        narrow = self._decoder.narrow
        return self._decoder.dtype if narrow is None else narrow.dtype()

    @property
    def _kind(self) -> str:
        """Name of the type."""
        narrow = self._decoder.narrow
        return str(self._decoder.dtype) if narrow is None else narrow.name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the array, decoded."""
        return self.size * self._decoder.dtype.itemsize

    @property
    def bound(self) -> Bound:
        """The bound that was asked for."""
        return bound_from_json(self._header["bound"])

    @property
    def chunks(self) -> tuple[int, ...]:
        """Shape of a chunk, as in h5py and Zarr: what is decoded at a time; the last one may be shorter."""
        return self._decoder.chunk_shape[: len(self.shape)]

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes that it had in an HDF5 or netCDF-4 file; empty where the archive was made of other things."""
        found = self._described
        return {} if found is None else dict(found.attrs)

    @property
    def dims(self) -> tuple[str, ...]:
        """A name for each axis: those of dimensions of the file that the archive was made of, else `dim_0`, `dim_1` and so on."""
        found = self._described
        if found is not None and len(found.dims) == self.ndim:
            return found.dims
        return tuple(f"dim_{axis}" for axis in range(self.ndim))

    @property
    def _described(self) -> Described | None:
        return None if self._before is None else self._before.described().get(self.name)

    def __repr__(self) -> str:
        """Return name, shape, type, bound and ratio."""
        if self._reader.closed:
            return f"<aezip.ArrayView {self.name!r} of a closed archive>"
        try:
            ratio = self.nbytes / max(1, sum(self._reader.ledger(self.name).values()))
            return f"<aezip.ArrayView {self.name!r}: {self.shape} {self._kind}, {self.bound!r}, ratio {ratio:.4g}>"
        except AezipError:
            return f"<aezip.ArrayView {self.name!r}, damaged>"

    @undisturbed
    def _chunk(self, index: int) -> Array:
        """Decode one chunk and check its digest; masked elements have the pattern that stands for them.

        Raises
        ------
        CorruptFile
            If it is damaged.
        """
        # damaged streams may overflow any arithmetic: their digest tells
        with meaningful(f"chunk {index}"):
            out = self._decoder.decode_chunk(index, self._reader.segments(self.name, index))
        if digest_of(out) != self._reader.digest(self.name, index):
            raise CorruptFile(f"chunk {index} of {self.name!r} does not match its digest: the file is damaged")
        return out

    def _problem(self, index: int) -> str:
        """Return what is wrong with a chunk, or nothing."""
        try:
            self._chunk(index)
        except CorruptFile as error:
            start, stop = self._decoder.chunk_range(index)
            return f"chunk {index} (outer indices {start} to {stop - 1}): {error}"
        return ""

    def salvage(self) -> None:
        """Let chunks that are damaged be filled from now on; `_lost` says which those are."""
        self._lost = {}

    def _salvaged(self, index: int) -> Array:
        """Return a chunk, or what stands in for it."""
        assert self._lost is not None
        try:
            return self._chunk(index)
        except CorruptFile as error:
            start, stop = self._decoder.chunk_range(index)
            from .salvage import Lost, stand_in

            self._lost[index] = Lost(start, stop, str(error))
            return stand_in(self._header["dtype"], (stop - start, *self.shape[1:]), self._decoder.fill, self._decoder.narrow)

    def _parts(self, indices: Iterable[int] | None = None) -> Iterator[tuple[int, int, Array]]:
        """Yield first and last-plus-one outer index and values of chunks, in order, decoded on several threads."""
        wanted = range(self._decoder.chunk_count) if indices is None else indices
        numbers = list(wanted)
        decode = self._chunk if self._lost is None else self._salvaged
        for number, out in zip(numbers, ordered(decode, numbers, self._threads), strict=True):
            yield (*self._decoder.chunk_range(number), out)

    def pieces(self, progress: Callable[[ProgressEvent], None] | None = None) -> Iterator[Array]:
        """Yield the values chunk by chunk, the fill value where elements are masked."""
        from aezip.core.progress import Progress

        tell = Progress(progress)
        for index, (_, _, values) in enumerate(self._parts()):
            yield self._filled(values)
            tell("decode", index + 1, self._decoder.chunk_count, None, self.name, self.nbytes)

    @property
    def lost_within(self) -> dict[str, Any] | None:
        """The bound, as in the header, within which values were lost; None where all are as they were."""
        bound: dict[str, Any] = self._header["bound"]
        exact = self._header.get("achieved", {}).get("max_abs_error") == 0
        return None if exact or bound["kind"] == "lossless" else bound

    @undisturbed
    def read(self, out: Array | None = None) -> Array:
        """Decode everything, into `out` if given (same shape and type; may be a memory map).

        Returns
        -------
        ndarray
            A masked array if it was one; `out` has the fill value where elements are masked.
        """
        masking = self._decoder.masking
        if out is not None:
            return self._read(out)
        return self._decoder.typed(self._read()) if masking is None else masking.masked_array(self._read(stored=True))

    def _read(self, out: Array | None = None, *, stored: bool = False) -> Array:
        """Decode everything; masked elements as they are `stored`, or filled."""
        if out is None:
            limits.check_array(self.shape, self._decoder.dtype.itemsize)
            out = np.empty(self.shape, self._decoder.dtype)
        elif out.shape != self.shape or out.dtype != self.dtype:
            raise InvalidInput(f"out must have shape {self.shape} and type {self.dtype}")
        bits = out.view(self._decoder.dtype)
        for start, stop, values in self._parts():
            kept = values if stored else self._filled(values)
            if self.shape:
                bits[start:stop] = kept
            else:
                bits[...] = kept[0, ...]  # no scalar: that would not keep all bits
        return out

    @undisturbed
    def preview(self, level: int) -> Preview:
        """Decode every 2**level-th value along the axes that the plan refines first, in time in proportion.

        Digests are those of whole chunks: a preview cannot be checked against them.

        Parameters
        ----------
        level
            1 or more: every 2nd, 4th, 8th value, counted from the first one of each chunk.

        Raises
        ------
        InvalidInput
            If the plan does not refine axes step by step.
        CorruptFile
            If a chunk is damaged so that it cannot be decoded.
        """
        if isinstance(level, bool) or not isinstance(level, int | np.integer) or not 1 <= level <= MOST_LEVEL:
            raise InvalidInput(f"there is no level {str(level)[:20]} of a preview: give a whole number from 1 to {MOST_LEVEL}")
        stride, decoder = 1 << int(level), self._decoder
        found = decoder.coarse(stride) if self.shape else None
        if found is None:
            raise InvalidInput(f"the plan of {self.name!r} does not go from coarse to fine: decode it, or a slice of it")

        def decode(index: int) -> Array:
            with meaningful(f"chunk {index}"):
                return decoder.preview_chunk(index, self._reader.segments(self.name, index), stride)

        numbers, outer, parts = range(decoder.chunk_count), list[Array](), list[Array]()
        for number, out in zip(numbers, ordered(decode, numbers, self._threads), strict=True):
            outer.append(np.arange(*decoder.chunk_range(number))[found[1][0]])
            parts.append(decoder.typed(self._filled(out)))
        index = [np.arange(n)[part] for n, part in zip(self.shape, found[1], strict=False)]
        return Preview(np.concatenate(parts), (np.concatenate(outer), *index[1:]))

    def _filled(self, values: Array) -> Array:
        """Return stored values with the fill value where elements are masked."""
        masking = self._decoder.masking
        return values if masking is None else masking.filled(values)

    def _code_stream(self, index: int) -> bytes:
        return self._reader.segments(self.name, index, "codes").get("codes", b"")

    @undisturbed
    def codes(self) -> npt.NDArray[np.int32]:
        """Return the bottleneck codes, int32, shape (rows, width); reads their stream alone.

        Raises
        ------
        InvalidInput
            If the plan has no codes.
        """
        from aezip.apps import codes as features

        plan, _ = features.autoencoder(self._decoder, self.name)
        parts = [features.codes(self._decoder, i, self._code_stream(i), self.name) for i in range(self._decoder.chunk_count)]
        joined = np.concatenate(parts) if parts else np.zeros((0, plan.sizes.width))
        return joined.astype(np.int32)

    def learned(self) -> Learned | None:
        """Return how the decoder of the autoencoder responds to each code, and where codes are large; None without one.

        Convolutional ones have none: their codes act on more than a block.
        """
        from aezip.apps import learned

        plan = self._decoder.autoencoder
        if plan is None or not self._decoder.chunk_count or plan[0].sizes.axes:
            return None
        return learned.learned(self._decoder, self.codes().astype(np.int64))

    def predictions(self) -> Iterator[npt.NDArray[np.float64]]:
        """Yield what the autoencoder alone makes of the rows of each chunk, float64, shape (rows, features)."""
        from aezip.apps import codes as features

        for index in range(self._decoder.chunk_count):
            yield features.predictions(self._decoder, index, self._code_stream(index), self.name)

    @undisturbed
    def nearest(self, row: Any, k: int = 10, metric: str = "euclidean") -> features.NearestRows:
        """Return the rows nearest to a row; see `Archive.nearest`."""
        from aezip.apps import codes as features

        features.check_query(k, metric)
        plan, _ = features.autoencoder(self._decoder, self.name)
        if not isinstance(row, int | np.integer):
            query = features.as_query(row, plan.row_layout(self._decoder.work_shape(0)).features)
            return features.nearest(self.predictions(), query, k, metric)
        count = features.row_count(self._decoder, plan)
        if not 0 <= row < count:
            raise InvalidInput(f"row {row} is out of range: {self.name!r} has rows 0 to {count - 1}")
        return features.nearest(self.predictions(), self._prediction(int(row)), k, metric, int(row))

    def _prediction(self, row: int) -> npt.NDArray[np.float64]:
        """Return the prediction of one row, shape (features,)."""
        for values in self.predictions():
            if row < len(values):
                return np.asarray(values[row])
            row -= len(values)
        raise IndexError(row)

    @cached_property
    def recommender(self) -> Recommender:
        """The stored model of what was not rated.

        Raises
        ------
        InvalidInput
            If the file has none.
        """
        stream = self._decoder.estimates
        if stream is None:
            raise InvalidInput(f"{self.name!r} was stored without a recommender: compress it with --recommend (recommend=True)")
        from aezip.apps.recommend.estimates import from_bytes

        return from_bytes(stream, self.shape)

    @undisturbed
    def predict(self, rows: Any = None) -> npt.NDArray[np.float64]:
        """Return estimates of all entries of rows; see `Archive.predict`."""
        model = self.recommender
        try:
            chosen = np.arange(len(model.rows)) if rows is None else np.atleast_1d(np.asarray(rows))
            if chosen.dtype.kind not in "iu" and chosen.size:
                raise TypeError
        except (TypeError, ValueError) as error:
            raise InvalidInput("rows are numbers of rows: give a whole number or a list of them") from error
        wrong = chosen[(chosen < 0) | (chosen >= len(model.rows))]
        if len(wrong):
            raise InvalidInput(f"row {wrong[0]} is out of range: {self.name!r} has rows 0 to {len(model.rows) - 1}")
        return model.estimate(chosen.astype(np.int64))

    @undisturbed
    def recommend(self, row: int, count: int = 10) -> features.Recommended:
        """Return what a row would rate highest of what it did not rate; see `Archive.recommend`."""
        from aezip.apps import codes as features

        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InvalidInput(f"the number of recommendations must be at least 1, not {count!r}")
        (estimates,) = self.predict(row)[:1]
        rated = self._decoder.typed(self._stored(int(row)))
        fill = self._decoder.fill
        missing = ~np.isfinite(rated) if fill is None else ~np.isfinite(rated) | np.isin(rated, fill)
        return features.highest(estimates, missing, count)

    @undisturbed
    def __getitem__(self, key: Any) -> Any:
        """Return what NumPy basic indexing returns (integers, slices, Ellipsis)."""
        masking, part = self._decoder.masking, self._decoder.typed(self._stored(key))
        if masking is not None:
            part = masking.masked_array(part)
        return part if part.ndim or key is Ellipsis else part[()]

    def _stored(self, key: Any) -> npt.NDArray[Any]:
        """Return a part as it is stored: masked elements have the pattern that stands for them, which no scalar would keep.

        Of types that NumPy has not, it is the bits.
        """
        from .indexing import Selection  # whole arrays are read without

        selection = Selection.parse(key, self.shape)
        if not self.shape or not self._decoder.chunk_count:
            whole = self._read(stored=True)
            return np.asarray(whole[key] if self.shape else whole)
        parts = [selection.part(start, stop, values) for start, stop, values in self._parts(selection.chunks(self._decoder))]
        return np.asarray(selection.join(parts, self._decoder.dtype))

    @property
    def oindex(self) -> OrthogonalIndex:
        """Orthogonal indexing, as Zarr has it: `view.oindex[[1, 5], :, mask]` takes lists and masks, one for each axis."""
        return OrthogonalIndex(self)

    @undisturbed
    def _orthogonal(self, key: Any) -> Array:
        from .indexing import orthogonal

        indices, squeeze = orthogonal(key, self.shape)
        if not self.shape:
            return self._decoder.typed(self._stored(...))
        out = np.empty([len(found) for found in indices], self.dtype)
        outer, decoder = indices[0], self._decoder
        length = decoder.chunk_range(0)[1] if decoder.chunk_count else 1
        if out.size:
            for start, stop, values in self._parts(np.unique(outer // length).tolist()):
                here = np.flatnonzero((outer >= start) & (outer < stop))
                out[here] = decoder.typed(values)[np.ix_(outer[here] - start, *indices[1:])]
        part = out[squeeze]
        return part if decoder.masking is None else decoder.masking.masked_array(part)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the whole array."""
        plain = self._decoder.typed(self._read())
        return plain if dtype is None else plain.astype(dtype)

    def __len__(self) -> int:
        """Return the length of the outer axis."""
        return self.shape[0]
