"""Files that arrays come in and go to: every one read as it is, written as NumPy writes it, refused in one line."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from aezip import InvalidInput, cli
from aezip.cli.formats import output_name, read

VALUES = np.arange(24, dtype="f4").reshape(2, 3, 4)
NPY: dict[str, Any] = {
    "plain": VALUES,
    "big-endian": VALUES.astype(">f8"),
    "fortran": np.asfortranarray(VALUES),
    "0-d": np.array(3.5),
    "empty": np.empty((0, 3), "i2"),
    "empty inside": np.empty((3, 0, 2), "f4"),
    "one value": np.array([7], "u1"),
    "bool": VALUES > 5,
    "complex": (VALUES + 1j).astype("c8"),
    "dates": np.array(["2020-01-01", "NaT"], "M8[ns]"),
}


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(x: Any, y: Any) -> None:
    assert x.shape == y.shape
    assert x.dtype.str == y.dtype.str
    assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("array", NPY.values(), ids=NPY.keys())
def test_npy_reads_as_numpy_does(array: Any) -> None:
    np.save("t.npy", array)
    same(read("t.npy").arrays["t"], array)


def test_npy_is_memory_mapped() -> None:
    np.save("t.npy", VALUES)
    assert isinstance(read("t.npy").arrays["t"], np.memmap)


@pytest.mark.parametrize("name", ["photo.png", "a 'b' c.JPG", "scan.tiff"])
def test_an_image_is_refused_with_a_command_that_works(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.arange(12 * 9 * 3, dtype="u1").reshape(12, 9, 3)
    image.fromarray(pixels).save(name)
    assert cli.run(["compress", name]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    command = line[line.index("python -c") :].replace("python", sys.executable, 1)
    subprocess.run(["sh", "-ec", command], check=True)
    made = f"{Path(name).stem}.npy"
    assert np.load(made).shape == pixels.shape
    assert not list(Path().glob("*.aez"))


def test_npz_gives_every_array_under_its_name() -> None:
    np.savez_compressed("t.npz", **{"a": VALUES, "b/c": np.arange(3), "d": np.array(1.5)})
    arrays = read("t.npz").arrays
    assert sorted(arrays) == ["a", "b/c", "d"]
    same(arrays["b/c"], np.arange(3))


@pytest.mark.parametrize(("dtype", "shape"), [("f4", "2,3,4"), (">i2", "48"), ("float64", "12"), ("u1", "0,5")])
def test_raw_values_are_mapped_as_told(dtype: str, shape: str) -> None:
    data = b"" if "0," in shape else bytes(range(96))
    Path("t.bin").write_bytes(data)
    array = read("t.bin", dtype=dtype, shape=shape).arrays["t"]
    assert array.dtype == np.dtype(dtype)
    assert array.shape == tuple(map(int, shape.split(",")))
    assert array.tobytes() == data


@pytest.mark.parametrize(
    ("dtype", "shape", "words"),
    [
        ("f4", "25", ["100", "96"]),
        ("f8", "2,3,4", ["192", "96"]),
        ("f4", None, ["--shape"]),
        (None, "24", ["--dtype"]),
        ("f4", "2,x", ["--shape"]),
        ("f4", "-24", ["--shape"]),
        ("f4", "", ["--shape"]),
        ("zz", "24", ["--dtype"]),
        ("O", "12", ["--dtype"]),
    ],
)
def test_wrong_dtype_or_shape_names_the_sizes_and_the_option(dtype: str | None, shape: str | None, words: list[str]) -> None:
    Path("t.bin").write_bytes(bytes(96))
    with pytest.raises(InvalidInput) as caught:
        read("t.bin", dtype=dtype, shape=shape)
    text = str(caught.value)
    assert "\n" not in text
    assert all(word in text for word in words)


@pytest.fixture
def hdf5() -> str:
    with h5py.File("t.h5", "w") as file:
        file["plain"] = VALUES
        file["group/big"] = VALUES.astype(">f8")
        file.create_dataset("group/packed", data=VALUES, chunks=(1, 3, 4), compression="gzip", shuffle=True)
        file["flags"] = VALUES > 5
        file["text"] = "words"
        file["pairs"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
        file["plain"].attrs["_FillValue"] = np.float32(5)
        file["group/big"].attrs["missing_value"] = np.array([7.0])
    return "t.h5"


@pytest.mark.parametrize("name", ["plain", "/plain", "group/big", "group/packed", "flags"])
def test_hdf5_data_sets_read_as_h5py_does(hdf5: str, name: str) -> None:
    key = name.strip("/")
    with h5py.File(hdf5) as file:
        expected = file[key][()]
    same(read(hdf5, datasets=(name,)).arrays[key], expected)


def test_hdf5_fill_values_come_from_the_attributes(hdf5: str) -> None:
    fills = read(hdf5, datasets=("plain", "group/big", "flags")).fills
    assert fills == {"plain": [5], "group/big": [7]}


def test_hdf5_lists_the_data_sets_there_are(hdf5: str) -> None:
    for wanted in ((), ("no/such",)):
        with pytest.raises(InvalidInput, match=r"it has .*group/big.*plain") as caught:
            read(hdf5, datasets=wanted)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text", "pairs"])
def test_hdf5_data_sets_without_numbers_are_refused(hdf5: str, name: str) -> None:
    with pytest.raises(InvalidInput, match="only numbers"):
        read(hdf5, datasets=(name,))


def _object_npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{}], object), allow_pickle=True)
    return buffer.getvalue()


def _half(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()[:-10]


UNSOUND = {
    "empty.npy": b"",
    "words.npy": b"not an array at all",
    "magic.npy": b"\x93NUMPY",
    "short.npy": _half(VALUES),
    "objects.npy": _object_npy(),
    "words.npz": b"PK but no zip archive",
    "words.h5": b"not HDF5",
    "table.csv": b"1,2,3\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_files_are_refused_in_one_line_that_names_them(name: str) -> None:
    Path(name).write_bytes(UNSOUND[name])
    with pytest.raises(InvalidInput) as caught:
        read(name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_refused() -> None:
    Path("folder.npy").mkdir()
    with pytest.raises(InvalidInput, match="folder"):
        read("folder.npy")
    with pytest.raises(InvalidInput, match="does not exist"):
        read("absent.npy")


def test_an_npz_without_arrays_is_refused() -> None:
    with zipfile.ZipFile("t.npz", "w"):
        pass
    with pytest.raises(InvalidInput, match="no arrays"):
        read("t.npz")


@pytest.mark.parametrize(
    ("path", "count", "name"),
    [
        ("t.npy.aez", 1, "t.npy"),
        ("t.npz.aez", 3, "t.npz"),
        ("t.npz.aez", 1, "t.npz"),
        ("t.raw.aez", 1, "t.raw"),
        ("t.aez", 1, "t.npy"),
        ("t.aez", 2, "t.npz"),
        ("d/t.h5.aez", 2, "d/t.h5.npz"),
    ],
)
def test_default_output_names(path: str, count: int, name: str) -> None:
    assert output_name(path, count) == name


@pytest.mark.train
@pytest.mark.parametrize("array", NPY.values(), ids=NPY.keys())
def test_round_trip_through_the_command_line_gives_the_file_that_numpy_writes(array: Any) -> None:
    array = np.ascontiguousarray(array).reshape(array.shape)
    np.save("t.npy", array)
    assert cli.run(["compress", "t.npy", "-q", "--preset", "fast"]) == 0
    assert cli.run(["decompress", "t.npy.aez", "-o", "back.npy"]) == 0
    assert cli.run(["decompress", "t.npy.aez", "-o", "back.raw"]) == 0
    assert cli.run(["decompress", "t.npy.aez", "-o", "back.npz"]) == 0
    assert Path("back.npy").read_bytes() == Path("t.npy").read_bytes()
    assert Path("back.raw").read_bytes() == array.tobytes()
    with np.load("back.npz") as arrays:
        same(arrays["t"], array)
    assert sorted(p.name for p in Path().iterdir()) == ["back.npy", "back.npz", "back.raw", "t.npy", "t.npy.aez"]
