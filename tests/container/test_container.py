"""G6, G8 to G13, G18, G20: the file and its guards."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers import resigned

import aezip
from aezip.container import header, writer
from aezip.entropy import frames

X = np.cumsum(np.random.default_rng(1).normal(size=(500, 6)), axis=0).astype("f4")


@pytest.fixture(scope="module")
def small() -> bytes:
    return aezip.compress(X, bound=aezip.RangeRelative(1e-2), preset="fast")[0]


@pytest.fixture(scope="module")
def truth(small: bytes) -> bytes:
    return bytes(aezip.decompress(small).tobytes())


def outcome(data: bytes, truth: bytes) -> str:
    """Return "same" or "refused"; anything else is a failure."""
    try:
        out = aezip.decompress(data)
    except aezip.AezipError as error:
        return "several lines" if "\n" in str(error) else "refused"
    assert isinstance(out, np.ndarray)
    assert out.tobytes() == truth
    return "same"


@pytest.mark.process
def test_every_flipped_bit_is_harmless(small: bytes, truth: bytes) -> None:
    rng = np.random.default_rng(0)
    results = {"same": 0, "refused": 0}
    for place in rng.integers(0, 8 * len(small), 1500):
        data = bytearray(small)
        data[place // 8] ^= 1 << (place % 8)
        results[outcome(bytes(data), truth)] += 1
    assert results["refused"] > 1000


@pytest.mark.long
def test_every_bit_of_a_small_file(small: bytes, truth: bytes) -> None:
    for place in range(8 * len(small)):
        data = bytearray(small)
        data[place // 8] ^= 1 << (place % 8)
        outcome(bytes(data), truth)


def test_every_truncation_is_refused(small: bytes, truth: bytes) -> None:
    for length in {*range(0, len(small), 7), *range(len(small) - 40, len(small))}:
        assert outcome(small[:length], truth) == "refused"


def test_zeroed_blocks_are_refused(small: bytes, truth: bytes) -> None:
    large = aezip.compress(np.random.default_rng(0).normal(size=(300, 30)), preset="fast")[0]
    whole = aezip.decompress(large).tobytes()
    for source, back, size in ((small, truth, 512), (large, whole, 4096)):
        for start in range(0, len(source), size):
            data = bytearray(source)
            data[start : start + size] = bytes(len(data[start : start + size]))
            if data != source:
                assert outcome(bytes(data), back) == "refused"


def test_ledger_sums_to_the_file(small: bytes) -> None:
    with aezip.open(small) as archive:
        report = archive.report()
        stored = archive._reader.ledger("data")
    with h5py.File(io.BytesIO(small)) as file:
        assert sum(stored.values()) == file["data"].size
    assert sum(report.bytes.values()) == len(small)


def rebuilt(small: bytes, change: Callable[[h5py.File], None]) -> bytes:
    """Return the file with `change` applied to a copy of it."""
    buffer = io.BytesIO(small)
    with h5py.File(buffer, "r+", libver=("v110", "v110")) as file:
        change(file)
    return buffer.getvalue()


def replace(file: h5py.File, name: str, **options: Any) -> None:
    data = file[name][()]
    del file[name]
    file.create_dataset(name, data=data, **options)


def external_link(file: h5py.File) -> None:
    del file["data"]
    file["data"] = h5py.ExternalLink("/etc/hostname", "/x")


def soft_link(file: h5py.File) -> None:
    del file["header"]
    file["header"] = h5py.SoftLink("/data")


def loop(file: h5py.File) -> None:
    file["file"] = file["/"]


def twice(file: h5py.File) -> None:
    file["file"] = file["data"]


def external_storage(file: h5py.File) -> None:
    del file["header"]
    file.create_dataset("header", (100,), "u1", external=[("/etc/passwd", 0, 100)])


def virtual(file: h5py.File) -> None:
    del file["header"]
    layout = h5py.VirtualLayout((10,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (10,))
    file.create_virtual_dataset("header", layout)


def huge(file: h5py.File) -> None:
    del file["header"]
    space = h5py.h5s.create_simple((1 << 50,))
    h5py.h5d.create(file.id, b"header", h5py.h5t.STD_U8LE, space)


def variable_length(file: h5py.File) -> None:
    del file["header"]
    file.create_dataset("header", (2,), h5py.special_dtype(vlen=np.uint8))


def compound(file: h5py.File) -> None:
    del file["header"]
    file.create_dataset("header", (2,), [("a", "u1")])


def reference(file: h5py.File) -> None:
    del file["header"]
    file.create_dataset("header", (1,), h5py.ref_dtype)


def many(file: h5py.File) -> None:
    for i in range(3000):
        file.create_group(f"g{i}")


def deep(file: h5py.File) -> None:
    file.create_group("/".join("a" * 200))


HOSTILE: list[Callable[[h5py.File], None]] = [
    external_link,
    soft_link,
    loop,
    twice,
    external_storage,
    virtual,
    huge,
    variable_length,
    compound,
    reference,
    many,
    deep,
    lambda f: replace(f, "header", chunks=(10,), compression="gzip"),
    lambda f: replace(f, "header", chunks=(10,)),
    lambda f: f.attrs.__setitem__("x", 1),
    lambda f: f["header"].attrs.__setitem__("x", 1),
    lambda f: f.__delitem__("header"),
    lambda f: f.__delitem__("data"),
    lambda f: f.create_dataset("file", data=np.zeros(3, "u1")),
    lambda f: f.create_group("file"),
    lambda f: f.create_dataset("0", data=np.zeros(3, "u1")),
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda c: c.__name__)
def test_hostile_structures_are_refused_and_open_no_other_file(
    small: bytes, change: Callable[[h5py.File], None], tmp_path: Path
) -> None:
    path = tmp_path / "hostile.aez"
    path.write_bytes(rebuilt(small, change))
    opened: list[str] = []
    watching = True

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event == "open":
            opened.append(str(arguments[0]))

    sys.addaudithook(audit)
    with pytest.raises((aezip.UnsafeFile, aezip.CorruptFile)):
        aezip.decompress(path)
    watching = False
    assert all(str(path) in name for name in opened)


def test_a_user_block_is_refused(small: bytes) -> None:
    with pytest.raises(aezip.CorruptFile):
        aezip.decompress(bytes(512) + small)


def repaired(small: bytes, change: Callable[[dict[str, Any]], None], *, root: bool = False) -> bytes:
    """Return the file with a header changed and all digests made right again."""
    return resigned(small, lambda told: change(told if root else told["arrays"][0]))


def test_repairing_nothing_still_reads(small: bytes, truth: bytes) -> None:
    assert outcome(repaired(small, lambda h: None), truth) == "same"


@pytest.mark.parametrize(
    ("key", "value", "root"),
    [
        ("version", [1, header.VERSION[1] + 1], True),
        ("version", [2, 0], True),
        ("features", ["time-travel"], True),
        ("plan", {"kind": "oracle"}, False),
        ("streams", ["oracle"], False),
    ],
)
def test_unknown_versions_and_features_are_refused_by_name(small: bytes, key: str, value: Any, root: bool) -> None:
    data = repaired(small, lambda h: h.__setitem__(key, value), root=root)
    with pytest.raises(aezip.UnsupportedVersion) as failure:
        aezip.decompress(data)
    assert any(word in str(failure.value) for word in (f"1.{header.VERSION[1] + 1}", "2.0", "time-travel", "oracle"))


WRONG = [
    ("shape", [1 << 40, 1 << 20]),
    ("shape", [-1, 6]),
    ("shape", [500, 7]),
    ("shape", "many"),
    ("dtype", "O"),
    ("dtype", "<f8,<f8"),
    ("chunk_count", 2),
    ("chunk_values", 1 << 40),
    ("chunk_length", 0),
    ("specials", None),
    ("grid", {"kind": "linear"}),
    ("plan", None),
    ("plan", {"kind": "static", "layout": [0, 0]}),
    ("plan", {"kind": "difference", "axis": 9}),
    ("streams", None),
    ("streams", []),
    ("streams", ["data", "data"]),
    ("streams", ["residual", "data"]),
]


@pytest.mark.parametrize(("key", "value"), WRONG, ids=str)
def test_wrong_headers_with_right_digests_are_refused(small: bytes, truth: bytes, key: str, value: Any) -> None:
    assert outcome(repaired(small, lambda h: h.__setitem__(key, value)), truth) == "refused"


def test_a_frame_that_states_another_size_is_refused_before_allocation() -> None:
    bomb = frames.pack(bytes(1 << 24), 19)
    assert len(bomb) < 5000
    with pytest.raises(aezip.CorruptFile):
        frames.unpack(bomb, 100)
    with pytest.raises(aezip.UnsafeFile):
        header.validate({"shape": [10], "chunk_count": 1, "chunk_values": 10}, ["data"], [(len(bomb), 1 << 24)])


@pytest.mark.parametrize("failing", ["write", "fsync", "publish"])
def test_a_failing_disk_leaves_the_old_file(tmp_path: Path, failing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.aez"
    path.write_bytes(b"old")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    if failing == "write":
        monkeypatch.setattr(writer._Spool, "add", fail)
    elif failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        aezip.compress(X[:20], path, overwrite=True, preset="fast")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.aez"]


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.aez"
    path.write_bytes(b"old")
    with pytest.raises(aezip.InvalidInput):
        aezip.compress(X, path, preset="fast")
    assert path.read_bytes() == b"old"


def test_slices_decode_only_the_chunks_they_touch(monkeypatch: pytest.MonkeyPatch) -> None:
    from aezip.codec import encoder as codec

    monkeypatch.setattr(codec, "CHUNK_VALUES", 400)
    monkeypatch.setattr(codec, "CHUNK_VALUES_CONTEXT", 400)
    monkeypatch.setattr(codec, "CHUNK_BYTES_PLAIN", 1600)
    data, _ = aezip.compress({"t": X}, bound=aezip.Absolute(0.01), preset="fast")
    whole = aezip.decompress(data)
    with aezip.open(data, threads=2) as archive:
        view = archive["t"]
        assert view._decoder.chunk_count > 5
        touched: list[int] = []
        honest = view._chunk
        monkeypatch.setattr(view, "_chunk", lambda i: (touched.append(i), honest(i))[1])
        keys: list[Any] = [
            3, -1, slice(10, 90), slice(400, 100, -7), (slice(None), 2), (..., slice(1, 3)), (5, 1), slice(9, 9),
            (slice(None, None, 100), slice(None, None, -1)),
        ]  # fmt: skip
        for key in keys:
            assert np.array_equal(view[key], whole[key])
        touched.clear()
        assert view[100:110].shape == (10, 6)
        assert len(touched) == 1
        with pytest.raises(IndexError):
            view[500]
        with pytest.raises(aezip.InvalidInput):
            view[[1, 2]]
        with pytest.raises(aezip.InvalidInput):
            view[None]


def test_public_names_are_the_documented_ones() -> None:
    for name in aezip.__all__:
        assert getattr(aezip, name) is not None
    program = "import aezip; assert 'h5py' not in __import__('sys').modules"
    subprocess.run([sys.executable, "-c", program], check=True)
