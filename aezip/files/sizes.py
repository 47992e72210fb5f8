"""Whole files into archives of a size: one bound for all variables that may lose something, found as for arrays."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aezip.archive.report import Report
from aezip.archive.target import fitting
from aezip.array.bounds import Bound, RangeRelative
from aezip.core import atomic
from aezip.core.errors import InvalidInput

from .bounds import assign
from .whole import Taken, compress_file, variables


def compress_file_to(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    size: float,
    *,
    overwrite: bool = False,
    told: Callable[[Bound, int], None] | None = None,
    taken: Callable[[Taken], None] | None = None,
    **options: Any,
) -> Report:
    """Compress a whole file with the smallest range-relative bound found whose archive is so small.

    Parameters
    ----------
    path, target
        The file and the archive.
    size
        Bytes of the archive, at most.
    told
        Called with each bound for which an archive was made, and its bytes.
    taken
        Called once with what is to be said of the file.
    **options
        As of `compress_file`; not `bounds`. Coordinates and integers are lossless.

    Raises
    ------
    InvalidInput
        If no bound makes it so small, or no variable may lose anything.
    """
    source = os.fspath(path)
    with tempfile.TemporaryDirectory(prefix="aezip-") as folder:
        parts = variables(source, folder)
        free = assign([("*", RangeRelative(1.0))], parts, source)
        if not free:
            raise InvalidInput(f"{source} has no variable that a bound is for: compress it without a size")
        place = Path(folder) / "made.aez"

        def make(bound: Bound) -> tuple[bytes, Report]:
            said = taken if not place.exists() else None
            report = compress_file(source, place, bounds=[("*", bound)], overwrite=True, told=said, **options)
            return place.read_bytes(), report

        arrays = {name: array for name, array in parts.numbers().items() if name in free}
        about: dict[str, Any] = {"fill_value": parts.fills, "valid_range": parts.valid, "threads": options.get("threads")}
        data, report = fitting(arrays, size, make, told=told, **about)
    atomic.write(Path(target), data, overwrite=overwrite)
    return report
