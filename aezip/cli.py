"""The command line: seven commands, and `run`, where every failure becomes one line and an exit code.

Heavy modules load only in the command that needs them; torch only when a network is trained.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

# Threads go over chunks: a BLAS that starts its own for every small product only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from . import __version__, arguments, modelcommand, variants
from .errors import AezipError, CorruptFile, InvalidInput

if TYPE_CHECKING:
    from types import FrameType

    import numpy.typing as npt

    from .archive import Archive, ArrayView
    from .progress import ProgressEvent
    from .report import Report

Command = TypeVar("Command", bound=Callable[..., Any])

_UNUSABLE = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)
_SIGNALS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_pending: list[int] = []  # signals that came


class _Stopped(BaseException):
    """A signal asked to stop: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the clearing up
    _pending.append(number)
    raise _Stopped(number)


def _swallowed(problem: sys.UnraisableHookArgs) -> None:
    """Say nothing of a signal that fell into a destructor: `watching` raises it again."""
    if not isinstance(problem.exc_value, _Stopped):
        sys.__unraisablehook__(problem)


def watching(progress: Callable[[ProgressEvent], None] | None) -> Callable[[ProgressEvent], None]:
    """Return a callback that also ends the job if a signal was swallowed."""

    def report(event: ProgressEvent) -> None:
        if _pending:
            raise _Stopped(_pending[0])
        if progress is not None:
            progress(event)

    return report


def main() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _swallowed
    sys.exit(run())


def run(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code.

    Parameters
    ----------
    words
        The arguments; None: those of the process.
    """
    try:
        result = cli.main(None if words is None else list(words), prog_name="aezip", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BaseException as error:
        return _failed(error)


def _failed(error: BaseException) -> int:
    """Print one line on what went wrong; return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, _Stopped):
        return _fail(_SIGNALS[signal.Signals(error.number)], 128 + error.number)
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
    return _fail(f"internal error, {type(error).__name__}: {error}: please report it with the command that you gave", 1)


def _fail(message: str, code: int) -> int:
    print(f"aezip: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _print_json(value: Any) -> None:
    """Print one JSON object; what JSON has no number for (NaN, infinities) becomes null."""
    click.echo(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True)
@click.version_option(__version__, prog_name="aezip", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Store numeric arrays in far less space, with a guaranteed error."""
    if context.invoked_subcommand is None:
        raise click.UsageError("no command given: use compress, decompress, info, test, verify, train or demo", context)


def _json_option(function: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")(function)


def _threads_option(function: Command) -> Command:
    return click.option("--threads", type=click.IntRange(1), metavar="N", help="Default: one for each core.")(function)


def _raw_options(function: Command) -> Command:
    function = click.option("--shape", metavar="744,33,49", help="Sizes of raw binary, outer axis first.")(function)
    return click.option("--dtype", metavar="f4", help="Type of raw binary.")(function)


@cli.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.aez", help="Default: IN.aez; - for standard output.")
@arguments.bound_options
@click.option("--preset", type=click.Choice(["fast", "balanced", "best"]), default="balanced", show_default=True)
@click.option("--variant", default="deep", show_default=True, metavar="NAME", help=arguments.VARIANT)
@modelcommand.model_option
@click.option("--embed-model/--no-embed-model", default=True, show_default=True, help="Put the model into OUT, or refer to it.")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 file; repeatable.")
@click.option("--fill-value", metavar="X", help="Masked: exact on return, kept out of range and training.")
@_raw_options
@click.option("--seed", type=int, default=0, show_default=True, help="Same input and seed, same file.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@_threads_option
@click.option("--no-verify", is_flag=True, help="Do not decode and compare before the file gets its name.")
@click.option("--rm/-k", "remove", default=False, help="Remove IN once OUT is verified, or keep it (default).")
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@_json_option
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def compress(source: str, output: str | None, **options: Any) -> None:
    """Compress IN: .npy, .npz, HDF5 data sets, raw binary; - for standard input."""
    bound = arguments.bound(options)
    fill = arguments.fill_value(options["fill_value"])
    target = output or ("-" if source == "-" else f"{source}.aez")
    _check_compress(source, target, options)

    from . import formats

    inputs = formats.read(source, datasets=options["datasets"], dtype=options["dtype"], shape=options["shape"])
    if options["remove"] and not inputs.whole:
        raise InvalidInput(f"--rm would lose the other data sets of {source}: leave it away, or name all with --dataset")
    formats.check_output(target, source=source, overwrite=options["force"])
    fills = inputs.fills if fill is None else dict.fromkeys(inputs.arrays, fill)

    from . import render

    with render.progress(not (options["quiet"] or options["no_progress"])) as progress:
        report = _compress(inputs.arrays, target, options, bound=bound, fill_value=fills, progress=watching(progress))
    if options["remove"]:
        os.unlink(source)
    if options["as_json"]:
        _print_json({"input": source, "output": target, **report.to_json()})
    elif not options["quiet"]:
        click.echo(render.summary(report, target), err=target == "-")


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
    from . import archive

    settings.update({name: options[name] for name in ("preset", "seed", "device", "threads", "variant", "model", "embed_model")})
    settings["verify"] = not options["no_verify"]
    if target != "-":
        written: Report = archive.compress(arrays, target, overwrite=options["force"], **settings)
        return written
    report: Report
    data, report = archive.compress(arrays, None, **settings)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return report


class _Whole:
    """A whole array of an archive, decoded while it is written."""

    def __init__(self, view: ArrayView) -> None:
        self.shape, self.dtype = view.shape, view.dtype
        self._view = view

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the chunks."""
        return (values for _, _, values in self._view.chunks())


class _Part:
    """A slice of an array of an archive."""

    def __init__(self, view: ArrayView, key: tuple[Any, ...]) -> None:
        import numpy as np

        self._values = np.asarray(view[key])
        self.shape, self.dtype = self._values.shape, view.dtype

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values."""
        yield self._values


def _open(source: str, threads: int | None = None, model: str | None = None) -> Archive:
    from .archive import Archive
    from .models import as_model

    given = as_model(model)
    if source == "-":
        return Archive(sys.stdin.buffer.read(), threads=threads, model=given)
    if not os.path.lexists(source):
        raise InvalidInput(f"{source} does not exist: check the name")
    if os.path.isdir(source):
        raise InvalidInput(f"{source} is a folder: name a file")
    try:
        return Archive(source, threads=threads, model=given)
    except AezipError as error:
        raise type(error)(f"{source}: {error}") from error


@cli.command()
@click.argument("source", metavar="IN.aez")
@click.option("-o", "--output", metavar="OUT", help="Default: IN without .aez; .npy, .npz or raw by the name.")
@click.option("--dataset", "names", multiple=True, metavar="PATH", help="Only this array; repeatable.")
@click.option("--slice", "part", metavar="'0:10,:,3'", help="Only this part; decodes only the chunks it touches.")
@modelcommand.model_option
@_threads_option
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@_json_option
def decompress(
    source: str, output: str | None, names: tuple[str, ...], part: str | None, model: str | None, threads: int | None,
    force: bool, as_json: bool,
) -> None:
    """Decompress IN.aez (- for standard input) to .npy, .npz or raw values."""
    from . import formats

    key = None if part is None else arguments.slices(part)
    with _open(source, threads, model) as archive:
        wanted = names or tuple(archive.names)
        if not wanted:
            raise InvalidInput(f"{source} holds no arrays: there is nothing to write")
        target = output or ("-" if source == "-" else formats.output_name(source, len(wanted)))
        if as_json and target == "-":
            raise InvalidInput("--json and the array cannot both go to standard output: name a file with -o")
        formats.check_output(target, source=source, overwrite=force)
        try:
            arrays = {name: _Whole(archive[name]) if key is None else _Part(archive[name], key) for name in wanted}
        except IndexError as error:
            raise InvalidInput(f"--slice {part}: {error}: choose a part inside the array") from None
        formats.write(target, arrays, overwrite=force)
    if as_json:
        shapes = {name: {"shape": array.shape, "dtype": array.dtype.str} for name, array in arrays.items()}
        _print_json({"input": source, "output": target, "arrays": shapes})


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
    from . import render

    render.show(report, source)


@cli.command()
@click.argument("sources", metavar="IN.aez...", nargs=-1, required=True)
@modelcommand.model_option
@_threads_option
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@_json_option
def test(sources: tuple[str, ...], model: str | None, threads: int | None, quiet: bool, as_json: bool) -> int:
    """Decode every IN.aez and check every digest; write nothing."""
    found: dict[str, list[str]] = {}
    codes = []
    for source in sources:
        try:
            with _open(source, threads, model) as archive:
                found[source] = archive.damage()
            code = CorruptFile.exit_code if found[source] else 0
            lines = [f"{source}: {line}" for line in found[source]]
        except (AezipError, OSError) as error:
            found[source] = lines = [str(error)]
            code = error.exit_code if isinstance(error, AezipError) else 2 if isinstance(error, _UNUSABLE) else 1
        codes.append(code)
        for line in lines:
            _fail(line, code)
        if not (lines or quiet or as_json):
            click.echo(f"{source}: good")
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
    original: str, source: str, datasets: tuple[str, ...], dtype: str | None, shape: str | None,
    model: str | None, threads: int | None, as_json: bool,
) -> None:
    """Recompute the errors of IN.aez against ORIGINAL; exit 4 beyond the bound."""
    from . import archive, formats

    with _open(source, model=model) as opened:
        views = list(opened.values())
        kind = formats.file_format(original)
        if kind == "hdf5":
            datasets = datasets or tuple(opened.names)
        elif kind is None and not datasets and dtype is None and shape is None and len(views) == 1 and views[0].shape:
            dtype, shape = views[0].dtype.str, ",".join(map(str, views[0].shape))  # raw: the file knows what it was
    inputs = formats.read(original, datasets=datasets, dtype=dtype, shape=shape)
    found = archive.verify(inputs.arrays, source, threads=threads, model=model)
    errors = {name: metrics.to_json() for name, metrics in found.items()}
    if as_json:
        _print_json({"original": original, "file": source, "within_bound": True, "arrays": errors})
        return
    from . import render

    for name, values in errors.items():
        click.echo(f"{name}: within the bound; {render.errors(values)}")


cli.add_command(modelcommand.train)


@cli.command()
@click.option("--preset", type=click.Choice(["fast", "balanced", "best"]), default="fast", show_default=True)
@click.option("--no-progress", is_flag=True, help="No progress bar.")
def demo(preset: str, no_progress: bool) -> None:
    """Do the whole job on a real field and a real table that ship with the package."""
    from .demo import run_demo

    run_demo(preset, show_progress=not no_progress)
