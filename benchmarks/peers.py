"""The peers of the benchmarks, with the settings and layouts to try. Knows nothing of bounds or files.

How most are called is in `aezip.tools.peers`; HDF5 filters are called here. One that is not installed is a row that says so.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from aezip.tools import peers
from aezip.tools.peers import (
    BLOSC_FILTERS,
    SZ3,
    TIGHTER,
    blosc2_decode,
    blosc2_encode,
    pcodec_decode,
    pcodec_encode,
    sz3_decode,
    sz3_encode,
    zfp_decode,
    zfp_encode,
    zstd_decode,
    zstd_encode,
)
from benchmarks.datasets import Array, Problem
from benchmarks.layouts import Layout, orders, shapes
from benchmarks.views import View, exact_views, float_views, integer_views

POWERS = (16.0, 8.0, 4.0, 2.0, 1.0, 0.5)  # for a peer whose error stays far below what it was asked for


@dataclass(frozen=True)
class Peer(peers.Peer):
    """A codec with what its search tries.

    Attributes
    ----------
    differences : bool
        Whether first differences along one axis are tried.
    """

    differences: bool = False

    def views(self, problem: Problem, factor: float = 1.0) -> Iterator[View]:
        """Yield what this peer may be given in place of the array."""
        found: Iterator[View]
        if self.takes == "exact":
            found = exact_views(problem, self.widths)
        elif self.takes == "float":
            found = float_views(problem, factor)
        else:
            found = integer_views(problem, factor)
        for view in found:
            if view.values.dtype.kind in self.kinds and view.values.dtype.itemsize in self.widths:
                yield view

    def layouts(self, shape: tuple[int, ...]) -> list[Layout]:
        """Return the layouts to compare for an array of ``shape``."""
        if self.dimensions == (0, 0):
            return orders(shape)
        return shapes(shape, *self.dimensions)


# HDF5 filters, in memory ---------------------------------------------------------------------------------------------
def _filter(name: str, tolerance: float) -> Any:
    import hdf5plugin

    if name == "Htj2k":
        return hdf5plugin.Htj2k()
    return getattr(hdf5plugin, name)(absolute=tolerance)


def _hdf5(name: str) -> tuple[Callable[[Array, float, str, bool], bytes], Callable[..., Array]]:
    """Return encode and decode that run one HDF5 filter over one chunk; only the bytes of the chunk count."""

    def encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
        import h5py

        with h5py.File(io.BytesIO(), "w") as file:
            made = file.create_dataset("x", data=values, chunks=values.shape, **_filter(name, tolerance))
            file.flush()
            skipped, payload = made.id.read_direct_chunk((0,) * values.ndim)
        if skipped:
            raise ValueError("the filter declined the chunk")
        return bytes(payload)

    def decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
        import h5py

        with h5py.File(io.BytesIO(), "w") as file:
            made = file.create_dataset("x", shape, dtype, chunks=shape, **_filter(name, tolerance))
            made.id.write_direct_chunk((0,) * len(shape), payload)
            values: Array = made[...]
        return values

    return encode, decode


_QUANTIZED: dict[str, Any] = {"factors": TIGHTER, "differences": True}
_PLANES = ("plain", "zigzag planes")
_PCODEC = ("auto", "lookback", "conv2", "conv16")
_sperr, _sz2, _sz3_filter, _htj2k = (_hdf5(name) for name in ("Sperr", "SZ", "SZ3", "Htj2k"))

PEERS: dict[str, Peer] = {
    p.name: p
    for p in (
        Peer("SZ3", "pysz", "float", sz3_encode, sz3_decode, tuple(SZ3)[:-1], (1, 4), "f", (4, 8), TIGHTER),
        Peer("SZ3-filter", "hdf5plugin", "float", *_sz3_filter, ("default",), (1, 4), "f", (4, 8), TIGHTER),
        Peer("SZ2", "hdf5plugin", "float", *_sz2, ("default",), (1, 4), "f", (4, 8), TIGHTER),
        Peer("ZFP", "zfpy", "float", zfp_encode, zfp_decode, ("accuracy",), (1, 4), "f", (4, 8), POWERS),
        Peer("SPERR", "hdf5plugin", "float", *_sperr, ("default",), (2, 3), "f", (4, 8), TIGHTER),
        Peer("quantize+pcodec", "pcodec", "integer", pcodec_encode, pcodec_decode, _PCODEC, **_QUANTIZED),
        Peer("quantize+zstd", "zstandard", "integer", zstd_encode, zstd_decode, _PLANES, **_QUANTIZED),
        Peer("pcodec", "pcodec", "exact", pcodec_encode, pcodec_decode, _PCODEC),
        Peer("Blosc2", "blosc2", "exact", blosc2_encode, blosc2_decode, tuple(BLOSC_FILTERS)),
        Peer("zstd-19", "zstandard", "exact", zstd_encode, zstd_decode, ("plain",)),
        Peer("ZFP-reversible", "zfpy", "exact", zfp_encode, zfp_decode, ("reversible",), (1, 4), "if", (4, 8)),
        Peer("SZ3-lossless", "pysz", "exact", sz3_encode, sz3_decode, ("lossless",), (1, 1), "f", (4, 8)),
        Peer("HTJ2K", "hdf5plugin", "exact", *_htj2k, ("default",), (2, 2), "iu", (1, 2)),
    )
}  # fmt: skip
