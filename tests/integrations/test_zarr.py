"""Zarr and numcodecs store chunks as frames, with or without a model for all of them."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
import zarr

import aezip
from aezip import cli
from aezip.core.errors import CorruptFile, InvalidInput, ModelMismatch
from aezip.integrations import numcodecs as n
from aezip.integrations import zarr as z

RNG = np.random.default_rng(0)
X = np.cumsum(np.cumsum(RNG.normal(size=(40, 30, 50)), 0), 2).astype("f4")


@pytest.fixture(scope="module")
def learned() -> z.Aezip:
    return z.train(X, aezip.RangeRelative(1e-3))


def stored(path: Any, codec: Any, data: np.ndarray[Any, Any] = X, **options: Any) -> Any:
    made = zarr.create_array(
        path,
        shape=data.shape,
        dtype=data.dtype,
        serializer=codec,
        compressors=None,
        filters=None,
        **{"chunks": (20, 16, 25), **options},
    )
    made[...] = data
    return zarr.open_array(path, mode="r")


def test_chunks_come_back_within_the_bound(tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr", z.Aezip(aezip.Absolute(0.05)))
    assert 0 < np.abs(array[...] - X).max() <= 0.05
    np.testing.assert_array_equal(array[3:9, ::4, 7], array[...][3:9, ::4, 7])
    exact = stored(tmp_path / "y.zarr", z.Aezip())
    np.testing.assert_array_equal(exact[...], X)


def test_the_store_stands_alone(tmp_path: Path, learned: z.Aezip) -> None:
    path = tmp_path / "x.zarr"
    array = stored(path, learned)
    bound = 1e-3 * float(X.max() - X.min())
    assert 0 < np.abs(array[...] - X).max() <= bound
    told = json.loads((path / "zarr.json").read_text())
    (codec,) = told["codecs"]
    assert codec["name"] == "aezip"
    assert codec["configuration"]["bound"]["kind"] == "absolute"
    plain = stored(tmp_path / "y.zarr", z.Aezip(aezip.Absolute(bound)))
    size = {
        name: sum(f.stat().st_size for f in (tmp_path / name / "c").rglob("*") if f.is_file()) for name in ("x.zarr", "y.zarr")
    }
    assert size["x.zarr"] <= 1.02 * size["y.zarr"]
    np.testing.assert_array_equal(plain.shape, array.shape)


def test_a_store_whose_model_is_missing_is_refused(tmp_path: Path, learned: z.Aezip, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.zarr"
    stored(path, learned)
    told = json.loads((path / "zarr.json").read_text())
    model = told["codecs"][0]["configuration"].pop("model")
    (path / "zarr.json").write_text(json.dumps(told))
    with pytest.raises(ModelMismatch, match="needs the model"):
        zarr.open_array(path)[...]
    capsys.readouterr()
    assert cli.run(["compress", str(path), "--no-progress"]) == ModelMismatch.exit_code
    told_of = capsys.readouterr().err
    assert "needs the model" in told_of
    assert told_of.count("\n") == 1
    assert not path.with_name("x.zarr.aez").exists()
    told["codecs"][0]["configuration"]["model"] = model[:-8]
    (path / "zarr.json").write_text(json.dumps(told))
    with pytest.raises(CorruptFile):
        zarr.open_array(path)[...]


def test_xarray_writes_and_reads_stores(tmp_path: Path) -> None:
    data = xr.Dataset({"x": (("t", "y", "z"), X), "n": (("t",), np.arange(40))}, attrs={"title": "walks"})
    encoding: Any = {"x": {"serializer": z.Aezip(aezip.Absolute(0.05)), "compressors": None, "chunks": (20, 16, 25)}}
    data.to_zarr(tmp_path / "x.zarr", encoding=encoding, consolidated=False)
    with xr.open_zarr(tmp_path / "x.zarr", consolidated=False) as found:
        assert float(abs(found["x"] - data["x"]).max()) <= 0.05
        xr.testing.assert_identical(found["n"].load(), data["n"])
        assert found.attrs == data.attrs


def test_shards_hold_frames(tmp_path: Path) -> None:
    array = stored(tmp_path / "x.zarr", z.Aezip(aezip.Absolute(0.05)), chunks=(10, 10, 25), shards=(40, 30, 50))
    assert np.abs(array[...] - X).max() <= 0.05
    assert np.abs(array[11, 12:15] - X[11, 12:15]).max() <= 0.05


def _write(path: str, number: int) -> None:
    zarr.open_array(path, mode="r+")[10 * number : 10 * number + 10] = X[10 * number : 10 * number + 10]


def _read(path: str, number: int) -> float:
    return float(np.abs(zarr.open_array(path, mode="r")[number] - X[number]).max())


@pytest.mark.process
def test_processes_write_and_read_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "x.zarr")
    zarr.create_array(
        path,
        shape=X.shape,
        dtype=X.dtype,
        chunks=(10, 30, 50),
        serializer=z.Aezip(aezip.Absolute(0.05)),
        compressors=None,
        filters=None,
    )
    with concurrent.futures.ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_write, [path] * 4, range(4)))
        assert max(pool.map(_read, [path] * 40, range(40))) <= 0.05


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i2", "u1", "i8", "b1", "c8", "M8[ns]", ">f4"])
def test_every_type_of_numbers(tmp_path: Path, dtype: str) -> None:
    data = (np.arange(24 * 36).reshape(24, 36) % 97).astype(dtype)
    array = stored(tmp_path / "x.zarr", z.Aezip(), data, chunks=(10, 36))
    np.testing.assert_array_equal(array[...], data)


def test_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no numbers"):
        stored(tmp_path / "x.zarr", z.Aezip(), np.array([["a", "b"]], "U2"), chunks=(1, 2))


@pytest.mark.parametrize("bound", [aezip.RangeRelative(1e-3), aezip.PSNR(60)])
def test_a_bound_that_differs_from_chunk_to_chunk_is_refused(bound: aezip.Bound) -> None:
    for made in (z.Aezip, n.Aezip):
        with pytest.raises(InvalidInput, match="chunk to chunk"):
            made(bound)


def test_a_damaged_chunk_is_told(tmp_path: Path) -> None:
    stored(tmp_path / "x.zarr", z.Aezip(aezip.Absolute(0.05)))
    (path, *_) = sorted(p for p in (tmp_path / "x.zarr" / "c").rglob("*") if p.is_file())
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    with pytest.raises(CorruptFile):
        zarr.open_array(tmp_path / "x.zarr")[...]


ARRAYS = [
    np.arange(1000, dtype="i4"),
    np.linspace(1000, 1001, 1000, dtype="f8"),
    RNG.normal(loc=1000, scale=1, size=(100, 10)),
    RNG.integers(0, 2, size=1000, dtype=bool),
    RNG.normal(size=(10, 10, 10)).astype("f4"),
    np.asfortranarray(RNG.integers(0, 200, size=(30, 40), dtype="u2")),
    RNG.integers(0, 1 << 60, 200, dtype="u8").view("M8[ns]"),
    np.empty((0, 4), "f4"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_numcodecs_codec_keeps_what_codecs_promise(array: np.ndarray[Any, Any]) -> None:
    codec = numcodecs.get_codec({"id": "aezip"})
    data = codec.encode(array)
    back = codec.decode(data)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    out = np.empty_like(array, order="C")
    codec.decode(data, out=out)
    np.testing.assert_array_equal(out, array)
    for buffer in (bytearray(data), memoryview(data), np.frombuffer(data, "u1")):
        np.testing.assert_array_equal(codec.decode(buffer), array)


def test_numcodecs_configuration(learned: z.Aezip) -> None:
    for codec in (n.Aezip(), n.Aezip(aezip.Absolute(0.5), fill_value=-9), n.Aezip(learned.bound, model=learned.model)):
        told = json.loads(json.dumps(codec.get_config()))
        again = numcodecs.get_codec(told)
        assert again == codec
        assert again.get_config() == codec.get_config()
    assert eval(repr(n.Aezip(aezip.Absolute(0.5))), {"Aezip": n.Aezip, "Absolute": aezip.Absolute}) == n.Aezip(
        aezip.Absolute(0.5)
    )


@pytest.mark.parametrize("place", ["compressors", "filters"])
def test_zarr_v2_takes_the_numcodecs_codec(tmp_path: Path, place: str) -> None:
    codec = n.Aezip(aezip.Absolute(0.05))
    codecs: Any = {"compressors": None, "filters": None, place: codec if place == "compressors" else [codec]}
    array = zarr.create_array(tmp_path / "x.zarr", shape=X.shape, dtype=X.dtype, chunks=(20, 30, 50), zarr_format=2, **codecs)
    array[...] = X
    assert 0 < np.abs(zarr.open_array(tmp_path / "x.zarr", mode="r")[...] - X).max() <= 0.05
