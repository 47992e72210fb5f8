"""One chunk through the autoencoder, both ways.

    x -> grid coordinates -> [difference along an axis] -> rows
    rows -> encoder -> codes -> integer decoder -> mean, level
    residual = round(row - mean) -> entropy coding by level
    mean + residual -> rows -> [running sum] -> grid values

A width of 0 leaves a mean and a level for each feature: no network, the same coding. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import ans, kernels, residual
from .convolution import Sites, axes_from_json, unfold
from .encoder import FloatEncoder
from .errors import CorruptFile, UnsupportedVersion
from .integer import FRACTION_BITS, IntegerDecoder
from .layout import Layout
from .model import MAX_FEATURES, NARROW_BITS, Model, Norm, Sizes, Spikes
from .quantizer import Grid
from .variants import VARIANTS

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
HALF = 1 << (FRACTION_BITS - 1)
TILE_VALUES = 1 << 16  # values of a run of rows that one network predicts
TILE_ROWS = 1 << 13  # rows of a run where columns come one after the other


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
    """Layout, transform and sizes of the network; how it was trained, which decoding need not know."""

    layout: Layout
    difference: Difference | None
    sizes: Sizes
    variant: str = "deep"

    @property
    def kind(self) -> str:
        """Name of the plan."""
        if self.sizes.width:
            return "autoencoder"
        return "static" if len(self.sizes.groups) == 1 or not self.sizes.scale_hidden else "columns"

    def sites(self, shape: tuple[int, ...]) -> Sites | None:
        """Return the grid of blocks of a chunk of `shape`, if it is convolved."""
        return Sites(self.layout.grid(shape), self.sizes.axes) if self.sizes.axes else None

    def row_layout(self, shape: tuple[int, ...]) -> Layout:
        """Return the layout whose rows have a code vector each: of a convolution an image with all its blocks."""
        axes = self.sizes.axes
        if not axes or 0 in axes:  # along the outer axis chunks end, and rows would differ in length
            return self.layout
        return Layout(tuple(shape[a] if a in axes else b for a, b in enumerate(self.layout.block)))

    def row_codes(self, codes: Int64, shape: tuple[int, ...]) -> Int64:
        """Return codes (blocks, width) by rows of `row_layout`: (rows, blocks of a row * width)."""
        grid, axes = self.layout.grid(shape), self.sizes.axes
        if self.row_layout(shape) == self.layout:
            return codes
        kept = [a for a in range(len(grid)) if a not in axes]
        moved = codes.reshape(*grid, -1).transpose(*kept, *axes, len(grid))
        return moved.reshape(math.prod(grid[a] for a in kept), -1)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        s = self.sizes
        natural = s.groups == tuple((f,) for f in range(s.features))
        groups: Any = None if len(s.groups) == 1 else ("columns" if natural else [list(g) for g in s.groups])
        return {
            "kind": self.kind,
            "layout": self.layout.to_json(),
            "difference": None if self.difference is None else self.difference.to_json(),
            "width": s.width,
            "hidden": s.hidden,
            "scale_hidden": s.scale_hidden,
            "groups": groups,
            "by_feature": s.by_feature,
            **({"spiked": True} if s.spiked else {}),
            **({"convolution": list(s.axes)} if s.axes else {}),
            **({} if self.variant == "deep" else {"variant": self.variant}),
        }

    def describe(self) -> str:
        """Return the plan in a few words."""
        s = self.sizes
        name = f"autoencoder {s.width} codes, {s.hidden} hidden" if s.width else self.kind
        name += ", spikes" if s.spiked else ""
        name = f"convolutional {name}" if s.axes else name
        if self.variant != "deep":
            name = f"{self.variant} {name}"
        if len(s.groups) > 1:
            name += f", {len(s.groups)} groups"
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
            groups = _groups(value["groups"], layout.features)
            by_feature, spiked = value["by_feature"], value.get("spiked", False)
            variant, axes = value.get("variant", "deep"), value.get("convolution")
        except (KeyError, TypeError, AttributeError) as error:
            raise CorruptFile("the plan in the header is malformed: the file is damaged") from error
        if not all(isinstance(n, int) for n in numbers) or (difference is not None and not whole):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        width, hidden, scale_hidden = numbers
        if by_feature not in (True, False) or spiked not in (True, False) or (spiked and difference is not None):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        if not isinstance(variant, str):
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        if variant not in VARIANTS:
            raise UnsupportedVersion(f"the autoencoder variant {variant[:40]!r} is not known: update aezip")
        convolved = () if axes is None else axes_from_json(axes, len(shape))
        if convolved and variant != "deep":
            raise CorruptFile("the plan in the header is malformed: the file is damaged")
        sizes = Sizes(groups, width, hidden, scale_hidden, whole, by_feature, spiked, convolved)
        sizes.check()
        if sizes.features != layout.features:
            raise CorruptFile("the groups of features do not fit the layout: the file is damaged")
        return NetworkPlan(layout, difference, sizes, variant)


def _groups(value: Any, features: int) -> tuple[tuple[int, ...], ...]:
    """Read groups of features.

    Raises
    ------
    CorruptFile
        If they are no lists of integers.
    """
    if features > MAX_FEATURES:
        raise CorruptFile("the layout is larger than any aezip writes: the file is damaged")
    if value is None:
        return (tuple(range(features)),)
    if value == "columns":
        return tuple((f,) for f in range(features))
    good = isinstance(value, list) and all(isinstance(g, list) and g for g in value)
    if not good or not all(type(f) is int for g in value for f in g):
        raise CorruptFile("the groups of features are malformed: the file is damaged")
    return tuple(tuple(g) for g in value)


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
    residual: list[residual.Split]  # one for each run of rows and group
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


class _Groups:
    """The groups of features of a run of rows, one after the other: what each network sees, and what comes out.

    Encoder and decoder share it, so that both form the same predictions from the same decoded values.
    """

    def __init__(self, sizes: Sizes, norm: Norm, codes: Int64, ignore: Mask | None, value: Int64) -> None:
        self.sizes, self.norm, self.ignore = sizes, norm, ignore
        self.value = value  # (rows, features): decoded, in 1/64 step
        self._wide = np.zeros((len(value), sizes.inputs(len(sizes.groups) - 1)), np.int64)
        self._wide[:, : sizes.inputs(0)] = norm.codes(codes)

    def columns(self, group: int) -> Any:
        """Return an index of the features of a group."""
        return slice(None) if len(self.sizes.groups) == 1 else np.array(self.sizes.groups[group])

    def predict(self, group: int, decoder: IntegerDecoder) -> tuple[Int64, U8, U8]:
        """Return mean, level and bin of the log-odds of a group, (rows, features of the group)."""
        wide = self._wide[:, : self.sizes.inputs(group)]
        return decoder.predict(wide >> (self.norm.top - NARROW_BITS), wide)

    def store(self, group: int, value: Int64) -> None:
        """Take in the decoded values of a group, in 1/64 step."""
        features = self.columns(group)
        self.value[:, features] = value
        if group + 1 == len(self.sizes.groups):
            return
        inputs = self.norm.inputs(value, features)
        if self.ignore is not None:
            inputs[self.ignore[:, features]] = 0
        at = self.sizes.inputs(group)
        self._wide[:, at : at + len(features)] = inputs

    def ignored(self, group: int) -> Mask | None:
        """Return which values of a group are not coded."""
        return None if self.ignore is None else self.ignore[:, self.columns(group)]

    def contexts(
        self, group: int, mean: Int64, level: U8, ignore: Mask | None
    ) -> tuple[U8, npt.NDArray[np.integer[Any]]]:
        """Return level and table of each value of a group that is not ignored."""
        flat = _kept(level, ignore)
        if self.sizes.by_feature:
            features = np.broadcast_to(np.array(self.sizes.groups[group]), level.shape)
            return flat, residual.contexts(flat, None, 0).astype(np.uint16) + _kept(
                (features * residual.TABLE_LEVELS).astype(np.uint16), ignore
            )
        if not self.sizes.whole:
            return flat, residual.contexts(flat, None, 0)
        fraction = _kept(mean, ignore)
        fraction = fraction - (((fraction + HALF) >> FRACTION_BITS) << FRACTION_BITS)
        return flat, residual.contexts(flat, fraction, FRACTION_BITS)


def _combine(mean: Int64, value: Int64, *, whole: bool) -> Int64:
    """Return mean + residual in 1/64 step."""
    if whole:
        return (value + ((mean + HALF) >> FRACTION_BITS)) << FRACTION_BITS
    out = value << FRACTION_BITS
    out += mean
    return out


def code(
    plan: NetworkPlan,
    grid: Grid,
    decoders: list[IntegerDecoder],
    norm: Norm,
    encoder: FloatEncoder | None,
    x: npt.NDArray[Any],
    masked: Mask | None,
    spikes: Spikes | None = None,
) -> Coded:
    """Encode a chunk up to entropy coding, and decode it."""
    rows = prepare(plan, grid, x, masked)
    codes = np.zeros((len(rows.target), 0), np.int64)
    if encoder is not None:
        codes = encode(plan, encoder, rows, x.shape)
    value = np.empty(rows.target.shape, np.int64)
    sites, parts = plan.sites(x.shape), []
    for part in _tiles(plan.sizes, len(rows.target)):
        ignore = None if rows.ignore is None else rows.ignore[part]
        whole = None if rows.whole is None else rows.whole[part]
        tile = _Groups(plan.sizes, norm, unfold(sites, codes, part), ignore, value[part])
        parts += _code_tile(tile, decoders, rows.target[part], whole, spikes)
    decoded = _values(plan, grid, value, x.shape, x.dtype, masked)
    return Coded(codes.reshape(*plan.layout.grid(x.shape), -1), parts, decoded)


def _tiles(sizes: Sizes, rows: int) -> Iterator[slice]:
    """Yield the runs of rows that are predicted and entropy-coded at a time: few enough to stay in the cache."""
    step = max(1, TILE_VALUES // sizes.features) if len(sizes.groups) == 1 else TILE_ROWS
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def _code_tile(
    tile: _Groups, decoders: list[IntegerDecoder], target: Float64, whole: Int64 | None, spikes: Spikes | None
) -> list[residual.Split]:
    """Return the residual of each group of a run of rows."""
    parts = []
    for group, decoder in enumerate(decoders):
        mean, level, bins = tile.predict(group, decoder)
        features = tile.columns(group)
        ignore = left_out = tile.ignored(group)
        if whole is None:
            distance = np.rint(target[:, features] - mean * 2.0**-FRACTION_BITS)
            value = distance.clip(-(2.0**52), 2.0**52).astype(np.int64)
        else:
            value = whole[:, features] - ((mean + HALF) >> FRACTION_BITS)
            if spikes is not None:
                hits = spikes.hits(whole)
                asked = np.broadcast_to(spikes.has, hits.shape) if ignore is None else spikes.has & ~ignore
                parts.append(residual.flags(hits[asked], bins[asked]))
                left_out = hits if ignore is None else hits | ignore
        parts.append(residual.split(_kept(value, left_out), *tile.contexts(group, mean, level, left_out)))
        if ignore is not None:
            value[ignore] = 0
        tile.store(group, _combine(mean, value, whole=whole is not None))
    return parts


def _values(
    plan: NetworkPlan,
    grid: Grid,
    value: Int64,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    masked: Mask | None,
) -> npt.NDArray[Any]:
    """Return the values of decoded rows in 1/64 step; the last steps of decoding."""
    if grid.whole:
        value = value >> FRACTION_BITS
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
    ignore = _ignored(plan.layout, shape, masked)
    value = np.empty((len(codes), plan.sizes.features), np.int64)
    reader = residual.Decoder(model.residual_tables, streams["residual"], fast=kernels.available(math.prod(shape)))
    sites = plan.sites(shape)
    for part in _tiles(plan.sizes, len(codes)):
        left_out = None if ignore is None else ignore[part]
        tile = _Groups(plan.sizes, model.norm, unfold(sites, codes, part), left_out, value[part])
        for group, decoder in enumerate(model.decoders):
            mean, level, bins = tile.predict(group, decoder)
            left_out = tile.ignored(group)
            hits = None if model.spikes is None else _read_flags(reader, model.spikes, bins, left_out)
            if hits is not None:
                left_out = hits if left_out is None else hits | left_out
            coded = reader.decode(*tile.contexts(group, mean, level, left_out))
            if left_out is not None:
                kept = coded
                coded = np.zeros(mean.shape, np.int64)
                coded[~left_out] = kept
            out = _combine(mean, coded.reshape(mean.shape), whole=grid.whole)
            if hits is not None and model.spikes is not None:
                out = np.where(hits, model.spikes.value << FRACTION_BITS, out)
            tile.store(group, out)
    reader.finish()
    return _values(plan, grid, value, shape, dtype, masked)


def _read_flags(reader: residual.Decoder, spikes: Spikes, bins: U8, ignore: Mask | None) -> Mask:
    """Return which values of a run of rows are their feature's spike."""
    hits = np.zeros(bins.shape, np.bool_)
    asked = np.broadcast_to(spikes.has, hits.shape) if ignore is None else spikes.has & ~ignore
    hits[asked] = reader.flags(bins[asked])
    return hits


def encode(plan: NetworkPlan, encoder: FloatEncoder, rows: Prepared, shape: tuple[int, ...]) -> Int64:
    """Return the codes, (rows, width), of a chunk of `shape`."""
    sites = plan.sites(shape)
    return encoder.codes(rows.target, rows.ignore, None if sites is None else sites.near).astype(np.int64)


def predictions(plan: NetworkPlan, model: Model, codes: Int64, shape: tuple[int, ...]) -> tuple[Int64, U8]:
    """Return mean and level of all values of a chunk from the codes alone, both (rows, features); one group of features."""
    mean = np.empty((len(codes), plan.sizes.features), np.int64)
    level = np.empty(mean.shape, np.uint8)
    sites = plan.sites(shape)
    for part in _tiles(plan.sizes, len(codes)):
        tile = _Groups(plan.sizes, model.norm, unfold(sites, codes, part), None, mean[part])
        mean[part], level[part], _ = tile.predict(0, model.decoders[0])
    return mean, level


def encode_codes(model: Model, coded: Coded) -> bytes:
    """Entropy-code the codes of a chunk."""
    return residual.encode(model.code_tables, model.book.passes(coded.codes))


def ideal_bytes(tables: ans.Tables, codes: Model | None, coded: Coded) -> float:
    """Return the bytes that an ideal coder would need for a chunk: residual under `tables`, codes under their model's."""
    bits = residual.ideal_bits(tables, coded.residual)
    if codes is not None:
        bits += residual.ideal_bits(codes.code_tables, codes.book.passes(coded.codes))
    return bits / 8.0
