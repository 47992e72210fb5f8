"""Zarr stores come back equivalent, with the same keys and documents; what cannot be done is told in a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import xarray as xr
from making import weather

zarr = pytest.importorskip("zarr")

import aezip
from aezip import cli
from aezip.core.errors import CorruptFile, InvalidInput
from aezip.files import folders
from aezip.files import zarr as stores
from aezip.integrations import numcodecs as n
from aezip.integrations import zarr as z

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*Zarr [Vv]3 specification"),
    pytest.mark.filterwarnings("ignore:.*Consolidated metadata"),
    pytest.mark.filterwarnings("ignore:.*Numcodecs codecs are not in the Zarr"),
    pytest.mark.filterwarnings("ignore:Object at README.txt"),
]
RNG = np.random.default_rng(3)
X = np.cumsum(np.cumsum(RNG.normal(size=(20, 30, 25)), 0), 2).astype("f4")


def again(path: Path, name: str = "", **options: Any) -> Path:
    """Return a store that went through an archive."""
    archive, out = path.with_name("made.aez"), path.with_name(name or f"again-{path.name}")
    aezip.compress_file(path, archive, preset="instant", overwrite=True, **options)
    aezip.decompress_file(archive, out, overwrite=True)
    return out


def files(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in folders.listed(str(path))}


def documents(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(path).items() if name.rpartition("/")[2].startswith((".z", "zarr.json"))}


def same(a: Any, b: Any) -> None:
    """Check that two arrays are alike in all that zarr tells of them, and in every bit."""
    assert str(a.metadata) == str(b.metadata)  # NaN is no NaN
    x, y = a[...], b[...]
    assert x.dtype == y.dtype
    assert x.tolist() == y.tolist() if x.dtype.hasobject else x.tobytes() == y.tobytes()


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_a_store_of_xarray_comes_back_identical(tmp_path: Path, version: Any, consolidated: bool) -> None:
    path = tmp_path / "run.zarr"
    weather().to_zarr(path, zarr_format=version, consolidated=consolidated)
    out = again(path)
    assert documents(out) == documents(path)
    assert files(out).keys() == files(path).keys()
    for decode in (True, False):
        with (
            xr.open_zarr(path, consolidated=consolidated, decode_cf=decode) as a,
            xr.open_zarr(out, consolidated=consolidated, decode_cf=decode) as b,
        ):
            xr.testing.assert_identical(a, b)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("consolidated", [True, False])
def test_what_was_lost_is_told_in_every_document(tmp_path: Path, version: Any, consolidated: bool) -> None:
    path = tmp_path / "run.zarr"
    weather().to_zarr(path, zarr_format=version, consolidated=consolidated, group="deep/er")
    out = again(path, bounds={"deep/er/air": aezip.Absolute(0.05)})
    with (
        xr.open_zarr(path, consolidated=consolidated, group="deep/er") as a,
        xr.open_zarr(out, consolidated=consolidated, group="deep/er") as b,
    ):
        xr.testing.assert_identical(a.drop_vars("air"), b.drop_vars("air"))
        most = b["air"].attrs["lossy_compression_max_abs_error"]
        error = float(np.nanmax(np.abs(a["air"].values.astype("f8") - b["air"].values.astype("f8"))))
        assert 0 < error <= most <= 0.05
        assert b["air"].attrs["lossy_compression_bound"] == "absolute 0.05"
        kept = {key: value for key, value in b["air"].attrs.items() if not key.startswith("lossy")}
        assert kept == a["air"].attrs
    changed = {name for name, data in documents(path).items() if data != documents(out)[name]}
    assert changed <= {f"deep/er/{name}" for name in ("air/.zattrs", "air/zarr.json")} | {"zarr.json", ".zmetadata"}


def odd(path: Path, version: Any) -> None:
    """Write a store with a bit of everything."""
    root = zarr.open_group(path, mode="w", zarr_format=version, attributes={"title": "odd", "nan": float("nan"), "ü": [1, None]})
    deep = root.create_group("a/b", attributes={"level": 2})
    deep.create_array("plain", data=X, chunks=(7, 30, 8), attributes={"units": "m"})
    deep.create_array("big_endian", data=X.astype(">f8"), chunks=(20, 10, 10))
    root.create_array("flags", data=X > 0, chunks=(9, 9, 9))
    root.create_array("complex", data=(X[0] + 1j * X[1]).astype("c8"), chunks=(30, 25))
    root.create_array("when", data=np.arange(300).astype("M8[s]"), chunks=(100,))
    root.create_array("small", data=np.arange(4.0))
    root.create_array("scalar", shape=(), dtype="f8")[...] = 3.5
    root.create_array("none", shape=(0, 4), dtype="f4", chunks=(1, 4))
    root.create_array("fixed", data=np.array(["abc", "de", ""] * 50, "U5"), chunks=(20,))
    root.create_array("bytes", data=np.array([b"abc", b"d"] * 99, "S3"), chunks=(50,))
    text = root.create_array("text", shape=(40,), dtype="str", chunks=(15,))
    text[...] = np.array([f"wörd {i}" for i in range(40)], dtype=object)
    root.create_array("never", shape=(50, 50), dtype="f4", chunks=(20, 20), fill_value=7)
    partly = root.create_array("partly", shape=(60, 50), dtype="f8", chunks=(20, 20), fill_value=np.nan)
    partly[:20, :30] = RNG.normal(size=(20, 30))
    root.create_array("wide", data=X[0], chunks=(30, 25), fill_value=0)
    (path / "README.txt").write_text("not of zarr")
    if version == 3:
        root.create_array("sharded", data=X, chunks=(5, 5, 5), shards=(10, 15, 25), attributes={"s": 1})
        root.create_array("turned", data=X, chunks=(20, 30, 25), filters=[zarr.codecs.TransposeCodec(order=(2, 0, 1))])
        root.create_array("slashless", data=X, chunks=(9, 9, 9), chunk_key_encoding={"name": "v2", "separator": "."})
        root.create_array("by v2", data=X, chunks=(9, 9, 9), dimension_names=("t", None, "x"))
    else:
        root.create_array("columns", data=X, chunks=(20, 15, 25), order="F", chunk_key_encoding={"name": "v2", "separator": "/"})
        root.create_array("nofill", shape=(40, 30), dtype="f4", chunks=(10, 30), fill_value=None)[:10] = X[:10, :, 0]
        root.create_array("record", data=np.array([(1, 2.5)] * 60, [("a", "<i4"), ("b", "<f8")]), chunks=(25,))
        for name, codecs in {
            "delta": [numcodecs.Delta("i4")],
            "shuffled": [numcodecs.Shuffle(4)],
        }.items():
            root.create_array(name, data=X.astype("i4"), chunks=(9, 9, 9), filters=codecs)


@pytest.mark.parametrize("version", [2, 3])
def test_everything_that_zarr_has_is_kept(tmp_path: Path, version: int) -> None:
    path = tmp_path / "odd.zarr"
    odd(path, version)
    taken: list[Any] = []
    out = again(path, told=taken.append)
    assert documents(out) == documents(path)
    assert files(out).keys() == files(path).keys()
    assert (out / "README.txt").read_text() == "not of zarr"
    a, b = zarr.open_group(path, mode="r"), zarr.open_group(out, mode="r")
    found = {name: array for name, array in a.members(max_depth=None) if isinstance(array, zarr.Array)}
    assert len(found) >= 18
    for name, array in found.items():
        same(array, b[name])
    with aezip.open(tmp_path / "made.aez") as archive:
        coded = {"a/b/plain", "a/b/big_endian", "flags", "complex", "when", "never", "partly", "wide"}
        assert coded <= set(archive.names)
        assert not {"text", "fixed", "record", "small"} & set(archive.names)


def test_the_same_store_gives_the_same_archive(tmp_path: Path) -> None:
    path = tmp_path / "odd.zarr"
    odd(path, 3)
    aezip.compress_file(path, tmp_path / "1.aez", preset="instant")
    aezip.compress_file(f"{path}{os.sep}", tmp_path / "2.aez", preset="instant")
    assert (tmp_path / "1.aez").read_bytes() == (tmp_path / "2.aez").read_bytes()


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_that_is_one_array(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(7, 30, 8), zarr_format=version, attributes={"units": "m"})
    out = again(path)
    same(zarr.open_array(path, mode="r"), zarr.open_array(out, mode="r"))
    assert documents(out) == documents(path)
    out = again(path, bounds=aezip.Absolute(0.05))
    with aezip.open(tmp_path / "made.aez") as archive:
        assert archive.names == ["data"]
    array = zarr.open_array(out, mode="r")
    assert 0 < np.abs(array[...] - X).max() <= 0.05
    assert array.attrs["units"] == "m"
    assert array.attrs["lossy_compression_bound"] == "absolute 0.05"


def test_chunks_that_were_never_written_stay_so(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    array = zarr.create_array(path, shape=X.shape, chunks=(10, 10, 25), dtype="f4", fill_value=5)
    array[:10, :10] = X[:10, :10]
    out = again(path, bounds=aezip.Absolute(0.05))
    assert {name for name in files(out) if name.startswith("c/")} == {"c/0/0/0"}
    back = zarr.open_array(out, mode="r")[...]
    assert (back[10:] == 5).all()
    assert (back[:, 10:] == 5).all()
    assert 0 < np.abs(back - array[...]).max() <= 0.05


def test_coordinates_and_integers_are_lossless_unless_named(tmp_path: Path) -> None:
    path = tmp_path / "run.zarr"
    weather().to_zarr(path, consolidated=False)
    out = again(path, bounds={"count": aezip.Absolute(20), "*": aezip.Absolute(0.05)})
    with xr.open_zarr(path, consolidated=False) as a, xr.open_zarr(out, consolidated=False) as b:
        changed = {
            name for name in a.variables if not np.array_equal(a[name].values, b[name].values, equal_nan=name in ("air", "rain"))
        }
    assert changed == {"count", "air", "rain"}


@pytest.mark.parametrize("version", [2, 3])
def test_fill_values_that_xarray_masks_come_back_exactly(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "run.zarr"
    data = weather()[["air"]].drop_attrs()
    data["air"].encoding["_FillValue"] = -9999.0
    data.to_zarr(path, zarr_format=version, consolidated=False)
    out = again(path, bounds={"air": aezip.RangeRelative(1e-3)})
    with xr.open_zarr(path, consolidated=False) as a, xr.open_zarr(out, consolidated=False) as b:
        assert bool(a["air"].isnull().any())
        assert (a["air"].isnull() == b["air"].isnull()).all()
        assert float(abs(a["air"] - b["air"]).max()) <= 1e-3 * float(a["air"].max() - a["air"].min())


@pytest.mark.parametrize("codec", [numcodecs.BitRound(8), numcodecs.Quantize(2, "f4"), n.Aezip(), n.Aezip(aezip.Absolute(0.5))])
def test_values_behind_a_lossy_codec_come_back_exactly(tmp_path: Path, codec: Any) -> None:
    path = tmp_path / "x.zarr"
    filters = [codec] if codec.codec_id != "aezip" else None
    compressors = codec if codec.codec_id == "aezip" else None
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.create_array("x", data=X, chunks=(10, 30, 25), filters=filters, compressors=compressors)
    root.create_array("y", data=X, chunks=(10, 30, 25))
    taken: list[Any] = []
    out = again(path, bounds={"*": aezip.Absolute(0.05)}, told=taken.append)
    same(zarr.open_array(path / "x", mode="r"), zarr.open_array(out / "x", mode="r"))
    assert np.abs(zarr.open_array(out / "y", mode="r")[...] - X).max() > 0
    assert bool(taken[0].lossy) == (codec != n.Aezip())
    with pytest.raises(InvalidInput, match="leave"):
        again(path, bounds={"x": aezip.Absolute(0.05)})


class Growing(numcodecs.abc.Codec):  # type: ignore[misc,unused-ignore]
    """Values that grow each time they are decoded."""

    codec_id = "growing"

    def encode(self, buf: Any) -> Any:
        return buf

    def decode(self, buf: Any, out: Any = None) -> Any:
        return np.frombuffer(bytes(buf), "f4") * np.float32(1.01)


numcodecs.register_codec(Growing)


def test_codecs_that_change_their_own_values_keep_their_chunks(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.create_array("x", data=X, chunks=(10, 30, 25), filters=[numcodecs.FixedScaleOffset(300, 0.1, "f4", "i2")])
    root.create_array("y", data=X, chunks=(10, 30, 25), filters=[Growing()])
    out = again(path)
    with aezip.open(tmp_path / "made.aez") as archive:
        assert archive.names == ["x"]
    assert {name: data for name, data in files(out).items() if name[0] == "y"}.items() <= files(path).items()
    for name in "xy":
        same(zarr.open_array(path / name, mode="r"), zarr.open_array(out / name, mode="r"))


def test_codecs_of_aezip_inside_of_shards(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    options: Any = {"chunks": (10, 10, 25), "shards": (20, 30, 25), "serializer": z.Aezip(), "compressors": None, "filters": None}
    zarr.create_array(path, data=X, **options)
    out = again(path)
    np.testing.assert_array_equal(zarr.open_array(out, mode="r")[...], X)


def test_zipped_stores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, packed = tmp_path / "odd.zarr", tmp_path / "odd.zarr.zip"
    odd(path, 2)
    with open(packed, "wb") as file:
        folders.zipped(path, file)
    out = again(packed)
    with zipfile.ZipFile(out) as a, zipfile.ZipFile(packed) as b:
        assert a.namelist() == b.namelist()
        assert a.testzip() is None
    loose = again(packed, "loose.zarr")
    assert documents(loose) == documents(path)
    for place in (loose, out):
        store = zarr.storage.ZipStore(place, mode="r") if place == out else place
        np.testing.assert_array_equal(zarr.open_group(store, mode="r")["a/b/plain"][...], X)
    assert cli.run(["verify", str(packed), str(tmp_path / "made.aez"), "-q"]) == 0
    (tmp_path / "not.zarr.zip").write_bytes(b"no")
    refused(["compress", str(tmp_path / "not.zarr.zip")], capsys, "no sound zip file")


def refused(words: list[str], capsys: pytest.CaptureFixture[str], match: str, code: int = 2) -> None:
    """Check that a command says one line and ends with a code."""
    capsys.readouterr()
    assert cli.run([*words, "--no-progress"]) == code
    told = capsys.readouterr().err
    assert match in told
    assert told.count("\n") == 1, told


def test_the_command_line_takes_a_store_as_one_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    os.makedirs("runs/sub")
    weather().to_zarr("runs/sub/a.zarr", consolidated=False)
    zarr.create_array("runs/plain", data=X)
    np.save("runs/b.npy", X)
    assert cli.run(["compress", "-r", "runs", "--preset", "instant", "--output-dir", "out", "--abs", "0.05", "-q"]) == 0
    assert sorted(p.relative_to("out").as_posix() for p in Path("out").rglob("*.aez")) == [
        "b.npy.aez",
        "plain.aez",
        "sub/a.zarr.aez",
    ]
    assert cli.run(["compress", "-r", "runs/sub/a.zarr/", "runs/plain", "--preset", "instant", "-q"]) == 0
    assert Path("runs/sub/a.zarr.aez").exists()
    for words in (["info"], ["test"], ["verify", "runs/sub/a.zarr"]):
        assert cli.run([*words, "runs/sub/a.zarr.aez", "-q"]) == 0
    capsys.readouterr()
    assert cli.run(["info", "runs/sub/a.zarr.aez", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["original"]
    assert (told["format"], told["name"]) == ("zarr", "a.zarr")
    assert told["bytes"] == sum(len(data) for data in files(Path("runs/sub/a.zarr")).values())
    assert cli.run(["suggest", "runs/sub/a.zarr", "-o", "bounds.toml", "-q"]) == 0
    assert cli.run(["compress", "runs/sub/a.zarr", "--bounds", "bounds.toml", "--preset", "instant", "-f", "-q"]) == 0
    assert cli.run(["report", "runs/sub/a.zarr.aez", "runs/sub/a.zarr", "-o", "page.html", "-q"]) == 0
    shutil.copytree("runs/sub/a.zarr", "gone.zarr")
    assert cli.run(["compress", "gone.zarr", "--preset", "instant", "--rm", "-q"]) == 0
    assert not Path("gone.zarr").exists()
    assert cli.run(["decompress", "gone.zarr.aez", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["output"] == "gone.zarr"
    assert told["bytes"] == sum(len(data) for data in files(Path("gone.zarr")).values())
    assert files(Path("gone.zarr")).keys() == files(Path("runs/sub/a.zarr")).keys()


def test_single_arrays_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    odd(Path("odd.zarr"), 3)
    name, out = "a/b/plain", "plain.aez"
    assert cli.run(["compress", "odd.zarr", "--dataset", name, "--abs", "0.1", "-o", out, "--preset", "instant", "-q"]) == 0
    assert cli.run(["verify", "odd.zarr", out, "-q"]) == 0
    with aezip.open(out) as archive:
        assert archive.names == [name]
    words = ["compress", "odd.zarr", "-o", "no.aez", "--dataset"]
    refused([*words, "text"], capsys, "--skip-unsupported")
    refused([*words, "small"], capsys, "too few")
    refused([*words, "nothing"], capsys, "it has a/b/big_endian")
    refused([*words, name, "--rm"], capsys, "would lose")
    os.mkdir("empty.zarr")
    refused(["bench", "empty.zarr"], capsys, "no Zarr store")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
@pytest.mark.process
def test_the_digest_of_a_folder_is_what_the_page_says(tmp_path: Path) -> None:
    path = tmp_path / "odd.zarr"
    odd(path, 3)
    report = aezip.compress_file(path, preset="instant")
    words = r"find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    said = subprocess.run(["bash", "-c", words], cwd=path, capture_output=True, text=True, check=True).stdout
    assert report.file is not None
    assert report.file["sha256"] == said.split()[0]


def test_a_folder_is_replaced_only_if_it_is_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(10, 30, 25))
    aezip.compress_file(path, preset="instant")
    archive = f"{path}.aez"
    refused(["decompress", archive], capsys, "exists: use -f")
    (path / "stale").write_text("of the old store")
    path.chmod(0o750)
    assert cli.run(["decompress", archive, "-f", "-q"]) == 0
    assert not (path / "stale").exists()
    assert path.stat().st_mode & 0o777 == 0o750
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("years of work")
    refused(["decompress", archive, "-o", str(mine), "-f"], capsys, "no Zarr store")
    refused(["decompress", archive, "-o", str(mine / "thesis.tex"), "-f"], capsys, "no Zarr store")
    assert (mine / "thesis.tex").read_text() == "years of work"
    link = tmp_path / "link.zarr"
    link.symlink_to(path)
    assert cli.run(["decompress", archive, "-o", str(link), "-f", "-q"]) == 0
    assert link.is_symlink()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.zarr", "mine", "x.zarr", "x.zarr.aez"]


def test_modes_are_those_of_the_input(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(10, 30, 25))
    path.chmod(0o700)
    assert cli.run(["compress", str(path), "--preset", "instant", "-q"]) == 0
    archive = Path(f"{path}.aez")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert cli.run(["decompress", str(archive), "-o", str(tmp_path / "y.zarr"), "-q"]) == 0
    assert (tmp_path / "y.zarr").stat().st_mode & 0o777 == 0o700


def test_nothing_is_left_where_restoring_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(10, 30, 25))
    aezip.compress_file(path, preset="instant")
    before = files(path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stores, "_write", full)
    for overwrite, name in ((True, "x.zarr"), (False, "y.zarr")):
        with pytest.raises(OSError, match="space"):
            aezip.decompress_file(f"{path}.aez", tmp_path / name, overwrite=overwrite)
    assert files(path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.zarr", "x.zarr.aez"]
    monkeypatch.undo()
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(OSError, match="space"):
        aezip.decompress_file(f"{path}.aez", path, overwrite=True)
    assert files(path) == before


def broken(path: Path, how: str) -> None:
    root = zarr.open_group(path, mode="w", zarr_format=2)
    root.create_array("air", data=X, chunks=(10, 30, 25))
    if how == "codec":
        told = json.loads((path / "air/.zarray").read_text())
        (path / "air/.zarray").write_text(json.dumps({**told, "compressor": {"id": "unheard-of"}}))
    elif how == "chunk":
        (path / "air/0.0.0").write_bytes((path / "air/0.0.0").read_bytes()[:-40])
    elif how == "json":
        (path / "air/.zarray").write_text("{")
    elif how == "list":
        (path / ".zgroup").write_text("[]")
    elif how == "root":
        (path / ".zgroup").unlink()
    elif how == "loop":
        (path / "loop").symlink_to(path)
    else:
        os.mkfifo(path / "pipe")


WORDS = {
    "codec": "install the package of its codec",
    "chunk": "check the store",
    "json": "no sound JSON",
    "list": "no description of a group",
    "root": "no Zarr store",
    "loop": "remove it",
    "pipe": "remove it",
}


@pytest.mark.parametrize("how", WORDS)
def test_a_damaged_store_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], how: str) -> None:
    path = tmp_path / "x.zarr"
    broken(path, how)
    refused(["compress", str(path)], capsys, WORDS[how])
    refused(["suggest", str(path)], capsys, WORDS[how])
    assert not Path(f"{path}.aez").exists()


def test_what_cannot_be_done_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.zarr"
    odd(path, 3)
    refused(["compress", f"{tmp_path}/none.zarr"], capsys, "does not exist")
    refused(["compress", str(tmp_path)], capsys, "is a folder")
    refused(["compress", str(path), "--bound", "text:abs=1"], capsys, "a bound is for numbers")
    refused(["compress", str(path), "--bound", "nothing:abs=1"], capsys, "fits no variable")
    refused(["compress", str(path), "-o", str(path / "x.aez")], capsys, "inside of")
    for url in ("http://127.0.0.1:9/x.zarr", "s3://bucket/x.zarr", "http://127.0.0.1:9/x.npy"):
        refused(["compress", url], capsys, "is a URL")
        refused(["suggest", url], capsys, "is a URL")


def test_a_store_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    array = zarr.create_array(path, data=X, chunks=(10, 30, 25))

    def write(_: Any) -> None:
        array[:10] = 2 * X[:10]

    with pytest.raises(InvalidInput, match="changed"):
        aezip.compress_file(path, preset="instant", told=write)
    assert not Path(f"{path}.aez").exists()


@pytest.mark.process
def test_zarr_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X)
    aezip.compress_file(path, preset="instant")
    for words in (["compress", str(path), "-f"], ["decompress", f"{path}.aez", "-o", f"{path}2"]):
        code = f"import sys; sys.modules['zarr'] = None; from aezip import cli; sys.exit(cli.run({words!r}))"
        made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert made.returncode == 2
        assert made.stderr.startswith("aezip: error: Zarr stores need zarr 3: pip install 'aezip[zarr]'")


HOSTILE: list[list[list[Any]]] = [
    [["../out", 1]],
    [["/etc/x", 1]],
    [["a//b", 1]],
    [["a\0b", 1]],
    [["a", 1], ["a", 1]],
    [["a", 1], ["a/b", 1]],
    [["a", 2]],
    [["a", None]],
    [[None, 1]],
]


@pytest.mark.parametrize("listed", HOSTILE, ids=str)
def test_a_skeleton_that_leaves_its_folder_is_refused(tmp_path: Path, listed: list[list[Any]]) -> None:
    line = json.dumps({"arrays": {}, "files": listed}).encode()
    with pytest.raises((CorruptFile, TypeError)):
        folders.unpack([line[:9], line[9:] + b"\nx"], tmp_path / "inside")
    assert not (tmp_path / "out").exists()


def test_chunks_beside_their_array_are_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.zarr"
    zarr.create_array(path, data=X, chunks=(10, 30, 25))
    parts = stores.take_apart(str(path), str(tmp_path))
    line, _, rest = b"".join(parts.rest).partition(b"\n")
    told = json.loads(line)
    told["files"].append(["c/0/0/0", 4])
    arrays = {"data": stores.Decoded(lambda: iter([X]), {}, X.shape, X.dtype)}
    with pytest.raises(CorruptFile, match="do not trust"):
        stores.put_together([json.dumps(told).encode() + b"\n" + rest + b"evil"], arrays, tmp_path / "out")
    wrong = {"data": stores.Decoded(lambda: iter([X[:4]]), {}, (4, 30, 25), X.dtype)}
    with pytest.raises(CorruptFile, match="another shape"):
        stores.put_together([line + b"\n" + rest], wrong, tmp_path / "out2")
    with pytest.raises(CorruptFile, match="do not fit"):
        stores.put_together([line + b"\n" + rest], {"other": arrays["data"]}, tmp_path / "out3")


@pytest.mark.parametrize("version", [2, 3])
def test_xarray_opens_the_archive_of_a_store(tmp_path: Path, version: Any) -> None:
    path = tmp_path / "run.zarr"
    weather().to_zarr(path, zarr_format=version, consolidated=False)
    aezip.compress_file(path, preset="instant")
    with xr.open_zarr(path, consolidated=False) as a, xr.open_dataset(f"{path}.aez", engine="aezip", chunks={}) as b:
        xr.testing.assert_identical(a, b)
