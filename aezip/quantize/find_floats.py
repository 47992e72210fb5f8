"""The search for the lattice of floats: decimals, dyadic fractions, packed values, significant digits.

Works on a sample and proposes; whoever asks checks the proposals on all values.  Runs when compressing only, so nothing
here needs to give the same bits on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.specials import bits_of

from .find_affine import find_affine
from .lattice import LARGEST, Digits, Lattice, Ordered
from .linear import LinearLattice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from aezip.array.specials import Specials

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SHARE = 0.999  # of the sampled values a lattice must reproduce
_WIDEST = float(1 << 40)
_MOST_COLUMNS = 4096
_AFFINE_COLUMNS = 64
_MOST_OUTER = 65536
_LEAST_GAIN = 0.5  # bits a value that a lattice must save over the bits of the type


@dataclass(frozen=True)
class _Fit:
    """A rule for every column of a sample, which columns have one, and the bits a value that they save."""

    scale: Floats
    shift: Floats
    divisor: Floats
    good: Mask
    gain: float


@np.errstate(over="ignore", under="ignore", invalid="ignore")
def find_float_lattice(values: NDArray[Any], specials: Specials, sample: int) -> list[Lattice]:
    """Return the lattices that fit a sample of floats, the one that saves most first.

    Parameters
    ----------
    values : ndarray
        Floating-point, at least 1-D, any byte order; may be memory-mapped.
    specials : Specials
        Of the values.
    sample : int
        About how many values to look at.
    """
    matrix = _rows(values, sample)  # (rows, columns)
    valid = specials.classify(matrix) == 0
    if not valid.any():
        return []
    floor = _narrow_gain(matrix[valid])
    proposals: list[tuple[float, Lattice]] = [(floor, Ordered("f4" if matrix.dtype == np.float64 else "f2"))] if floor else []
    flat = matrix[valid][:, None]
    every = np.ones(flat.shape, dtype=np.bool_)
    for narrow in (False, True) if matrix.dtype == np.float64 else (False,):
        whole = _fit(flat, every, narrow)
        if whole.good[0]:
            proposals.append((whole.gain, LinearLattice(whole.scale, whole.shift, whole.divisor, narrow)))
        proposals.extend(_digits(flat[:, 0], narrow))
        if 1 < matrix.shape[1] <= _MOST_COLUMNS:
            parts = _fit(matrix, valid, narrow)
            if parts.good.all():
                # A rule for every column has to be stored, and is only worth it if it saves something.
                proposals.append((parts.gain - 0.25, LinearLattice(parts.scale, parts.shift, parts.divisor, narrow, -1)))
    proposals.extend(_by_outer_index(values, specials, proposals, sample))
    dyadic = [gain for gain, lattice in proposals if isinstance(lattice, LinearLattice) and gain > floor - 0.01]
    least = floor - 0.01 if dyadic or floor else _LEAST_GAIN
    return [lattice for gain, lattice in sorted(proposals, key=lambda item: -item[0]) if gain >= least]


def _rows(values: NDArray[Any], sample: int) -> NDArray[Any]:
    """Take about `sample` values as rows of the last axis spread over the array, native: (rows, columns)."""
    if values.ndim == 1:
        step = max(1, values.size // sample)
        runs = values[: values.size // step * step].reshape(-1, step)[:, :1] if step > 1 else values[:, None]
        return np.ascontiguousarray(runs, dtype=values.dtype.newbyteorder("="))
    columns = values.shape[-1]
    total = values.size // columns
    count = min(total, max(sample // columns, 64))
    places = (np.arange(count) * (total / count) + np.random.default_rng(0).random(count) * (total / count)).astype(np.int64)
    rows = values[np.unravel_index(np.minimum(places, total - 1), values.shape[:-1])]
    return np.ascontiguousarray(rows, dtype=values.dtype.newbyteorder("="))


def _narrow_gain(flat: NDArray[Any]) -> float:
    """Return the bits saved by the next narrower type if it holds the values, else 0."""
    if flat.dtype.itemsize == 2:
        return 0.0
    narrower = np.float32 if flat.dtype == np.float64 else np.float16
    with np.errstate(over="ignore", under="ignore"):
        share = np.mean(flat.astype(narrower) == flat)
    return float(np.finfo(flat.dtype).nmant - np.finfo(narrower).nmant) if share >= SHARE else 0.0


def last_place(flat: NDArray[Any]) -> NDArray[np.int64]:
    """Return the exponent of the unit in the last place of values of a floating-point type."""
    kind = np.finfo(flat.dtype)
    exponent = np.frexp(flat.astype(np.float64))[1].astype(np.int64)
    return np.maximum(exponent - 1, kind.minexp) - kind.nmant


def cast(work: Floats, dtype: np.dtype[Any], narrow: bool) -> NDArray[Any]:
    """Cast as `Linear` does."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(work.astype(np.float32) if narrow else work).astype(dtype)


def near(made: NDArray[Any], wanted: NDArray[Any], unit: Any) -> Mask:
    """Return where values agree but for a few units in the last place, much less than the unit of the lattice."""
    signed = f"i{wanted.dtype.itemsize}"
    few = {8: 8, 4: 1, 2: 0}[wanted.dtype.itemsize]
    away = np.abs(made.view(signed).astype(np.int64) - wanted.view(signed).astype(np.int64))
    coarse = np.log2(unit) - last_place(wanted) >= math.log2(16 * max(few, 1))
    return np.asarray((away <= few * coarse) | (away == 0), dtype=np.bool_)


def _fit(matrix: NDArray[Any], valid: Mask, narrow: bool) -> _Fit:
    """Find a rule for every column: decimal, else dyadic, else affine."""
    exact = matrix.astype(np.float64)
    exact[~valid] = 0.0
    count = valid.sum(axis=0)
    place = np.where(valid & (exact != 0), last_place(matrix), 0)
    scale, shift, divisor = np.ones(matrix.shape[1]), np.zeros(matrix.shape[1]), np.ones(matrix.shape[1])
    good: Mask = np.asarray(count == 0)
    for digits in range(10):
        todo = np.flatnonzero(~good)
        if not todo.size:
            break
        found = _decimal(matrix[:, todo], exact[:, todo], valid[:, todo], 10.0**digits, narrow)
        divisor[todo[found]], good[todo[found]] = 10.0**digits, True
    gain = _gain(scale / divisor, place, valid & (exact != 0))
    for column in np.flatnonzero(~good | (gain < 1.0)):
        dyadic = _dyadic(exact[valid[:, column], column])
        if dyadic is not None and (not good[column] or math.log2(divisor[column]) > math.log2(dyadic)):
            divisor[column], good[column] = dyadic, True
    _common_step(exact, valid, good, scale, shift, divisor)
    gain = _gain(scale / divisor, place, valid & (exact != 0))
    if matrix.shape[1] <= _AFFINE_COLUMNS:
        for column in np.flatnonzero(~good | (gain < 1.0)):
            affine = find_affine(matrix[valid[:, column], column], narrow)
            if affine is not None and (
                not good[column] or math.log2(affine[0] / affine[2]) > math.log2(scale[column] / divisor[column]) + _LEAST_GAIN
            ):
                scale[column], shift[column], divisor[column] = affine
                good[column] = True
    gain = _gain(scale / divisor, place, valid & (exact != 0))
    return _Fit(scale, shift, divisor, good, float(np.sum(gain * count) / max(int(count.sum()), 1)))


def _gain(unit: Floats, place: NDArray[np.int64], valid: Mask) -> Floats:
    """Return the mean bits a value by which the unit of each column is coarser than the type."""
    total = np.sum(np.where(valid, np.log2(unit) - place, 0.0), axis=0)
    return np.asarray(total / np.maximum(valid.sum(axis=0), 1), dtype=np.float64)


def _decimal(matrix: NDArray[Any], exact: Floats, valid: Mask, divisor: float, narrow: bool) -> Mask:
    """Return which columns are multiples of ``1 / divisor``."""
    head = slice(0, 512)
    candidates = np.ones(matrix.shape[1], dtype=np.bool_)
    for part, share in ((head, 0.97), (slice(None), SHARE)):
        columns = np.flatnonzero(candidates)
        if not columns.size:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            whole = np.rint(exact[part][:, columns] * divisor)
            made = cast(whole / divisor, matrix.dtype, narrow)
        wanted, counted = np.ascontiguousarray(matrix[part][:, columns]), valid[part][:, columns]
        same = (made == wanted) | near(made, wanted, 1.0 / divisor)
        same &= np.abs(whole) < _WIDEST
        candidates[columns] = (same & counted).sum(axis=0) >= share * counted.sum(axis=0)
    return candidates


def _dyadic(values: Floats) -> float | None:
    """Return the power of two whose inverse divides all but a few of the values, or None if the integers get too long."""
    values = values[values != 0.0]
    if not values.size:
        return 1.0
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64)
    lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 1
    unit = exponent - 53 + lowest
    power = int(np.partition(unit, int(values.size * (1.0 - SHARE)))[int(values.size * (1.0 - SHARE))])
    widest = float(np.max(np.abs(values)))
    if not -1000 < power < 1000 or widest >= math.ldexp(_WIDEST, power):
        return None
    return math.ldexp(1.0, -power)


def _common_step(exact: Floats, valid: Mask, good: Mask, scale: Floats, shift: Floats, divisor: Floats) -> None:
    """Coarsen every good column by the step that its integers share, in place."""
    for column in np.flatnonzero(good):
        whole = np.rint(exact[valid[:, column], column] * divisor[column])
        if not whole.size or np.max(np.abs(whole)) >= LARGEST:
            continue
        integers = whole.astype(np.int64)
        step = int(np.gcd.reduce(integers - integers[0]))
        if step > 1:
            scale[column], shift[column] = float(step), float(integers[0] % step)


def _digits(flat: NDArray[Any], narrow: bool) -> list[tuple[float, Lattice]]:
    """Return the lattice of the fewest significant digits that fits."""
    exact = np.abs(flat.astype(np.float64))
    exact = exact[(exact > 1e-20) & (exact < 1e20)]
    if exact.size < SHARE * np.count_nonzero(flat) or not exact.size:
        return []
    decade = np.floor(np.log10(exact))
    lowest = int(np.quantile(decade, 1.0 - SHARE))
    most = {8: 6 if narrow else 12, 4: 6, 2: 3}[flat.dtype.itemsize]
    for digits in range(1, most + 1):
        bottom = lowest - digits + 1
        if not -22 <= bottom <= 10:
            continue
        lattice = Digits(digits, bottom, narrow)
        for part in (flat[:512], flat):
            share = np.mean(lattice.from_integers(lattice.to_integers(part), part.dtype) == part)
            if share < SHARE - 0.02 * (part.size < flat.size):
                break
        else:
            some = flat[flat != 0]
            unit = (np.maximum(np.floor(np.log10(np.abs(some, dtype=np.float64))), lowest) - digits + 1) * math.log2(10)
            # Steps that change with the decade are a little harder to predict over.
            return [(float(np.mean(unit - last_place(some))) - 0.5, lattice)]
    return []


def _by_outer_index(
    values: NDArray[Any], specials: Specials, proposals: list[tuple[float, Lattice]], sample: int
) -> list[tuple[float, Lattice]]:
    """Return a lattice with a phase of its own for every outer index, as forecasts packed one by one have."""
    found = [(gain, lattice) for gain, lattice in proposals if isinstance(lattice, LinearLattice) and lattice.axis is None]
    inner = math.prod(values.shape[1:])
    if not found or values.ndim < 2 or inner < 64 or not 1 < values.shape[0] <= _MOST_OUTER:
        return []
    gain, base = max(found, key=lambda item: item[0])
    if base.shift.any() or base.scale[0] != 1.0:
        return []
    count = min(inner, max(64, sample // values.shape[0]))
    places = np.unravel_index((np.arange(count) * (inner / count)).astype(np.int64), values.shape[1:])
    matrix = np.ascontiguousarray(values[(slice(None), *places)], dtype=values.dtype.newbyteorder("="))  # (outer, count)
    valid = specials.classify(matrix) == 0
    integers = base.to_integers(matrix)
    valid &= base.from_integers(integers, matrix.dtype) == matrix
    first = np.take_along_axis(integers, valid.argmax(axis=1)[:, None], axis=1)
    steps = np.gcd.reduce(np.where(valid, integers - first, 0), axis=1)
    step = int(np.gcd.reduce(steps))
    if step < 2:
        return []
    shift = np.where(valid.any(axis=1), first[:, 0] % step, 0).astype(np.float64)
    rules = [np.full(shift.size, number) for number in (float(step), float(base.divisor[0]))]
    return [(gain + math.log2(step) - 0.1, LinearLattice(rules[0], shift, rules[1], base.narrow, 0))]


def gather_patches(lattice: LinearLattice, blocks: Iterable[tuple[NDArray[Any], NDArray[np.uint8]]]) -> LinearLattice:
    """Return the lattice with patches for the integers whose values it misses by a few units in the last place.

    Parameters
    ----------
    lattice : Linear
        Its `axis` is not 0.
    blocks : iterable of (ndarray, ndarray of uint8)
        All native values, and their classes.
    """
    pairs: NDArray[np.int64] = np.zeros((0, 2), dtype=np.int64)
    counts: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
    for block, classes in blocks:
        integers = lattice.to_integers(block)
        signed = f"i{block.dtype.itemsize}"
        delta = bits_of(block).view(signed) - bits_of(lattice.from_integers(integers, block.dtype)).view(signed)
        missed = (delta != 0) & (classes == 0)
        if not missed.any():
            continue
        missed &= (delta >= -8) & (delta <= 8)
        keys = integers
        if lattice.axis == -1:
            keys = keys * np.int64(lattice.scale.size) + np.arange(lattice.scale.size)
        new, times = np.unique(np.stack([keys[missed], delta[missed].astype(np.int64)], axis=1), axis=0, return_counts=True)
        pairs, places = np.unique(np.concatenate([pairs, new]), axis=0, return_inverse=True)
        counts = np.bincount(places.reshape(-1), np.concatenate([counts, times]), minlength=len(pairs)).astype(np.int64)
        if len(pairs) > 1 << 18:
            return lattice
    if not len(pairs):
        return lattice
    order = np.lexsort((-counts, pairs[:, 0]))  # of several deltas of an integer, the most frequent first
    keys, first = np.unique(pairs[order, 0], return_index=True)
    return LinearLattice(
        lattice.scale, lattice.shift, lattice.divisor, lattice.narrow, lattice.axis, keys, pairs[order, 1][first].astype(np.int8)
    )
