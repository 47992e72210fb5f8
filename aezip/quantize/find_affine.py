"""The search for ``x = k * unit + shift`` with a unit that is no decimal: counts of a converter, packed fields.

Looks at sorted values only; runs when compressing only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Rule = tuple[float, float, float]

_SHARE = 0.999
_MOST = 30_000  # distinct values to look at


def find_affine(values: NDArray[Any], narrow: bool) -> Rule | None:
    """Return scale, shift and divisor of the lattice that the values lie on but for a few units in the last place.

    Parameters
    ----------
    values : ndarray, 1-D
        Native floating-point, finite.
    narrow : bool
        Whether values pass through float32.
    """
    distinct = np.unique(values)
    if not 32 <= distinct.size or values.dtype.itemsize == 2:
        return None
    if distinct.size > _MOST:  # a dense part around the middle, where neighbours are kept, would miss the ends: thin runs
        runs = np.array_split(distinct, 300)
        distinct = np.concatenate([run[:100] for run in runs])
    points = distinct.astype(np.float64)
    noise = 4.0 * float(np.spacing(np.max(np.abs(distinct.astype(np.float32) if narrow else distinct))))
    unit = _refine(points, noise)
    if unit is None:
        return None
    best: tuple[float, Rule] | None = None
    for rule in _rules(points, unit, noise):
        share = _share(values.dtype, distinct, rule, narrow)
        if best is None or share > best[0]:
            best = share, rule
        if share == 1.0:
            break
    if best is None:
        return None
    return best[1] if _near_share(distinct, best[1], narrow) >= _SHARE else None


def _refine(points: Floats, noise: float) -> float | None:
    """Return the unit of sorted distinct points, fitted to their whole range, or None if they have none."""
    gaps = np.diff(points)
    gaps = gaps[gaps > 4.0 * noise]
    if gaps.size < 16:
        return None
    smallest = np.sort(gaps)[max(0, gaps.size // 1000)]
    start = float(np.median(gaps[(gaps >= smallest * 0.999) & (gaps <= smallest * 1.25)]))
    near = gaps[gaps <= 64.0 * start]
    for part in (1, 2, 3, 4, 5, 6):
        unit = start / part
        away = np.abs(near / unit - np.rint(near / unit)) * unit
        if np.mean(away <= 0.1 * unit) >= 0.99 and unit > 8.0 * noise:
            return _stretch(points, unit)
    return None


def _stretch(points: Floats, unit: float) -> float | None:
    """Fit the unit to an ever wider neighbourhood of the middle point."""
    middle = points[points.size // 2]
    away = points - middle
    reach, widest = 64.0 * unit, float(np.max(np.abs(away)))
    while True:
        part = away[np.abs(away) <= reach]
        if part.size >= 3:
            steps = np.rint(part / unit)
            if np.mean(np.abs(part - steps * unit) <= 0.2 * unit) < 0.99:
                return None
            steps -= steps.mean()
            slope = float(np.sum(steps * (part - part.mean())) / np.sum(steps * steps)) if steps.any() else unit
            if not 0.9 * unit < slope < 1.1 * unit:
                return None
            unit = slope
        if reach >= widest:
            return unit
        reach *= 3.0


def _rules(points: Floats, unit: float, noise: float) -> Iterator[Rule]:
    """Yield ways to write the lattice: through zero by product or quotient, else with a shift."""
    steps = np.rint(points / unit)
    origin = float(np.sum(steps * points) / np.sum(steps * steps)) if steps.any() else unit
    if np.mean(np.abs(points - steps * origin) <= 4.0 * noise) >= 0.99 and float(np.max(np.abs(steps))) < 2.0**40:
        unit = origin
        for factor in _round_numbers(unit, noise / max(float(np.max(np.abs(steps))), 1.0)):
            yield factor, 0.0, 1.0
        inverse = 1.0 / unit
        for factor in _round_numbers(inverse, inverse * noise / max(float(np.max(np.abs(points))), noise)):
            yield 1.0, 0.0, factor
        return
    low = float(points[0])
    steps = np.rint((points - low) / unit)
    center = float(steps.mean())
    slope = float(np.sum((steps - center) * (points - points.mean())) / np.sum((steps - center) ** 2))
    shift = float(points.mean()) - slope * center
    for factor in _round_numbers(slope, noise / max(float(np.max(steps)), 1.0)):
        yield factor, shift, 1.0


def _round_numbers(number: float, doubt: float) -> Iterator[float]:
    """Yield numbers within the doubt: the shortest decimals first, then the neighbours."""
    seen = set()
    for digits in range(1, 16):
        decimal = float(f"{number:.{digits}g}")
        if abs(decimal - number) <= doubt:
            seen.add(decimal)
            yield decimal
            break
    near = [number]
    for direction in (-math.inf, math.inf):
        step = number
        for _ in range(4):
            step = math.nextafter(step, direction)
            near.append(step)
    yield from (item for item in (*near, float(np.float32(number))) if item not in seen)


def _make(distinct: NDArray[Any], rule: Rule, narrow: bool) -> NDArray[Any]:
    scale, shift, divisor = rule
    whole = np.rint((distinct.astype(np.float64) * divisor - shift) / scale)
    made = (whole * scale + shift) / divisor
    return np.asarray(made.astype(np.float32) if narrow else made).astype(distinct.dtype)


def _share(dtype: np.dtype[Any], distinct: NDArray[Any], rule: Rule, narrow: bool) -> float:
    return float(np.mean(_make(distinct, rule, narrow).astype(dtype) == distinct))


def _near_share(distinct: NDArray[Any], rule: Rule, narrow: bool) -> float:
    """Return the share met but for a few units in the last place of a lattice much coarser than those."""
    few = 8 if distinct.dtype.itemsize == 8 else 1
    spacing = np.abs(np.spacing(distinct)).astype(np.float64)
    coarse = rule[0] / rule[2] >= 16.0 * few * spacing
    away = np.abs(_make(distinct, rule, narrow).astype(np.float64) - distinct.astype(np.float64))
    return float(np.mean((away == 0.0) | ((away <= few * spacing) & coarse)))
