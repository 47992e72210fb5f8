"""The command line. Every failure is one line that names the remedy; heavy modules load only where needed."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

# Threads go over chunks: a BLAS that starts its own for every small product only gets in the way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import click

from . import __version__
from .errors import AezipError, CorruptFile, InvalidInput

if TYPE_CHECKING:
    from .archive import Archive, ArrayView
    from .bounds import Bound

REL = (
    "--rel is ambiguous: use --range-rel (of max - min), --point-rel (of each value), or "
    "--range-rel with --per-feature (of each column's max - min)"
)


class _Terminated(BaseException):
    """SIGTERM: unwinds like an interrupt, so that temporary files go."""


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    try:
        result = cli.main(arguments, prog_name="aezip", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        return _fail(error.format_message(), 2)
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except _Terminated:
        return _fail("terminated", 143)
    except AezipError as error:
        return _fail(str(error), error.exit_code)
    except BrokenPipeError:
        return 1
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}: check the path, its permissions and the free space", 1)
    except MemoryError:
        return _fail("out of memory: use a smaller array, or fewer --threads", 1)
    except Exception as error:  # a defect: still one line, never a traceback
        return _fail(f"internal error, {type(error).__name__}: {error}: please report it", 1)


def _fail(message: str, code: int) -> int:
    print(f"aezip: error: {' '.join(message.split())}", file=sys.stderr)
    return code


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def cli() -> None:
    """Store numeric arrays in far less space, with a guaranteed error."""


def _bound_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--abs", "absolute", type=float, metavar="E", help="abs(x - y) <= E for every value."),
        click.option("--range-rel", type=float, metavar="E", help="E times (max - min)."),
        click.option("--point-rel", type=float, metavar="E", help="E times abs(x) for every value x."),
        click.option("--psnr", type=float, metavar="DB", help="Peak signal-to-noise ratio of at least DB."),
        click.option("--lossless", is_flag=True, help="Bit-identical (the default)."),
        click.option("--rel", type=float, hidden=True),
        click.option("--per-feature", is_flag=True, help="With --range-rel: each column has its own range."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _bound(options: dict[str, Any]) -> Bound:
    from .bounds import PSNR, Absolute, Lossless, PointRelative, RangeRelative

    if options["rel"] is not None:
        raise InvalidInput(REL)
    names = {"absolute": "--abs", "range_rel": "--range-rel", "point_rel": "--point-rel", "psnr": "--psnr"}
    given = [name for name in names if options[name] is not None]
    if len(given) + options["lossless"] > 1:
        raise InvalidInput("give one bound only: --abs, --range-rel, --point-rel, --psnr or --lossless")
    if options["per_feature"] and given != ["range_rel"]:
        raise InvalidInput("--per-feature goes with --range-rel only")
    if not given:
        return Lossless()
    value = options[given[0]]
    if given == ["range_rel"]:
        return RangeRelative(value, options["per_feature"])
    kinds: dict[str, Callable[[float], Bound]] = {"absolute": Absolute, "point_rel": PointRelative, "psnr": PSNR}
    return kinds[given[0]](value)


@cli.command()
@click.argument("source", metavar="IN")
@click.option("-o", "--output", metavar="OUT.aez", help="Default: IN.aez.")
@_bound_options
@click.option("--preset", type=click.Choice(["fast", "balanced", "best"]), default="balanced", show_default=True)
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 file; repeatable.")
@click.option("--fill-value", metavar="X", help="Masked: exact on return, kept out of range and training.")
@click.option("--dtype", metavar="f4", help="Of raw binary input.")
@click.option("--shape", metavar="744,33,49", help="Of raw binary input.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Default: one for each core.")
@click.option("--no-verify", is_flag=True, help="Do not decode and compare before the file gets its name.")
@click.option("-k/--rm", "keep", default=True, help="Keep the input (default), or remove it after verified success.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.option("--no-progress", is_flag=True)
def compress(source: str, output: str | None, **options: Any) -> None:
    """Compress IN (.npy, .npz, raw, HDF5 data sets; - for standard input)."""
    from . import render
    from .container import check_target
    from .formats import read

    bound = _bound(options)
    if output is None:
        if source == "-":
            raise InvalidInput("name the output with -o when the input is standard input")
        output = f"{source}.aez"
    if not options["keep"] and (options["no_verify"] or source == "-"):
        raise InvalidInput("--rm needs a verified file: leave --no-verify away, and name an input file")
    inputs = read(source, datasets=options["datasets"], dtype=options["dtype"], shape=options["shape"])
    fills = {**inputs.fills, **_fills(options["fill_value"], inputs.arrays)}
    if output != "-":
        check_target(Path(output), overwrite=options["force"])
    with render.progress(not (options["quiet"] or options["no_progress"] or options["as_json"])) as progress:
        report = _compress(inputs.arrays, output, bound, fills, options, progress)
    if not options["keep"]:
        os.unlink(source)
    if options["as_json"] and output != "-":
        click.echo(json.dumps(report.to_json()))
    elif not options["quiet"]:
        click.echo(render.summary(report, output), err=output == "-")


def _compress(
    arrays: dict[str, Any], output: str, bound: Bound, fills: dict[str, Any], options: dict[str, Any], progress: Any
) -> Any:
    from . import archive

    settings = {name: options[name] for name in ("preset", "seed", "device", "threads")}
    common = {"bound": bound, "fill_value": fills, "verify": not options["no_verify"], "progress": progress, **settings}
    if output != "-":
        return archive.compress(arrays, output, overwrite=options["force"], **common)
    data, report = archive.compress(arrays, None, **common)
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return report


def _fills(text: str | None, arrays: dict[str, Any]) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        value: int | float = int(text)
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            raise InvalidInput(f"--fill-value {text!r} is not a number: write for example 1e20 or -9999") from None
    return dict.fromkeys(arrays, value)


class _Whole:
    """A whole array of an archive, to be written."""

    def __init__(self, view: ArrayView) -> None:
        self.shape, self.dtype = view.shape, view.dtype
        self._view = view

    def fill(self, out: Any) -> None:
        """Decode into `out`."""
        self._view.read(out)


class _Part:
    """A slice of an array, to be written."""

    def __init__(self, view: ArrayView, key: tuple[Any, ...]) -> None:
        import numpy as np

        self._values = np.asarray(view[key])
        self.shape, self.dtype = self._values.shape, view.dtype

    def fill(self, out: Any) -> None:
        """Copy into `out`."""
        out[...] = self._values


def _slices(text: str) -> tuple[Any, ...]:
    """Parse "0:10,:,3"."""
    parts: list[Any] = []
    try:
        for part in text.split(","):
            word = part.strip()
            if word == "...":
                parts.append(Ellipsis)
            elif ":" in word:
                parts.append(slice(*(int(n) if n.strip() else None for n in word.split(":"))))
            else:
                parts.append(int(word))
    except (ValueError, TypeError):
        raise InvalidInput(f"--slice {text!r} is not understood: write for example --slice '0:10,:,3'") from None
    return tuple(parts)


def _open(source: str, threads: int | None = None) -> Archive:
    from .archive import Archive

    if source == "-":
        return Archive(sys.stdin.buffer.read(), threads=threads)
    if not Path(source).exists():
        raise InvalidInput(f"{source} does not exist: check the name")
    if Path(source).is_dir():
        raise InvalidInput(f"{source} is a folder: name a file")
    return Archive(source, threads=threads)


@cli.command()
@click.argument("source", metavar="IN.aez")
@click.option("-o", "--output", metavar="OUT", help="Default: IN without .aez; .npy, .npz or raw by the name.")
@click.option("--dataset", "names", multiple=True, metavar="NAME", help="Only this array; repeatable.")
@click.option("--slice", "part", metavar="'0:10,:,3'", help="Only this part; decodes only the chunks it touches.")
@click.option("--threads", type=click.IntRange(1), help="Default: one for each core.")
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def decompress(
    source: str, output: str | None, names: tuple[str, ...], part: str | None, threads: int | None, force: bool, as_json: bool
) -> None:
    """Decompress IN.aez (- for standard input) to .npy, .npz or raw values."""
    from .formats import output_name, write

    with _open(source, threads) as archive:
        wanted = list(names) or archive.names
        key = None if part is None else _slices(part)
        try:
            views = {n: _Whole(archive[n]) if key is None else _Part(archive[n], key) for n in wanted}
        except IndexError as error:
            raise InvalidInput(f"--slice {part}: {error}") from None
        if not views:
            raise InvalidInput("the file holds no arrays: nothing to write")
        target = output or ("-" if source == "-" else output_name(source, len(views)))
        write(target, views, overwrite=force)
        if as_json and target != "-":
            shapes = {n: {"shape": list(v.shape), "dtype": v.dtype.str} for n, v in views.items()}
            click.echo(json.dumps({"output": target, "arrays": shapes}))


@cli.command()
@click.argument("source", metavar="IN.aez")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def info(source: str, as_json: bool) -> None:
    """Show the size ledger, bound asked and achieved, plan and candidates."""
    from . import render

    with _open(source) as archive:
        report = archive.report()
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        render.show(report, source)


@cli.command()
@click.argument("sources", metavar="IN.aez...", nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), help="Default: one for each core.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
@click.option("-q", "--quiet", is_flag=True)
def test(sources: tuple[str, ...], threads: int | None, as_json: bool, quiet: bool) -> None:
    """Decode and check every digest; write nothing."""
    found: dict[str, list[str]] = {}
    for source in sources:
        with _open(source, threads) as archive:
            found[source] = archive.damage()
    if as_json:
        click.echo(json.dumps(found))
    elif not quiet:
        for source, problems in found.items():
            click.echo("\n".join(f"{source}: {p}" for p in problems) if problems else f"{source}: good")
    bad = [source for source, problems in found.items() if problems]
    if bad:
        raise CorruptFile(f"{', '.join(bad)}: damaged, get another copy")


@cli.command()
@click.argument("original", metavar="ORIGINAL")
@click.argument("source", metavar="IN.aez")
@click.option("--dataset", "datasets", multiple=True, metavar="PATH", help="Data set of an HDF5 original; repeatable.")
@click.option("--dtype", metavar="f4", help="Of a raw binary original.")
@click.option("--shape", metavar="744,33,49", help="Of a raw binary original.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on standard output.")
def verify(
    original: str, source: str, datasets: tuple[str, ...], dtype: str | None, shape: str | None, as_json: bool
) -> None:
    """Recompute the errors of IN.aez against ORIGINAL; exit 4 beyond the bound."""
    from . import archive, render
    from .formats import read

    if not Path(source).exists():
        raise InvalidInput(f"{source} does not exist: check the name")
    inputs = read(original, datasets=datasets, dtype=dtype, shape=shape)
    found = archive.verify(inputs.arrays, source)
    if as_json:
        click.echo(json.dumps({name: metrics.to_json() for name, metrics in found.items()}))
        return
    for name, metrics in found.items():
        values = {k: render.number(v) for k, v in metrics.to_json().items()}
        errors = f"max error {values['max_abs_error']}, RMSE {values['rmse']}, NRMSE {values['nrmse']}"
        click.echo(f"{name}: within the bound; {errors}, PSNR {values['psnr']} dB")


@cli.command()
@click.option("--preset", type=click.Choice(["fast", "balanced", "best"]), default="fast", show_default=True)
@click.option("--no-progress", is_flag=True)
def demo(preset: str, no_progress: bool) -> None:
    """Do the whole job on a real field and a real table that ship with the package."""
    from .demo import run_demo

    run_demo(preset, show_progress=not no_progress)
