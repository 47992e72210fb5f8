"""Archives: files of arrays, read as a whole or in slices.

Joins codec and container; knows nothing of how either works.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aezip.container.reader import Reader
from aezip.core.errors import CorruptFile, DamageWarning, InvalidInput
from aezip.core.parallel import cores, ordered
from aezip.core.sources import Source
from aezip.core.surroundings import undisturbed

from .models import AnyModel, as_model
from .view import ArrayView, Before

if TYPE_CHECKING:
    from aezip.apps import codes as features
    from aezip.container.described import Described
    from aezip.core.progress import ProgressEvent

    from .report import Report


def thread_count(threads: int | None) -> int:
    """Return how many threads were asked for."""
    if threads is None:
        return cores()
    if threads < 1:
        raise InvalidInput("the number of threads must be at least 1")
    return threads


class Archive(Mapping[str, ArrayView]):
    """An open archive: a mapping from names to arrays.

    Parameters
    ----------
    source
        Path, bytes-like object, or file open for reading in binary mode.
    threads
        Threads that decode chunks; None: one for each core.
    model
        The model that the file refers to, if it is not in the file; None: it is looked for in AEZIP_MODEL_PATH.
    """

    def __init__(self, source: Source, *, threads: int | None = None, model: AnyModel = None) -> None:
        self._threads = thread_count(threads)
        given = as_model(model)
        self._reader = Reader(source)
        if self._reader.kind != "archive":
            self._reader.close()
            raise InvalidInput("this is a model, not an archive: compress and decompress take it with -m (model=)")
        self._views: dict[str, ArrayView] = {}
        before = Before(self._views, lambda: self._described[1])
        for name in self._reader.names:
            self._views[name] = ArrayView(self._reader, name, self._threads, given, before)

    @property
    def origin(self) -> dict[str, Any] | None:
        """The file that the archive was made of: format, name, bytes, sha256, modified; None: it was made of arrays."""
        return self._reader.origin

    def skeleton(self) -> Iterator[bytes]:
        """Yield that file without the values of its arrays, piece by piece; see `CorruptFile`."""
        return self._reader.skeleton()

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of the HDF5 or netCDF-4 file that the archive was made of; else empty."""
        return dict(self._described[0])

    @cached_property
    def _described(self) -> tuple[dict[str, Any], dict[str, Described]]:
        if self.origin is None or self.origin["format"] != "hdf5":
            return {}, {}
        from aezip.container.described import describe

        return describe(self.skeleton(), self.names)

    @property
    def names(self) -> list[str]:
        """Names of the arrays."""
        return list(self._views)

    def __getitem__(self, name: str) -> ArrayView:
        """Return an array by its name."""
        if name not in self._views:
            known = ", ".join(self._views) or "none"
            raise InvalidInput(f"there is no array {name!r} in the file: it has {known}")
        return self._views[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is an array of that name."""
        return name in self._views

    def get(self, name: str, default: Any = None) -> Any:
        """Return an array by its name, or the default."""
        return self._views.get(name, default)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._views)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._views)

    def _named(self, name: str | None) -> ArrayView:
        if name is None and len(self) != 1:
            raise InvalidInput(f"the file has the arrays {', '.join(self) or 'none'}: name one (--dataset)")
        return self[self.names[0] if name is None else name]

    def codes(self, name: str | None = None) -> npt.NDArray[np.int32]:
        """Return the bottleneck codes of an array as a feature matrix; the array itself is not decoded.

        Parameters
        ----------
        name
            The array; None: the only one.

        Returns
        -------
        ndarray of int32, shape (rows, width)
            One row for each block of the plan's layout, in C order: with `compress(..., codes=True)` for each index of
            the outer axis, or, where that has more than 4096 values, for each entry of the axes before the last.

        Raises
        ------
        InvalidInput
            If the array was stored without codes.
        """
        return self._named(name).codes()

    def nearest(self, name: str | None, row: Any, k: int = 10, metric: str = "euclidean") -> features.NearestRows:
        """Return the rows of an array that are nearest to a row, by the codes alone.

        Rows are compared by what the decoder makes of their codes, without the residual. A stored row is compared by
        its codes too; a new one by its own values (Jegou et al., "Product quantization for nearest neighbor search"
        (2011), calls these symmetric and asymmetric distances), as the encoder is not stored.

        Parameters
        ----------
        name
            The array; None: the only one.
        row
            Number of a row of `codes`, or a new row as an array of as many values; NaN entries do not count.
        k
            How many; the row itself is not among them.
        metric
            "euclidean", or "cosine".

        Raises
        ------
        InvalidInput
            If the array was stored without codes, or the row does not fit.
        """
        return self._named(name).nearest(row, k, metric)

    def predict(self, name: str | None = None, rows: Any = None) -> npt.NDArray[np.float64]:
        """Return the stored model's estimates of a ratings matrix, rated or not; the array is not decoded.

        Parameters
        ----------
        name
            The array; None: the only one.
        rows
            Numbers of rows (users); None: all.

        Returns
        -------
        ndarray of float64, shape (len(rows), columns)
            In units of the ratings, within their range; the same bits on every machine.

        Raises
        ------
        InvalidInput
            If the array was stored without a recommender, or a row is out of range.
        """
        return self._named(name).predict(rows)

    def recommend(self, name: str | None, row: int, count: int = 10) -> features.Recommended:
        """Return the columns (items) with the highest estimates among those that a row (user) did not rate.

        Decodes the chunk of that row, to know what it rated.

        Raises
        ------
        InvalidInput
            If the array was stored without a recommender, or the row is out of range.
        """
        return self._named(name).recommend(row, count)

    @undisturbed
    def report(self) -> Report:
        """Return the ledger and the achieved errors."""
        from .report import report

        self._reader.check_open()
        return report(self._reader)

    @undisturbed
    def damage(self, progress: Callable[[ProgressEvent], None] | None = None) -> list[str]:
        """Decode everything and check every digest; return what is wrong, a line each."""
        from aezip.core.progress import Progress

        found, tell = [], Progress(progress)
        if self.origin is not None:
            try:
                for _ in self.skeleton():
                    pass
            except CorruptFile as error:
                found.append(str(error))
        for name, view in self._views.items():
            found += [f"{name}: stream {s!r} does not match its digest" for s in self._reader.damaged_streams(name)]
            try:
                count = view._decoder.chunk_count
            except CorruptFile as error:
                found.append(f"{name}: {error}")
                continue
            for index, problem in enumerate(ordered(view._problem, range(count), self._threads)):
                found += [f"{name}: {problem}"] if problem else []
                tell("verify", index + 1, count, None, name, view.nbytes)
        return found

    def close(self) -> None:
        """Close the file; what is read from it afterwards is refused."""
        self._reader.close()

    def __repr__(self) -> str:
        """Return the names of the arrays, or that it is closed."""
        if self._reader.closed:
            return "<aezip.Archive, closed>"
        listed = ", ".join(f"{name!r}" for name in self.names[:5]) + (", …" if len(self) > 5 else "")
        return f"<aezip.Archive: {len(self)} array{'s' * (len(self) != 1)}, {self._reader.size} bytes: {listed}>"

    def __enter__(self) -> Archive:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()


@undisturbed
def decompress(
    source: Source, *, name: str | None = None, threads: int | None = None, salvage: bool = False, model: AnyModel = None
) -> Any:
    """Return the array of a file, or a dict of arrays if it holds several.

    Parameters
    ----------
    source
        Path, bytes-like object, or file open for reading in binary mode.
    name
        Only this array.
    threads
        None: one for each core.
    salvage
        Of a damaged file, return what is left: values of damaged chunks become the fill value, NaN, NaT, or 0 where the
        type has none of these. Each run of the outer axis that is lost is told in a `DamageWarning`.
    model
        The model that the file refers to, or the path of its file; None: it is looked for in AEZIP_MODEL_PATH.

    Raises
    ------
    CorruptFile, UnsafeFile, UnsupportedVersion
        If the file is damaged (beyond what can be salvaged), hostile, or of a later format.
    ModelMismatch
        If the model is missing, or another one.
    InvalidInput
        If there is no array of that name.
    """
    with Archive(source, threads=threads, model=model) as archive:
        views = dict(archive) if name is None else {name: archive[name]}
        if salvage:
            for view in views.values():
                view.salvage()
        arrays = {n: view.read() for n, view in views.items()}
        for n, view in views.items():
            for lost in (view._lost or {}).values():
                warnings.warn(f"{n}: {lost}", DamageWarning, stacklevel=2)
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


@undisturbed
def open(source: Source, *, threads: int | None = None, model: AnyModel = None) -> Archive:
    """Open an archive for reading in slices; see `Archive`."""
    return Archive(source, threads=threads, model=model)
