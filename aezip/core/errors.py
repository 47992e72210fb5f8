"""The exception tree and its exit codes.

Every failure that aezip itself reports is one of these; each carries the exit code of the command line.

    AezipError            1   anything else
      InvalidInput        2   usage, or input that cannot be taken
      CorruptFile         3   damaged, truncated or not an aezip file
      BoundViolated       4   a value lies beyond the bound
      ModelMismatch       5   a model is missing or is another one
      UnsupportedVersion  6   a later format or an unknown feature
      UnsafeFile          7   a hostile structure, or a limit exceeded

``MemoryError``, ``KeyboardInterrupt`` and ``OSError`` pass unchanged.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class AezipError(Exception):
    """Base of all failures reported by aezip."""

    exit_code = 1


class InvalidInput(AezipError):  # noqa: N818 - the public contract names it without the suffix
    """The input or an option cannot be used."""

    exit_code = 2


class CorruptFile(AezipError):  # noqa: N818
    """The file is damaged, truncated, or not an aezip file."""

    exit_code = 3


class BoundViolated(AezipError):  # noqa: N818
    """A decoded value lies beyond the bound."""

    exit_code = 4


class ModelMismatch(AezipError):  # noqa: N818
    """The model a file refers to is missing or is another one."""

    exit_code = 5


class UnsupportedVersion(AezipError):  # noqa: N818
    """The file needs a later version of aezip or a feature it does not have."""

    exit_code = 6


class UnsafeFile(AezipError):  # noqa: N818
    """The file has a structure no aezip file has, or exceeds a limit."""

    exit_code = 7


class FillWarning(UserWarning):
    """What looks like a fill value was not declared as one, and a bound relative to the range loses all other values."""


class SlowWarning(UserWarning):
    """The extension of compiled loops is missing: everything works, only slower."""


class DamageWarning(UserWarning):
    """Values of a damaged file are lost; the rest was restored."""


@contextmanager
def meaningful(what: str) -> Iterator[None]:
    """Turn whatever foreign exception nonsense in a file may raise into `CorruptFile`.

    Every field and stream is checked where it is read; this is the net below those checks.
    """
    try:
        yield
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError) as error:
        raise CorruptFile(f"{what} does not make sense: the file is damaged, get another copy") from error
