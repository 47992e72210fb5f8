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
from . import interrupts as signals
from .common import json_option, once, print_json, skip_option, warn_of

Command = TypeVar("Command", bound=Callable[..., Any])


def model_option(function: Command) -> Command:
    """Add `-m` to a command."""
    text = "A model made by aezip train; default when reading: looked for in AEZIP_MODEL_PATH."
    return click.option("-m", "--model", metavar="MODEL.aezm", help=text)(function)


@click.command()
@click.argument("sources", metavar="DATA...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, metavar="MODEL.aezm", help="Where the model goes.")
@arguments.bound_options
@click.option("--preset", type=click.Choice(["fast", "balanced", "best"]), default="balanced", show_default=True)
@click.option("--variant", default="deep", show_default=True, metavar="NAME", help=arguments.VARIANT)
@click.option("--init-from", "start", metavar="MODEL.aezm", help="Continue training from this model.")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 file; repeatable.")
@arguments.missing_options
@click.option("--dtype", metavar="f4", help="Type of raw binary.")
@click.option("--shape", metavar="744,33,49", help="Sizes of raw binary, outer axis first.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same input and seed, same model.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@skip_option
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def train(sources: tuple[str, ...], output: str, **options: Any) -> None:
    """Train once on DATA; compress -m MODEL.aezm then needs no training."""
    bound = arguments.bound(options)
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    variants.check(options["variant"])

    from aezip.archive.models import Model
    from aezip.archive.train import train as fit
    from aezip.core import atomic

    from . import formats
    from . import show as render

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
    settings = {name: options[name] for name in ("preset", "seed", "variant", "device")}
    with render.progress(not (options["quiet"] or options["no_progress"])) as progress:
        made = fit(
            arrays if len(arrays) > 1 else arrays[0], bound=bound, fill_value=fill, valid_range=limits,
            init_from=start, progress=signals.watching(progress), **settings,
        )  # fmt: skip
    with atomic.sources(*sources):
        made.save(output, overwrite=options["force"])
    if options["as_json"]:
        found = {"id": made.id, "file_bytes": len(made.data), "model_bytes": made.stream_bytes, "plan": made.plan}
        print_json({"input": list(sources), "output": output, **found})
    elif not options["quiet"]:
        click.echo(f"{shown(output)}: {made.describe()}, {words.size(len(made.data))}, id {made.id[:16]}")
