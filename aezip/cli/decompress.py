"""The command `decompress`: arrays of an archive, or a part of them, to a file of another format."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import CorruptFile, InvalidInput
from aezip.core.sources import base_name, is_url
from aezip.tools import words

from . import arguments
from . import train as modelcommand
from .common import (
    FILE,
    Batch,
    array_name,
    datasets_option,
    force_option,
    once,
    open_archive,
    output_dir_option,
    output_option,
    print_json,
    say,
    telling_options,
    threads_option,
)
from .helping import command

if TYPE_CHECKING:
    import numpy.typing as npt

    from aezip.archive.reading import Archive
    from aezip.archive.view import ArrayView
    from aezip.core.progress import ProgressEvent

    from .formats import Source


def _numbers(view: ArrayView, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values for files that have NumPy's types alone: those that it has not as float32, which holds them."""
    narrow = view._decoder.narrow
    return values if narrow is None else narrow.widen(values.view(narrow.plain))


class _Whole:
    """A whole array of an archive, decoded while it is written."""

    def __init__(self, view: ArrayView, told: Callable[[ProgressEvent], None]) -> None:
        import numpy as np

        self.shape, self.dtype, self.lossy = view.shape, _numbers(view, np.empty(0, view._decoder.dtype)).dtype, view.lost_within
        self._view, self._told = view, told

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the chunks."""
        yield from (_numbers(self._view, values) for values in self._view.pieces(self._told))
        if self._view._lost and len(self._view._lost) == self._view._decoder.chunk_count:
            raise CorruptFile(f"nothing of {self._view.name!r} can be restored: get another copy of the file")


class _Preview:
    """Some values of an array of an archive."""

    def __init__(self, view: ArrayView, level: int) -> None:
        self._values = _numbers(view, view.preview(level).values)
        self.shape, self.dtype, self.lossy = self._values.shape, self._values.dtype, view.lost_within

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values."""
        yield self._values


class _Part:
    """A slice of an array of an archive."""

    def __init__(self, view: ArrayView, key: tuple[Any, ...]) -> None:
        import numpy as np

        self._values = _numbers(view, view._filled(np.asarray(view._stored(key), view._decoder.dtype)))
        self.shape, self.dtype, self.lossy = self._values.shape, self._values.dtype, view.lost_within

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values."""
        yield self._values


@command(
    "aezip decompress temperature.npy.aez -o back.npy",
    "aezip decompress temperature.npy.aez -o part.npy --slice '0:10,:,3'",
)
@click.argument("sources", type=FILE, metavar="IN.aez...", nargs=-1, required=True)
@output_option("OUT", "IN without .aez")
@output_dir_option
@datasets_option
@click.option("--slice", "part", metavar="'0:10,:,3'", help="Only this part; decodes the chunks it touches.")
@click.option("--preview", "level", type=click.IntRange(1, 30), metavar="LEVEL", help="Only every 2nd (1), 4th (2), 8th value.")
@click.option("--salvage", is_flag=True, help="Fill what is damaged, restore the rest; exit 3 if any is lost.")
@modelcommand.model_option
@threads_option
@force_option
@telling_options
def decompress(sources: tuple[str, ...], output: str | None, output_dir: str | None, **options: Any) -> int:
    """Decompress each IN.aez: to the file it was made of, or to .npy, .npz or raw by the name of OUT."""
    if output is not None and (output_dir is not None or len(sources) > 1):
        raise InvalidInput("-o names one file: use --output-dir DIR for several")
    once(*sources)
    batch, made = Batch(sources), {}

    def one(source: str) -> None:
        code, made[source] = _one(source, output, output_dir, options)
        batch.code = max(batch.code, code)

    batch.each(one)
    if options["as_json"]:
        print_json(next(iter(made.values())) if len(sources) == 1 else {"files": list(made.values()), "failed": batch.failed})
    return batch.code


def _one(source: str, output: str | None, folder: str | None, options: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Decompress one archive; return the exit code and what --json says."""
    from aezip.core import atomic

    from . import formats, progress

    names, part, level = options["datasets"], options["part"], options["level"]
    if level and (part or options["salvage"]):
        raise InvalidInput("--preview is of whole arrays: leave --slice and --salvage away")
    key = None if part is None else arguments.slices(part)
    with open_archive(source, options["threads"], options["model"]) as archive:
        wanted = names or tuple(archive.names)
        if archive.origin is not None and not (names or part or level or options["salvage"]) and not formats.takes_arrays(output):
            return 0, _whole(source, archive, output, folder, options)
        if not wanted:
            raise InvalidInput(f"{source} holds no arrays: there is nothing to write")
        local = base_name(source) if is_url(source) else source
        target = output or ("-" if source == "-" else _inside(folder, formats.output_name(local, len(wanted))))
        if options["as_json"] and target == "-":
            raise InvalidInput("--json and the array cannot both go to standard output: name a file with -o")
        formats.check_output(target, source=source, overwrite=options["force"])
        views = [archive[str(array_name(archive, name))] for name in wanted]
        if options["salvage"]:
            for view in views:
                view.salvage()
        with progress.followed(options, source) as told:
            try:
                arrays = {view.name: _taken(view, key, level, told) for view in views}
            except IndexError as error:
                raise InvalidInput(f"--slice {part}: {error}: choose a part inside the array") from None
            with atomic.sources(source):
                formats.write(target, arrays, overwrite=options["force"])
        lost = {view.name: [str(run) for _, run in sorted((view._lost or {}).items())] for view in views}
    if not options["as_json"] and not options["quiet"]:
        from . import show as render

        say(render.written(target, arrays))
    for name, runs in lost.items():
        for run in runs:
            say(f"{source}: {name}: {run}", "error")
    shapes = {name: {"shape": array.shape, "dtype": array.dtype.str} for name, array in arrays.items()}
    said = {"input": source, "output": target, "arrays": shapes, **({"lost": lost} if options["salvage"] else {})}
    return CorruptFile.exit_code if any(lost.values()) else 0, said


def _taken(view: ArrayView, key: tuple[Any, ...] | None, level: int | None, told: Callable[[ProgressEvent], None]) -> Source:
    if level:
        return _Preview(view, level)
    return _Whole(view, told) if key is None else _Part(view, key)


def _inside(folder: str | None, path: str) -> str:
    """Return where an output goes; the folder is made."""
    if folder is None:
        return path
    os.makedirs(folder, exist_ok=True)
    return os.path.join(folder, os.path.basename(path))


def _whole(source: str, archive: Archive, output: str | None, folder: str | None, options: dict[str, Any]) -> dict[str, Any]:
    """Write the file that an archive was made of; return what --json says."""
    from aezip.core import atomic
    from aezip.files import whole

    from . import formats, progress

    assert archive.origin is not None
    local = base_name(source) if is_url(source) else source
    default = os.path.basename(str(archive.origin["name"])) if source == "-" else local.removesuffix(".aez")
    target = output or _inside(folder, default)
    if target == "-":
        raise InvalidInput("a whole file goes into a file: name it with -o, or choose an array with --dataset")
    whole.check_restored(archive, Path(target), overwrite=options["force"])
    if not whole.makes_folder(archive, Path(target)):
        formats.check_output(target, source=source, overwrite=options["force"])
    with progress.followed(options, source) as told, atomic.sources(source):
        whole.restore(archive, Path(target), overwrite=options["force"], progress=told, said=say)
    size = whole.size_of(target)
    if not options["as_json"] and not options["quiet"]:
        say(f"{target}: {archive.origin['format']}, {len(archive)} arrays coded, {words.size(size)}")
    return {"input": source, "output": target, "format": archive.origin["format"], "bytes": size, "arrays": archive.names}
