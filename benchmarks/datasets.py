"""Which arrays are measured and at which bounds. Knows nothing of codecs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ROOT = Path(__file__).resolve().parent.parent
CHANNELS = ROOT / "benchmarks" / "data"  # the multi-channel sets that `benchmarks.fetch` makes
FLOATS_UP_TO = 2.0**24  # integers up to here are exact in float32


@dataclass(frozen=True)
class Dataset:
    """One array and how it is given to a codec.

    Attributes
    ----------
    name : str
        Its name in tables and file names.
    file : str
        The ``.npz`` file, which holds the array under ``a``; empty means ``name``.
    fill : float or None
        A value that stands for "no data": exact on return, no part of the range.
    per_feature : bool
        Whether bounds relative to the range of each column are measured too.
    shape : tuple of int or None
        A shape to give the array to aezip in. Peers try the layouts they like in any case.
    peers : str
        The data set whose results of peers count for this one; empty means its own.
    variables : tuple of str
        Names for the entries of the last axis, where these are variables of one file: aezip gets an array for each.
    multichannel : bool
        Whether it belongs to the table of `benchmarks.joint`, at bounds relative to each channel's range alone.
    """

    name: str
    file: str = ""
    fill: float | None = None
    per_feature: bool = False
    shape: tuple[int, ...] | None = None
    peers: str = ""
    variables: tuple[str, ...] = ()
    multichannel: bool = False

    def path(self, folder: Path | None = None) -> Path:
        """Return where its file is; it may be missing."""
        name = f"{self.file or self.name}.npz"
        path = (folder or data_folder()) / name
        return path if path.exists() or not self.multichannel else CHANNELS / name

    def load(self, folder: Path | None = None) -> Array:
        """Return the array, in the shape it is measured in."""
        with np.load(self.path(folder)) as archive:
            array: Array = archive["a"]
        return array if self.shape is None else array.reshape(self.shape)


def data_folder() -> Path:
    """Return the folder of the ``.npz`` files: ``AEZIP_DATA``, or ``../shared/data`` beside the project."""
    return Path(os.environ.get("AEZIP_DATA") or ROOT.parent / "shared" / "data")


DATASETS: dict[str, Dataset] = {
    d.name: d
    for d in (
        Dataset("era5_uk_t2m"),
        Dataset("ukmo_north_america_tair"),
        Dataset("ipsl_sst_fill", fill=1e20),
        Dataset("viscous_fingers"),
        Dataset("md_adk"),
        Dataset("kuramoto_sivashinsky"),
        Dataset("fashion_mnist"),
        Dataset("olivetti_faces"),
        Dataset("jasper_ridge"),
        Dataset("jasper_ridge_rows", file="jasper_ridge", shape=(10_000, 198), peers="jasper_ridge"),
        Dataset("cwru_bearing"),
        Dataset("mitbih100_ecg"),
        Dataset("etth", per_feature=True),
        Dataset("fmi_radar", fill=255),
        Dataset("nycflights13"),
        Dataset("flights"),
        Dataset("uci_protein", per_feature=True),
        Dataset("glove100"),
        Dataset("lstm_weights"),
        Dataset("pbmc68k"),
        Dataset("jester_ratings"),
        Dataset("ml100k_train_triplets"),
        Dataset("ml100k_test_triplets"),
        Dataset("jasper_ridge_channels", file="jasper_ridge", per_feature=True, multichannel=True),
        Dataset("etth_channels", file="etth", per_feature=True, multichannel=True),
        Dataset("fermentation_ir", per_feature=True, multichannel=True),
        Dataset("coffee_ir", per_feature=True, multichannel=True),
        Dataset("staff_ecg", per_feature=True, multichannel=True),
        Dataset("japanese_vowels", per_feature=True, multichannel=True),
        Dataset("cobrotoxin", per_feature=True, multichannel=True, variables=("position", "velocity", "force")),
        Dataset("adk_oplsaa", per_feature=True, multichannel=True, variables=("position", "velocity")),
        Dataset("era5_members", per_feature=True, multichannel=True, variables=("t", "z")),
        Dataset("colpex", per_feature=True, multichannel=True, variables=("theta", "pressure")),
        Dataset("veros_acc", per_feature=True, multichannel=True, variables=("u", "v", "temp", "salt", "tke")),
    )
}
MULTICHANNEL = tuple(name for name, d in DATASETS.items() if d.multichannel)
QUICK = ("ukmo_north_america_tair", "olivetti_faces", "jasper_ridge", "etth", "uci_protein", "lstm_weights")


@dataclass(frozen=True)
class Bound:
    """A bound as it is written in a table: a share of the value range, or lossless (``share`` 0)."""

    share: float
    per_feature: bool = False

    @property
    def label(self) -> str:
        """Return the name for tables and files, such as ``1e-2-per-feature``."""
        if self.share == 0:
            return "lossless"
        return f"{self.share:.0e}".replace("e-0", "e-") + ("-per-feature" if self.per_feature else "")


SHARES = (1e-2, 1e-3, 1e-4)
LOSSLESS = Bound(0.0)
JOINT_BOUNDS = ("1e-2-per-feature", "1e-3-per-feature")
BOUNDS: dict[str, Bound] = {
    b.label: b for b in (*(Bound(s) for s in SHARES), *(Bound(s, per_feature=True) for s in SHARES), LOSSLESS)
}


@dataclass(frozen=True)
class Problem:
    """An array with the error that is allowed, as numbers.

    Attributes
    ----------
    array : ndarray
        The original.
    special : ndarray of bool or None
        Where the array holds NaN, an infinity or the fill value; None where it holds none.
    error : ndarray of float64, shape () or (columns,)
        The largest ``abs(x - y)`` allowed; 0 means bit-identical.
    bound : Bound
        Where the error came from.
    """

    array: Array
    special: npt.NDArray[np.bool_] | None
    error: npt.NDArray[np.float64]
    bound: Bound
    fill: float | None = None
    columns: int = field(default=0)

    @property
    def lossless(self) -> bool:
        """Say whether the array must come back bit for bit."""
        return self.bound.share == 0


def pose(array: Array, bound: Bound, fill: float | None = None) -> Problem:
    """Turn a bound into numbers for one array.

    Parameters
    ----------
    array : ndarray
        Integers or floats of any shape.
    bound : Bound
        Relative to ``max - min`` over finite values that are not ``fill``, in float64.
    fill : float, optional
        The value that stands for "no data".
    """
    special = np.zeros(array.shape, bool)
    if array.dtype.kind == "f":
        special |= ~np.isfinite(array)
    if fill is not None:
        special |= array == array.dtype.type(fill)
    has_special = bool(special.any())
    error = np.zeros(())
    if bound.share:
        axes = tuple(range(array.ndim - 1)) if bound.per_feature else None
        wide = array.astype(np.float64)
        low = np.min(np.where(special, np.inf, wide), axis=axes)
        high = np.max(np.where(special, -np.inf, wide), axis=axes)
        error = np.asarray(np.where(high > low, bound.share * (high - low), 0.0))
    columns = array.shape[-1] if bound.per_feature else 0
    return Problem(array, special if has_special else None, error, bound, fill, columns)


def cells(names: list[str] | None, bounds: list[str] | None) -> list[tuple[Dataset, Bound]]:
    """Return every pair of a data set and a bound to measure, in the order of the tables; multi-channel ones if named."""
    chosen = [DATASETS[n] for n in names] if names else [d for d in DATASETS.values() if not d.multichannel]
    wanted = [BOUNDS[b] for b in bounds] if bounds else list(BOUNDS.values())
    pairs = [(d, b) for d in chosen for b in wanted if d.per_feature or not b.per_feature]
    return [(d, b) for d, b in pairs if not d.multichannel or b.label in JOINT_BOUNDS]
