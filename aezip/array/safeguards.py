"""What has to hold beside the bound: a largest error for each place, and the side of a threshold on which values lie.

Values that break one are stored exactly, as those that break a bound. What compression-safeguards (Tyree et al., 2025) does for
any codec is done here by the one check. Knows arrays only.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core.errors import InvalidInput
from aezip.core.fixed import LARGEST_FLOAT

from .bounds import Absolute, Tolerance
from .checking import violations
from .statistics import blocks

BLOCK = 1 << 16  # values that are checked at a time
SAMPLE = 1 << 20  # places from which the bound for all is chosen
SHARES = 0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0  # of the places, that allow less
PLACE_BITS = 8  # of an exact value beside its own


@dataclass(frozen=True, eq=False)
class Safeguards:
    """Demands on single values.

    Parameters
    ----------
    places : ndarray, shape of the array, or None
        Largest absolute error at each place, unit of the data; 0: none at all, infinite: any within the bound.
    thresholds : tuple of float
        No value crosses one of these, and one that equals it stays; 0 keeps the sign.

    Raises
    ------
    InvalidInput
        If an error is negative or no number, or a threshold not finite.
    """

    places: npt.NDArray[Any] | None = None
    thresholds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(math.isfinite(threshold) for threshold in self.thresholds):
            raise InvalidInput("a threshold must be a finite number: give another one")
        if self.places is not None:
            if self.places.dtype.kind not in "iuf":
                raise InvalidInput(f"errors allowed at each place must be numbers, not {self.places.dtype}: convert them")
            if not all((block >= 0).all() for block in blocks(np.atleast_1d(self.places))):
                raise InvalidInput("an error allowed at a place is negative or no number: correct the map")

    def __bool__(self) -> bool:
        """Whether anything is demanded."""
        return self.places is not None or bool(self.thresholds)

    def check(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        """Check that the demands suit an array.

        Raises
        ------
        InvalidInput
            If they do not.
        """
        if dtype.kind not in "iuf":
            raise InvalidInput(f"errors by place, signs and thresholds are for real numbers, not {dtype}: leave them away")
        if self.places is not None and self.places.shape != shape:
            raise InvalidInput(f"the map of errors has the shape {self.places.shape}, the array {shape}: give one of its shape")

    def bound(self, itemsize: int, most: float = LARGEST_FLOAT) -> Absolute:
        """Return the one bound for all values, `most` at most, with which the fewest bytes are expected.

        Below the error that most places allow, each halving costs a bit a value; above it, values that come out beyond what their
        place allows are stored exactly.
        """
        assert self.places is not None
        step = -(-self.places.size // SAMPLE)
        allowed = np.minimum(self.places.reshape(-1)[::step].astype(np.float64), most)
        allowed = allowed[allowed > 0.0]
        if not allowed.size:
            raise InvalidInput("the map allows no error anywhere: use --lossless (Lossless)")
        exact = 8 * itemsize + PLACE_BITS
        costs = []
        for error in np.unique(np.quantile(allowed, SHARES)):
            beyond = float(np.maximum(0.0, 1.0 - allowed / error).mean())
            costs.append((beyond * exact - math.log2(error), float(error)))
        return Absolute(min(costs)[1])

    def broken(self, x: npt.NDArray[Any], y: npt.NDArray[Any], start: int) -> npt.NDArray[np.bool_]:
        """Return where values break a demand; those that are not finite are left to the bound.

        Parameters
        ----------
        x, y : ndarray, one shape
            Originals and decoded values of a run along the outer axis.
        start : int
            Index of the first of them.
        """
        bad = np.zeros(x.shape, np.bool_)
        finite = np.isfinite(x) if x.dtype.kind == "f" else np.ones(x.shape, np.bool_)
        for threshold in self.thresholds:
            bad |= finite & (((x < threshold) != (y < threshold)) | ((x > threshold) != (y > threshold)))
        if self.places is None:
            return bad
        places = np.atleast_1d(self.places)
        rows = max(1, BLOCK // max(1, x.size // max(1, len(x))))
        for first in range(0, len(x), rows):
            last = min(first + rows, len(x))
            allowed = np.minimum(places[start + first : start + last].astype(np.float64), LARGEST_FLOAT)
            bad[first:last] |= finite[first:last] & violations(x[first:last], y[first:last], Tolerance("absolute", allowed))
        return bad

    @cached_property
    def _digest(self) -> str:
        """SHA-256 of the map, little-endian, in C order; headers are asked for more than once."""
        assert self.places is not None
        digest = hashlib.sha256()
        for block in blocks(np.atleast_1d(self.places)):
            digest.update(block.astype(block.dtype.newbyteorder("<")).data)
        return digest.hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the demands as a JSON object; of a map its digest and what it allows at least and at most."""
        found: dict[str, Any] = {"thresholds": list(self.thresholds)} if self.thresholds else {}
        if self.places is not None:
            ends = [float(min(end, LARGEST_FLOAT)) for end in (self.places.min(initial=np.inf), self.places.max(initial=0))]
            found["map"] = {"least": ends[0], "most": ends[1], "sha256": self._digest}
        return found
