"""One chunk through the autoencoder, both ways.

    x -> grid coordinates -> [difference along an axis] -> rows
    rows -> encoder -> codes -> integer decoder -> mean, level
    residual = round(row - mean) -> entropy coding by level
    mean + residual -> rows -> [running sum] -> grid values

A width of 0 leaves a mean and a level for each feature: no network, the same coding. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from aezip.array.layout import Layout
from aezip.core import native as kernels
from aezip.core.fixed import FRACTION_BITS, HALF
from aezip.core.types import U8, Float64, Int64, Mask
from aezip.entropy import ans, residual
from aezip.quantize.grid import Grid

from .decoder import IntegerDecoder
from .difference import Difference
from .networks import NARROW_BITS, Networks, Norm, Sizes, Spikes
from .sites import Sites, unfold

if TYPE_CHECKING:
    from .encoder import FloatEncoder

TILE_VALUES = 1 << 16  # values of a run of rows that one network predicts
TILE_ROWS = 1 << 13  # rows of a run where columns come one after the other


class Rowwise(Protocol):
    """What of a plan this module needs."""

    @property
    def layout(self) -> Layout:
        """Blocks that become rows."""

    @property
    def difference(self) -> Difference | None:
        """What is taken before."""

    @property
    def sizes(self) -> Sizes:
        """Of the network."""

    def sites(self, shape: tuple[int, ...]) -> Sites | None:
        """Return the grid of blocks of a chunk of `shape`, if it is convolved."""


@dataclass(frozen=True)
class PreparedRows:
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
class CodedRows:
    """A chunk as codes and residual, before entropy coding."""

    codes: Int64  # (*grid, width)
    residual: list[residual.Split]  # one for each run of rows and group
    decoded: npt.NDArray[Any]


def prepare(plan: Rowwise, grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> PreparedRows:
    """Return the rows of a chunk."""
    layout = plan.layout
    ignore = _ignored(layout, x.shape, masked)
    if grid.whole:
        k = grid.integers(x)
        if plan.difference is not None:
            k = plan.difference.forward(k, masked)
        rows = layout.rows(k)
        return PreparedRows(rows.astype(np.float64), rows, ignore)
    assert not isinstance(plan.difference, Difference)
    target = grid.coordinates(x)
    if masked is not None:
        target[masked] = 0.0
    return PreparedRows(layout.rows(target), None, ignore)


def _ignored(layout: Layout, shape: tuple[int, ...], masked: Mask | None) -> Mask | None:
    padding = layout.padding(shape)
    if masked is None:
        return padding
    rows = layout.rows(masked)
    return rows if padding is None else rows | padding


def _kept(values: npt.NDArray[Any], ignore: Mask | None) -> npt.NDArray[Any]:
    return values.ravel() if ignore is None else values[~ignore]


class GroupedRows:
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

    def contexts(self, group: int, mean: Int64, level: U8, ignore: Mask | None) -> tuple[U8, npt.NDArray[np.integer[Any]]]:
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
    plan: Rowwise,
    grid: Grid,
    decoders: list[IntegerDecoder],
    norm: Norm,
    encoder: FloatEncoder | None,
    x: npt.NDArray[Any],
    masked: Mask | None,
    spikes: Spikes | None = None,
) -> CodedRows:
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
        tile = GroupedRows(plan.sizes, norm, unfold(sites, codes, part), ignore, value[part])
        parts += _code_tile(tile, decoders, rows.target[part], whole, spikes)
    decoded = _values(plan, grid, value, x.shape, x.dtype, masked)
    return CodedRows(codes.reshape(*plan.layout.grid(x.shape), -1), parts, decoded)


def _tiles(sizes: Sizes, rows: int) -> Iterator[slice]:
    """Yield the runs of rows that are predicted and entropy-coded at a time: few enough to stay in the cache."""
    step = max(1, TILE_VALUES // sizes.features) if len(sizes.groups) == 1 else TILE_ROWS
    for start in range(0, rows, step):
        yield slice(start, min(rows, start + step))


def _code_tile(
    tile: GroupedRows, decoders: list[IntegerDecoder], target: Float64, whole: Int64 | None, spikes: Spikes | None
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
    plan: Rowwise,
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
    plan: Rowwise,
    grid: Grid,
    model: Networks,
    streams: Mapping[str, bytes],
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
    reader = residual.ResidualReader(model.residual_tables, streams["residual"], fast=kernels.available(math.prod(shape)))
    sites = plan.sites(shape)
    for part in _tiles(plan.sizes, len(codes)):
        left_out = None if ignore is None else ignore[part]
        tile = GroupedRows(plan.sizes, model.norm, unfold(sites, codes, part), left_out, value[part])
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


def _read_flags(reader: residual.ResidualReader, spikes: Spikes, bins: U8, ignore: Mask | None) -> Mask:
    """Return which values of a run of rows are their feature's spike."""
    hits = np.zeros(bins.shape, np.bool_)
    asked = np.broadcast_to(spikes.has, hits.shape) if ignore is None else spikes.has & ~ignore
    hits[asked] = reader.flags(bins[asked])
    return hits


def encode(plan: Rowwise, encoder: FloatEncoder, rows: PreparedRows, shape: tuple[int, ...]) -> Int64:
    """Return the codes, (rows, width), of a chunk of `shape`."""
    sites = plan.sites(shape)
    return encoder.codes(rows.target, rows.ignore, None if sites is None else sites.near).astype(np.int64)


def predictions(plan: Rowwise, model: Networks, codes: Int64, shape: tuple[int, ...]) -> tuple[Int64, U8]:
    """Return mean and level of all values of a chunk from the codes alone, both (rows, features); one group of features."""
    mean = np.empty((len(codes), plan.sizes.features), np.int64)
    level = np.empty(mean.shape, np.uint8)
    sites = plan.sites(shape)
    for part in _tiles(plan.sizes, len(codes)):
        tile = GroupedRows(plan.sizes, model.norm, unfold(sites, codes, part), None, mean[part])
        mean[part], level[part], _ = tile.predict(0, model.decoders[0])
    return mean, level


def encode_codes(model: Networks, coded: CodedRows) -> bytes:
    """Entropy-code the codes of a chunk."""
    return residual.encode(model.code_tables, model.book.passes(coded.codes))


def written(tables: ans.Tables, model: Networks | None, coded: CodedRows) -> tuple[dict[str, bytes], float]:
    """Return the streams of a coded chunk, and the bytes that an ideal coder would need; `model` is where codes come from."""
    codes = model if model is not None and bool(model.book.predictors) else None
    streams = {
        "codes": b"" if codes is None else encode_codes(codes, coded),
        "residual": residual.encode(tables, coded.residual),
    }
    return streams, ideal_bytes(tables, codes, coded)


def ideal_bytes(tables: ans.Tables, codes: Networks | None, coded: CodedRows) -> float:
    """Return the bytes that an ideal coder would need for a chunk: residual under `tables`, codes under their model's."""
    bits = residual.ideal_bits(tables, coded.residual)
    if codes is not None:
        bits += residual.ideal_bits(codes.code_tables, codes.book.passes(coded.codes))
    return bits / 8.0
