"""The command `suggest`: what the values say of the bound that suits them; a table, JSON, or a file for --bounds."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import InvalidInput
from aezip.core.names import shown

from . import arguments
from .common import (
    FILE,
    datasets_option,
    force_option,
    output_option,
    print_json,
    raw_options,
    say,
    skip_option,
    telling_options,
    threads_option,
    with_missing,
    write_text,
)
from .helping import command

if TYPE_CHECKING:
    from aezip.files.parts import Parts
    from aezip.tools.suggesting import Suggestion

NOTE = (
    "Ratios are expected of the preset instant on a part of the values. A bound is a matter of what the values are used for: "
    "compress takes none unless you give it."
)
HEAD = ("variable", "bound", "ratio at a tenth of it", "at it", "at ten times")


@command(
    "aezip suggest model.nc",
    "aezip suggest model.nc -o bounds.toml -f   # for aezip compress --bounds bounds.toml",
)
@click.argument("source", type=FILE, metavar="DATA")
@output_option("BOUNDS.toml", "no file")
@datasets_option
@arguments.missing_options
@raw_options
@skip_option
@threads_option
@force_option
@telling_options
def suggest(source: str, output: str | None, **options: Any) -> None:
    """Suggest a bound for each variable of DATA, from noise, bits and steps, with reason and ratio; it chooses nothing."""
    from aezip.core.progress import ProgressEvent
    from aezip.tools import suggesting

    from . import formats, progress

    if options["as_json"] and output == "-":
        raise InvalidInput("--json and the bounds cannot both go to standard output: name a file with -o")
    if output is not None:
        formats.check_output(output, source=source, overwrite=options["force"])
    found: list[Suggestion] = []
    with inputs(source, options) as parts, progress.followed(options, source) as tell:
        exact = dict.fromkeys(parts.coordinates, "a coordinate: it says where values are")
        exact |= {name: words.partition(":")[0] for name, words in parts.exact.items()}
        about = {"fills": parts.fills, "valid": parts.valid, "exact": exact}
        tell(ProgressEvent("measure", 0, len(parts.arrays), None, next(iter(parts.arrays), "")))
        for one in suggesting.suggestions(parts.numbers(), threads=options["threads"], **about):
            found.append(one)
            tell(ProgressEvent("measure", len(found), len(parts.arrays), None, one.name))
    if output is not None:
        text = suggesting.to_toml(found, Path(source).name)
        write_text(output, text, overwrite=options["force"])
        if not (output == "-" or options["quiet"] or options["as_json"]):
            say(f"{output}: bounds of {len(found)} variables, for aezip compress --bounds")
    if options["as_json"]:
        print_json({"input": source, "variables": [one.to_json() for one in found]})
    elif not options["quiet"] and output != "-":
        _show(found)


@contextmanager
def inputs(source: str, options: dict[str, Any]) -> Iterator[Parts]:
    """Yield the arrays of a file, taken as `compress` takes it, and what is known of them."""
    from aezip.files import whole
    from aezip.files.parts import Parts

    from . import formats

    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    if options["datasets"] or options["dtype"] is not None or not whole.is_whole(source):
        read = formats.read(source, **{name: options[name] for name in ("datasets", "dtype", "shape", "skip")})
        fills, valid = with_missing(read, fill, limits)
        yield Parts(arrays=read.arrays, fills=fills, valid=valid)
        return
    if fill is not None or limits is not None:
        raise InvalidInput("a whole file says what is missing: leave --fill-value and --valid-range away, or use --dataset")
    with tempfile.TemporaryDirectory(prefix="aezip-") as folder:
        yield whole.variables(source, folder)


def _show(found: list[Suggestion]) -> None:
    """Print the table, then the reasons."""
    from rich.table import Table
    from rich.text import Text

    from . import show as render

    out = render.console()
    table = Table(box=None, pad_edge=False)
    for head in HEAD:
        table.add_column(head, justify="right" if head in HEAD[2:] else "left", overflow="fold")
    for one in found:
        ratios = [f"{expected.ratio:.1f}" for expected in one.expected]
        ratios = ratios if len(ratios) == 3 else ["", *(ratios or ["-"]), ""]
        table.add_row(*(Text(word) for word in (shown(one.name), one.words, *ratios)))
    out.print(table)
    out.print()
    for one in found:
        out.print(f"{shown(one.name)}: {one.reason}", markup=False, soft_wrap=True)
    out.print()
    out.print(NOTE, markup=False, soft_wrap=True)
