"""`.safetensors` files come back byte for byte; bounds hold in the types that tensors have."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from making import write_safetensors

import aezip
from aezip.cli.commands import run
from aezip.core.errors import InvalidInput

TYPES = {"F32": "<f4", "F16": "<f2", "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn}


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
        "scale": ("F8_E8M0", rng.integers(100, 140, 500).astype("u1")),
        "flag": ("BOOL", values > 0),
    }
    write_safetensors(path, tensors, {"format": "pt"})
    return path


def tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a file in their types; packed ones as bytes."""
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    found = {}
    for name, told in json.loads(raw[8 : 8 + size]).items():
        if name != "__metadata__":
            start, stop = told["data_offsets"]
            found[name] = np.frombuffer(raw[8 + size + start : 8 + size + stop], TYPES.get(told["dtype"], np.uint8))
            if told["dtype"] != "F4":
                found[name] = found[name].reshape(told["shape"])
    return found


def test_tensors_come_back_byte_for_byte(weights: Path) -> None:
    aezip.compress_file(weights, preset="instant")
    out = weights.with_name("again.safetensors")
    aezip.decompress_file(f"{weights}.aez", out)
    assert out.read_bytes() == weights.read_bytes()
    with aezip.open(f"{weights}.aez") as archive:
        assert set(archive) == {"w", "half", "brain", "eight", "flag", "scale"}


@pytest.mark.parametrize("installed", [True, False])
def test_a_bound_holds_in_the_type_of_each_tensor(weights: Path, installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not installed:  # files need no ml_dtypes
        monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    aezip.compress_file(weights, bounds={"*": aezip.Absolute(0.02), "few": aezip.Lossless()}, preset="instant")
    out = weights.with_name("again.safetensors")
    aezip.decompress_file(f"{weights}.aez", out)
    a, b = tensors(weights), tensors(out)
    for name in ("w", "half", "brain", "eight"):
        error = np.abs(a[name].astype("f8") - b[name].astype("f8")).max()
        assert 0 < error <= 0.02, name
    for name in ("few", "packed", "flag"):
        assert a[name].tobytes() == b[name].tobytes()
    with aezip.open(f"{weights}.aez") as archive:
        assert "bfloat16" in repr(archive["brain"])
        if installed:
            assert (archive["brain"][3:5] == b["brain"][3:5]).all()
        else:
            with pytest.raises(InvalidInput, match="pip install ml_dtypes"):
                archive["brain"][3:5]
    assert run(["verify", str(weights), f"{weights}.aez"]) == 0


def test_scales_and_packed_types_take_no_bound(weights: Path) -> None:
    with pytest.raises(InvalidInput, match="takes no bound"):
        aezip.compress_file(weights, bounds={"scale": aezip.Absolute(0.1)}, preset="instant")
    with pytest.raises(InvalidInput, match="holds F4"):
        aezip.compress_file(weights, bounds={"packed": aezip.Absolute(0.1)}, preset="instant")


def test_a_tensor_alone_is_written_as_float32(weights: Path) -> None:
    aezip.compress_file(weights, bounds={"brain": aezip.RangeRelative(1e-2)}, preset="instant")
    out = weights.with_name("brain.npy")
    assert run(["decompress", f"{weights}.aez", "--dataset", "brain", "-o", str(out)]) == 0
    with aezip.open(f"{weights}.aez") as archive:
        assert (np.load(out) == archive["brain"].read().astype("f4")).all()
    assert run(["decompress", f"{weights}.aez", "--dataset", "brain", "--slice", "2:4", "-o", str(out), "-f"]) == 0
    assert np.load(out).dtype == np.float32


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
