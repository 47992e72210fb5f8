"""Which integers stand for the values: finding the lattice that data lies on, and making the one a bound asks for.

Numbers that were measured, rounded or packed before they became floats lie on a lattice: decimals, integers, counts of
a converter, packed fields.  Coding the integers of the lattice then codes the data.  Knows the values and their
statistics; nothing of predictions, streams or files.  The forms themselves are in `lattice` and `logarithm`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aezip.array.specials import bits_of
from aezip.array.statistics import BLOCK, blocks

from .find_covering import cover
from .find_floats import find_float_lattice, gather_patches
from .lattice import IntegerLattice, Lattice, Ordered
from .linear import LinearLattice
from .logarithm import float_logarithm, integer_staircase
from .ranks import MOST_COLUMNS, Ranks, find_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from aezip.array.statistics import Statistics

_MOST_EXCEPTIONS = 1e-3
_WIDEST = 1 << 62  # integers further apart than this are not counted from one offset


@dataclass(frozen=True)
class Survey:
    """What a lattice does to all values.

    Attributes
    ----------
    outliers : int
        Ordinary values that the lattice does not give back bit for bit.
    minimum, maximum : int
        Of the integers of the ordinary values that it gives back; 0 if there are none.
    """

    outliers: int
    minimum: int
    maximum: int


def find_hidden(values: NDArray[Any], statistics: Statistics, sample: int = 200_000) -> Lattice | None:
    """Return the lattice that reproduces the ordinary values bit for bit, at most 0.1 % of them excepted.

    Parameters
    ----------
    values : ndarray
        Plain numeric type, at least 1-D, any byte order; may be memory-mapped.
    statistics : Statistics
        Of all of `values`.
    sample : int
        About how many values to search; whatever is found there is then checked on all values, block by block.

    Returns
    -------
    Lattice or None
        For integer types a `IntegerLattice`; None only if their range is beyond 2**62.  For floats None if they lie on no
        lattice that is worth more than their bits.
    """
    if not statistics.count:
        return None
    if values.dtype.kind != "f":
        return _whole_lattice(values, statistics)
    for lattice in find_float_lattice(values, statistics.specials, sample):
        better = lattice
        if isinstance(lattice, LinearLattice) and lattice.axis != 0:
            better = gather_patches(lattice, (item[1:] for item in blocks_of(values, statistics)))
        found = survey(values, better, statistics)
        if found.outliers <= _MOST_EXCEPTIONS * statistics.count:
            return better
    return None


def _whole_lattice(values: NDArray[Any], statistics: Statistics) -> IntegerLattice | None:
    """Return the integers themselves, divided by a step that all of them share."""
    low, high = int(statistics.minimum), int(statistics.maximum)
    if high - low > _WIDEST:
        return None
    offset = 0 if -_WIDEST <= low and high <= _WIDEST else low + (high - low) // 2
    divisor = 0
    for _, block, classes in blocks_of(values, statistics):
        if divisor == 1:
            break
        flat = IntegerLattice(offset=low).to_integers(block[classes == 0])
        divisor = int(np.gcd.reduce(flat, initial=divisor))
    if divisor > 1:
        return IntegerLattice(divisor, low)
    return IntegerLattice(1, offset)


def ranked(lattice: Lattice, values: NDArray[Any], statistics: Statistics) -> Ranks | None:
    """Return ranks of the integers that a lattice gives, or None if most integers of their range occur."""
    columns = values.shape[-1] if values.ndim > 1 else 0
    return find_ranks(lattice, blocks_of(values, statistics), columns)


def covering(lattice: Lattice, values: NDArray[Any], statistics: Statistics, bound: NDArray[np.float64]) -> Ranks | None:
    """Return ranks among points of a lattice within an absolute bound of all values, or None if even steps cost as little."""
    table = values.ndim == 2 and 2 <= values.shape[-1] <= MOST_COLUMNS
    if isinstance(lattice, LinearLattice) and lattice.axis is not None and not (table and lattice.axis == -1):
        return None  # a rule for each outer index, or for more columns than are looked at one by one
    return cover(lattice, blocks_of(values, statistics), values.shape, values.dtype.newbyteorder("="), bound)


def ordered_lattice(dtype: DTypeLike) -> Ordered:
    """Return the lattice of all values of a floating-point type: their bits as rising integers."""
    return Ordered(f"f{np.dtype(dtype).itemsize}")


def relative_lattice(relative: float, values: NDArray[Any], statistics: Statistics) -> Lattice | None:
    """Return a lattice on which every ordinary value has a point within ``relative * abs(x)``.

    Denormal values may miss it; check with `bounds.violations`.

    Parameters
    ----------
    relative : float
        The bound.
    values : ndarray
        All values, plain numeric type.
    statistics : Statistics
        Of all of `values`.

    Returns
    -------
    Lattice or None
        None if the bound is too tight for the type: code the values losslessly.
    """
    if values.dtype.kind != "f":
        return integer_staircase(relative)
    smallest = np.inf
    for _, block, classes in blocks_of(values, statistics):
        size = np.abs(block[classes == 0])
        smallest = min(smallest, float(np.min(size, initial=np.inf, where=size > 0)))
    return float_logarithm(relative, smallest if np.isfinite(smallest) else 1.0, values.dtype)


def survey(values: NDArray[Any], lattice: Lattice, statistics: Statistics) -> Survey:
    """Return how many values the lattice misses, and the range of its integers, in one pass of bounded memory."""
    outliers = 0
    low, high = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for start, block, classes in blocks_of(values, statistics):
        integers = lattice.to_integers(block, start)
        good = bits_of(lattice.from_integers(integers, block.dtype, start)) == bits_of(block)
        missed = np.count_nonzero(good) < good.size
        if missed:
            good &= classes == 0
            outliers += int(np.count_nonzero(classes == 0) - np.count_nonzero(good))
            integers = integers[good]
        if integers.size:
            low, high = min(low, int(integers.min())), max(high, int(integers.max()))
    return Survey(outliers, low, high) if low <= high else Survey(outliers, 0, 0)


def blocks_of(values: NDArray[Any], statistics: Statistics) -> Iterator[tuple[int, NDArray[Any], NDArray[np.uint8]]]:
    """Yield first index on the outer axis, native block and classes, about `BLOCK` values at a time.

    The blocks have the outer axis and whole last axes, which is what lattices may depend on.
    """
    if not values.size:
        return
    row = values.size // values.shape[0]
    if row > BLOCK and values.ndim > 2:
        for start, outer in enumerate(values):
            for block in blocks(outer):
                yield start, block[None], statistics.specials.classify(block[None])
        return
    step = max(1, BLOCK // 4 // row)
    for start in range(0, values.shape[0], step):
        part = values[start : start + step]
        block = np.ascontiguousarray(part, dtype=part.dtype.newbyteorder("="))
        yield start, block, statistics.specials.classify(block)
