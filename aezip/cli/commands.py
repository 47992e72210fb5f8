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
from typing import Any, NoReturn

from aezip.core.names import shown

from . import decompress as decompresscommand
from .common import (
    FILE,
    MEGABYTES,
    SECONDS,
    datasets_option,
    json_option,
    once,
    preset_option,
    quiet_option,
    telling_options,
)
from .common import say as _say

# Threads go over chunks: a BLAS that starts its own for every small product only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from aezip import __version__
from aezip.core.errors import AezipError, CorruptFile, InvalidInput, meaningful
from aezip.tools.words import measured

from . import arguments
from . import ask as asking
from . import bench as benchcommand
from . import completion as completioncommand
from . import compress as compresscommand
from . import interrupts as signals
from . import report as reportcommand
from . import suggest as suggestcommand
from . import train as modelcommand
from .common import Batch, check_source, exit_code, raw_options, read_original, report_json, system_words
from .common import open_archive as _open
from .common import print_json as _print_json
from .common import threads_option as _threads_option
from .helping import WIDTH, command


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


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH}, invoke_without_command=True)
@click.version_option(__version__, prog_name="aezip", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Store numeric arrays in far less space, with a guaranteed error."""
    if context.invoked_subcommand is None:
        raise click.UsageError(f"no command given: use one of {', '.join(sorted(cli.commands))}", context)


def _damage(source: str, options: dict[str, Any]) -> list[str]:
    """Test an archive or a model in this process; return problems."""
    from aezip.archive import models

    from . import progress

    if source.endswith(models.SUFFIX):
        check_source(source)
        models.Model.load(source)  # every digest, network and table; whatever is wrong is raised
        return []
    with _open(source, options["threads"], options["model"]) as archive, progress.followed(options, source) as told:
        return archive.damage(told)


def _sandboxed(source: str, memory: int, seconds: int) -> tuple[int, list[str]]:
    """Test a file in a child process; return exit code and problems."""
    from aezip.tools import sandbox

    check_source(source)
    verdict = sandbox.examine(source, memory=memory, seconds=seconds)
    return verdict.code, verdict.lines


@command("aezip info temperature.npy.aez", "aezip info temperature.npy.aez model.nc.aez --json")
@click.argument("sources", type=FILE, metavar="IN.aez...", nargs=-1, required=True)
@quiet_option
@json_option
def info(sources: tuple[str, ...], quiet: bool, as_json: bool) -> int:
    """Show the size ledger, bound asked and achieved, plan and candidates of each IN.aez."""
    from aezip.files.whole import table_names

    once(*sources)
    batch, found = Batch(sources), []

    def one(source: str) -> None:
        with _open(source) as archive:
            report, columns = archive.report(), table_names(archive)
        found.append({"file": source, **report_json(report)})
        if not (as_json or quiet):
            from . import show as render

            with meaningful("the header of an array"):
                render.show(report, source, columns)

    batch.each(one)
    if as_json:
        _print_json(found[0] if len(sources) == 1 else {"files": found, "failed": batch.failed})
    return batch.code


@command("aezip test temperature.npy.aez model.nc.aez", "aezip test --sandbox --max-memory 4096 temperature.npy.aez")
@click.argument("sources", type=FILE, metavar="IN.aez...", nargs=-1, required=True)
@click.option("--sandbox", is_flag=True, help="In a child process with limits: for files from strangers.")
@click.option("--max-memory", type=MEGABYTES, default=4096, show_default=True, metavar="MB", help="Of the sandbox.")
@click.option("--max-seconds", type=SECONDS, default=600, show_default=True, metavar="S", help="Of the sandbox.")
@modelcommand.model_option
@_threads_option
@telling_options
def test(sources: tuple[str, ...], sandbox: bool, max_memory: int, max_seconds: int, **options: Any) -> int:
    """Decode every IN.aez and check every digest, of models (.aezm) too; write nothing."""
    once(*sources)
    found: dict[str, list[str]] = {}
    codes = []
    for source in sources:
        try:
            if sandbox:
                code, found[source] = _sandboxed(source, max_memory << 20, max_seconds)
            else:
                found[source] = _damage(source, options)
                code = CorruptFile.exit_code if found[source] else 0
            lines = [f"{source}: {line}" for line in found[source]]
        except (AezipError, OSError) as error:
            found[source] = lines = [str(error)]
            code = exit_code(error)
        codes.append(code)
        for line in lines:
            _fail(line, code)
        if not (lines or options["quiet"] or options["as_json"]):
            click.echo(f"{shown(source)}: good")
    if options["as_json"]:
        _print_json({"good": not any(codes), "files": found})
    return next((code for code in codes if code), 0)


@command("aezip verify temperature.npy temperature.npy.aez", "aezip verify model.nc model.nc.aez --json")
@click.argument("original", type=FILE, metavar="ORIGINAL")
@click.argument("source", type=FILE, metavar="IN.aez")
@datasets_option
@raw_options
@arguments.map_option
@modelcommand.model_option
@_threads_option
@telling_options
def verify(original: str, source: str, **options: Any) -> None:
    """Recompute the errors of IN.aez against ORIGINAL (- for standard input); exit 4 beyond the bound.

    Beside the errors: structural similarity, correlations, the distance of the distributions, spectra; a warning where the error
    is not like noise.
    """
    from aezip.tools import inspection

    from . import progress

    once(original, source)
    if original.endswith(".aez") and not source.endswith(".aez"):
        raise InvalidInput(f"the original comes first: aezip verify {shown(source)} {shown(original)}")
    kept = {name: options[name] for name in ("datasets", "dtype", "shape", "quiet")}
    with _open(source, options["threads"], options["model"]) as opened:
        arrays = read_original(original, opened, **kept)
        with progress.followed(options, source) as told:
            found = inspection.measured(opened, arrays, arguments.error_map(options["abs_map"]), told)
    if options["as_json"]:
        errors = {name: inspection.errors_json(*both) for name, both in found.items()}
        _print_json({"original": original, "file": source, "within_bound": True, "arrays": errors})
        return
    for name, (metrics, quality) in () if options["quiet"] else found.items():
        click.echo(f"{shown(name)}: within the bound; {measured(metrics.to_json())}")
        if quality.words and metrics.max_abs_error:
            click.echo(f"  {quality.words}")
        for words in quality.warnings:
            _say(f"{name}: {words}", "warning")


@command("aezip demo --preset instant", "aezip demo --preset instant --json")
@preset_option("fast")
@_threads_option
@telling_options
def demo(preset: str, threads: int | None, **options: Any) -> None:
    """Do the whole job on a real field and a real table that ship with the package."""
    from .demo import run_demo

    run_demo(preset, threads, options)


for _one in (info, test, verify, demo):
    cli.add_command(_one)
cli.add_command(compresscommand.compress)
cli.add_command(decompresscommand.decompress)
cli.add_command(modelcommand.train)
cli.add_command(benchcommand.bench)
cli.add_command(reportcommand.report)
cli.add_command(suggestcommand.suggest)
cli.add_command(completioncommand.completion)
asking.add_to(cli)
