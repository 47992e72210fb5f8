"""A network's linear parts fitted to what it misses of a sample: seconds, and without torch. Knows nothing of files."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from aezip.core.fixed import ACTIVATION_TOP, FLAG_BINS
from aezip.core.parallel import ordered, within
from aezip.core.products import by_rows
from aezip.core.types import Float64, Int64
from aezip.entropy import residual
from aezip.plans.integer import IntegerLayer

from .net import BITS, ContextNet
from .rows import ROWS, ContextRows, ContextSample, collect, least_squares
from .walk import Walked, code

_BLOCK = 1 << 15  # rows at a time


class Looped(NamedTuple):
    """A network in the closed loop: samples as they were decoded, and the bits that their residuals take."""

    net: ContextNet
    coded: list[Walked]
    bits: float


def loop(net: ContextNet, samples: list[ContextSample], threads: int, *, keep: bool = False) -> Looped:
    """Code the samples with a network; `keep` their residuals, which take more memory than all else."""

    def coded(sample: ContextSample) -> tuple[Walked, Int64, float]:
        part = code(net, sample.target, sample.whole, sample.ignore, sample.offset, within(threads, len(samples)))
        counts = residual.TableCounts(residual.CONTEXTS_WHOLE + FLAG_BINS)
        low = 0.0
        for split in part.residual:
            counts.add(split.symbols, split.contexts)
            low += 0.0 if split.shifts is None else float(split.shifts.sum())
        return part if keep else replace(part, residual=[]), counts.counts, low

    done = list(ordered(coded, samples, min(threads, len(samples))))
    table = np.asarray(np.sum([counts for _, counts, _ in done], axis=0), np.float64)
    table = table[table.any(axis=1)]
    share = table / table.sum(axis=1, keepdims=True)
    low = sum(low for *_, low in done)
    return Looped(net, [part for part, *_ in done], low - float((table * np.log2(np.maximum(share, 1e-12))).sum()))


def refitted(
    start: Looped, samples: list[ContextSample], seed: int, threads: int, most: int = ROWS, *, keep: bool = False
) -> tuple[Looped, ContextRows]:
    """Return the network with better linear parts, or as it was; and rows of neighbours as it decoded them.

    Each class of passes has its own linear part, which least absolute errors fit to what the whole network misses. What helps one
    step may go astray where errors feed on each other: the closed loop decides.
    """
    net = start.net
    rows = collect(net.sizes, samples, start.coded, net.pairs, seed, most=most)
    missed = replace(rows, target=rows.target - _means(net, rows))
    change = least_squares(net.sizes, missed)
    skip = net.skip + np.rint(np.ldexp(change.astype(np.float64), net.skip_exponent[:, None].astype(np.int64))).astype(np.int32)
    fitted = loop(replace(net, skip=skip, types=None), samples, threads, keep=keep)
    return (fitted if fitted.bits < start.bits else start), rows


def _means(net: ContextNet, rows: ContextRows) -> npt.NDArray[np.float32]:
    """Return what a network makes of rows, less the reference, in steps: in floating point, but for rounding what it is."""
    sizes = net.sizes
    embedded = net.embedding.astype(np.float64) * 2.0 ** (BITS - 7)
    skip = np.ldexp(net.skip.astype(np.float64), -net.skip_exponent[:, None].astype(np.int64)).astype(np.float32)
    out = np.empty(len(rows.kind), np.float32)
    for at in range(0, len(out), _BLOCK):
        part = slice(at, at + _BLOCK)
        kind, values = rows.kind[part], rows.values[part]
        seen = np.concatenate([np.rint(values * 2.0**BITS), embedded[kind]], axis=1, dtype=np.float64)
        hidden = _activated(net.second, _activated(net.first, seen))
        linear = np.einsum("ij,ij->i", values[:, : sizes.places], skip[kind])
        out[part] = (_layer(net.mean, hidden)[:, 0] + linear) * rows.spread[part]
    return out


def _layer(layer: IntegerLayer, values: Float64) -> Float64:
    scale = np.ldexp(1.0, -layer.exponent.astype(np.int64))
    return np.asarray((by_rows(values, layer.weight.T.astype(np.float64)) + layer.bias) * scale)


def _activated(layer: IntegerLayer, values: Float64) -> Float64:
    return np.clip(np.rint(_layer(layer, values)), 0, ACTIVATION_TOP)
