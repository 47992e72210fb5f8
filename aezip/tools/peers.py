"""Other codecs, beside which aezip is compared: what each takes, and how it is called. Knows nothing of bounds or files.

A codec is imported when it is first used. `PEERS` has one plain setting of each; the benchmarks beside the package search
axis orders and settings of the same codecs, and have more of them.
"""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import zstandard

from aezip.core.types import Array

Takes = Literal["exact", "float", "integer"]
TIGHTER = (1.0, 1 - 1e-6, 1 - 1e-3, 0.99, 0.9)  # for a peer that exceeds its bound, by the last cast for example


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
        ``(values, tolerance, setting, effort) -> bytes``; ``effort`` is False where only settings are compared.
    decode : callable
        ``(payload, dtype, shape, tolerance, setting) -> values``.
    settings : tuple of str
        The first one is the plain one.
    dimensions : tuple of int
        Fewest and most axes whose neighbourhood it uses; (0, 0): it reads values one after the other.
    kinds : str
        The ``dtype.kind`` characters that it can code.
    widths : tuple of int
        The item sizes that it can code.
    factors : tuple of float
        Multiples of the tolerance to ask for, until the checked error is within the bound.
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

    @property
    def installed(self) -> bool:
        """Say whether the peer can be imported."""
        return find_spec(self.module) is not None


def smallest(integers: Array) -> Array:
    """Return integers in the smallest signed dtype that holds them."""
    low, high = int(integers.min()), int(integers.max())
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return integers.astype(dtype)
    return integers


def to_dtype(values: Array, dtype: np.dtype[Any]) -> Array:
    """Return decoded values in the dtype of the original; integers rounded, and cut to its range."""
    if dtype.kind == "f":
        return np.asarray(values, np.float64).astype(dtype)
    limits = np.iinfo(dtype)
    if values.dtype.kind == "f":
        values = np.rint(values.astype(np.float64))
    return np.clip(values, limits.min, limits.max).astype(dtype)


# SZ3 -----------------------------------------------------------------------------------------------------------------
SZ3 = {
    "interp-lorenzo": "ALGO_INTERP_LORENZO",
    "interp": "ALGO_INTERP",
    "interp-linear": "ALGO_INTERP\n[AlgoSettings]\nInterpolationAlgo = INTERP_ALGO_LINEAR",
    "lorenzo-regression": "ALGO_LORENZO_REG",
    "lorenzo": "ALGO_LORENZO_REG\n[AlgoSettings]\nRegression = NO",
    "nopred": "ALGO_NOPRED",
    "lossless": "ALGO_LOSSLESS",
}


def sz3_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code floats within an absolute tolerance with SZ3."""
    from pysz import sz, szConfig, szErrorBoundMode

    config = szConfig(*values.shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sz3.config"
        path.write_text(f"[GlobalSettings]\nCmprAlgo = {SZ3[setting]}\n")
        config.loadcfg(str(path))
    config.errorBoundMode = szErrorBoundMode.ABS
    config.absErrorBound = tolerance
    payload: bytes = sz.compress(values, config)[0].tobytes()
    return payload


def sz3_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what SZ3 made."""
    from pysz import sz

    values: Array = sz.decompress(np.frombuffer(payload, np.uint8).copy(), dtype, shape)[0]
    return values


# ZFP -----------------------------------------------------------------------------------------------------------------
def zfp_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code with ZFP; a tolerance of 0 is its reversible mode."""
    import zfpy

    payload: bytes = zfpy.compress_numpy(values, tolerance=tolerance) if tolerance > 0 else zfpy.compress_numpy(values)
    return payload


def zfp_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what ZFP made."""
    import zfpy

    values: Array = zfpy.decompress_numpy(payload)
    return values


# pcodec --------------------------------------------------------------------------------------------------------------
def pcodec_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code numbers one after the other with pcodec, bit for bit."""
    from pcodec import ChunkConfig, DeltaSpec, standalone

    delta = DeltaSpec.try_lookback() if setting == "lookback" else DeltaSpec.auto()
    if setting.startswith("conv"):
        delta = DeltaSpec.try_conv1(int(setting[4:]))
    config = ChunkConfig(compression_level=12 if effort else 8, delta_spec=delta, enable_8_bit=True)
    return bytes(standalone.simple_compress(values.reshape(-1), config))


def pcodec_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what pcodec made."""
    from pcodec import standalone

    values: Array = standalone.simple_decompress(payload)
    return values.reshape(shape)


# Blosc2 --------------------------------------------------------------------------------------------------------------
BLOSC_FILTERS = {
    "shuffle": ("SHUFFLE",),
    "bitshuffle": ("BITSHUFFLE",),
    "bytedelta": ("SHUFFLE", "BYTEDELTA"),
    "delta": ("DELTA", "SHUFFLE"),
    "none": ("NOFILTER",),
}


def blosc2_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code with Blosc2: filters, then zstd."""
    import blosc2

    filters = [blosc2.Filter[f] for f in BLOSC_FILTERS[setting]]
    meta = [values.itemsize if f == "BYTEDELTA" else 0 for f in BLOSC_FILTERS[setting]]
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


def blosc2_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what Blosc2 made."""
    import blosc2

    return np.frombuffer(blosc2.decompress2(payload), dtype).reshape(shape)


# zstd ----------------------------------------------------------------------------------------------------------------
def zstd_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code bytes with zstd, or the bytes of folded integers plane by plane."""
    raw = np.ascontiguousarray(values)
    if setting == "zigzag planes":
        signs = raw >> (8 * raw.itemsize - 1)
        raw = np.ascontiguousarray(((raw << 1) ^ signs).reshape(-1, 1).view(np.uint8).T)
    return zstandard.ZstdCompressor(level=19 if effort else 3).compress(raw.tobytes())


def zstd_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what zstd made."""
    raw = np.frombuffer(zstandard.ZstdDecompressor().decompress(payload), np.uint8)
    if setting != "zigzag planes":
        return raw.view(dtype).reshape(shape)
    folded = np.ascontiguousarray(raw.reshape(dtype.itemsize, -1).T).view(f"u{dtype.itemsize}").reshape(shape)
    values: Array = (folded >> 1).astype(dtype) ^ -((folded & 1).astype(dtype))
    return values


# gzip ----------------------------------------------------------------------------------------------------------------
def gzip_encode(values: Array, tolerance: float, setting: str, effort: bool) -> bytes:
    """Code bytes with deflate, as gzip does."""
    return zlib.compress(np.ascontiguousarray(values).tobytes(), 9 if effort else 6)


def gzip_decode(payload: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], tolerance: float, setting: str) -> Array:
    """Decode what deflate made."""
    return np.frombuffer(zlib.decompress(payload), dtype).reshape(shape)


PEERS = (
    Peer("SZ3", "pysz", "float", sz3_encode, sz3_decode, ("interp-lorenzo",), (1, 4), "f", (4, 8), TIGHTER),
    Peer("ZFP", "zfpy", "float", zfp_encode, zfp_decode, ("accuracy",), (1, 4), "f", (4, 8), TIGHTER),
    Peer("ZFP-reversible", "zfpy", "exact", zfp_encode, zfp_decode, ("reversible",), (1, 4), "if", (4, 8)),
    Peer("quantize+pcodec", "pcodec", "integer", pcodec_encode, pcodec_decode, ("auto",), factors=TIGHTER),
    Peer("quantize+zstd", "zstandard", "integer", zstd_encode, zstd_decode, ("plain",), factors=TIGHTER),
    Peer("pcodec", "pcodec", "exact", pcodec_encode, pcodec_decode, ("auto",)),
    Peer("Blosc2", "blosc2", "exact", blosc2_encode, blosc2_decode, ("shuffle",)),
    Peer("zstd-19", "zstandard", "exact", zstd_encode, zstd_decode, ("plain",)),
    Peer("gzip-9", "zlib", "exact", gzip_encode, gzip_decode, ("plain",)),
)
