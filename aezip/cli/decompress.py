"""The command `decompress`: arrays of an archive, or a part of them, to a file of another format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from aezip.core.errors import CorruptFile, InvalidInput

from . import arguments
from . import train as modelcommand
from .common import array_name, json_option, open_archive, print_json, say, threads_option

if TYPE_CHECKING:
    import numpy.typing as npt

    from aezip.archive.view import ArrayView


class _Whole:
    """A whole array of an archive, decoded while it is written."""

    def __init__(self, view: ArrayView) -> None:
        self.shape, self.dtype, self.lossy = view.shape, view.dtype, _lossy(view)
        self._view = view

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the chunks."""
        for _, _, values in self._view._parts():
            yield self._view._filled(values)
        if self._view._lost and len(self._view._lost) == self._view._decoder.chunk_count:
            raise CorruptFile(f"nothing of {self._view.name!r} can be restored: get another copy of the file")


class _Part:
    """A slice of an array of an archive."""

    def __init__(self, view: ArrayView, key: tuple[Any, ...]) -> None:
        import numpy as np

        self._values = view._filled(np.asarray(view._stored(key), view.dtype))
        self.shape, self.dtype, self.lossy = self._values.shape, view.dtype, _lossy(view)

    def pieces(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the values."""
        yield self._values


def _lossy(view: ArrayView) -> dict[str, Any] | None:
    """Return the bound of an array if anything was lost."""
    exact = view._header.get("achieved", {}).get("max_abs_error") == 0
    return None if exact or view._header["bound"]["kind"] == "lossless" else view._header["bound"]


@click.command()
@click.argument("source", metavar="IN.aez")
@click.option("-o", "--output", metavar="OUT", help="Default: IN without .aez; .npy, .npz or raw by the name.")
@click.option("--dataset", "names", multiple=True, metavar="PATH", help="Only this array; repeatable.")
@click.option("--slice", "part", metavar="'0:10,:,3'", help="Only this part; decodes only the chunks it touches.")
@click.option("--salvage", is_flag=True, help="Restore what a damaged file still holds, fill the rest; exit 3 if any is lost.")
@modelcommand.model_option
@threads_option
@click.option("-f", "--force", is_flag=True, help="Replace an existing output.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@json_option
def decompress(
    source: str,
    output: str | None,
    names: tuple[str, ...],
    part: str | None,
    salvage: bool,
    model: str | None,
    threads: int | None,
    force: bool,
    quiet: bool,
    as_json: bool,
) -> int:
    """Decompress IN.aez (- for standard input) to .npy, .npz or raw values."""
    from aezip.core import atomic

    from . import formats

    key = None if part is None else arguments.slices(part)
    with open_archive(source, threads, model) as archive:
        wanted = names or tuple(archive.names)
        if not wanted:
            raise InvalidInput(f"{source} holds no arrays: there is nothing to write")
        target = output or ("-" if source == "-" else formats.output_name(source, len(wanted)))
        if as_json and target == "-":
            raise InvalidInput("--json and the array cannot both go to standard output: name a file with -o")
        formats.check_output(target, source=source, overwrite=force)
        views = [archive[str(array_name(archive, name))] for name in wanted]
        if salvage:
            for view in views:
                view.salvage()
        try:
            arrays = {view.name: _Whole(view) if key is None else _Part(view, key) for view in views}
        except IndexError as error:
            raise InvalidInput(f"--slice {part}: {error}: choose a part inside the array") from None
        with atomic.sources(source):
            formats.write(target, arrays, overwrite=force)
        lost = {view.name: [str(run) for _, run in sorted((view._lost or {}).items())] for view in views}
    code = CorruptFile.exit_code if any(lost.values()) else 0
    if as_json:
        shapes = {name: {"shape": array.shape, "dtype": array.dtype.str} for name, array in arrays.items()}
        print_json({"input": source, "output": target, "arrays": shapes, **({"lost": lost} if salvage else {})})
    elif not quiet:
        from . import show as render

        say(render.written(target, arrays))
    for name, runs in lost.items():
        for run in runs:
            say(f"{source}: {name}: {run}", "error")
    return code
