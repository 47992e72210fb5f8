"""The commands that ask an archive without decoding its arrays: features, nearest, recommend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import InvalidInput

from .common import (
    FILE,
    array_name,
    dataset_option,
    force_option,
    json_option,
    once,
    open_archive,
    output_option,
    print_json,
    quiet_option,
    say,
)
from .helping import command

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt


class _Array:
    """An array that is written as it is."""

    def __init__(self, values: npt.NDArray[Any]) -> None:
        self.values = values

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array."""
        return self.values.dtype

    @property
    def lossy(self) -> dict[str, Any] | None:
        """Codes are what they are: nothing was lost."""
        return None

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values."""
        yield self.values


def add_to(group: click.Group) -> None:
    """Add the commands to a group."""
    for one in (features, nearest, recommend):
        group.add_command(one)


@command(
    "aezip features images.npy.aez -o codes.npy          # of a file made with --codes or --width",
    "aezip features images.npy.aez -o codes.raw --json",
)
@click.argument("source", type=FILE, metavar="IN.aez")
@output_option("CODES.npy", required=True)
@dataset_option
@force_option
@quiet_option
@json_option
def features(source: str, output: str, name: str | None, force: bool, quiet: bool, as_json: bool) -> None:
    """Write the bottleneck codes as a feature matrix; the array is not decoded."""
    from aezip.core import atomic

    from . import formats

    if as_json and output == "-":
        raise InvalidInput("--json and the codes cannot both go to standard output: name a file with -o")
    with open_archive(source) as archive:
        formats.check_output(output, source=source, overwrite=force)
        codes = archive.codes(array_name(archive, name))
    with atomic.sources(source):
        formats.write(output, {"codes": _Array(codes)}, overwrite=force)
    if as_json:
        print_json({"input": source, "output": output, "rows": codes.shape[0], "width": codes.shape[1]})
    elif not quiet:
        from . import show as render

        say(render.written(output, {"codes": _Array(codes)}))


@command(
    "aezip nearest images.npy.aez --row 7 -k 10          # of a file made with --codes or --width",
    "aezip nearest images.npy.aez --like row.npy --metric cosine",
)
@click.argument("source", type=FILE, metavar="IN.aez")
@click.option("--row", type=int, metavar="R", help="Number of the row that neighbours are wanted of, from 0.")
@click.option("--like", type=FILE, metavar="ROW.npy", help="A new row instead.")
@click.option("-k", "count", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option(
    "--metric",
    type=click.Choice(["euclidean", "cosine"]),
    metavar="NAME",
    default="euclidean",
    show_default=True,
    help="Distance: euclidean or cosine.",
)
@dataset_option
@quiet_option
@json_option
def nearest(source: str, row: int | None, like: str | None, count: int, metric: str, **options: Any) -> None:
    """List the rows nearest to a row, by the codes alone; the array is not decoded."""
    if (row is None) == (like is None):
        raise InvalidInput("name the row with --row R, or a file that holds a new one with --like ROW.npy")
    once(source, like)
    query: Any = row
    if like is not None:
        from . import formats

        (query,) = formats.read(like).arrays.values()
    with open_archive(source) as archive:
        found = archive.nearest(array_name(archive, options["name"]), query, count, metric)
    if options["as_json"]:
        print_json({"file": source, "rows": found.rows.tolist(), "distances": found.distances.tolist()})
        return
    if options["quiet"]:
        return
    click.echo(f"{'row':>10}  distance")
    for number, distance in zip(found.rows, found.distances, strict=True):
        click.echo(f"{number:>10}  {distance:.6g}")


@command(
    "aezip recommend ratings.npy.aez --user 3 -n 10      # of a file made with --recommend",
    "aezip recommend ratings.npy.aez --user 3 --json",
)
@click.argument("source", type=FILE, metavar="IN.aez")
@click.option("--user", type=int, required=True, metavar="U", help="Number of the row, from 0.")
@click.option("-n", "count", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@dataset_option
@quiet_option
@json_option
def recommend(source: str, user: int, count: int, name: str | None, quiet: bool, as_json: bool) -> None:
    """List what a user would rate highest of what the user did not rate."""
    with open_archive(source) as archive:
        found = archive.recommend(array_name(archive, name), user, count)
    if as_json:
        print_json({"file": source, "user": user, "items": found.columns.tolist(), "estimates": found.estimates.tolist()})
        return
    if quiet:
        return
    click.echo(f"{'item':>10}  estimate")
    for number, estimate in zip(found.columns, found.estimates, strict=True):
        click.echo(f"{number:>10}  {estimate:.4g}")
