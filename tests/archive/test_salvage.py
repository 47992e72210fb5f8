"""G19: damage stays local. `test` names the bad chunks, `decompress --salvage` restores the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import flipped

import aezip
from aezip import cli
from aezip.archive.salvage import stand_in
from aezip.codec import encoder as codec
from aezip.container.reader import Reader

X = np.cumsum(np.random.default_rng(1).normal(size=(900, 6)), axis=0).astype("f4")


@pytest.fixture(scope="module")
def chunked() -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "CHUNK_VALUES", 600)
        patch.setattr(codec, "CHUNK_BYTES_PLAIN", 2400)
        patch.setattr(codec, "CHUNK_VALUES_CONTEXT", 600)
        return bytes(aezip.compress(X, bound=aezip.RangeRelative(1e-3), preset="fast")[0])


def killed(data: bytes, *chunks: int, stream: str = "residual") -> bytes:
    """Return the file with a bit changed in the segments of some chunks."""
    with Reader(data) as reader:
        places = [reader._entries[reader.names[0]].frames[stream][chunk][:2] for chunk in chunks]
    for start, length in places:
        data = flipped(data, start + length // 2)
    return data


@pytest.mark.train
def test_each_chunk_in_turn_is_named_and_the_others_are_restored(
    chunked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = aezip.decompress(chunked)
    with aezip.open(chunked) as archive:
        count = archive["data"]._decoder.chunk_count
        ranges = [archive["data"]._decoder.chunk_range(i) for i in range(count)]
    assert count >= 6
    for chunk, (start, stop) in enumerate(ranges):
        Path("bad.aez").write_bytes(killed(chunked, chunk))
        capsys.readouterr()
        assert cli.run(["test", "bad.aez"]) == 3
        lines = capsys.readouterr().err.splitlines()
        assert [f"chunk {chunk} (outer indices {start} to {stop - 1})" in line for line in lines].count(True) == 1
        assert sum(" chunk " in line for line in lines) == 1
        assert cli.run(["decompress", "bad.aez", "-o", "y.npy", "-f"]) == 3
        assert not Path("y.npy").exists()
        assert cli.run(["decompress", "bad.aez", "-o", "y.npy", "--salvage", "--json"]) == 3
        out, err = capsys.readouterr()
        assert f"outer indices {start} to {stop - 1} are lost" in err
        assert len(json.loads(out)["lost"]["data"]) == 1
        y = np.load("y.npy")
        assert np.isnan(y[start:stop]).all()
        keep = np.r_[0:start, stop : len(X)]
        assert y[keep].tobytes() == whole[keep].tobytes()
        Path("y.npy").unlink()


def test_a_sound_file_is_salvaged_without_a_word(chunked: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.aez").write_bytes(chunked)
    assert cli.run(["decompress", "-q", str(tmp_path / "x.aez"), "-o", str(tmp_path / "y.npy"), "--salvage"]) == 0
    assert capsys.readouterr().err == ""
    assert aezip.decompress(chunked, salvage=True).tobytes() == aezip.decompress(chunked).tobytes()


def test_python_warns_of_every_run_that_is_lost(chunked: bytes) -> None:
    bad = killed(chunked, 1, 4)
    with pytest.raises(aezip.CorruptFile):
        aezip.decompress(bad)
    with pytest.warns(aezip.DamageWarning, match="are lost") as caught:
        y = aezip.decompress(bad, salvage=True)
    assert len(caught) == 2
    assert 0 < np.isnan(y).sum() < y.size


def test_slices_beside_the_damage_are_restored(chunked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.aez").write_bytes(killed(chunked, 0))
    assert cli.run(["decompress", "bad.aez", "-o", "y.npy", "--slice", "500:600", "--salvage"]) == 0
    assert np.load("y.npy").tobytes() == aezip.decompress(chunked)[500:600].tobytes()
    assert cli.run(["decompress", "bad.aez", "-o", "z.npy", "--slice", "0:600", "--salvage"]) == 3
    assert np.isnan(np.load("z.npy")[0]).all()


def test_where_nothing_is_left_nothing_is_written(chunked: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with aezip.open(chunked) as archive:
        count = archive["data"]._decoder.chunk_count
    Path("bad.aez").write_bytes(killed(chunked, *range(count)))
    assert cli.run(["decompress", "bad.aez", "-o", "y.npy", "--salvage"]) == 3
    Path("bad.aez").write_bytes(killed(chunked, 0, stream="model"))
    assert cli.run(["decompress", "bad.aez", "-o", "y.npy", "--salvage"]) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["bad.aez"]


@pytest.mark.parametrize(
    ("dtype", "fill", "expected"),
    [
        ("<f4", None, np.nan), ("<f4", np.array([-9.0], "f4"), -9.0), (">i2", None, 0), (">i2", np.array([-99], "i2"), -99),
        ("|b1", None, False), ("<M8[s]", None, np.datetime64("NaT")), ("<c8", None, np.complex64(complex(np.nan, np.nan))),
        ("<c8", np.array([1, 2], "f4"), np.complex64(1 + 2j)), ("|u1", None, 0),
    ],
)  # fmt: skip
def test_what_stands_in_for_lost_values(dtype: str, fill: np.ndarray | None, expected: object) -> None:
    out = stand_in(dtype, (2, 3), fill)
    assert out.shape == (2, 3)
    assert out.dtype.str == dtype
    assert out.tobytes() == np.full((2, 3), expected, dtype).tobytes()
