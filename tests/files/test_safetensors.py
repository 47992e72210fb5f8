"""`.safetensors` files come back byte for byte; types that NumPy has not take no bound."""

from __future__ import annotations

import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from making import write_safetensors

import aezip
from aezip.core.errors import InvalidInput


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(64, 96)).astype("f4")
    path = tmp_path / "weights.safetensors"
    tensors = {
        "w": ("F32", values),
        "half": ("F16", values.astype("f2")),
        "brain": ("BF16", values.astype(ml_dtypes.bfloat16)),
        "eight": ("F8_E4M3", values.astype(ml_dtypes.float8_e4m3fn)),
        "few": ("F32", values[0, :5].copy()),
        "packed": ("F4", rng.integers(0, 256, 500).astype("u1")),
        "flag": ("BOOL", values > 0),
    }
    write_safetensors(path, tensors, {"format": "pt"})
    return path


def test_tensors_come_back_byte_for_byte(weights: Path) -> None:
    aezip.compress_file(weights, preset="instant")
    out = weights.with_name("again.safetensors")
    aezip.decompress_file(f"{weights}.aez", out)
    assert out.read_bytes() == weights.read_bytes()
    with aezip.open(f"{weights}.aez") as archive:
        assert set(archive) == {"w", "half", "brain", "eight", "flag"}


def test_a_bound_is_for_types_that_have_one(weights: Path) -> None:
    with pytest.raises(InvalidInput, match="takes no bound"):
        aezip.compress_file(weights, bounds={"brain": aezip.Absolute(0.1)}, preset="instant")
    aezip.compress_file(weights, bounds=aezip.Absolute(0.01), preset="instant")
    out = weights.with_name("again.safetensors")
    aezip.decompress_file(f"{weights}.aez", out)
    a, b = weights.read_bytes(), out.read_bytes()
    assert len(a) == len(b)
    start = 8 + struct.unpack("<Q", a[:8])[0]
    w = [np.frombuffer(data, "<f4", 64 * 96, start) for data in (a, b)]
    assert 0 < np.abs(w[0] - w[1]).max() <= 0.01
    rest = start + 64 * 96 * (4 + 2)
    assert a[rest:] == b[rest:]


@pytest.mark.parametrize("change", ["short", "length", "json", "offsets"])
def test_malformed_files_are_refused(weights: Path, change: str) -> None:
    raw = weights.read_bytes()
    bad = {
        "short": raw[:-10],
        "length": struct.pack("<Q", 1 << 40) + raw[8:],
        "json": raw[:8] + b"[" + raw[9:],
        "offsets": raw.replace(b'"data_offsets": [0, 24576]', b'"data_offsets": [0, 24575]'),
    }[change]
    assert bad != raw
    weights.write_bytes(bad)
    with pytest.raises(InvalidInput, match=r"weights\.safetensors"):
        aezip.compress_file(weights, preset="instant")
