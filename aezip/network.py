"""One chunk through the autoencoder, both ways.

    x -> grid coordinates -> [difference along an axis] -> rows
    rows -> encoder -> codes -> integer decoder -> mean, level
    residual = round(row - mean) -> entropy coding by level
    mean + residual -> rows -> [running sum] -> grid values

A width of 0 leaves a mean and a level for each feature: no network, the same coding. Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import residual
from .encoder import FloatEncoder
from .errors import CorruptFile
from .integer import FRACTION_BITS, IntegerDecoder
from .layout import Layout
from .model import Model, Sizes
from .quantizer import Grid

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
HALF = 1 << (FRACTION_BITS - 1)


@dataclass(frozen=True)
class Difference:
    """Differences along an axis, of whole grids only.

    Parameters
    ----------
    axis
        The axis.
    columns
        Which entries of the last axis are differenced; None: all.
    """

    axis: int
    columns: tuple[bool, ...] | None = None

    def _chosen(self, k: Int64) -> Any:
        return slice(None) if self.columns is None else np.array(self.columns)

    def forward(self, k: Int64, ignore: Mask | None) -> Int64:
        """Return the differences; ignored values count as equal to the one before."""
        if ignore is not None:
            k = fill_forward(k, ignore, self.axis)
        out = k.copy()
        chosen = self._chosen(k)
        out[..., chosen] = np.diff(k[..., chosen], axis=self.axis, prepend=0)
        return out

    def backward(self, d: Int64) -> Int64:
        """Undo `forward`."""
        chosen = self._chosen(d)
        if self.columns is None:
            return d.cumsum(axis=self.axis)
        d[..., chosen] = d[..., chosen].cumsum(axis=self.axis)
        return d

    def to_json(self) -> dict[str, Any]:
        """Return the transform."""
        columns = None if self.columns is None else [int(c) for c in self.columns]
        return {"axis": self.axis, "columns": columns}

    @staticmethod
    def from_json(value: Any, shape: tuple[int, ...]) -> Difference | None:
        """Read a transform for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        if value is None:
            return None
        try:
            axis, columns = value["axis"], value["columns"]
            good = isinstance(axis, int) and 0 <= axis < len(shape)
            if columns is not None:
                good = good and len(columns) == shape[-1] and axis != len(shape) - 1
                columns = tuple(bool(c) for c in columns)
        except (KeyError, TypeError) as error:
            raise CorruptFile("the transform in the header is malformed") from error
        if not good:
            raise CorruptFile("the transform in the header does not fit the array")
        return Difference(axis, columns)


def fill_forward(k: Int64, ignore: Mask, axis: int) -> Int64:
    """Replace ignored values by the last one along `axis` that is not (0 if there is none)."""
    shape = [1] * k.ndim
    shape[axis] = k.shape[axis]
    index = np.where(ignore, -1, np.arange(k.shape[axis]).reshape(shape))
    index = np.maximum.accumulate(index, axis=axis)
    filled = np.take_along_axis(k, index.clip(0), axis=axis)
    return np.where(index < 0, 0, filled)


@dataclass(frozen=True)
class NetworkPlan:
    """Layout, transform and sizes of the network."""

    layout: Layout
    difference: Difference | None
    sizes: Sizes

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        s = self.sizes
        return {
            "kind": "autoencoder" if s.width else "static",
            "layout": self.layout.to_json(),
            "difference": None if self.difference is None else self.difference.to_json(),
            "width": s.width,
            "hidden": s.hidden,
            "scale_hidden": s.scale_hidden,
        }

    def describe(self) -> str:
        """Return the plan in a few words."""
        s = self.sizes
        name = f"autoencoder {s.width} codes, {s.hidden} hidden" if s.width else "static"
        block = "x".join(map(str, self.layout.block))
        if self.difference is None:
            return f"{name}, block {block}"
        some = "" if self.difference.columns is None else " of some columns"
        return f"{name}, block {block}, difference {self.difference.axis}{some}"

    @staticmethod
    def from_json(value: Any, shape: tuple[int, ...], *, whole: bool) -> NetworkPlan:
        """Read a plan for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        try:
            layout = Layout.from_json(value["layout"], len(shape))
            numbers = [value["width"], value["hidden"], value["scale_hidden"]]
            difference = Difference.from_json(value["difference"], shape)
        except (KeyError, TypeError) as error:
            raise CorruptFile("the plan in the header is malformed: the file is damaged") from error
        if not all(isinstance(n, int) for n in numbers) or (difference is not None and not whole):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        sizes = Sizes(layout.features, *numbers, whole=whole)
        sizes.check()
        return NetworkPlan(layout, difference, sizes)


@dataclass(frozen=True)
class Prepared:
    """A chunk as rows.

    Parameters
    ----------
    target
        float64, shape (rows, features), in steps.
    whole
        int64, the same, if the grid is whole.
    ignore
        Values that are not coded, or None.
    """

    target: Float64
    whole: Int64 | None
    ignore: Mask | None


@dataclass(frozen=True)
class Coded:
    """A chunk as codes and residual, before entropy coding."""

    codes: Int64  # (*grid, width)
    residual: residual.Split
    decoded: npt.NDArray[Any]


def prepare(
    plan: NetworkPlan, grid: Grid, x: npt.NDArray[Any], masked: Mask | None
) -> Prepared:
    """Return the rows of a chunk."""
    layout = plan.layout
    ignore = _ignored(layout, x.shape, masked)
    if grid.whole:
        k = grid.integers(x)
        if plan.difference is not None:
            k = plan.difference.forward(k, masked)
        rows = layout.rows(k)
        return Prepared(rows.astype(np.float64), rows, ignore)
    assert not isinstance(plan.difference, Difference)
    target = grid.coordinates(x)
    if masked is not None:
        target[masked] = 0.0
    return Prepared(layout.rows(target), None, ignore)


def _ignored(layout: Layout, shape: tuple[int, ...], masked: Mask | None) -> Mask | None:
    padding = layout.padding(shape)
    if masked is None:
        return padding
    rows = layout.rows(masked)
    return rows if padding is None else rows | padding


def _kept(values: npt.NDArray[Any], ignore: Mask | None) -> npt.NDArray[Any]:
    return values.ravel() if ignore is None else values[~ignore]


def _contexts(mean: Int64, level: U8, ignore: Mask | None, *, whole: bool) -> tuple[U8, U8]:
    """Return level and table of each coded value."""
    flat = _kept(level, ignore)
    if not whole:
        return flat, residual.contexts(flat, None, FRACTION_BITS)
    fraction = _kept(mean, ignore)
    fraction = fraction - (((fraction + HALF) >> FRACTION_BITS) << FRACTION_BITS)
    return flat, residual.contexts(flat, fraction, FRACTION_BITS)


def code(
    plan: NetworkPlan,
    grid: Grid,
    decoder: IntegerDecoder,
    encoder: FloatEncoder | None,
    x: npt.NDArray[Any],
    masked: Mask | None,
) -> Coded:
    """Encode a chunk up to entropy coding, and decode it."""
    rows = prepare(plan, grid, x, masked)
    codes = np.zeros((len(rows.target), 0), np.int32)
    if encoder is not None:
        top = decoder.code_top.astype(np.int32)
        codes = encoder.codes(rows.target, rows.ignore).clip(-top, top)
    mean, level = decoder.predict(codes)
    if rows.whole is None:
        distance = np.rint(rows.target - mean * 2.0**-FRACTION_BITS)
        value = distance.clip(-(2.0**52), 2.0**52).astype(np.int64)
    else:
        value = rows.whole - ((mean + HALF) >> FRACTION_BITS)
    flat, table = _contexts(mean, level, rows.ignore, whole=grid.whole)
    parts = residual.split(_kept(value, rows.ignore), flat, table)
    if rows.ignore is not None:
        value[rows.ignore] = 0
    decoded = _values(plan, grid, mean, value, x.shape, x.dtype, masked)
    return Coded(codes.astype(np.int64).reshape(*plan.layout.grid(x.shape), -1), parts, decoded)


def _values(
    plan: NetworkPlan,
    grid: Grid,
    mean: Int64,
    value: Int64,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    masked: Mask | None,
) -> npt.NDArray[Any]:
    """Return the values of mean + residual; the last steps of decoding."""
    if grid.whole:
        value = value + ((mean + HALF) >> FRACTION_BITS)
    else:
        value = (value << FRACTION_BITS) + mean
    k = plan.layout.array(value, shape)
    if plan.difference is not None:
        if masked is not None:
            k = np.where(masked, 0, k)
        k = plan.difference.backward(np.ascontiguousarray(k))
    return grid.values(k, dtype)


def decode(
    plan: NetworkPlan,
    grid: Grid,
    model: Model,
    streams: dict[str, bytes],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    masked: Mask | None,
) -> npt.NDArray[Any]:
    """Decode a chunk of `shape`; masked values are left to the caller.

    Raises
    ------
    CorruptFile
        If the streams do not make sense.
    """
    codes = model.book.decode(model.code_tables, streams["codes"], plan.layout.grid(shape))
    mean, level = model.decoder.predict(codes)
    ignore = _ignored(plan.layout, shape, masked)
    flat, table = _contexts(mean, level, ignore, whole=grid.whole)
    reader = residual.Decoder(model.residual_tables, streams["residual"])
    coded = reader.decode(flat, table)
    reader.finish()
    if ignore is None:
        value = coded.reshape(mean.shape)
    else:
        value = np.zeros(mean.shape, np.int64)
        value[~ignore] = coded
    return _values(plan, grid, mean, value, shape, dtype, masked)


def encode_codes(model: Model, coded: Coded) -> bytes:
    """Entropy-code the codes of a chunk."""
    return residual.encode(model.code_tables, model.book.passes(coded.codes))


def encode_residual(model: Model, coded: Coded) -> bytes:
    """Entropy-code the residual of a chunk."""
    return residual.encode(model.residual_tables, [coded.residual])


def ideal_bytes(model: Model, coded: Coded) -> float:
    """Return the bytes that an ideal coder with the model's tables would need for a chunk."""
    bits = residual.ideal_bits(model.residual_tables, [coded.residual])
    if model.book.predictors:
        bits += residual.ideal_bits(model.code_tables, model.book.passes(coded.codes))
    return bits / 8.0
