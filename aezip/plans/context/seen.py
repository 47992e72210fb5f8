"""What a context network sees of chosen values, by compiled loops: the bits of `rows.Collector`; see `native/context.h`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.fixed import EXTRAS, FRACTION_BITS
from aezip.core.native import Struct
from aezip.core.types import Int64

from . import raster
from .bisected import prepared
from .fused import TYPES, flat, signal_classes
from .net import ContextSizes, reference_pair
from .walk import Base, Walk

if TYPE_CHECKING:
    from .rows import ContextSample

BISECTED, SCANNED, ALONG = range(3)
Pair = tuple[int, int] | None


def take(
    sizes: ContextSizes, sample: ContextSample, choose: Callable[[int], Int64 | None], walk: Walk, pairs: npt.NDArray[np.int16]
) -> list[npt.NDArray[Any]]:
    """Return rows of a chunk whose decoded values are known: what the network sees, class, target, spread, spike.

    `choose` tells which of so many values are taken, in the order of decoding; those without neighbours are not asked for.
    """
    signal, (way, kinds, classes, seen, arguments, kept) = bool(sizes.columns), _way(sizes, walk.shape)
    chosen = choose(seen)
    chosen = np.arange(seen) if chosen is None else chosen
    target = flat(sample.target * 2.0**FRACTION_BITS - sample.base, signal=signal)
    two: list[Pair] = [reference_pair(pairs, kind, active) for kind, active in classes]
    known = np.array([(-1, -1) if pair is None else pair for pair in two], np.int64).reshape(-1, 2)
    levels = walk.offset.level.reshape(-1) if isinstance(walk.offset, Base) else np.zeros(1, np.uint8)
    count, width = len(chosen), sizes.places + EXTRAS
    values, left, spread = np.zeros((count, width), np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    class_of, place = np.empty(count, np.int64), np.empty(count, np.int64)
    context, errors = flat(walk.context, signal=signal), flat(walk.errors, signal=signal)
    rows = Struct(
        (context, context.dtype.str), (errors, "f4"), (levels, "u1"), (target, "f8"), (chosen, "i8"), (known, "i8"),
        (values, "f4"), (class_of, "i8"), (place, "i8"), (left, "f4"), (spread, "f4"),
        count, width, sizes.precision, int(isinstance(walk.offset, Base)),
    )  # fmt: skip
    native.call("rows", TYPES[context.itemsize, context.itemsize], rows.address, way, *arguments)
    del kept
    spike = np.zeros(count, np.float32)
    if sizes.spike is not None and sample.whole is not None:
        spike = (flat(sample.whole, signal=signal)[place] == sizes.spike).astype(np.float32)
    columns: list[npt.NDArray[Any]] = [values, kinds[class_of], left, spread, spike]
    if sample.ignore is None:
        return columns
    wanted = ~flat(sample.ignore, signal=signal)[place]
    return [column[wanted] for column in columns]


def _way(sizes: ContextSizes, shape: tuple[int, ...]) -> tuple[int, Int64, list[Any], int, tuple[int, int, int], Any]:
    """Return how loops go, kinds by class, classes and their neighbours, how many have some, arguments, what these refer to."""
    if sizes.columns:
        length, segments, columns = shape
        classes = list(signal_classes(columns))
        seen = max(0, length - 1) * segments * columns
        return ALONG, np.arange(len(classes)), classes, seen, (0, columns, segments), None
    if sizes.scan:
        wave = raster.wave(sizes.scan, shape)
        struct = wave.compiled
        return SCANNED, np.arange(2), list(wave.classes), math.prod(shape) - wave.first, (struct.address, 0, 0), struct
    kinds, made, _ = prepared(sizes.order, shape)
    words = Struct(*(one.struct.address for one in made))
    seen = sum(one.targets for one in made if kinds[one.kind][1])
    slots = max((len(active) for _, active in kinds), default=0)
    return (
        BISECTED,
        np.array([kind for kind, _ in kinds]),
        list(kinds),
        seen,
        (words.address, len(made), max(1, slots)),
        (words, made),
    )
