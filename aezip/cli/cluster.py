"""What `compress --dask` does: an array of a file goes through a cluster, whose workers read the file themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aezip.core.errors import InvalidInput
from aezip.core.names import stored

if TYPE_CHECKING:
    from aezip.archive.report import Report

    from .formats import Inputs

WAIT = 5  # seconds for a scheduler, and for its first worker
UNSUITED = {
    "dtype": "--dtype", "targeted": "a target size", "rules": "--bound", "codes": "--codes", "width": "--width",
    "recommend": "--recommend", "abs_map": "--abs-map", "keep_sign": "--keep-sign", "thresholds": "--keep-threshold",
}  # fmt: skip


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Make a cluster the one that computes; None: nothing is done.

    Raises
    ------
    InvalidInput
        If dask is not installed, no scheduler answers, or it has no workers.
    """
    if address is None:
        yield
        return
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise InvalidInput("--dask needs dask: pip install 'aezip[dask]'") from error
    before = dask.config.get("scheduler", None)
    try:
        client = Client(address, timeout=WAIT)
    except Exception as error:  # whatever answers there, or the library raises
        dask.config.set(scheduler=before)  # what failed leaves its own there
        raise InvalidInput(f"no dask scheduler answers at {address}: start one (dask scheduler), or correct --dask") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=WAIT)
        except TimeoutError as error:
            raise InvalidInput(f"the dask scheduler at {address} has no workers: start some (dask worker {address})") from error
        yield


def read(source: str, options: dict[str, Any]) -> Inputs:
    """Return an array of a file, whose values stay there.

    Raises
    ------
    InvalidInput
        If it is none, or an option does not go with a cluster.
    """
    from aezip.integrations import stored as files

    from . import formats

    for name, words in UNSUITED.items():
        if options[name]:
            raise InvalidInput(f"{words} does not go with --dask: leave one of them away")
    if source == "-" or len(options["datasets"]) > 1:
        raise InvalidInput("--dask takes an array of a file: name the file, and one data set of it with --dataset")
    if not options["datasets"] and formats.file_format(source) == "npz":
        raise InvalidInput(f"{source} holds its arrays packed: --dask takes .npy files and data sets of HDF5 files")
    inside = bool(options["datasets"]) or formats.file_format(source) == "hdf5"
    found = formats.described(source, options["datasets"]) if inside else formats.read(source)
    arrays = {
        name: files.from_file(source, name if inside else None, array.shape, array.dtype) for name, array in found.arrays.items()
    }
    return formats.Inputs(arrays, found.fills, found.whole, found.lossy, {}, found.valid)


def compress(arrays: dict[str, Any], target: str, options: dict[str, Any], **settings: Any) -> Report:
    """Compress the array through the cluster."""
    from aezip.integrations import dask

    if target == "-":
        raise InvalidInput("--dask writes a file: name it with -o")
    ((name, array),) = arrays.items()
    own = {key: settings[key].get(name) for key in ("fill_value", "valid_range")}
    kept = {key: settings[key] for key in ("model", "preset", "seed", "verify", "progress")}
    return dask.compress(array, target, settings["bound"], name=stored(name), overwrite=options["force"], **own, **kept)
