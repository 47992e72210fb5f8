"""How much of the values is information and how much is noise, measured from neighbours. Knows arrays only, no bounds, no files.

Bitwise real information content after Kloewer et al., "Compressing atmospheric data into its real information content", Nature
Computational Science 1, 2021; noise at the finest scale from the median of third differences, as wavelet thresholds do
(Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81, 1994).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

KEPT = 0.99  # of the information, as Kloewer et al. advise
CONFIDENCE = 0.99  # that what a bit tells of its neighbour is no accident
ROUNDING = 1.5  # times the information of the last bits: what is less comes of rounding
LAST = 4  # bits
SHORTEST, FEWEST = 8, 64  # entries of an axis, and pairs of neighbours, from which anything is told
MANY = 4096  # pairs from which bits that tell little can be told from accidents
MANTISSA = {2: 10, 4: 23, 8: 52}
WHITE = 3.16  # mean square of third over that of second differences: 20 / 6 for white noise, 3 for a random walk
APART = 0.5, 0.31, 0.17  # of an axis: values so far apart have little in common, unless a period says otherwise
FAINT = 0.1  # of how far values far apart differ: noise above it may be the signal itself


@dataclass(frozen=True)
class Information:
    """Information that the bits of values hold on those of their neighbours.

    Attributes
    ----------
    axis : int
        Along which neighbours tell most of each other.
    bits : ndarray of float64, shape (bits of a value,)
        Information of each bit, in bits, sign first.
    keepbits : int
        Bits of the mantissa that keep `KEPT` of it.
    """

    axis: int
    bits: npt.NDArray[np.float64]
    keepbits: int


@dataclass(frozen=True)
class Noise:
    """White noise at the finest scale.

    Attributes
    ----------
    axis : int
        Along which it was measured: the one where values go on most smoothly.
    sigma : float
        Its standard deviation, unit of the data.
    """

    axis: int
    sigma: float


def information(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> Information | None:
    """Return the information of floats; None if there are too few neighbours, or they tell nothing of each other.

    Parameters
    ----------
    values : ndarray of f2, f4 or f8, any shape
    keep : ndarray of bool, same shape
        False for what is missing.
    """
    best = None
    for axis in range(values.ndim):
        if values.shape[axis] < SHORTEST:
            continue
        one, other = _neighbours(values, keep, axis)
        if one.size < MANY:
            continue
        bits = mutual_information(one, other)
        if bits.any() and (best is None or bits.sum() > best.bits.sum()):
            best = Information(axis, bits, _keepbits(bits, values.dtype.itemsize))
    return best


def _neighbours(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], axis: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the values that have a next one along an axis, and the next ones, as unsigned integers."""
    first, second = (np.moveaxis(array, axis, 0) for array in (values, keep))
    both = second[:-1] & second[1:]
    kind = np.dtype(f"u{values.dtype.itemsize}")
    one, other = (np.ascontiguousarray(part[both]).view(kind) for part in (first[:-1], first[1:]))
    return one, other


def mutual_information(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return what each bit of `one` tells of the same bit of `other`, in bits, the highest bit first; accidents count as 0.

    Parameters
    ----------
    one, other : ndarray of an unsigned type, shape (pairs,)
    """
    width, pairs = 8 * one.dtype.itemsize, one.size
    found = np.zeros(width)
    if pairs < FEWEST:
        return found
    accident = free_entropy(pairs)
    for place in range(width):
        bit = one.dtype.type(1 << (width - 1 - place))
        ones, others = (one & bit) != 0, (other & bit) != 0
        both, left, right = (int(np.count_nonzero(mask)) for mask in (ones & others, ones, others))
        joint = np.array([[pairs - left - right + both, right - both], [left - both, both]]) / pairs
        expected = np.outer(joint.sum(axis=1), joint.sum(axis=0))
        seen = joint > 0
        told = float((joint[seen] * np.log2(joint[seen] / expected[seen])).sum())
        found[place] = told if told > accident else 0.0
    return found


def free_entropy(pairs: int) -> float:
    """Return how far below one bit the entropy of so many fair coins may lie by accident, at `CONFIDENCE`."""
    share = min(1.0, 0.5 + NormalDist().inv_cdf(1.0 - (1.0 - CONFIDENCE) / 2.0) / (2.0 * math.sqrt(pairs)))
    return 1.0 - sum(-p * math.log2(p) for p in (share, 1.0 - share) if p > 0.0)


def _keepbits(bits: npt.NDArray[np.float64], itemsize: int) -> int:
    """Return how many bits of the mantissa hold `KEPT` of the information, together with sign and exponent."""
    clean = np.where(bits > ROUNDING * bits[-LAST:].max(), bits, 0.0)
    if not clean.any():
        clean = bits
    reached = int(np.argmax(np.cumsum(clean) >= KEPT * clean.sum()))
    return max(0, reached + 1 - (bits.size - MANTISSA[itemsize]))


def noise(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_]) -> Noise | None:
    """Return the noise at the finest scale; None if neighbours differ by signal, or all of the values may be noise.

    Parameters
    ----------
    values : ndarray of floats, any shape
    keep : ndarray of bool, same shape
        False for what is missing.
    """
    found: list[tuple[float, float, int]] = []
    for axis in range(values.ndim):
        if values.shape[axis] < SHORTEST:
            continue
        third, second = (_typical(_differences(values, keep, axis, order)) for order in (3, 2))
        far = max(_typical(_apart(values, keep, axis, share)) for share in APART) / math.sqrt(2.0)
        sigma = third / math.sqrt(20.0)
        if 0.0 < sigma:
            found.append((sigma, (third / max(second, 1e-300)) ** 2 if sigma < FAINT * far else 0.0, axis))
    if not found:
        return None
    sigma, rise, axis = min(found)
    return Noise(axis, sigma) if rise > WHITE else None


def _typical(differences: npt.NDArray[np.float64]) -> float:
    """Return the standard deviation that most of them come from; 0 of too few."""
    if differences.size < FEWEST:
        return 0.0
    return float(np.median(np.abs(differences))) / NormalDist().inv_cdf(0.75)


def _apart(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], axis: int, share: float) -> npt.NDArray[np.float64]:
    """Return the differences of values that lie a share of the length of an axis apart."""
    first, there = np.moveaxis(values, axis, 0), np.moveaxis(keep, axis, 0)
    lag = int(share * first.shape[0])
    both = there[lag:] & there[:-lag]
    return first[lag:][both].astype(np.float64) - first[:-lag][both].astype(np.float64)


def _differences(values: npt.NDArray[Any], keep: npt.NDArray[np.bool_], axis: int, order: int) -> npt.NDArray[np.float64]:
    """Return the differences of an order along an axis, where all values that they need are there."""
    wide = np.where(keep, values, 0.0).astype(np.float64)
    there = np.moveaxis(keep, axis, 0)
    count = there.shape[0] - order
    whole = np.logical_and.reduce([there[start : start + count] for start in range(order + 1)])
    return np.moveaxis(np.diff(wide, n=order, axis=axis), axis, 0)[whole]
