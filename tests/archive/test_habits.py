"""What users of Python expect: bytes-like objects and files, names, closed archives, reprs, chunk shapes."""

from __future__ import annotations

import array
import io
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip.core.errors import AezipError, InvalidInput

X = np.arange(200, dtype="f4").reshape(20, 10)


@pytest.fixture(scope="module")
def data() -> bytes:
    return aezip.compress({"x": X}, bound=aezip.Absolute(0.25), preset="fast")[0]


@pytest.mark.parametrize(
    "kind", [bytes, bytearray, memoryview, io.BytesIO, lambda d: array.array("B", d), lambda d: np.frombuffer(d, "u1")]
)
def test_all_that_holds_bytes_is_taken(kind: Any, data: bytes) -> None:
    for found in (aezip.decompress(kind(data)), aezip.open(kind(data))["x"][:], aezip.Codec().decode(kind(data))):
        assert np.abs(found - X).max() <= 0.25
    aezip.verify(X, kind(data))


def test_files_are_read_and_written(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.aez"
    with path.open("wb") as file:
        report = aezip.compress({"x": X}, file, bound=aezip.Absolute(0.25), preset="fast")
    assert path.read_bytes() == data
    assert report.file_bytes == len(data)
    with path.open("rb") as file:
        assert np.abs(aezip.decompress(file) - X).max() <= 0.25
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        assert np.abs(aezip.decompress(mapped) - X).max() <= 0.25
    memory = io.BytesIO()
    aezip.compress(X, memory, preset="fast")
    assert (aezip.decompress(memory.getvalue()) == X).all()


@pytest.mark.parametrize("source", [None, 3, 2.5, [], "a\0b", b"", io.StringIO("x"), np.zeros((4, 4), "u1")[:, ::2], {}])
def test_what_holds_no_archive_is_refused_in_one_line(source: Any) -> None:
    for function in (aezip.decompress, aezip.open, aezip.Model.load):
        with pytest.raises(AezipError) as caught:
            function(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", [3, "a\0b", []])
def test_what_is_no_path_is_refused(path: Any) -> None:
    with pytest.raises(InvalidInput):
        aezip.compress(X, path)


def test_two_arrays_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two arrays have the name '1'"):
        aezip.compress({1: X, "1": X})
    assert list(aezip.open(aezip.compress({1: X, 2: X}, preset="fast", fill_value={1: 5})[0])) == ["1", "2"]


def test_a_closed_archive_says_so(data: bytes) -> None:
    with aezip.open(data) as archive:
        view, untouched = archive["x"], aezip.open(data)
    untouched.close()
    uses: list[Any] = [view.read, lambda: view[0], lambda: np.asarray(view), archive.damage, archive.report]
    for use in (*uses, lambda: untouched["x"].shape):
        with pytest.raises(InvalidInput, match="closed"):
            use()
    assert "closed" in repr(archive)
    assert "closed" in repr(view)


def test_chunks_are_a_shape(data: bytes) -> None:
    with aezip.open(data) as archive:
        assert archive["x"].chunks == (20, 10)
    with aezip.open(aezip.compress(np.array(3.0))[0]) as archive:
        assert archive["data"].chunks == ()


def test_objects_tell_what_they_are(data: bytes) -> None:
    with aezip.open(data) as archive:
        assert repr(archive) == f"<aezip.Archive: 1 array, {len(data)} bytes: 'x'>"
        said = repr(archive["x"])
    assert "(20, 10) float32" in said
    assert "Absolute" in said
    assert "ratio" in said
    assert "0.25" in repr(aezip.Codec(aezip.Absolute(0.25), preset="fast"))


def test_models_are_saved_to_files_and_loaded(tmp_path: Path) -> None:
    golden = Path(__file__).parent.parent / "golden" / "models"
    path = next(golden.glob("*.aezm"))
    model = aezip.Model.load(path)
    memory = io.BytesIO()
    model.save(memory)
    assert memory.getvalue() == path.read_bytes()
    for source in (memory.getvalue(), io.BytesIO(memory.getvalue()), path):
        assert aezip.Model.load(source).id == model.id
    assert "id " in repr(model)
