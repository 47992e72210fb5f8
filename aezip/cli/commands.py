"""The command line: the commands on files, and `run`, where every failure becomes one line and an exit code.

Heavy modules load only in the command that needs them; torch only when a network is trained.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from aezip.core.names import shown

from . import decompress as decompresscommand
from .common import MEGABYTES, SECONDS, once
from .common import say as _say

# Threads go over chunks: a BLAS that starts its own for every small product only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from aezip import __version__
from aezip.core.errors import AezipError, CorruptFile, meaningful
from aezip.tools.words import measured

from . import arguments
from . import ask as asking
from . import bench as benchcommand
from . import compress as compresscommand
from . import interrupts as signals
from . import report as reportcommand
from . import suggest as suggestcommand
from . import train as modelcommand
from .common import Batch, check_source, exit_code, raw_options, read_original, system_words
from .common import json_option as _json_option
from .common import open_archive as _open
from .common import print_json as _print_json
from .common import threads_option as _threads_option


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
        return _fail(system_words(error), exit_code(error))
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
@click.argument("sources", metavar="IN.aez...", nargs=-1, required=True)
@_json_option
def info(sources: tuple[str, ...], as_json: bool) -> int:
    """Show the size ledger, bound asked and achieved, plan and candidates of each IN.aez."""
    once(*sources)
    batch, found = Batch(sources), []

    def one(source: str) -> None:
        with _open(source) as archive:
            report = archive.report()
        found.append({"file": source, "software": __version__, **report.to_json()})
        if not as_json:
            from . import show as render

            with meaningful("the header of an array"):
                render.show(report, source)

    batch.each(one)
    if as_json:
        _print_json(found[0] if len(sources) == 1 else {"files": found, "failed": batch.failed})
    return batch.code


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
            code = exit_code(error)
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
@raw_options
@arguments.map_option
@modelcommand.model_option
@_threads_option
@_json_option
def verify(
    original: str,
    source: str,
    datasets: tuple[str, ...],
    dtype: str | None,
    shape: str | None,
    abs_map: str | None,
    model: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Recompute the errors of IN.aez against ORIGINAL (- for standard input); exit 4 beyond the bound.

    Beside the errors: structural similarity, correlations, the distance of the distributions, spectra; a warning where the error
    is not like noise.
    """
    from aezip.tools import inspection

    once(original, source)
    with _open(source, threads, model) as opened:
        arrays = read_original(original, opened, datasets=datasets, dtype=dtype, shape=shape)
        found = inspection.measured(opened, arrays, arguments.error_map(abs_map))
    if as_json:
        errors = {name: {**metrics.to_json(), **quality.to_json()} for name, (metrics, quality) in found.items()}
        _print_json({"original": original, "file": source, "within_bound": True, "arrays": errors})
        return
    for name, (metrics, quality) in found.items():
        click.echo(f"{shown(name)}: within the bound; {measured(metrics.to_json())}")
        if quality.words and metrics.max_abs_error:
            click.echo(f"  {quality.words}")
        for words in quality.warnings:
            _say(f"{name}: {words}", "warning")


cli.add_command(compresscommand.compress)
cli.add_command(decompresscommand.decompress)
cli.add_command(modelcommand.train)
cli.add_command(benchcommand.bench)
cli.add_command(reportcommand.report)
cli.add_command(suggestcommand.suggest)


@cli.command()
@click.option("--preset", type=click.Choice(["instant", "fast", "balanced", "best"]), default="fast", show_default=True)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def demo(preset: str, no_progress: bool) -> None:
    """Do the whole job on a real field and a real table that ship with the package."""
    from .demo import run_demo

    run_demo(preset, show_progress=not no_progress)


asking.add_to(cli)
