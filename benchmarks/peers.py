"""The peers: one `Peer` for each codec, with the settings and layouts to try. Knows nothing of bounds or files.

A peer is imported when it is first used; one that is not installed is a row that says so.
"""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zstandard

from benchmarks.datasets import Array, Problem
from benchmarks.layouts import Layout, orders, shapes
from benchmarks.views import View, exact_views, float_views, integer_views

Takes = Literal["exact", "float", "integer"]
TIGHTER = (1.0, 1 - 1e-6, 1 - 1e-3, 0.99, 0.9)  # for a peer that exceeds its bound, by the last cast for example
POWERS = (16.0, 8.0, 4.0, 2.0, 1.0, 0.5)  # for a peer whose error stays far below what it was asked for


@dataclass(frozen=True)
class Peer:
    """A codec beside which aezip is measured.

    Attributes
    ----------
    name : str
        Its name in tables.
    module : str
        What is imported; tells whether the peer is installed.
    takes : str
        ``exact``: any array, bit for bit; ``float``: floats with a tolerance; ``integer``: integers made by quantizing.
    encode : callable
        ``(values, tolerance, setting, effort) -> bytes``; ``effort`` is False while layouts are compared.
    decode : callable
        ``(payload, dtype, shape, tolerance, setting) -> values``.
    settings : tuple of str
        The first one compares layouts.
    dimensions : tuple of int
        Fewest and most axes whose neighbourhood it uses; (0, 0): it reads values one after the other.
    kinds : str
        The ``dtype.kind`` characters that it can code.
    widths : tuple of int
        The item sizes that it can code.
    factors : tuple of float
        Multiples of the tolerance to ask for, until the checked error is within the bound.
    differences : bool
        Whether first differences along one axis are tried.
    """

    name: str
    module: str
    takes: Takes
    encode: Callable[[Array, float, str, bool], bytes]
    decode: Callable[[bytes, np.dtype[Any], tuple[int, ...], float, str], Array]
    settings: tuple[str, ...] = ("default",)
    dimensions: tuple[int, int] = (0, 0)
    kinds: str = "iuf"
    widths: tuple[int, ...] = (1, 2, 4, 8)
    factors: tuple[float, ...] = (1.0,)
    differences: bool = False

    @property
    def installed(self) -> bool:
        """Say whether the peer can be imported."""
        return importlib.util.find_spec(self.module) is not None

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


# SZ3 -----------------------------------------------------------------------------------------------------------------
_SZ3 = {
    "interp-lorenzo": "ALGO_INTERP_LORENZO",
    "interp": "ALGO_INTERP",
    "interp-linear": "ALGO_INTERP\n[AlgoSettings]\nInterpolationAlgo = INTERP_ALGO_LINEAR",
    "lorenzo-regression": "ALGO_LORENZO_REG",
    "lorenzo": "ALGO_LORENZO_REG\n[AlgoSettings]\nRegression = NO",
    "nopred": "ALGO_NOPRED",
    "lossless": "ALGO_LOSSLESS",
}


def _sz3_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    from pysz import sz, szConfig, szErrorBoundMode

    config = szConfig(*values.shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sz3.config"
        path.write_text(f"[GlobalSettings]\nCmprAlgo = {_SZ3[setting]}\n")
        config.loadcfg(str(path))
    config.errorBoundMode = szErrorBoundMode.ABS
    config.absErrorBound = tolerance
    payload: bytes = sz.compress(values, config)[0].tobytes()
    return payload


def _sz3_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    from pysz import sz

    values: Array = sz.decompress(np.frombuffer(payload, np.uint8).copy(), dtype, shape)[0]
    return values


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


# ZFP -----------------------------------------------------------------------------------------------------------------
def _zfp_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    import zfpy

    payload: bytes = zfpy.compress_numpy(values, tolerance=tolerance) if tolerance > 0 else zfpy.compress_numpy(values)
    return payload


def _zfp_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    import zfpy

    values: Array = zfpy.decompress_numpy(payload)
    return values


# pcodec --------------------------------------------------------------------------------------------------------------
def _pcodec_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    from pcodec import ChunkConfig, DeltaSpec, standalone

    delta = DeltaSpec.try_lookback() if setting == "lookback" else DeltaSpec.auto()
    if setting.startswith("conv"):
        delta = DeltaSpec.try_conv1(int(setting[4:]))
    config = ChunkConfig(compression_level=12 if effort else 8, delta_spec=delta, enable_8_bit=True)
    return bytes(standalone.simple_compress(values.reshape(-1), config))


def _pcodec_decode(
    payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str
) -> Array:
    from pcodec import standalone

    values: Array = standalone.simple_decompress(payload)
    return values.reshape(shape)


# Blosc2 --------------------------------------------------------------------------------------------------------------
_BLOSC_FILTERS = {
    "shuffle": ("SHUFFLE",),
    "bitshuffle": ("BITSHUFFLE",),
    "bytedelta": ("SHUFFLE", "BYTEDELTA"),
    "delta": ("DELTA", "SHUFFLE"),
    "none": ("NOFILTER",),
}


def _blosc2_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    import blosc2

    filters = [blosc2.Filter[f] for f in _BLOSC_FILTERS[setting]]
    meta = [values.itemsize if f == "BYTEDELTA" else 0 for f in _BLOSC_FILTERS[setting]]
    parameters = blosc2.CParams(
        codec=blosc2.Codec.ZSTD,
        clevel=9 if effort else 3,
        typesize=values.itemsize,
        filters=filters,
        filters_meta=meta,
        nthreads=1,
    )
    payload: bytes = blosc2.compress2(values, cparams=parameters)
    return payload


def _blosc2_decode(
    payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str
) -> Array:
    import blosc2

    return np.frombuffer(blosc2.decompress2(payload), dtype).reshape(shape)


# zstd ----------------------------------------------------------------------------------------------------------------
def _zstd_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    raw = np.ascontiguousarray(values)
    if setting == "zigzag planes":
        signs = raw >> (8 * raw.itemsize - 1)
        raw = np.ascontiguousarray(((raw << 1) ^ signs).reshape(-1, 1).view(np.uint8).T)
    return zstandard.ZstdCompressor(level=19 if effort else 3).compress(raw.tobytes())


def _zstd_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    raw = np.frombuffer(zstandard.ZstdDecompressor().decompress(payload), np.uint8)
    if setting != "zigzag planes":
        return raw.view(dtype).reshape(shape)
    folded = np.ascontiguousarray(raw.reshape(dtype.itemsize, -1).T).view(f"u{dtype.itemsize}").reshape(shape)
    values: Array = (folded >> 1).astype(dtype) ^ -((folded & 1).astype(dtype))
    return values


_QUANTIZED: dict[str, Any] = {"factors": TIGHTER, "differences": True}
_PLANES = ("plain", "zigzag planes")
_PCODEC = ("auto", "lookback", "conv2", "conv16")
_sperr, _sz2, _sz3_filter, _htj2k = (_hdf5(name) for name in ("Sperr", "SZ", "SZ3", "Htj2k"))

PEERS: dict[str, Peer] = {
    p.name: p
    for p in (
        Peer("SZ3", "pysz", "float", _sz3_encode, _sz3_decode, tuple(_SZ3)[:-1], (1, 4), "f", (4, 8), TIGHTER),
        Peer("SZ3-filter", "hdf5plugin", "float", *_sz3_filter, ("default",), (1, 4), "f", (4, 8), TIGHTER),
        Peer("SZ2", "hdf5plugin", "float", *_sz2, ("default",), (1, 4), "f", (4, 8), TIGHTER),
        Peer("ZFP", "zfpy", "float", _zfp_encode, _zfp_decode, ("accuracy",), (1, 4), "f", (4, 8), POWERS),
        Peer("SPERR", "hdf5plugin", "float", *_sperr, ("default",), (2, 3), "f", (4, 8), TIGHTER),
        Peer("quantize+pcodec", "pcodec", "integer", _pcodec_encode, _pcodec_decode, _PCODEC, **_QUANTIZED),
        Peer("quantize+zstd", "zstandard", "integer", _zstd_encode, _zstd_decode, _PLANES, **_QUANTIZED),
        Peer("pcodec", "pcodec", "exact", _pcodec_encode, _pcodec_decode, _PCODEC),
        Peer("Blosc2", "blosc2", "exact", _blosc2_encode, _blosc2_decode, tuple(_BLOSC_FILTERS)),
        Peer("zstd-19", "zstandard", "exact", _zstd_encode, _zstd_decode, ("plain",)),
        Peer("ZFP-reversible", "zfpy", "exact", _zfp_encode, _zfp_decode, ("reversible",), (1, 4), "if", (4, 8)),
        Peer("SZ3-lossless", "pysz", "exact", _sz3_encode, _sz3_decode, ("lossless",), (1, 1), "f", (4, 8)),
        Peer("HTJ2K", "hdf5plugin", "exact", *_htj2k, ("default",), (2, 2), "iu", (1, 2)),
    )
}  # fmt: skip
