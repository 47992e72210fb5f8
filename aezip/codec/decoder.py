"""Header and streams of one array back to its values, chunk by chunk. Knows nothing of files, and needs no torch.

streams -> plan (rANS, networks) -> numbers of the grid -> values, cast -> specials by mask -> outliers
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admit, parse_dtype, restore
from aezip.array.layout import Chunks
from aezip.array.missing import ValidRange
from aezip.array.specials import Specials
from aezip.core import memory as limits
from aezip.core.errors import CorruptFile, UnsupportedVersion
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.networks import Model, from_bytes
from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.buckets import BucketPlan
from aezip.plans.bytes import BytesPlan
from aezip.plans.columns.plan import RecallPlan
from aezip.plans.context import plan as contextplan
from aezip.plans.context.plan import ContextModel, ContextPlan, bottleneck, model_from_bytes
from aezip.plans.delta import DifferencePlan
from aezip.plans.registry import Plan, Whole
from aezip.quantize.grid import Grid, grid_from_json

from . import outliers
from .mask import unpack_mask

if TYPE_CHECKING:
    from aezip.array.masked import Masking


def _streams(plan: Plan) -> tuple[str, ...]:
    return ("codes", "residual") if isinstance(plan, NetworkPlan | ContextPlan) else ("data",)


def decode_chunk(
    plan: Plan,
    grid: Grid | None,
    model: Model | ContextModel | None,
    segments: dict[str, bytes],
    specials: Specials,
    start: int,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    workers: int = 1,
) -> npt.NDArray[Any]:
    """Decode a chunk to native plain values, on `workers` threads where the plan allows.

    Raises
    ------
    CorruptFile
        If the streams do not make sense.
    """
    classes = unpack_mask(segments["mask"], shape)
    if isinstance(plan, BytesPlan):
        return plan.decode(segments["data"], shape, dtype)
    assert grid is not None
    grid = grid.at(start)
    masked = None if classes is None else classes != 0
    if isinstance(plan, Whole):
        out = plan.decode(grid, segments["data"], shape, dtype)
    elif isinstance(plan, ContextPlan):
        assert isinstance(model, ContextModel)
        out = contextplan.decode(plan, grid, model, segments, shape, dtype, masked, workers)
    else:
        assert isinstance(model, Model)
        out = network.decode(plan, grid, model, segments, shape, dtype, masked)
    if specials.apart:
        specials.separate(classes, out)
    if classes is not None:
        specials.restore(classes, out)
    outliers.restore(segments["outliers"], out)
    return out


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


class Decoder:
    """Decode one array chunk by chunk; safe to use from several threads.

    Parameters
    ----------
    header
        As `Encoder.header` made it.
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
        self.outer = self._work_shape[0]
        self._chunks = Chunks(self.outer if math.prod(self._work_shape) else 0, length)
        if len(self._chunks) != count:
            raise CorruptFile("the number of chunks does not fit the array: the file is damaged")
        self._specials = Specials.from_json(specials, self._work_dtype)
        self.masking = _masking(header, self.dtype)
        self.workers = 1  # threads within a chunk
        self._model: Model | ContextModel | None = None
        self._grid: Grid | None = None
        self._read_plan(kind, header, shared)
        self.estimates = shared.get("recommender")  # the stream, if the file has one

    def _read_plan(self, kind: Any, header: dict[str, Any], shared: dict[str, bytes]) -> None:
        shape = self._work_shape
        if kind != "bytes":
            self._grid = grid_from_json(header.get("grid"), shape)
        plan = self._plan = _plan_from_json(kind, header["plan"], shape, self._grid)
        self._check_memory()
        if not isinstance(plan, ContextPlan | NetworkPlan):
            return
        if "model" not in shared:
            raise CorruptFile("the model is missing: the file is damaged")
        if isinstance(plan, ContextPlan):
            self._model = model_from_bytes(shared["model"], plan, len(shape))
        else:
            self._model = from_bytes(shared["model"], plan.sizes, len(shape))

    def _check_memory(self) -> None:
        """Compare what decoding will take with what there is, before anything is allocated."""
        plan, shape, size = self._plan, self.chunk_shape, self._work_dtype.itemsize
        if isinstance(plan, ContextPlan) and plan.series is not None:
            length = plan.series.length(shape)
            values = math.prod(shape)
            limits.check_series(length, values, values // max(1, shape[plan.series.axis]) * length * plan.series.segments)
        if isinstance(plan, ContextPlan) and plan.sizes.scan:
            limits.check_scan(math.prod(shape))
        below = plan.base if isinstance(plan, ContextPlan) else plan
        if isinstance(below, NetworkPlan):
            limits.check_chunk(shape, size, below.layout, below.sizes.width, below.sizes.near)
            limits.check_model(limits.weights(below), below.sizes.contexts + below.sizes.code_tables)
        else:
            limits.check_chunk(shape, size)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of a full chunk of plain values."""
        return (min(self._chunks.length, self.outer), *self._work_shape[1:])

    def parts(self) -> tuple[Plan, Grid | None, Model | ContextModel | None]:
        """Return plan, grid and networks."""
        return self._plan, self._grid, self._model

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
    def autoencoder(self) -> tuple[NetworkPlan, Model] | None:
        """The autoencoder whose codes the chunks hold; None if there are no codes."""
        inner = bottleneck(self._plan)
        model = self._model.base if isinstance(self._model, ContextModel) else self._model
        return None if inner is None or model is None else (inner, model)

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
        filled = {name: segments.get(name, b"") for name in ("mask", "outliers", *_streams(self._plan))}
        try:
            out = decode_chunk(
                self._plan, self._grid, self._model, filled, self._specials, start, shape, self._work_dtype, self.workers
            )
        except (ValueError, IndexError, OverflowError) as error:
            raise CorruptFile(f"chunk {index} does not make sense: the file is damaged") from error
        return restored_chunk(out, self.shape, self._dtype_text)


def _plan_from_json(kind: Any, plan: Any, shape: tuple[int, ...], grid: Grid | None) -> Plan:
    """Read the plan of an array; only plain bytes have no grid."""
    if kind == "recall":
        return RecallPlan.from_json(plan)
    if grid is not None and kind == "context":
        return ContextPlan.from_json(plan, shape, whole=grid.whole)
    if grid is not None and kind in ("autoencoder", "columns", "static"):
        return NetworkPlan.from_json(plan, shape, whole=grid.whole)
    if kind == "bytes":
        shuffled, changes = plan.get("shuffled"), plan.get("changes", False)
        if not isinstance(shuffled, bool) or not isinstance(changes, bool):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        return BytesPlan(shuffled, changes)
    if kind == "buckets":
        return BucketPlan.from_json(plan, shape)
    if kind == "difference":
        axis = plan.get("axis")
        if axis is not None and not (isinstance(axis, int) and 0 <= axis < len(shape)):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        return DifferencePlan(axis)
    raise UnsupportedVersion(f"the plan {str(kind)[:40]!r} is not known: update aezip")


def _work(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and native dtype of the plain numbers inside, as `admit` makes them."""
    values = admit(np.empty((0,) if shape else (), dtype)).values
    work = shape or (1,)
    if dtype.kind == "c":
        work = (*work, 2)
    return work, values.dtype.newbyteorder("=")
