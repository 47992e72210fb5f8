"""The command `bench`: one array, every installed codec, one bound; a table or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import AezipError, BoundViolated
from aezip.core.names import shown
from aezip.tools import words

from . import arguments
from .common import (
    FILE,
    SECONDS,
    datasets_option,
    preset_option,
    print_json,
    raw_options,
    say,
    skip_option,
    telling_options,
    threads_option,
    warn_of,
    with_missing,
)
from .helping import command

if TYPE_CHECKING:
    from collections.abc import Callable

    from aezip.array.bounds import Bound
    from aezip.core.progress import ProgressEvent

HEAD = ("codec", "bytes", "ratio", "compress MB/s", "decompress MB/s", "memory MB", "max error", "status")
NOTE = (
    "Every size is checked on the decoded array. Peers: one plain setting each, on one thread; python -m benchmarks, in the "
    "sources, compares with their best axis orders and settings. aezip's time to compress includes training and the check."
)


@command(
    "aezip bench temperature.npy --range-rel 1e-3 --preset instant",
    "aezip bench model.nc --dataset tas --abs 0.05 --preset instant --json",
)
@click.argument("source", type=FILE, metavar="DATA")
@arguments.bound_options
@preset_option("balanced", several=True)
@datasets_option
@arguments.missing_options
@raw_options
@click.option("--max-seconds", type=SECONDS, default=3600, show_default=True, metavar="S", help="For each codec.")
@skip_option
@threads_option
@telling_options
def bench(source: str, **options: Any) -> int:
    """Compare codecs on DATA at one bound: ratio, speed, memory, achieved error.

    Each codec runs in a child process with limits. Peers (extra bench) get one plain setting; a bound that they do not know
    becomes an absolute one where that keeps it. python -m benchmarks, in the sources, compares with their best settings.
    """
    bound = arguments.bound(options)
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])

    from . import formats, progress

    inputs = formats.read(source, **{name: options[name] for name in ("datasets", "dtype", "shape", "skip")})
    if not options["quiet"]:
        warn_of(source, inputs)
    fills, ranges = with_missing(inputs, fill, limits)
    found = {}
    with progress.followed(options, source) as told:
        for name, array in inputs.arrays.items():
            missing = {"fill_value": fills.get(name), "valid_range": ranges.get(name)}
            found[name] = _measure(name, array, bound, missing, options, told)
    rows = [row for made in found.values() for row in made["codecs"]]
    for warning in dict.fromkeys(text for row in rows for text in row.pop("warnings", ())):
        if not options["quiet"]:
            say(warning, "warning")
    if options["as_json"]:
        print_json({"input": source, "bound": bound.to_json(), "arrays": found})
    elif not options["quiet"]:
        for name, made in found.items():
            _show(name, made, words.bound_text(bound.to_json()))
        click.echo(NOTE)
    return _code(rows)


def _measure(
    name: str,
    array: Any,
    bound: Bound,
    missing: dict[str, Any],
    options: dict[str, Any],
    progress: Callable[[ProgressEvent], None],
) -> dict[str, Any]:
    """Return the rows of an array, with what it is."""
    from aezip.core.progress import ProgressEvent
    from aezip.tools import bench as comparison

    def tell(number: int, count: int, codec: str) -> None:
        progress(ProgressEvent("bench", number, count, None, f"{name}: {codec}"))

    presets = tuple(dict.fromkeys(options["presets"]))
    limits = {"seconds": options["max_seconds"], "threads": options["threads"]}
    try:
        rows = comparison.compare(array, bound, missing=missing, presets=presets, progress=tell, **limits)
    except AezipError as error:
        raise type(error)(f"{name}: {error}") from error
    return {"shape": array.shape, "dtype": array.dtype.str, "raw_bytes": array.nbytes, "codecs": rows}


def _code(rows: list[dict[str, Any]]) -> int:
    """Return the exit code: peers may fail as they like, aezip may not."""
    own = [row["status"] for row in rows if row["codec"].startswith("aezip ") and row["status"] != "ok"]
    if not own:
        return 0
    return BoundViolated.exit_code if "bound exceeded" in own or "not bit-identical" in own else 1


def _show(name: str, made: dict[str, Any], bound: str) -> None:
    """Print the table of an array."""
    from rich.table import Table
    from rich.text import Text

    from . import show as render

    out = render.console()
    shape = " x ".join(map(str, made["shape"])) or "one value"
    about = f"  {made['dtype']}, {shape}, {words.size(made['raw_bytes'])}, {bound}"
    out.print(Text.assemble((shown(name), "bold"), about), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for number, head in enumerate(HEAD):
        table.add_column(head, justify="right" if 0 < number < len(HEAD) - 1 else "left", overflow="fold")
    for row in made["codecs"]:
        style = "bold" if row["codec"].startswith("aezip ") else ""
        table.add_row(*(Text(word) for word in _words(row)), style=style)
    out.print(table)
    out.print()


def _words(row: dict[str, Any]) -> list[str]:
    """Return the cells of a codec."""
    status = str(row["status"])
    if "bytes" not in row:
        return [row["codec"], *["-"] * 6, status]
    if status == "ok" and row.get("asked", 1.0) < 1.0:
        status = f"ok, asked for {row['asked']:.6g} of the bound"
    speeds = [f"{row[f'{way}_mb_per_s']:.3g}" for way in ("compress", "decompress")]
    memory = f"{row['peak_memory'] / 1e6:.0f}"
    return [row["codec"], f"{row['bytes']:,}", f"{row['ratio']:.2f}", *speeds, memory, f"{row['max_error']:.4g}", status]
