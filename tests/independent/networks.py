"""The plans `static`, `columns` and `autoencoder` of section 4 of the page."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from independent.container import by_significance, check
from independent.entropy import Stream, Tables

VARIANTS = {"deep", "sparse", "denoising", "contractive", "stacked", "rbm"}


class Reading:
    """A place in the bytes of a model."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def numbers(self, dtype: str, *shape: int) -> np.ndarray:
        """Return integers as int64; those wider than a byte lie by significance."""
        count, size = math.prod(shape), np.dtype(dtype).itemsize
        self.at += count * size
        return by_significance(self.data[self.at - count * size : self.at], dtype, count).reshape(shape).astype("i8")

    def bits(self, count: int) -> np.ndarray:
        """Return so many bits, most significant first."""
        packed = self.numbers("u1", -(-count // 8)).astype("u1")
        return np.unpackbits(packed)[:count].astype(bool)

    def tables(self, count: int) -> Tables:
        tables, self.at = Tables.parse(self.data, self.at, count)
        return tables

    def close(self) -> None:
        check(self.at == len(self.data), "nothing left over in a model")


def scaled(layer: tuple[np.ndarray, np.ndarray, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    """Return (W inputs + b) * 2^-e of each row of inputs."""
    weights, exponents, biases = layer
    return (inputs @ weights.T.astype("f8") + biases) * np.exp2(-exponents.astype("f8"))


def relu(layer: tuple[np.ndarray, np.ndarray, np.ndarray], inputs: np.ndarray) -> np.ndarray:
    return np.rint(scaled(layer, inputs)).clip(0, 1023)


class Blocks:
    """A chunk cut into blocks of a layout: a block is a row."""

    def __init__(self, shape: tuple[int, ...], layout: list[int]) -> None:
        self.shape, self.layout = shape, layout
        self.grid = tuple(-(-n // size) for n, size in zip(shape, layout, strict=True))
        self.rows, self.features = math.prod(self.grid), math.prod(layout)

    def cut(self, values: np.ndarray, padding: Any) -> np.ndarray:
        """Return values as (rows, features)."""
        ends = [(0, g * size - n) for g, size, n in zip(self.grid, self.layout, self.shape, strict=True)]
        padded = np.pad(values, ends, constant_values=padding)
        pairs = [n for pair in zip(self.grid, self.layout, strict=True) for n in pair]
        axes = range(2 * len(self.shape))
        return padded.reshape(pairs).transpose(*axes[::2], *axes[1::2]).reshape(self.rows, self.features)

    def join(self, rows: np.ndarray) -> np.ndarray:
        """Return (rows, features) as values of the chunk."""
        axes = len(self.shape)
        order = [axis for a in range(axes) for axis in (a, axes + a)]
        padded = rows.reshape(*self.grid, *self.layout).transpose(order)
        padded = padded.reshape([g * size for g, size in zip(self.grid, self.layout, strict=True)])
        return padded[tuple(slice(n) for n in self.shape)]


@dataclass
class Shape:
    """What a plan says of its networks."""

    width: int
    hidden: int
    scale_hidden: int
    groups: list[list[int]]  # features of each
    spiked: bool
    by_feature: bool
    convolution: list[int]
    whole: bool

    @classmethod
    def of(cls, plan: dict[str, Any], whole: bool) -> Shape:
        check(plan.get("variant", "deep") in VARIANTS, "a known variant")
        features, groups = math.prod(plan["layout"]), plan.get("groups")
        check(groups in (None, "columns"), "known groups")
        listed = [[f] for f in range(features)] if groups else [list(range(features))]
        return cls(
            plan.get("width", 0),
            plan.get("hidden", 1),
            plan.get("scale_hidden", 0),
            listed,
            plan.get("spiked", False),
            plan.get("by_feature", False),
            plan.get("convolution") or [],
            whole,
        )

    @property
    def features(self) -> int:
        return sum(map(len, self.groups))

    @property
    def residual_tables(self) -> int:
        if self.by_feature:
            return 28 * self.features
        return (148 if self.spiked else 116) if self.whole else 28

    def layers(self, group: int) -> list[tuple[int, int]]:
        """Return outputs and inputs of first, second, mean, skip, scale and perhaps flag layer."""
        features, earlier = len(self.groups[group]), sum(map(len, self.groups[:group]))
        inputs, h, s = self.width * 3 ** len(self.convolution) + earlier, self.hidden, self.scale_hidden
        return [(h, inputs), (h, h), (features, h), (features, inputs), (features, s), (features, s)][: 6 if self.spiked else 5]


class Model:
    """The stream `model` of these plans."""

    def __init__(self, data: bytes, shape: Shape, places: list[int] | None = None) -> None:
        listed = range(len(shape.groups)) if places is None else places  # groups that have a network
        reading, features = Reading(data), shape.features
        self.shape, self.top = shape, int(reading.numbers("u1", 1)[0])
        several = len(shape.groups) > 1
        self.exponents = reading.numbers("i1", features) if several else None
        self.centres = reading.numbers("i8", features) if several else None
        sizes = [shape.layers(group) for group in listed]
        weights = [[reading.numbers("i1", *size) for size in group] for group in sizes]
        exponents = [[reading.numbers("i1", size[0]) for size in group] for group in sizes]
        biases = [[reading.numbers("i4", size[0]) for size in group] for group in sizes]
        layers = [[*zip(*parts, strict=True)] for parts in zip(weights, exponents, biases, strict=True)]
        self.layers = dict(zip(listed, layers, strict=True))
        self.offsets = np.zeros(features, "i8")
        for group in listed:
            self.offsets[shape.groups[group]] = reading.numbers("i8", len(shape.groups[group]))
        self.spikes = np.zeros(features, "i8")
        self.has_spike = reading.bits(features) if shape.spiked else np.zeros(features, bool)
        self.spikes[self.has_spike] = reading.numbers("i8", int(self.has_spike.sum()))
        self.predictors, self.levels = reading.numbers("u1", shape.width), reading.numbers("u1", shape.width)
        self.code_tables = reading.tables(max(1, shape.width * (8 if shape.convolution else 1)))
        self.tables = reading.tables(shape.residual_tables)
        reading.close()

    def codes(self, data: bytes, grid: tuple[int, ...]) -> np.ndarray:
        """Return codes as (places of the grid, width)."""
        if not self.shape.width:
            return np.zeros((*grid, 0), "i8")
        stream, found = Stream(data), []
        sizes = np.zeros(grid, "i8")  # of the residuals of the dimensions before, at a site and around it
        for d in range(self.shape.width):
            which = np.full(grid, d)
            if self.shape.convolution:
                bits = np.frexp(sizes.astype("f8"))[1]
                which = 8 * d + np.minimum(7, bits)
            levels = np.full(which.size, self.levels[d])
            residuals = stream.residuals(self.code_tables, which.reshape(-1), levels).reshape(grid)
            if self.shape.convolution:
                sizes += around(np.minimum(np.abs(residuals), 255), self.shape.convolution).sum(axis=-1)
            found.append(summed(residuals, int(self.predictors[d])))
        stream.close()
        return np.stack(found, axis=-1)

    def rows(self, codes: np.ndarray) -> np.ndarray:
        """Return what the network of a block sees of the codes, a row for each block."""
        if self.shape.convolution:
            codes = around(codes, self.shape.convolution).swapaxes(-1, -2)
        return codes.reshape(math.prod(codes.shape[: codes.ndim - 1 - bool(self.shape.convolution)]), -1)

    def forward(self, group: int, wide: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return mean, level and, where there are spikes, bin of the features of a group."""
        narrow = (wide >> self.top - 8).clip(-(1 << 15), 1 << 15).astype("f8")
        wide = wide.clip(-(1 << self.top + 12), 1 << self.top + 12).astype("f8")
        first, second, means, skip, scale, *flag = self.layers[group]
        h = relu(second, relu(first, narrow))
        mean = np.rint(scaled(means, h) + scaled(skip, wide)).astype("i8") + self.offsets[self.shape.groups[group]]
        part = h[:, : self.shape.scale_hidden]
        level = np.rint(scaled(scale, part)).clip(0, 199).astype("i8")
        bins = np.rint(scaled(flag[0], part)).clip(0, 31).astype("i8") if flag else None
        return mean, level, bins


def around(values: np.ndarray, axes: list[int]) -> np.ndarray:
    """Return values at -1, 0, 1 along some axes, cut to the edge, on a new last axis, offsets in lexicographic order."""
    ends = [(1, 1) if axis in axes else (0, 0) for axis in range(values.ndim)]
    padded, found = np.pad(values, ends, mode="edge"), []
    for offsets in itertools.product(range(3), repeat=len(axes)):
        begin = dict(zip(axes, offsets, strict=True))
        found.append(padded[tuple(slice(begin.get(a, 0), begin.get(a, 0) + n) for a, n in enumerate(values.shape))])
    return np.stack(found, axis=-1)


def summed(residuals: np.ndarray, predictor: int) -> np.ndarray:
    if predictor == 255:
        return residuals.cumsum(axis=-1).cumsum(axis=-2)
    return residuals.cumsum(axis=predictor - 1) if predictor else residuals


def shifted(values: np.ndarray, shift: int, top: int) -> np.ndarray:
    """Return values * 2^shift, rounded down; what will be clipped is clipped before it can overflow."""
    if shift <= 0:
        return values >> min(-shift, 63)
    shift = min(shift, top + 13)
    most = (1 << top + 12 >> shift) + 1
    return values.clip(-most, most) << shift


def table_of(mean: np.ndarray, level: np.ndarray, features: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the table of each residual."""
    t = np.where(level < 28, level, 24 + (level - 28) % 4)
    if shape.by_feature:
        return 28 * features + t
    return by_fraction(mean, t) if shape.whole else t


def by_fraction(mean: np.ndarray, t: np.ndarray) -> np.ndarray:
    f = mean - 64 * ((mean + 32) >> 6)
    return np.where(t < 22, 5 * t + (f + 32) * 5 // 65, t + 88)


def decode(plan: dict[str, Any], whole: bool, model: bytes, codes: bytes, residual: bytes, ignored: np.ndarray) -> np.ndarray:
    """Return k on a whole grid, Y on a fine one, of the values of a chunk."""
    shape = Shape.of(plan, whole)
    net, blocks = Model(model, shape), Blocks(ignored.shape, plan["layout"])
    check(blocks.features == shape.features, "features of the layout")
    skipped = blocks.cut(ignored, True)
    inputs = net.rows(net.codes(codes, blocks.grid))
    stream, found = Stream(residual), np.zeros(skipped.shape, "i8")
    run = max(1, (1 << 16) // shape.features) if len(shape.groups) == 1 else 1 << 13
    for begin in range(0, blocks.rows, run):
        rows = slice(begin, begin + run)
        wide = shifted(inputs[rows], net.top - 3, net.top)
        for group, features in enumerate(shape.groups):
            y = _group(net, group, wide, ~skipped[rows][:, features], stream)
            found[rows, features] = y
            if net.centres is not None and net.exponents is not None:
                (feature,) = features
                moved = (64 * y if whole else y) - net.centres[feature]
                seen = shifted(moved, net.top - int(net.exponents[feature]), net.top)
                wide = np.concatenate([wide, np.where(skipped[rows][:, features], 0, seen)], axis=1)
    stream.close()
    return _sum_up(blocks.join(found), plan.get("difference"))


def _group(net: Model, group: int, wide: np.ndarray, coded: np.ndarray, stream: Stream) -> np.ndarray:
    """Decode one pass, a group of features of a run of rows; a pass of flags may come before."""
    mean, level, bins = net.forward(group, wide)
    features = np.broadcast_to(np.array(net.shape.groups[group]), mean.shape)
    found = np.zeros(mean.shape, "i8")
    if bins is not None:
        asked = coded & net.has_spike[features]
        flags = np.zeros(mean.shape, bool)
        flags[asked] = stream.symbols(net.tables, 116 + bins[asked]) == 2
        found[flags] = net.spikes[features][flags]
        coded = coded & ~flags
    mean, level = mean[coded], level[coded]
    q = stream.residuals(net.tables, table_of(mean, level, features[coded], net.shape), level)
    found[coded] = q + ((mean + 32) >> 6) if net.shape.whole else 64 * q + mean
    return found


def _sum_up(k: np.ndarray, difference: dict[str, Any] | None) -> np.ndarray:
    if difference is None:
        return k
    total = k.cumsum(axis=difference["axis"], dtype="i8")
    columns = difference["columns"]
    return total if columns is None else np.where(np.array(columns, bool), total, k)
