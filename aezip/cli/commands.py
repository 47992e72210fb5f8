"""The command line: the commands on files, and `run`, where every failure becomes one line and an exit code.

Heavy modules load only in the command that needs them; torch only when a network is trained.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from aezip.core.names import shown

from . import decompress as decompresscommand
from .common import MEGABYTES, SECONDS, once, skip_option, warn_of
from .common import say as _say

# Threads go over chunks: a BLAS that starts its own for every small product only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from aezip import __version__
from aezip.core.errors import AezipError, CorruptFile, FillWarning, InvalidInput, SlowWarning, meaningful
from aezip.plans.autoencoder import variants
from aezip.tools.words import measured

from . import arguments
from . import ask as asking
from . import bench as benchcommand
from . import interrupts as signals
from . import report as reportcommand
from . import train as modelcommand
from .common import check_source, read_original
from .common import json_option as _json_option
from .common import open_archive as _open
from .common import print_json as _print_json
from .common import threads_option as _threads_option

if TYPE_CHECKING:
    from aezip.archive.report import Report

    from .formats import Inputs

Command = TypeVar("Command", bound=Callable[..., Any])

_UNUSABLE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what the locale has no letter for is told all the same
    signals.listen()
    sys.exit(run())


def run(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Parameters
    ----------
    words
        The arguments; None: those of the process.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what libraries say to programmers, and -W error makes of it, is not for users
            result = cli.main(None if words is None else list(words), prog_name="aezip", standalone_mode=False)
        sys.stdout.flush()
        signals.calm()
        return result if isinstance(result, int) else 0
    except BaseException as error:
        signals.calm()
        return _failed(signals.came() or error)  # whatever became of a signal on its way


def _failed(error: BaseException) -> int:
    """Print one line on what went wrong; return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, signals.Stopped):
        return _fail(signals.NAMES[signal.Signals(error.number)], 128 + error.number)
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _fail("interrupted", 130)
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "aezip"
        return _fail(f"{error.format_message().rstrip('.')}; see '{command} --help'", 2)
    if isinstance(error, click.ClickException):
        return _fail(error.format_message(), 2)
    if isinstance(error, AezipError):
        return _fail(str(error), error.exit_code)
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter complains once more when it ends
        return _fail("the reader of standard output went away: write to a file with -o", 1)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        remedy = "check the path, its permissions and the free space"
        return _fail(f"{where}{error.strerror or error}: {remedy}", 2 if isinstance(error, _UNUSABLE) else 1)
    if isinstance(error, MemoryError):
        return _fail("out of memory: use fewer --threads, or cut the array into parts", 1)
    # a defect, still one line
    words = " ".join(str(error).split())
    return _fail(f"internal error, {type(error).__name__}: {words}: please report it with the command that you gave", 1)


def _fail(message: str, code: int) -> int:
    _say(message, "error")
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="aezip", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Store numeric arrays in far less space, with a guaranteed error."""
    if context.invoked_subcommand is None:
        raise click.UsageError(f"no command given: use one of {', '.join(sorted(cli.commands))}", context)


def _raw_options(function: Command) -> Command:
    function = click.option("--shape", metavar="744,33,49", help="Sizes of raw binary, outer axis first.")(function)
    return click.option("--dtype", metavar="f4", help="Type of raw binary.")(function)


@cli.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.aez", help="Default: IN.aez; - for standard output.")
@arguments.bound_options
@click.option("--preset", type=click.Choice(["instant", "fast", "balanced", "best"]), default="balanced", show_default=True)
@click.option("--variant", default="deep", show_default=True, metavar="NAME", help=arguments.VARIANT)
@modelcommand.model_option
@click.option("--embed-model/--no-embed-model", default=True, show_default=True, help="Put the model into OUT, or refer to it.")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 file; repeatable.")
@arguments.missing_options
@_raw_options
@click.option("--seed", type=int, default=0, show_default=True, help="Same input and seed, same file.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--codes", is_flag=True, help="Take a plan with codes (features) even where another is smaller.")
@click.option("--width", type=click.IntRange(1, 255), metavar="N", help="Codes of a row; implies --codes.")
@click.option("--recommend", is_flag=True, help="A ratings matrix, NaN = not rated: store a model of what was not rated.")
@_threads_option
@click.option("--no-verify", is_flag=True, help="Do not decode and compare before the file gets its name.")
@click.option("--rm/-k", "remove", default=False, help="Remove IN once OUT is verified, or keep it (default).")
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@skip_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Print the candidates that were tried, with the bytes expected of each.")
@_json_option
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def compress(source: str, output: str | None, **options: Any) -> None:
    """Compress IN: .npy, .npz, HDF5 data sets, raw binary; - for standard input."""
    bound = arguments.bound(options)
    fill, limits = arguments.fill_value(options["fill_values"]), arguments.valid_range(options["valid_range"])
    target = output or ("-" if source == "-" else f"{source}.aez")
    _check_compress(source, target, options)

    from aezip.core import atomic

    from . import formats

    kept = {name: options[name] for name in ("datasets", "dtype", "shape", "skip")}
    inputs = formats.read(source, **kept)
    if options["remove"] and not inputs.whole:
        raise InvalidInput(f"--rm would lose {_left_out(source, inputs)}")
    formats.check_output(target, source=source, overwrite=options["force"])
    if not options["quiet"]:
        warn_of(source, inputs)
    missing = {
        "fill_value": inputs.fills if fill is None else dict.fromkeys(inputs.arrays, fill),
        "valid_range": inputs.valid if limits is None else dict.fromkeys(inputs.arrays, limits),
    }

    from . import show as render

    with _told(quiet=options["quiet"]), render.progress(not (options["quiet"] or options["no_progress"])) as progress:
        with atomic.sources(source):
            report = _compress(inputs.arrays, target, options, bound=bound, **missing, progress=signals.watching(progress))
    if options["remove"]:
        os.unlink(source)
    if options["verbose"] and not options["quiet"]:
        for line in render.tried(report):
            click.echo(line, err=True)
    if options["as_json"]:
        told = {"lossy_before": inputs.lossy, "skipped": inputs.skipped}
        _print_json({"input": source, "output": target, **told, **report.to_json()})
    elif not options["quiet"]:
        unused = options["model"] if options["model"] is not None else ""
        click.echo(render.summary(report, target) + render.unused(report, unused), err=target == "-")


def _left_out(source: str, inputs: Inputs) -> str:
    """Return what of a file is not compressed, and what to do about it."""
    if inputs.skipped:
        return f"{next(iter(inputs.skipped))!r} of {source}, which is left out: leave --rm away"
    return f"the other data sets of {source}: leave it away, or name all with --dataset"


@contextmanager
def _told(*, quiet: bool) -> Iterator[None]:
    """Say in one line each, in the end, what the library warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        for kind in (FillWarning, SlowWarning):
            warnings.simplefilter("always", kind)
        yield
    for warning in () if quiet else caught:
        _say(str(warning.message), "warning")


def _check_compress(source: str, target: str, options: dict[str, Any]) -> None:
    """Refuse what contradicts itself, before anything is read."""
    variants.check(options["variant"])
    if options["model"] is None and not options["embed_model"]:
        raise InvalidInput("--no-embed-model goes with -m MODEL.aezm: train a model first")
    if options["remove"] and (source == "-" or target == "-"):
        raise InvalidInput("--rm is for a file that goes into a file: leave it away with standard input or output")
    if options["remove"] and options["no_verify"]:
        raise InvalidInput("--rm removes the input only after verified success: leave --no-verify away")
    if options["as_json"] and target == "-":
        raise InvalidInput("--json and the archive cannot both go to standard output: name a file with -o")


def _compress(arrays: dict[str, Any], target: str, options: dict[str, Any], **settings: Any) -> Report:
    from aezip.archive.writing import compress

    settings.update({name: options[name] for name in ("preset", "seed", "device", "threads", "variant", "model", "embed_model")})
    settings["verify"] = not options["no_verify"]
    settings["codes"] = options["width"] or options["codes"]
    settings["recommend"] = options["recommend"]
    if target != "-":
        written: Report = compress(arrays, target, overwrite=options["force"], **settings)
        return written
    report: Report
    data, report = compress(arrays, None, **settings)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return report


def _damage(source: str, threads: int | None, model: str | None) -> list[str]:
    """Test an archive or a model in this process; return problems."""
    from aezip.archive import models

    if source.endswith(models.SUFFIX):
        check_source(source)
        models.Model.load(source)  # every digest, network and table; whatever is wrong is raised
        return []
    with _open(source, threads, model) as archive:
        return archive.damage()


def _sandboxed(source: str, memory: int, seconds: int) -> tuple[int, list[str]]:
    """Test a file in a child process; return exit code and problems."""
    from aezip.tools import sandbox

    check_source(source)
    verdict = sandbox.examine(source, memory=memory, seconds=seconds)
    return verdict.code, verdict.lines


@cli.command()
@click.argument("source", metavar="IN.aez")
@_json_option
def info(source: str, as_json: bool) -> None:
    """Show the size ledger, bound asked and achieved, plan and candidates."""
    with _open(source) as archive:
        report = archive.report()
    if as_json:
        _print_json({"file": source, "software": __version__, **report.to_json()})
        return
    from . import show as render

    with meaningful("the header of an array"):
        render.show(report, source)


@cli.command()
@click.argument("sources", metavar="IN.aez...", nargs=-1, required=True)
@click.option("--sandbox", is_flag=True, help="In a child process with limits: for files from strangers.")
@click.option("--max-memory", type=MEGABYTES, default=4096, show_default=True, metavar="MB", help="Of the sandbox.")
@click.option("--max-seconds", type=SECONDS, default=600, show_default=True, metavar="S", help="Of the sandbox.")
@modelcommand.model_option
@_threads_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@_json_option
def test(
    sources: tuple[str, ...],
    sandbox: bool,
    max_memory: int,
    max_seconds: int,
    model: str | None,
    threads: int | None,
    quiet: bool,
    as_json: bool,
) -> int:
    """Decode every IN.aez and check every digest, of models (.aezm) too; write nothing."""
    once(*sources)
    found: dict[str, list[str]] = {}
    codes = []
    for source in sources:
        try:
            if sandbox:
                code, found[source] = _sandboxed(source, max_memory << 20, max_seconds)
            else:
                found[source] = _damage(source, threads, model)
                code = CorruptFile.exit_code if found[source] else 0
            lines = [f"{source}: {line}" for line in found[source]]
        except (AezipError, OSError) as error:
            found[source] = lines = [str(error)]
            code = error.exit_code if isinstance(error, AezipError) else 2 if isinstance(error, _UNUSABLE) else 1
        codes.append(code)
        for line in lines:
            _fail(line, code)
        if not (lines or quiet or as_json):
            click.echo(f"{shown(source)}: good")
    if as_json:
        _print_json({"good": not any(codes), "files": found})
    return next((code for code in codes if code), 0)


@cli.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("source", metavar="IN.aez")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 original; repeatable.")
@_raw_options
@modelcommand.model_option
@_threads_option
@_json_option
def verify(
    original: str,
    source: str,
    datasets: tuple[str, ...],
    dtype: str | None,
    shape: str | None,
    model: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Recompute the errors of IN.aez against ORIGINAL (- for standard input); exit 4 beyond the bound."""
    from aezip.archive import comparing

    once(original, source)
    with _open(source, threads, model) as opened:
        arrays = read_original(original, opened, datasets=datasets, dtype=dtype, shape=shape)
        found = comparing.compared(arrays, opened)
    errors = {name: metrics.to_json() for name, metrics in found.items()}
    if as_json:
        _print_json({"original": original, "file": source, "within_bound": True, "arrays": errors})
        return
    for name, values in errors.items():
        click.echo(f"{shown(name)}: within the bound; {measured(values)}")


cli.add_command(decompresscommand.decompress)
cli.add_command(modelcommand.train)
cli.add_command(benchcommand.bench)
cli.add_command(reportcommand.report)


@cli.command()
@click.option("--preset", type=click.Choice(["instant", "fast", "balanced", "best"]), default="fast", show_default=True)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def demo(preset: str, no_progress: bool) -> None:
    """Do the whole job on a real field and a real table that ship with the package."""
    from .demo import run_demo

    run_demo(preset, show_progress=not no_progress)


asking.add_to(cli)
