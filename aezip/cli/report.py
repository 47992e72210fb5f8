"""The command `report`: one HTML page on a file and, if it is at hand, on its original."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from aezip.core import atomic
from aezip.core.errors import BoundViolated, InvalidInput, meaningful
from aezip.core.names import shown

from .common import (
    FILE,
    datasets_option,
    force_option,
    once,
    open_archive,
    output_option,
    print_json,
    raw_options,
    read_original,
    say,
    telling_options,
    threads_option,
    write_text,
)
from .helping import command
from .train import model_option

if TYPE_CHECKING:
    from aezip.tools.inspection import Inspection


@command(
    "aezip report temperature.npy.aez -o report.html",
    "aezip report temperature.npy.aez temperature.npy -o report.html -f   # with errors and pictures",
)
@click.argument("source", type=FILE, metavar="IN.aez")
@click.argument("original", type=FILE, metavar="[ORIGINAL]", required=False)
@output_option("REPORT.html", required=True)
@datasets_option
@raw_options
@click.option("--no-verify", is_flag=True, help="Do not check every digest: without ORIGINAL nothing is decoded.")
@model_option
@threads_option
@force_option
@telling_options
def report(source: str, original: str | None, output: str, **options: Any) -> None:
    """Write one HTML page, without scripts, on IN.aez: bounds, ratios, ledger, plan, digests.

    With ORIGINAL also its errors, and pictures of a slice; exit 4 if they show the bound broken.
    """
    from aezip.tools import inspection, page

    from . import formats, progress

    if options["as_json"] and output == "-":
        raise InvalidInput("--json and the page cannot both go to standard output: name a file with -o")
    once(source, original)
    with open_archive(source, options["threads"], options["model"]) as archive:
        for name in filter(None, (source, original)):
            formats.check_output(output, source=name, overwrite=options["force"])
        arrays = None
        if original is not None:
            kept = {name: options[name] for name in ("datasets", "dtype", "shape", "quiet")}
            arrays = read_original(original, archive, **kept)
        with progress.followed(options, source) as told:
            found = inspection.inspect(archive, arrays, verify=not options["no_verify"], progress=told)
        with meaningful("the header of an array"):
            text = page.page(archive.report(), found, shown(os.path.basename(source)))
    with atomic.sources(*filter(None, (source, original))):
        write_text(output, text, overwrite=options["force"])
    if options["as_json"]:
        print_json({"input": source, "original": original, "output": output, **_json(found)})
    broken = [name for name, compared in found.arrays.items() if not compared.within]
    if broken:
        raise BoundViolated(
            f"values of {broken[0]!r} break the bound: {original} is not what {source} was made from, or the file is not what it "
            f"claims; {output} shows where"
        )
    if not (options["as_json"] or options["quiet"]):
        say(f"{output}: a page on {source}" + ("" if original is None else f" and {original}, which is within the bound"))


def _json(found: Inspection) -> dict[str, Any]:
    """Return what --json says of what was found: None where nothing was compared."""
    from aezip.tools.inspection import errors_json

    compared = {name: {**errors_json(one.metrics, one.quality), "within_bound": one.within} for name, one in found.arrays.items()}
    return {"verified": found.verified, "within_bound": found.within if compared else None, "arrays": compared}
