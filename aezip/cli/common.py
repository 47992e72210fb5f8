"""What several commands share: opening an archive, printing one line or JSON, common options."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aezip.core.errors import AezipError, InvalidInput
from aezip.core.names import shown, stored
from aezip.core.sources import check_file, is_url

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from aezip.archive.reading import Archive
    from aezip.archive.report import Report

    from .formats import Inputs

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Callable[..., Any]], Any]
SECONDS = click.IntRange(1, 10**8)  # limits that clocks, and sizes of memory, can hold
_UNUSABLE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
MEGABYTES = click.IntRange(256, 1 << 40)
PRESETS = ("instant", "fast", "balanced", "best")


class FileName(click.types.StringParamType):
    """A word that names a file: shells complete the names of files there."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Leave it to the shell."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


FILE = FileName()

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Tell on standard error what was done, and how long it took.")
force_option = click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
no_progress_option = click.option("--no-progress", is_flag=True, help="No progress bar.")
threads_option = click.option("--threads", type=click.IntRange(1), metavar="N", help="Default: one for each core.")
skip_option = click.option("--skip-unsupported", "skip", is_flag=True, help="Leave out arrays that hold no numbers; says which.")
output_dir_option = click.option("--output-dir", metavar="DIR", type=FILE, help="Write into this folder, under the same names.")
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where networks are trained."
)
seed_option = click.option(
    "--seed", type=int, default=0, show_default=True, metavar="N", help="The same input and seed give the same bytes."
)
_ONLY = "Only this data set, where a file holds several"
datasets_option = click.option("--dataset", "datasets", multiple=True, metavar="PATH", help=f"{_ONLY}; repeatable.")
dataset_option = click.option("--dataset", "name", metavar="PATH", help=f"{_ONLY}.")


def all_of(*options: Decorator) -> Decorator:
    """Make one decorator of several; the first one comes first in the help."""

    def add(function: Command) -> Command:
        for option in reversed(options):
            function = option(function)
        return function

    return add


# of every command that works for a while; those that answer at once have no progress and nothing to tell of it
telling_options = all_of(quiet_option, verbose_option, json_option, no_progress_option)
raw_options = all_of(
    click.option("--dtype", metavar="f4", help="Type of raw binary."),
    click.option("--shape", metavar="744,33,49", help="Sizes of raw binary, outer axis first."),
)


def output_option(metavar: str, default: str | None = None, *, required: bool = False) -> Decorator:
    """Return the option -o; `default` tells in words where the output goes without it."""
    text = "Where to write; - for standard output."
    return click.option("-o", "--output", type=FILE, metavar=metavar, required=required, show_default=default, help=text)


def preset_option(default: str, *, least: str = "instant", several: bool = False) -> Decorator:
    """Return the option --preset; `least` is the quickest one that is of use."""
    names = PRESETS[PRESETS.index(least) :]
    text = f"Effort: {', '.join(names[:-1])} or {names[-1]}{'; repeatable' * several}."
    choice = click.Choice(names)
    if several:
        return click.option(
            "--preset", "presets", type=choice, metavar="NAME", default=(default,), multiple=True, show_default=True, help=text
        )
    return click.option("--preset", type=choice, metavar="NAME", default=default, show_default=True, help=text)


def exit_code(error: AezipError | OSError) -> int:
    """Return the exit code of a failure."""
    if isinstance(error, AezipError):
        return error.exit_code
    return 2 if isinstance(error, _UNUSABLE) else 1


def system_words(error: OSError) -> str:
    """Return one line on what the system refused."""
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}: check the path, its permissions and the free space"


class Batch:
    """Several files, one after the other: one that fails is told in a line and does not stop the others.

    Parameters
    ----------
    sources
        Their names; of a single one every failure is raised.
    """

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = list(sources)
        self.code = 0
        self.failed: dict[str, str] = {}

    def each(self, action: Callable[[str], None]) -> None:
        """Do something with each file."""
        for source in self.sources:
            try:
                action(source)
            except (AezipError, OSError) as error:
                if len(self.sources) == 1:
                    raise
                words = str(error) if isinstance(error, AezipError) else system_words(error)
                self.failed[source] = words if words.startswith(source) else f"{source}: {words}"
                self.code = max(self.code, exit_code(error))
                say(self.failed[source], "error")


def say(message: str, what: str = "") -> None:
    """Print one line on standard error; `what` it is: an error, a warning."""
    click.echo(shown(f"aezip: {what}: {message}" if what else message), err=True)


def warn_of(source: str, inputs: Inputs) -> None:
    """Say what is left out of a file, and what is odd about the rest."""
    for name, words in inputs.skipped.items():
        say(f"{name!r} of {source} is left out: it holds {words}", "warning")
    for name, words in inputs.lossy.items():
        say(f"{name!r} of {source} was compressed lossily before ({words}): errors add up, use the original", "warning")


def once(*paths: str | None) -> None:
    """Check that standard input is one file at most.

    Raises
    ------
    InvalidInput
        If it is several.
    """
    if paths.count("-") > 1:
        raise InvalidInput("standard input can be read once: name a file in place of the other -")


def array_name(archive: Archive, name: str | None) -> str | None:
    """Return the name of an array as a file stores it, given as a word of the command line."""
    return name if name is None or name in archive.names else stored(name)


def open_archive(source: str, threads: int | None = None, model: str | None = None) -> Archive:
    """Open an archive; - is standard input, `model` the path of the model it refers to.

    Raises
    ------
    AezipError
        If it is none; the message begins with its name.
    """
    from aezip.archive.models import as_model
    from aezip.archive.reading import Archive

    given = as_model(model)
    check_source(source)
    try:
        return Archive(sys.stdin.buffer.read() if source == "-" else source, threads=threads, model=given)
    except AezipError as error:
        raise type(error)(f"{'standard input' if source == '-' else source}: {error}") from error


def check_source(source: str) -> None:
    """Check that an archive is there; a URL tells when it is opened.

    Raises
    ------
    InvalidInput
        If there is none, or it is a folder.
    """
    if not is_url(source):
        check_file(source)


def read_original(
    path: str, archive: Archive, *, datasets: tuple[str, ...], dtype: str | None, shape: str | None, quiet: bool = False
) -> dict[str, Any]:
    """Read the arrays that an archive was made from; of raw values the archive knows type and shape.

    Raises
    ------
    InvalidInput
        If the file cannot be taken.
    """
    from aezip.files import whole

    from . import formats

    taken = None if path == "-" or datasets or dtype is not None else whole.originals(path, archive)
    if taken is not None:
        return taken
    views = list(archive.values())
    kind = formats.file_format(path)
    if kind in ("hdf5", "zarr"):
        datasets = datasets or tuple(archive.names)
    elif path != "-" and kind is None and not datasets and dtype is None and shape is None and len(views) == 1 and views[0].shape:
        dtype, shape = views[0].dtype.str, ",".join(map(str, views[0].shape))
    inputs = formats.read(path, datasets=datasets, dtype=dtype, shape=shape, skip=True)
    for name, words in () if quiet else inputs.skipped.items():
        say(f"{name!r} of {path} was not compared: {words}", "warning")
    return inputs.arrays


def report_json(report: Report) -> dict[str, Any]:
    """Return what --json says of an archive; the file that it was made of is the `original`: `file` is the archive."""
    said = report.to_json()
    if "file" in said:
        said["original"] = said.pop("file")
    return said


def with_missing(inputs: Inputs, fill: Any, limits: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the fill values and the valid range of each array: those of the options, else those that the file states."""
    fills = inputs.fills if fill is None else dict.fromkeys(inputs.arrays, fill)
    return fills, inputs.valid if limits is None else dict.fromkeys(inputs.arrays, limits)


def write_text(output: str, text: str, *, overwrite: bool) -> None:
    """Write a text whole or not at all; - is standard output."""
    from aezip.core import atomic

    data = text.encode("utf-8", "backslashreplace")
    if output == "-":
        to_stdout(data)
    else:
        atomic.write(Path(output), data, overwrite=overwrite)


def to_stdout(data: bytes) -> None:
    """Write bytes to standard output."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_json(value: Any) -> None:
    """Print one JSON object; what JSON has no number for (NaN, infinities) becomes null."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
