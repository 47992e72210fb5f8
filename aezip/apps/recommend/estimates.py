"""The stored model of a ratings matrix: estimates of what was not rated, in integers, the same on every machine.

    estimate of row r, column c = r_0 + c_0 + round(sum over i of r_i c_i / 2**shift)    in units of about 1/64 standard deviation

r and c are integers: a bias and the factors of each row and column. Rows' integers are the codes of masked autoencoders
and columns' their last layer, or the other way round (`ratings` trains them); both are entropy-coded like codes.
`docs/format.md` specifies the bytes. Knows nothing of training or files.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np

from aezip.core.errors import CorruptFile
from aezip.core.types import Float64, Int64
from aezip.entropy.codebook import integers_from_bytes, integers_to_bytes

_HEAD = struct.Struct("<BBIIdddd")  # rank, shift, rows, columns, centre, unit, lowest, highest
STEPS = 64  # of an estimate to a standard deviation of the ratings, about
MOST_RANK = 254
LARGEST = 1 << 40  # biases
MOST_SHIFT = 40
_DAMAGED = "the recommender is malformed: the file is damaged"


@dataclass(frozen=True)
class Recommender:
    """Estimates for every entry of a matrix.

    Parameters
    ----------
    rows, columns
        int64, shape (rows, 1 + rank) and (columns, 1 + rank): biases, then factors.
    shift
        Products of factors are in 2**-shift units.
    centre, unit
        An integer estimate e stands for centre + e * unit.
    lowest, highest
        Estimates are cut to this range.

    Raises
    ------
    CorruptFile
        If an estimate would not be exact.
    """

    rows: Int64
    columns: Int64
    shift: int
    centre: float
    unit: float
    lowest: float
    highest: float

    def __post_init__(self) -> None:
        """Prove that float64 holds every partial sum."""
        top = [np.abs(part).max(axis=0, initial=0).astype(object) for part in (self.rows, self.columns)]
        worst = sum(a * b for a, b in zip(top[0][1:], top[1][1:], strict=True))
        fine = worst < 1 << 53 and max(top[0][0], top[1][0]) < LARGEST and 0 <= self.shift <= MOST_SHIFT
        scales = (self.centre, self.unit, self.lowest, self.highest)
        if not fine or not all(map(math.isfinite, scales)) or self.unit <= 0.0 or self.lowest > self.highest:
            raise CorruptFile(_DAMAGED)

    @property
    def rank(self) -> int:
        """Number of factors."""
        return int(self.rows.shape[1]) - 1

    def estimate(self, rows: Int64) -> Float64:
        """Return the estimates of all columns for some rows, float64, shape (len(rows), columns)."""
        left = self.rows[rows]
        product = left[:, 1:].astype(np.float64) @ self.columns[:, 1:].T.astype(np.float64)  # exact: whole numbers
        whole = np.rint(product * 2.0**-self.shift) + (left[:, :1] + self.columns[:, 0])
        return np.asarray((self.centre + whole * self.unit).clip(self.lowest, self.highest))


def to_bytes(model: Recommender) -> bytes:
    """Serialize; see `docs/format.md`."""
    head = _HEAD.pack(
        model.rank, model.shift, len(model.rows), len(model.columns), model.centre, model.unit, model.lowest, model.highest
    )
    parts = [head]
    parts += [integers_to_bytes(integers) for integers in (model.rows, model.columns)]
    return b"".join(parts)


def from_bytes(data: bytes, shape: tuple[int, ...]) -> Recommender:
    """Read the recommender of a matrix of `shape`.

    Raises
    ------
    CorruptFile
        If the bytes make no sense, or are those of another matrix.
    """
    try:
        rank, shift, rows, columns, *scales = _HEAD.unpack_from(data)
        if (rows, columns) != shape or rank > MOST_RANK:
            raise CorruptFile("the recommender does not fit the array: the file is damaged")
        at = _HEAD.size
        integers = []
        for count in (rows, columns):
            part, at = integers_from_bytes(data, at, count, 1 + rank)
            integers.append(part)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise CorruptFile(_DAMAGED) from error
    if at != len(data):
        raise CorruptFile(_DAMAGED)
    return Recommender(integers[0], integers[1], shift, *scales)


def factored(
    estimates: Float64, centre: float, deviation: float, limits: tuple[float, float], rank: int, precision: float
) -> Recommender:
    """Return the recommender of a matrix of estimates: their singular vectors, rounded.

    Each side of a factor is rounded to one quantum, small for the shorter side: that takes the fewest bits for a given
    error (Lagrange). Factors smaller than their quantum become zeros, which cost next to nothing.

    Parameters
    ----------
    estimates
        float64, shape (rows, columns).
    centre, deviation
        Of the ratings: estimates are held relative to them.
    limits
        Lowest and highest rating.
    rank
        Largest number of factors.
    precision
        Rounding error of an estimate, root mean square, in deviations.
    """
    step = deviation / STEPS
    left = (estimates - centre) / step
    columns = left.mean(axis=0)
    rows = (left - columns).mean(axis=1)
    u, s, vt = np.linalg.svd(left - columns - rows[:, None], full_matrices=False)
    rank = min(rank, MOST_RANK, max(1, int((s > 1e-9 * max(s[0], 1.0)).sum())))
    root = np.sqrt(s[:rank])
    parts = u[:, :rank] * root, vt[:rank].T * root
    power = [float(np.square(part).mean(axis=0).sum()) + 1e-9 for part in parts]
    share = [size / sum(estimates.shape) for size in estimates.shape]
    wanted = 12.0 * (precision * STEPS) ** 2  # a quantum d makes errors of d**2 / 12
    quanta = [math.sqrt(wanted * share[i] / power[1 - i]) for i in (0, 1)]
    shift = min(max(round(-math.log2(quanta[0] * quanta[1])), 0), MOST_SHIFT)
    ratio = quanta[0] * quanta[1] * 2.0**shift  # what is left of the product of the quanta goes into the unit
    made = [
        np.rint(np.concatenate([bias[:, None] / ratio, part / quantum], axis=1)).astype(np.int64)
        for bias, part, quantum in zip((rows, columns), parts, quanta, strict=True)
    ]
    return Recommender(made[0], made[1], shift, centre, step * ratio, *limits)
