"""The command `report`: one HTML page on a file and, if it is at hand, on its original."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from aezip.core import atomic
from aezip.core.errors import BoundViolated, meaningful
from aezip.core.names import shown

from .common import once, open_archive, read_original, threads_option
from .train import model_option


@click.command()
@click.argument("source", metavar="IN.aez")
@click.argument("original", metavar="[ORIGINAL]", required=False)
@click.option("-o", "--output", required=True, metavar="REPORT.html", help="Where the page goes; - for standard output.")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 original; repeatable.")
@click.option("--dtype", metavar="f4", help="Type of a raw binary original.")
@click.option("--shape", metavar="744,33,49", help="Sizes of a raw binary original, outer axis first.")
@click.option("--no-verify", is_flag=True, help="Do not check every digest: without ORIGINAL nothing is decoded.")
@model_option
@threads_option
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
def report(source: str, original: str | None, output: str, **options: Any) -> None:
    """Write one HTML page on IN.aez: bounds, ratios, ledger, plan, digests.

    With ORIGINAL also its errors, their histogram and pictures of a slice; exit 4 if they show the bound broken. The page needs
    no network and no scripts.
    """
    from aezip.tools import inspection, page

    from . import formats

    once(source, original)
    with open_archive(source, options["threads"], options["model"]) as archive:
        for name in filter(None, (source, original)):
            formats.check_output(output, source=name, overwrite=options["force"])
        arrays = None
        if original is not None:
            kept = {name: options[name] for name in ("datasets", "dtype", "shape")}
            arrays = read_original(original, archive, **kept)
        found = inspection.inspect(archive, arrays, verify=not options["no_verify"])
        with meaningful("the header of an array"):
            text = page.page(archive.report(), found, shown(os.path.basename(source)))
    with atomic.sources(*filter(None, (source, original))):
        _write(output, text.encode("utf-8", "backslashreplace"), overwrite=options["force"])
    broken = [name for name, compared in found.arrays.items() if not compared.within]
    if broken:
        raise BoundViolated(
            f"values of {broken[0]!r} break the bound: {original} is not what {source} was made from, or the file is not what it "
            f"claims; {output} shows where"
        )


def _write(output: str, data: bytes, *, overwrite: bool) -> None:
    """Write the page whole or not at all."""
    from aezip.core.atomic import replacing

    if output == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with replacing(Path(output), overwrite=overwrite) as file:
        file.write(data)
