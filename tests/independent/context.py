"""The plan `context` of section 6 of the page."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from independent import networks
from independent.channels import Channels, read_sums
from independent.container import check
from independent.entropy import Stream, unfold
from independent.networks import Reading, by_fraction, relu, scaled
from independent.passes import Ordered, Pass, Scanned, Series

NETWORKS = Path(__file__).parents[2] / "aezip" / "data" / "networks"  # data, not source
TABLE = Path(__file__).parents[2] / "docs" / "builtin.md"
LAYERS = ("first", "second", "mean", "scale", "flag")
Passes = Ordered | Scanned | Series
Beside = Callable[[str, float, float], np.ndarray]  # what a companion counts in this chunk: name, origin, scale
NO_CHANNELS = {"axis": None, "count": 1, "levels": False, "alike": False}


@dataclass
class Net:
    """The network of a plan: layers (weights, exponents, biases), and what each class has."""

    layers: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    skip_exponents: np.ndarray  # ew
    embeddings: np.ndarray
    pairs: np.ndarray
    skip: np.ndarray  # w

    @classmethod
    def read(cls, reading: Reading, passes: Passes, hidden: int, flags: bool) -> Net:
        sizes = [(hidden, passes.inputs + 9), (hidden, hidden), (1, hidden), (1, hidden + 5), (1, hidden + 5)]
        sizes = sizes[: 5 if flags else 4]
        known = np.flatnonzero(reading.bits(passes.classes))
        weights = [reading.numbers("i1", *size) for size in sizes]
        exponents = [reading.numbers("i1", size[0]) for size in sizes]
        biases = [reading.numbers("i4", size[0]) for size in sizes]
        layers = dict(zip(LAYERS, zip(weights, exponents, biases, strict=True), strict=False))
        n, classes = len(known), passes.classes
        of = cls(
            layers,
            np.zeros(classes, "i8"),
            np.zeros((classes, 4), "i8"),
            np.full((classes, 2), -1),
            np.zeros((classes, passes.inputs), "i8"),
        )
        of.skip_exponents[known] = reading.numbers("i1", n)
        of.embeddings[known] = reading.numbers("i1", n, 4)
        of.pairs[known] = reading.numbers("i2", n, 2)
        of.skip[known] = reading.numbers("i4", n, passes.inputs)
        return of


def lg(x: np.ndarray) -> np.ndarray:
    """Return rint(256 lg(x)), x in 32 bits."""
    t, k = np.frexp(x.astype("f4").astype("f8"))
    return np.rint(256 * (2 * t + k - 2))


class Decoder:
    """Decodes arrays, or channels, one after the other from one stream of residuals."""

    def __init__(self, net: Net, tables: Any, plan: dict[str, Any], whole: bool, residual: bytes) -> None:
        self.net, self.tables, self.whole = net, tables, whole
        self.precision, self.spike = plan["precision"], plan.get("spike")
        self.stream = Stream(residual)

    def array(self, passes: Passes, m: np.ndarray, levels: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return Y and the errors of all values; everything is flat."""
        size = m.size
        y, errors, contexts = np.zeros(size, "i8"), np.zeros(size, "i8"), np.zeros(size)
        most = 1 << (22 if self.precision <= 12 else 50)
        for part in passes:
            mean, level, bins = self._predict(part, contexts, errors, levels[part.targets])
            mean += m[part.targets]
            q = np.zeros(len(mean), "i8")
            for run in part.runs():
                q[run] = self._run(mean[run], level[run], bins[run], ~ignored[part.targets[run]])
            found = 64 * (q + ((mean + 32) >> 6)) if self.whole else 64 * q + mean
            y[part.targets] = found
            contexts[part.targets] = (found - m[part.targets]).clip(-most, most)
            errors[part.targets] = np.minimum(np.abs(q), 4095)
        return y, errors

    def _predict(self, part: Pass, contexts: np.ndarray, errors: np.ndarray, levels: np.ndarray) -> tuple[np.ndarray, ...]:
        c, active = part.contexts(contexts)
        n, p = c.shape[1], self.precision
        pair = self.net.pairs[part.number]
        if active.any():
            if not (pair >= 0).all() or not active[pair].all():
                pair = np.resize(np.flatnonzero(active)[:2], 2)
            r = c[pair].sum(axis=0) / 2
            d = np.where(active[:, None], c - r, 0)
            m = np.maximum(32, np.abs(d).max(axis=0))
            e = np.frexp(m)[1]
            f = np.rint(d * np.exp2(p - e))
            slots = f if p == 10 else np.rint(f * 2.0 ** (10 - p))
            sizes = [lg(m), lg(1 + np.abs(slots).sum(axis=0))]
        else:
            r, e, f, slots, sizes = np.zeros(n), np.full(n, 6), c, c, [np.zeros(n)] * 2
        near, far = part.errors(errors)
        five = np.stack([*sizes, lg(1.0 + near), lg(1.0 + far), 64.0 * (levels - 32)])
        embedding = np.broadcast_to(8 * self.net.embeddings[part.number][:, None], (4, n))
        layers = self.net.layers
        h = relu(layers["second"], relu(layers["first"], np.concatenate([slots, five, embedding]).T))
        skip = (self.net.skip[part.number] @ f) * 2.0 ** -(float(self.net.skip_exponents[part.number]) + p)
        mean = np.rint((scaled(layers["mean"], h)[:, 0] + skip) * np.exp2(e) + r).astype("i8")
        seen = np.concatenate([h, five.T], axis=1)
        level = np.rint(scaled(layers["scale"], seen)[:, 0]).clip(0, 199).astype("i8")
        bins = np.rint(scaled(layers["flag"], seen)[:, 0]).clip(0, 31).astype("i8") if "flag" in layers else level
        return mean, level, bins

    def _run(self, mean: np.ndarray, level: np.ndarray, bins: np.ndarray, coded: np.ndarray) -> np.ndarray:
        """Return q of a run; ignored values have 0."""
        q = np.zeros(len(mean), "i8")
        if self.spike is not None:
            flags = np.zeros(len(mean), bool)
            flags[coded] = self.stream.symbols(self.tables, 116 + bins[coded]) == 2
            q[flags] = self.spike - ((mean[flags] + 32) >> 6)
            coded = coded & ~flags
        level = level[coded]
        t = np.where(level < 28, level, 24 + (level - 28) % 4)
        q[coded] = self.stream.residuals(self.tables, by_fraction(mean[coded], t) if self.whole else t, level)
        return q


def _built_in(said: dict[str, Any], passes: Passes, hidden: int) -> Net:
    """Return a built-in network by its number."""
    lines = [line.split("|") for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    (name,) = (parts[2].strip(" `") for parts in lines if parts[1].strip() == str(said["number"]))
    data = (NETWORKS / name).read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    check(said.get("sha256", digest) == digest, "the built-in network that the file means")  # a frame names the number alone
    reading = Reading(data)
    net = Net.read(reading, passes, hidden, False)
    reading.close()
    return net


def _changed(net: Net, reading: Reading) -> None:
    """Add what was changed in a built-in network."""

    def more(old: np.ndarray, dtype: str) -> np.ndarray:
        new = old + unfold(reading.numbers(dtype.replace("i", "u"), *old.shape))
        return new.astype(dtype).astype("i8")

    for name in LAYERS[:4]:
        net.layers[name] = tuple(more(old, dtype) for old, dtype in zip(net.layers[name], ("i1", "i1", "i4"), strict=True))
    net.skip = more(net.skip, "i4")
    net.skip_exponents = more(net.skip_exponents, "i1")
    net.embeddings = more(net.embeddings, "i1")
    net.pairs = more(net.pairs, "i2")


def decode(
    plan: dict[str, Any], whole: bool, model: bytes, codes: bytes, residual: bytes, ignored: np.ndarray, beside: Beside
) -> np.ndarray:
    """Return k on a whole grid, Y on a fine one, of the values of a chunk."""
    reading = Reading(model)
    length = int(reading.numbers("u4", 1)[0])
    base = model[4 : 4 + length]
    reading.at += length
    shape, said = ignored.shape, plan.get("channels")
    sums = read_sums(reading, 1 if said["alike"] else said["count"]) if said else []
    channels = Channels(said or NO_CHANNELS, sums, shape)
    series = Segments(shape, plan["signal"]) if plan.get("signal") else None
    passes = _passes(plan, series.shape if series else channels.channel_shape)
    spiked = plan.get("spike") is not None
    if "builtin" in plan:
        net = _built_in(plan["builtin"], passes, plan["hidden"])
        if reading.numbers("u1", 1)[0]:
            _changed(net, reading)
    else:
        net = Net.read(reading, passes, plan["hidden"], spiked)
    tables = reading.tables((148 if spiked else 116) if whole else 28)
    reading.close()
    decoder = Decoder(net, tables, plan, whole, residual)
    if said:
        for name, origin, scale in said.get("companions", []):
            channels.companion(beside(name, origin, scale))
        y = channels.decode(ignored, partial(decoder.array, passes))
    elif series:
        cut = series.apart(ignored, True)
        m, levels = np.full(cut.size, plan.get("origin", 0)), np.full(cut.size, 32)
        y = series.together(decoder.array(passes, m, levels, cut.reshape(-1))[0])
    else:
        m, levels = _base(plan, whole, base, codes, shape)
        y = decoder.array(passes, m.reshape(-1), levels.reshape(-1), ignored.reshape(-1))[0].reshape(shape)
    decoder.stream.close()
    return y >> 6 if whole else y


def _passes(plan: dict[str, Any], shape: tuple[int, ...]) -> Passes:
    if plan.get("signal"):
        return Series(shape)
    return Scanned(shape, plan["raster"]) if plan.get("raster") else Ordered(shape, plan.get("order", []))


def _base(plan: dict[str, Any], whole: bool, model: bytes, codes: bytes, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return M and level of every value."""
    said = plan.get("base")
    if said is None:
        return np.full(shape, plan.get("origin", 0)), np.full(shape, 32)
    net = networks.Model(model, networks.Shape.of(said, whole))
    blocks = networks.Blocks(shape, said["layout"])
    inputs = net.rows(net.codes(codes, blocks.grid))
    mean, level, _ = net.forward(0, networks.shifted(inputs, net.top - 3, net.top))
    return blocks.join(mean), blocks.join(level)


class Segments:
    """An array as (length, segments and others, columns)."""

    def __init__(self, shape: tuple[int, ...], series: dict[str, Any]) -> None:
        self.whole, self.axis, self.count = shape, series["axis"], series["segments"]
        self.columns = series["columns"]
        self.length = -(-shape[self.axis] // self.count)
        others = [a for a in range(len(shape)) if a not in (self.axis, self.columns)]
        self.order = [self.axis, *others, *([] if self.columns is None else [self.columns])]
        self.inner = [shape[a] for a in self.order[1:]] + ([1] if self.columns is None else [])
        self.shape = (self.length, self.count * math.prod(self.inner[:-1]), self.inner[-1])

    def apart(self, values: np.ndarray, padding: Any) -> np.ndarray:
        moved = values.transpose(self.order).reshape(-1, *self.inner)
        more = np.full((self.count * self.length - len(moved), *self.inner), padding)
        cut = np.concatenate([moved, more]).reshape(self.count, self.length, -1, self.inner[-1])
        return cut.swapaxes(0, 1).reshape(self.shape)

    def together(self, values: np.ndarray) -> np.ndarray:
        cut = values.reshape(self.length, self.count, -1, self.inner[-1]).swapaxes(0, 1)
        joined = cut.reshape(-1, *self.inner)[: self.whole[self.axis]]
        return joined.reshape([self.whole[a] for a in self.order]).transpose(np.argsort(self.order))
