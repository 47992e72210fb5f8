"""The command `train`, and the options of the commands that take a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from aezip.core.errors import InvalidInput
from aezip.core.names import shown
from aezip.plans.autoencoder import variants
from aezip.tools import words

from . import arguments
from .common import (
    FILE,
    datasets_option,
    device_option,
    force_option,
    once,
    preset_option,
    print_json,
    raw_options,
    seed_option,
    skip_option,
    telling_options,
    threads_option,
    warn_of,
)
from .helping import command

Command = TypeVar("Command", bound=Callable[..., Any])


def model_option(function: Command) -> Command:
    """Add `-m` to a command."""
    text = "Made by aezip train; readers also look in AEZIP_MODEL_PATH."
    return click.option("-m", "--model", type=FILE, metavar="MODEL.aezm", help=text)(function)


def variant_option(function: Command) -> Command:
    """Add `--variant` to a command."""
    return click.option("--variant", default="deep", metavar="NAME", help=arguments.VARIANT)(function)


@command(
    "aezip train january.npy --abs 0.01 --preset fast -o daily.aezm",
    "aezip train february.npy --abs 0.01 --preset fast --init-from daily.aezm -o later.aezm",
)
@click.argument("sources", type=FILE, metavar="DATA...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=FILE, metavar="MODEL.aezm", help="Where to write.")
@arguments.bound_options
@preset_option("balanced", least="fast")
@variant_option
@click.option("--init-from", "start", type=FILE, metavar="MODEL.aezm", help="Continue training from this model.")
@datasets_option
@arguments.missing_options
@raw_options
@seed_option
@device_option
@threads_option
@skip_option
@force_option
@telling_options
def train(sources: tuple[str, ...], output: str, **options: Any) -> None:
    """Train once on DATA; compress -m MODEL.aezm then needs no training."""
    bound = arguments.bound(options)
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    variants.check(options["variant"])

    from aezip.archive.models import Model
    from aezip.archive.train import train as fit
    from aezip.core import atomic

    from . import formats, progress

    once(*sources)
    start = None if options["start"] is None else Model.load(options["start"])
    arrays: list[Any] = []
    for source in sources:
        inputs = formats.read(source, **{name: options[name] for name in ("datasets", "dtype", "shape", "skip")})
        if not options["quiet"]:
            warn_of(source, inputs)
        arrays += inputs.arrays.values()
        fill = next(iter(inputs.fills.values()), None) if fill is None else fill
        limits = next(iter(inputs.valid.values()), None) if limits is None else limits
    if output == "-":
        raise InvalidInput("a model goes into a file: name one with -o")
    for source in sources:
        formats.check_output(output, source=source, overwrite=options["force"])
    settings = {name: options[name] for name in ("preset", "seed", "variant", "device", "threads")}
    with progress.followed(options, output) as told:
        made = fit(
            arrays if len(arrays) > 1 else arrays[0], bound=bound, fill_value=fill, valid_range=limits,
            init_from=start, progress=told, **settings,
        )  # fmt: skip
    with atomic.sources(*sources):
        made.save(output, overwrite=options["force"])
    if options["as_json"]:
        found = {"id": made.id, "file_bytes": len(made.data), "model_bytes": made.stream_bytes, "plan": made.plan}
        print_json({"input": list(sources), "output": output, **found})
    elif not options["quiet"]:
        click.echo(f"{shown(output)}: {made.describe()}, {words.size(len(made.data))}, id {made.id[:16]}")
