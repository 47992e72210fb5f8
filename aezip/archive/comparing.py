"""An original beside what a file holds: chunk by chunk, the exact check and the errors. Knows arrays, not where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.admission import admit, native
from aezip.array.bounds import Lossless, Tolerance, resolve
from aezip.array.checking import violations
from aezip.array.foreign import as_numpy
from aezip.array.metrics import Accumulator, Metrics
from aezip.array.safeguards import Safeguards
from aezip.array.statistics import measure
from aezip.core.errors import BoundViolated, InvalidInput
from aezip.core.sources import Source
from aezip.core.surroundings import undisturbed
from aezip.core.types import Array

from .models import AnyModel
from .reading import Archive
from .view import ArrayView


@dataclass(frozen=True)
class Pair:
    """A chunk as plain numbers, original and decoded, and where fill values are."""

    original: Array
    decoded: Array
    masked: npt.NDArray[np.bool_]


def matched(originals: Mapping[str, Any], views: Mapping[str, ArrayView], error_map: Any = None) -> dict[str, Comparison]:
    """Return the comparison of each array of a file with its original; single arrays need not have the same name.

    Parameters
    ----------
    error_map
        Largest error at each place, of one array or by name: checked too.

    Raises
    ------
    InvalidInput
        If names, shapes or types do not correspond.
    """
    named = dict(originals)
    if len(named) == 1 and len(views) == 1:
        named = {next(iter(views)): next(iter(named.values()))}
    if set(named) != set(views):
        raise InvalidInput("the names of the originals are not those in the file: give the arrays it was made from")
    places = error_map if isinstance(error_map, Mapping) else dict.fromkeys(named, error_map)
    return {name: Comparison(np.asanyarray(as_numpy(array)), views[name], places.get(name)) for name, array in named.items()}


class Comparison:
    """One array of a file beside its original; `pairs` compares, the rest tells what was found so far.

    Raises
    ------
    InvalidInput
        If shape or type differ.
    """

    def __init__(self, original: Array, view: ArrayView, places: Any = None) -> None:
        decoder = view._decoder
        self._narrow = decoder.narrow  # of a whole file, the original is its bits
        if original.shape != view.shape or (original.dtype != decoder.dtype and original.dtype != view.dtype):
            raise InvalidInput(
                f"the original is {original.dtype} {original.shape}, the file holds {view._kind} {view.shape}: "
                "give the array the file was made from"
            )
        self.original, self.view, self.wrong = original, view, 0
        self._admitted = admit(original)
        self._values = self._widened(self._admitted.values)
        self._statistics = measure(self._values, view._decoder.fill, view._decoder.valid, trailing=self._admitted.trailing)
        bound = Lossless() if self._admitted.lossless_only else view.bound
        self.tolerance: Tolerance = resolve(bound, self._statistics)
        thresholds = view.keeps.get("thresholds", [])
        self._safeguards = Safeguards(None if places is None else np.asanyarray(places), tuple(thresholds))
        if self._safeguards:
            self._safeguards.check(view.shape, self._values.dtype if self._narrow else view.dtype)
        self._errors = Accumulator()

    def _widened(self, values: Array) -> Array:
        return values if self._narrow is None else self._narrow.widen(native(values))

    def pairs(self) -> Iterator[Pair]:
        """Decode, compare and yield one chunk after the other."""
        specials = self._statistics.specials
        for start, stop, values in self.view._parts():
            x, y = native(self._values[start:stop]), native(self._widened(admit(values).values))
            classes = specials.classify(x)
            masked = specials.masked(classes)
            wrong = violations(x, y, self.tolerance, classes != 0) | specials.confused(classes, y)
            if self._safeguards:
                wrong |= self._safeguards.broken(x, y, start)
            self.wrong += int(wrong.sum())
            self._errors.update(x, y, masked)
            yield Pair(x, y, masked)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the plain numbers that `pairs` yields, chunk by chunk along the first axis."""
        return self._values.shape

    @property
    def metrics(self) -> Metrics:
        """The errors."""
        return self._errors.result()

    @property
    def within(self) -> bool:
        """Whether every value keeps the bound, and all together keep one on their mean."""
        short = self.tolerance.kind == "psnr" and self.metrics.rmse**2 > self.tolerance.mse
        return not (self.wrong or short)

    def check(self) -> None:
        """Raise if the bound is broken.

        Raises
        ------
        BoundViolated
            If a value breaks the bound that was asked for.
        """
        if not self.within:
            raise BoundViolated(
                f"{self.wrong} values of {self.view.name!r} break the bound (largest error {self.metrics.max_abs_error:g}): "
                "the file was not made from this array, or is not what it claims"
            )


DEFAULT_NAME = "data"


def by_name(data: Any) -> dict[str, Any]:
    """Return arrays by their names; one alone has the name that files of one array have.

    Raises
    ------
    InvalidInput
        If two keys give one name, as 1 and "1" do.
    """
    if isinstance(data, Mapping):
        found: dict[str, Any] = {}
        for name, array in data.items():
            if str(name) in found:
                raise InvalidInput(f"two arrays have the name {str(name)!r}: a file has each name once, rename one of them")
            found[str(name)] = array
        return found
    return {DEFAULT_NAME: data}


@undisturbed
def verify(
    original: Any, source: Source, *, threads: int | None = None, model: AnyModel = None, error_map: Any = None
) -> dict[str, Metrics]:
    """Compare originals with a file, value by value; return the errors of each array.

    Raises
    ------
    BoundViolated
        If a value breaks the bound that was asked for, crosses a threshold that it was to keep to, or is further away than
        `error_map`, if it is given, allows.
    InvalidInput
        If the arrays do not correspond.
    """
    with Archive(source, threads=threads, model=model) as archive:
        return compared(original, archive, error_map)


def compared(original: Any, archive: Archive, error_map: Any = None) -> dict[str, Metrics]:
    """Do what `verify` does with an open file."""
    found = matched(by_name(original), archive, error_map)
    for comparison in found.values():
        for _ in comparison.pairs():
            pass
        comparison.check()
    return {name: comparison.metrics for name, comparison in found.items()}
