"""Bounds by variable: rules of a pattern and a bound, as words of a command line, as a TOML file, or as given by a program."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from aezip.array.bounds import NRMSE, PSNR, Absolute, Bound, Lossless, PointRelative, RangeRelative
from aezip.core.errors import InvalidInput

from .parts import Parts

Rules = list[tuple[str, Bound]]  # the first whose pattern fits decides
_KINDS: dict[str, Callable[[float], Bound]] = {
    "abs": Absolute,
    "range-rel": RangeRelative,
    "point-rel": PointRelative,
    "psnr": PSNR,
    "nrmse": NRMSE,
}
_EXAMPLE = "write for example 'air:range-rel=1e-3', 'p*:abs=0.5' or '*_bnds:lossless'"
_LISTED = 20


def rule(text: str) -> tuple[str, Bound]:
    """Parse PATTERN:BOUND.

    Raises
    ------
    InvalidInput
        If it is none.
    """
    pattern, colon, words = text.rpartition(":")
    if not colon or not pattern:
        raise InvalidInput(f"--bound {text!r} names no variable: {_EXAMPLE}")
    return pattern, bound(words, text)


def bound(words: str, where: str) -> Bound:
    """Parse abs=E, range-rel=E, point-rel=E, psnr=DB, nrmse=E or lossless.

    Raises
    ------
    InvalidInput
        If it is none; `where` it stands.
    """
    if words.strip() == "lossless":
        return Lossless()
    kind, _, value = (word.strip() for word in words.partition("="))
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if kind not in _KINDS or number != number:
        raise InvalidInput(f"--bound {where!r} is not understood: {_EXAMPLE}")
    return _KINDS[kind](number)


def from_toml(path: str) -> Rules:
    """Read rules from a file: a table `bounds` of patterns and bounds, in order.

    Raises
    ------
    InvalidInput
        If it is no such file.
    """
    try:
        told = tomllib.loads(Path(path).read_text("utf-8")).get("bounds")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is no sound TOML file ({str(error)[:80]}): correct it") from error
    if not isinstance(told, dict) or not all(isinstance(words, str) for words in told.values()):
        raise InvalidInput(f'{path} has no table of bounds: write [bounds] and below it for example "*_bnds" = "lossless"')
    return [(pattern, bound(words, f"{pattern}:{words}")) for pattern, words in told.items()]


def as_rules(given: Bound | Mapping[str, Bound] | Iterable[tuple[str, Bound]] | None) -> Rules:
    """Return rules from what a program gives: one bound for all, a mapping of patterns, or pairs."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return list(given.items())
    if isinstance(given, Iterable):
        return list(given)
    return [("*", given)]


def assign(rules: Rules, parts: Parts, path: str) -> dict[str, Bound]:
    """Return the bound of each array of a file that is not lossless.

    Coordinates and integers are lossless unless a rule names them exactly.

    Raises
    ------
    InvalidInput
        If a pattern fits nothing, or names what holds no numbers.
    """
    known = [*parts.arrays, *parts.others]
    for pattern, told in rules:
        fitting = [name for name in known if fnmatchcase(name, pattern)]
        if not fitting:
            listed = ", ".join(known[:_LISTED]) + (f" and {len(known) - _LISTED} more" if len(known) > _LISTED else "")
            raise InvalidInput(f"--bound: {pattern!r} fits no variable of {path}: it has {listed or 'none'}")
        if pattern in parts.others and parts.others[pattern] and not isinstance(told, Lossless):
            raise InvalidInput(f"{pattern!r} of {path} holds {parts.others[pattern]}: a bound is for numbers, leave it away")
        if pattern in parts.exact and not isinstance(told, Lossless):
            raise InvalidInput(f"{pattern!r} of {path} is {parts.exact[pattern]}")
    found = {}
    for name, array in parts.arrays.items():
        for pattern, told in rules if name not in parts.exact else ():
            if fnmatchcase(name, pattern):
                free = (array.dtype.kind in "fc" or name in parts.narrow) and name not in parts.coordinates
                if (free or pattern == name) and not isinstance(told, Lossless):
                    found[name] = told
                break
    return found
