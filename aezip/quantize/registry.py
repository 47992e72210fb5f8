"""Every kind of lattice, as headers name them: all that reading needs of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aezip.array.narrow import NARROW
from aezip.core.errors import CorruptFile, UnsupportedVersion

from .lattice import LARGEST, Digits, IntegerLattice, Lattice, Ordered
from .linear import LinearLattice
from .logarithm import Logarithm, Staircase
from .ranks import Ranks

MALFORMED = "the lattice in the header is malformed: the file is damaged, get another copy"


def lattice_from_json(data: Any) -> Lattice:
    """Return the lattice that `Lattice.to_json` wrote.

    Raises
    ------
    CorruptFile
        If the object is malformed.
    UnsupportedVersion
        If the form is not known.
    """
    try:
        kind = data["kind"]
        for lattice, read in LATTICES:
            if lattice.kind == kind:
                return read(data)
    except (KeyError, TypeError) as error:
        raise CorruptFile(MALFORMED) from error
    raise UnsupportedVersion(f"the lattice {str(kind)[:40]!r} is not known: update aezip")


def _within(number: Any, low: int, high: int) -> int:
    if type(number) is not int or not low <= number <= high:
        raise CorruptFile(MALFORMED)
    return number


def _read_whole(data: Any) -> IntegerLattice:
    return IntegerLattice(_within(data["step"], 1, 1 << 62), _within(data["offset"], -(1 << 63), (1 << 64) - 1))


def _read_digits(data: Any) -> Digits:
    if not isinstance(data["narrow"], bool):
        raise CorruptFile(MALFORMED)
    return Digits(_within(data["digits"], 1, 15), _within(data["lowest"], -22, 22), data["narrow"])


def _read_ordered(data: Any) -> Ordered:
    if data["type"] not in ("f2", "f4", "f8", *NARROW):
        raise CorruptFile(MALFORMED)
    return Ordered(data["type"])


def _read_logarithm(data: Any) -> Logarithm:
    if data["kind"] != Logarithm.kind or data["octaves"] not in (1, 64):
        raise CorruptFile(MALFORMED)
    limit = int(LARGEST)
    return Logarithm(_within(data["steps"], 1, limit), _within(data["octaves"], 1, 64), _within(data["base"], -limit, limit))


def _read_staircase(data: Any) -> Staircase:
    starts = data["starts"]
    if not isinstance(starts, list) or not 2 <= len(starts) <= 1024 or starts[0] != 0:
        raise CorruptFile(MALFORMED)
    checked = [0]
    for number in starts[1:]:
        checked.append(_within(number, checked[-1] + 1, int(LARGEST)))
    return Staircase(tuple(checked), _read_logarithm(data["tail"]))


def _read_ranks(data: Any) -> Ranks:
    if data["inner"]["kind"] == Ranks.kind:
        raise CorruptFile(MALFORMED)
    return Ranks.read(data, lattice_from_json(data["inner"]))


LATTICES: tuple[tuple[type[Lattice], Callable[[Any], Lattice]], ...] = (
    (IntegerLattice, _read_whole),
    (LinearLattice, LinearLattice.read),
    (Digits, _read_digits),
    (Ordered, _read_ordered),
    (Logarithm, _read_logarithm),
    (Staircase, _read_staircase),
    (Ranks, _read_ranks),
)
