"""Every kind of lattice, as headers name them: all that reading needs of them."""

from __future__ import annotations

from typing import Any

from aezip.core.errors import CorruptFile, UnsupportedVersion

from .lattice import LARGEST, Digits, Lattice, Ordered, Whole
from .linear import Linear
from .logarithm import Logarithm, Staircase
from .ranks import Ranks


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
        if kind == Whole.kind:
            return Whole(_within(data["step"], 1, 1 << 62), _within(data["offset"], -(1 << 63), (1 << 64) - 1))
        if kind == Linear.kind:
            return Linear.read(data)
        if kind == Digits.kind and isinstance(data["narrow"], bool):
            return Digits(_within(data["digits"], 1, 15), _within(data["lowest"], -22, 22), data["narrow"])
        if kind == Ordered.kind and data["type"] in ("f2", "f4", "f8"):
            return Ordered(data["type"])
        if kind == Logarithm.kind:
            return _read_logarithm(data)
        if kind == Staircase.kind:
            return _read_staircase(data)
        if kind == Ranks.kind:
            if data["inner"]["kind"] == Ranks.kind:
                raise KeyError("inner")
            return Ranks.read(data, lattice_from_json(data["inner"]))
    except (KeyError, TypeError) as error:
        raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy") from error
    if kind in (Digits.kind, Ordered.kind):
        raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
    raise UnsupportedVersion(f"the lattice {str(kind)[:40]!r} is not known: update aezip")


def _within(number: Any, low: int, high: int) -> int:
    if type(number) is not int or not low <= number <= high:
        raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
    return number


def _read_logarithm(data: Any) -> Logarithm:
    if data["kind"] != Logarithm.kind or data["octaves"] not in (1, 64):
        raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
    limit = int(LARGEST)
    return Logarithm(_within(data["steps"], 1, limit), _within(data["octaves"], 1, 64), _within(data["base"], -limit, limit))


def _read_staircase(data: Any) -> Staircase:
    starts = data["starts"]
    if not isinstance(starts, list) or not 2 <= len(starts) <= 1024 or starts[0] != 0:
        raise CorruptFile("the lattice in the header is malformed: the file is damaged, get another copy")
    checked = [0]
    for number in starts[1:]:
        checked.append(_within(number, checked[-1] + 1, int(LARGEST)))
    return Staircase(tuple(checked), _read_logarithm(data["tail"]))
