"""Header and streams of one array back to its values, chunk by chunk. Knows nothing of files, and needs no torch.

streams -> plan (rANS, networks) -> numbers of the grid -> values, cast -> specials by mask -> outliers
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admit, parse_dtype, restore
from aezip.array.layout import Chunks
from aezip.array.missing import ValidRange
from aezip.array.narrow import Narrow, narrow_named
from aezip.array.specials import Specials
from aezip.core.errors import CorruptFile
from aezip.plans.base import Plan
from aezip.plans.registry import plan_class
from aezip.quantize.grid import Grid, grid_from_json

from . import outliers
from .mask import unpack_mask

if TYPE_CHECKING:
    from aezip.array.masked import Masking

Others = Callable[[str, int, int], tuple[npt.NDArray[Any], npt.NDArray[Any] | None]]  # values of a run, and fill values


def restored_chunk(values: npt.NDArray[Any], shape: tuple[int, ...], dtype: str) -> npt.NDArray[Any]:
    """Return a decoded chunk in the array's own dtype; 0-d arrays keep one outer index."""
    inner = shape[1:] if shape else ()
    return restore(values, (values.shape[0], *inner), dtype)


def _masking(header: dict[str, Any], dtype: np.dtype[Any]) -> Masking | None:
    """Return how the elements of a masked array are stored; None: it is none."""
    if "masked" not in header:
        return None
    from aezip.array.masked import Masking  # few arrays are

    return Masking.from_json(header["masked"], dtype)


def _wide(header: dict[str, Any], narrow: Narrow | None) -> Narrow | None:
    """Return the type that decoded values are rounded to; None where they are of the array's own."""
    wide = header.get("wide", False)
    if not isinstance(wide, bool) or (wide and narrow is None):
        raise CorruptFile("the header of an array is malformed: the file is damaged")
    return narrow if wide else None


class ArrayDecoder:
    """Decode one array chunk by chunk; safe to use from several threads.

    Parameters
    ----------
    header
        As `ArrayEncoder.header` made it.
    shared
        The array-wide streams, decompressed.

    Raises
    ------
    CorruptFile, UnsupportedVersion
        If header or streams do not make sense, or need a later version.
    """

    def __init__(self, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        try:
            self.shape = tuple(int(n) for n in header["shape"])
            self._dtype_text = header["dtype"]
            length, count = header["chunk_length"], header["chunk_count"]
            specials, plan = header["specials"], header["plan"]
            kind = plan["kind"]
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptFile("the header of an array is malformed: the file is damaged") from error
        self.dtype = parse_dtype(self._dtype_text)
        if any(n < 0 for n in self.shape) or not isinstance(length, int) or length < 1:
            raise CorruptFile("the header of an array is malformed: the file is damaged")
        self._work_shape, self._work_dtype = _work(self.shape, self.dtype)
        self.narrow = narrow_named(header.get("narrow"), self.dtype)
        self._wide = _wide(header, self.narrow)
        if self._wide is not None:
            self._work_dtype = np.dtype(np.float32)
        self.outer = self._work_shape[0]
        self._chunks = Chunks(self.outer if math.prod(self._work_shape) else 0, length)
        if len(self._chunks) != count:
            raise CorruptFile("the number of chunks does not fit the array: the file is damaged")
        self._specials = Specials.from_json(specials, self._work_dtype)
        self.masking = _masking(header, self.dtype)
        self.workers = 1  # threads within a chunk
        self.others: Others | None = None
        self._networks: Any = None
        self._grid: Grid | None = None
        self._read_plan(kind, header, shared)
        self.estimates = shared.get("recommender")  # the stream, if the file has one

    def _read_plan(self, kind: Any, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        shape, found = self._work_shape, plan_class(kind)
        if not found.gridless:
            self._grid = grid_from_json(header.get("grid"), shape)
        plan = self._plan = found.read(header["plan"], shape, self._grid)
        plan.memory(self.chunk_shape, self._work_dtype.itemsize)
        if plan.trained and "model" not in shared:
            raise CorruptFile("the model is missing: the file is damaged")
        self._networks = plan.networks(shared.get("model", b""), len(shape))

    def typed(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return decoded values in the type of the array; bits of a type that NumPy has not need ml_dtypes for that."""
        return values if self.narrow is None else values.view(self.narrow.dtype())

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of a full chunk of plain values."""
        return (min(self._chunks.length, self.outer), *self._work_shape[1:])

    def parts(self) -> tuple[Plan, Grid | None, Any]:
        """Return plan, grid and networks."""
        return self._plan, self._grid, self._networks

    @property
    def fill(self) -> npt.NDArray[Any] | None:
        """The fill values that were masked, of the plain native type; None if there are none."""
        patterns = self._specials.patterns[: self._specials.fills]
        if not patterns:
            return None
        return np.frombuffer(b"".join(patterns), self._work_dtype.newbyteorder("<")).astype(self._work_dtype)

    @property
    def valid(self) -> ValidRange | None:
        """The declared range of the values, if there is one."""
        return self._specials.valid

    @property
    def grid(self) -> Grid | None:
        """The grid of the values; None for plain bytes."""
        return self._grid

    @property
    def autoencoder(self) -> tuple[Any, Any] | None:
        """The autoencoder whose codes the chunks hold, a `AutoencoderPlan` and its `Networks`; None if there are no codes."""
        inner = self._plan.with_codes()
        return None if inner is None else (inner, self._networks.below)

    @property
    def work_type(self) -> np.dtype[Any]:
        """The native plain type of the values."""
        return self._work_dtype

    def work_shape(self, index: int) -> tuple[int, ...]:
        """Return the shape of a chunk's plain values."""
        start, stop = self._chunks.bounds(index)
        return (stop - start, *self._work_shape[1:])

    @property
    def chunk_count(self) -> int:
        """Number of chunks."""
        return len(self._chunks)

    def chunk_range(self, index: int) -> tuple[int, int]:
        """Return the first outer index of a chunk and the one after its last."""
        return self._chunks.bounds(index)

    def decode_chunk(self, index: int, segments: dict[str, bytes]) -> npt.NDArray[Any]:
        """Return a chunk in the array's dtype, shape (stop - start, *shape[1:]).

        Raises
        ------
        CorruptFile
            If the streams do not make sense.
        """
        start, stop = self._chunks.bounds(index)
        shape = (stop - start, *self._work_shape[1:])
        filled = {name: segments.get(name, b"") for name in ("mask", "outliers", *self._plan.streams)}
        try:
            out = self._decoded(filled, start, shape)
        except (ValueError, IndexError, OverflowError) as error:
            raise CorruptFile(f"chunk {index} does not make sense: the file is damaged") from error
        return self._restored(out)

    def _restored(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        bits = values if self._wide is None else self._wide.narrow(values)
        return restored_chunk(bits, self.shape, self._dtype_text)

    def preview_chunk(self, index: int, segments: dict[str, bytes], stride: int) -> npt.NDArray[Any]:
        """Return every `stride`-th value of a chunk along the axes that `coarse` tells; others as in `decode_chunk`."""
        start, stop = self._chunks.bounds(index)
        found = self.coarse(stride)
        assert found is not None
        filled = {name: segments.get(name, b"") for name in ("mask", "outliers", *self._plan.streams)}
        out = self._decoded(filled, start, (stop - start, *self._work_shape[1:]), found[0])
        return np.ascontiguousarray(self._restored(out)[found[1][: len(self.shape)]])

    def coarse(self, stride: int) -> tuple[Any, tuple[slice, ...]] | None:
        """Return networks for a part of the values, and its index; None where all values are decoded or none."""
        found = self._plan.coarse(self._networks, len(self._work_shape), stride)
        if found is not None and any(part.step != 1 for part in found[1][len(self.shape) :]):
            return None  # one of the two parts of complex numbers
        return found

    @property
    def companions(self) -> tuple[str, ...]:
        """Names of the arrays that have to be decoded first."""
        return tuple(companion.name for companion in self._plan.companions)

    def _beside(self, start: int, stop: int) -> list[npt.NDArray[np.float64]]:
        """Return what companions count in a run of the outer axis."""
        if self.others is None:
            raise CorruptFile("the array needs others of its file: the file is damaged, or was taken apart")
        return [companion.numbers(*self.others(companion.name, start, stop)) for companion in self._plan.companions]

    def _decoded(self, streams: dict[str, bytes], start: int, shape: tuple[int, ...], networks: Any = None) -> npt.NDArray[Any]:
        """Return a chunk as native plain values."""
        plan, grid, dtype = self._plan, self._grid, self._work_dtype
        classes = unpack_mask(streams["mask"], shape)
        masked = None if classes is None else classes != 0
        at = None if grid is None else grid.at(start)
        networks = self._networks if networks is None else networks
        if plan.companions:
            networks = plan.among(networks, self._beside(start, start + shape[0]))
        out = plan.decode(at, networks, streams, shape, dtype, masked, self.workers)
        if plan.gridless:
            return out
        if self._specials.apart:
            self._specials.separate(classes, out)
        if classes is not None:
            self._specials.restore(classes, out)
        outliers.restore(streams["outliers"], out)
        return out


def digest_of(chunk: npt.NDArray[Any]) -> bytes:
    """Return the sha256 of a decoded chunk: of its bytes in the array's type and byte order, C order."""
    return hashlib.sha256(np.ascontiguousarray(chunk).reshape(-1).view(np.uint8).data).digest()


def _work(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and native dtype of the plain numbers inside, as `admit` makes them."""
    values = admit(np.empty((0,) if shape else (), dtype)).values
    work = shape or (1,)
    if dtype.kind == "c":
        work = (*work, 2)
    return work, values.dtype.newbyteorder("=")
