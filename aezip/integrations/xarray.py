"""xarray: archives as data sets, decoded where they are touched, and data sets into archives.

`xr.open_dataset("run.nc.aez", engine="aezip", chunks={})` once the package is installed; `ds.aezip.save(path, bounds=...)` once
this module is imported. Needs the extra `xarray`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from xarray.backends import AbstractDataStore, BackendArray, BackendEntrypoint, CachingFileManager
from xarray.backends.store import StoreBackendEntrypoint
from xarray.core import indexing

import aezip
from aezip.core.atomic import check_target
from aezip.core.errors import InvalidInput
from aezip.core.names import stored
from aezip.core.sources import is_url
from aezip.files.whole import write_skeleton

if TYPE_CHECKING:
    from aezip.archive.report import Report
    from aezip.array.bounds import Bound

_KEPT = ("chunksizes", "preferred_chunks", "source")  # of encodings: they are not those of the archive


class _Array(BackendArray):
    """An array of an archive; pickles as path and name."""

    def __init__(
        self, manager: CachingFileManager[aezip.Archive], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
    ) -> None:
        self.manager, self.name, self.shape, self.dtype = manager, name, shape, dtype

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._part)

    def _part(self, key: tuple[Any, ...]) -> Any:
        view = self.manager.acquire()[self.name]
        part = view[...] if not self.shape else view.oindex[key]
        return np.ma.filled(part) if np.ma.isMaskedArray(part) else np.asarray(part)


class _Store(AbstractDataStore):
    """The variables and attributes of a group of an archive, as they are stored."""

    def __init__(self, source: Any, group: str | None) -> None:
        self._manager = CachingFileManager(aezip.open, source)
        self._attributes: dict[Any, Any] = {}
        self._unlimited: set[Any] = set()
        archive = self._manager.acquire()
        try:
            if archive.origin is None:
                if group:
                    raise InvalidInput(f"the archive has no group {group!r}: it was made of arrays")
                self._variables = self._plain(archive)
            else:
                self._variables, self._attributes, self._unlimited = self._of_file(archive, (group or "").strip("/"))
        except BaseException:
            self._manager.close()
            raise

    def _plain(self, archive: Any) -> dict[Any, xr.Variable]:
        return {
            name: self._variable(view, name, [f"{name}_{axis}" for axis in range(view.ndim)]) for name, view in archive.items()
        }

    def _variable(self, view: Any, name: str, dims: Iterable[Any], like: xr.Variable | None = None) -> xr.Variable:
        data = indexing.LazilyIndexedArray(_Array(self._manager, name, view.shape, view.dtype))
        dims = tuple(dims)
        encoding = {} if like is None else {key: value for key, value in like.encoding.items() if key not in _KEPT}
        encoding["preferred_chunks"] = dict(zip(dims, view.chunks, strict=True))
        return xr.Variable(dims, data, {} if like is None else like.attrs, encoding)

    def _of_file(self, archive: Any, group: str) -> tuple[dict[Any, xr.Variable], dict[Any, Any], set[Any]]:
        with tempfile.TemporaryDirectory(prefix="aezip-") as folder:
            store = archive.origin["format"] == "zarr"
            place = os.path.join(folder, "skeleton.zarr" if store else "skeleton.nc")
            how: dict[str, Any] = {"engine": "zarr", "consolidated": False} if store else {}  # else xarray warns
            if store:
                os.mkdir(place)
            write_skeleton(archive, Path(place))
            try:
                with xr.open_dataset(place, decode_cf=False, group=group or None, cache=False, **how) as found:
                    variables = dict(found.variables)
                    coded = {name: f"{group}/{stored(str(name))}".strip("/") for name in variables}
                    made = {
                        name: self._variable(archive[coded[name]], coded[name], variable.dims, variable)
                        if coded[name] in archive
                        else variable.load()
                        for name, variable in variables.items()
                    }
                    return made, dict(found.attrs), set(found.encoding.get("unlimited_dims", ()))
            except (OSError, KeyError, ValueError) as error:
                if group:
                    raise InvalidInput(f"the archive has no group {group!r} that xarray can read ({str(error)[:60]})") from error
                raise

    def get_variables(self) -> dict[Any, xr.Variable]:
        """Return the variables as they are stored."""
        return self._variables

    def get_attrs(self) -> dict[Any, Any]:
        """Return the attributes of the group."""
        return self._attributes

    def get_dimensions(self) -> dict[Any, int]:
        """Return the sizes of the dimensions."""
        return {name: size for variable in self._variables.values() for name, size in variable.sizes.items()}

    def get_encoding(self) -> dict[str, Any]:
        """Return what xarray notes of the file."""
        return {"unlimited_dims": self._unlimited}

    def close(self) -> None:
        """Close the archive."""
        self._manager.close()


class AezipBackend(BackendEntrypoint):
    """The engine `aezip` of `xr.open_dataset`: archives of netCDF and HDF5 files, and of arrays."""

    description = "Open archives of aezip, decoding what is touched"
    supports_groups = False

    def open_dataset(  # type: ignore[override,unused-ignore]
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: Any = True,
        decode_times: Any = True,
        concat_characters: Any = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: Any = None,
        decode_timedelta: Any = None,
        group: str | None = None,
    ) -> xr.Dataset:
        """Open an archive; parameters as in `xr.open_dataset`.

        Raises
        ------
        AezipError
            If it is none, damaged, or its model is missing.
        """
        source = os.fspath(filename_or_obj) if isinstance(filename_or_obj, str | os.PathLike) else filename_or_obj
        store = _Store(source, group)
        return StoreBackendEntrypoint().open_dataset(
            store,
            mask_and_scale=mask_and_scale,
            decode_times=decode_times,
            concat_characters=concat_characters,
            decode_coords=decode_coords,
            drop_variables=drop_variables,
            use_cftime=use_cftime,
            decode_timedelta=decode_timedelta,
        )

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """Tell whether a name is that of an archive."""
        named = isinstance(filename_or_obj, str | os.PathLike)
        return named and os.fspath(filename_or_obj).endswith(".aez")


def save(
    dataset: xr.Dataset,
    path: str | os.PathLike[str],
    bounds: Bound | Mapping[str, Bound] | Iterable[tuple[str, Bound]] | None = None,
    *,
    encoding: Mapping[Any, Any] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> Report:
    """Save a data set as the archive of a netCDF-4 file.

    Parameters
    ----------
    dataset
        Any that `to_netcdf` takes; on the way it lies in a temporary file, uncompressed.
    path
        The archive.
    bounds
        As in `aezip.compress_file`.
    encoding
        As in `Dataset.to_netcdf`.
    overwrite
        Replace an existing file.
    options
        preset, seed, threads and others of `aezip.compress_file`.

    Raises
    ------
    InvalidInput
        If a bound or an option cannot be used, or the file exists.
    """
    place = os.fspath(path)
    if is_url(place):
        raise InvalidInput(f"{place} is a URL: save to a file, then copy it")
    check_target(Path(place), overwrite=overwrite)
    name = os.path.basename(place).removesuffix(".aez")
    with tempfile.TemporaryDirectory(prefix="aezip-") as folder:
        made = os.path.join(folder, name if name.endswith((".nc", ".nc4")) else f"{name}.nc")
        dataset.to_netcdf(made, format="NETCDF4", encoding=encoding)
        return aezip.compress_file(made, place, bounds=bounds, overwrite=overwrite, **options)


@xr.register_dataset_accessor("aezip")  # type: ignore[no-untyped-call,untyped-decorator,unused-ignore]
class AezipAccessor:
    """`ds.aezip`: what aezip can do with a data set."""

    def __init__(self, dataset: xr.Dataset) -> None:
        self._dataset = dataset

    def save(self, path: str | os.PathLike[str], bounds: Any = None, **options: Any) -> Report:
        """Save the data set as an archive; see `aezip.integrations.xarray.save`."""
        return save(self._dataset, path, bounds, **options)
