"""`compress --dry-run`: what each preset is expected to make of an input, as a table or JSON; nothing is written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aezip.core.errors import InvalidInput
from aezip.core.names import shown

from . import arguments
from .suggest import inputs

if TYPE_CHECKING:
    from aezip.array.bounds import Bound


def dry_run(source: str, options: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return what `--json` says of an input, after the table was printed."""
    from aezip.archive.foreseeing import foresee
    from aezip.entropy.frames import pack
    from aezip.files.bounds import assign

    for name, words in (("targeted", "--target-size and --target-ratio"), ("model", "a model"), ("recommend", "--recommend")):
        if options[name]:
            raise InvalidInput(f"{words}: what becomes of it is not foreseen, leave --dry-run away")
    began = time.perf_counter()
    with inputs(source, options) as parts:
        if whole:
            bounds: Bound | dict[str, Bound] = assign(arguments.file_rules(options), parts, source)
        else:
            bounds = arguments.bounds_of_arrays(options, parts.arrays, source)
        found = foresee(
            parts.numbers(),
            bounds,
            fill_value=parts.fills,
            valid_range=parts.valid,
            threads=options["threads"],
            beside=len(pack(b"".join(parts.rest))),
        )
        raw = sum(array.nbytes for array in parts.arrays.values())
    told = {"input": source, "raw_bytes": raw, "seconds": time.perf_counter() - began}
    if not (options["as_json"] or options["quiet"]):
        _show(source, found)
    return {**told, "presets": [vars(one) for one in found]}


def _show(source: str, found: list[Any]) -> None:
    from rich.table import Table

    from aezip.tools.words import size

    from . import show as render

    table = Table(box=None, pad_edge=False)
    for head in ("preset", "file", "ratio", "time"):
        table.add_column(head, justify="left" if head == "preset" else "right")
    for one in found:
        less, more = ("≤ ", "≥ ") if one.at_most else ("", "")
        table.add_row(one.preset, less + size(one.bytes), f"{more}{one.ratio:.1f}", f"{one.seconds:.3g} s")
    out = render.console()
    out.print(f"{shown(source)}: expected, nothing was written", markup=False)
    out.print(table)
