"""Arrays of one file that are predicted from others of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import flipped
from kinds import broken

import aezip
from aezip import cli
from aezip.array.bounds import RangeRelative
from aezip.container.reader import Reader
from aezip.container.writer import Writer
from aezip.core.errors import CorruptFile, DamageWarning

BOUND = RangeRelative(1e-3)


def fields() -> dict[str, np.ndarray]:
    """Return two rough fields and one that is their product, with a little noise."""
    rng = np.random.default_rng(3)
    first, second = (np.cumsum(rng.normal(size=(24, 40, 40)), axis=1).astype("f4") for _ in range(2))
    return {"u": first, "v": second, "flux": (first * second + 0.01 * rng.normal(size=first.shape)).astype("f4")}


@pytest.fixture(scope="module")
def together() -> bytes:
    return aezip.compress(fields(), bound=BOUND, preset="instant")[0]


def rewritten(data: bytes, change: Any) -> bytes:
    """Return an archive with its arrays in the order, and with the headers, that `change` makes of theirs."""
    with Reader(data) as reader, Writer(None) as writer:
        for name in change(list(reader.names)):
            writer.begin(name)
            for i in range(reader.chunk_count(name)):
                segments = reader.segments(name, i)
                from aezip.entropy.frames import pack

                writer.add_chunk({n: pack(d, 3) if d else b"" for n, d in segments.items()}, reader.digest(name, i))
            writer.end(reader.header(name), {n: pack(d, 3) for n, d in reader.shared(name).items()})
        writer.finish()
        return writer.getvalue()


def test_a_product_is_found_and_kept_within_the_bound(together: bytes) -> None:
    data, arrays = together, fields()
    alone, _ = aezip.compress(arrays, bound=BOUND, preset="instant", separate=True)
    assert len(data) < 0.8 * len(alone)
    back = aezip.decompress(data)
    for name, x in arrays.items():
        assert not broken(x, back[name], BOUND, filled=False)
    with aezip.open(data) as archive:
        assert archive["flux"]._decoder.companions == ("u", "v")
    with aezip.open(alone) as archive:
        assert not any(view._decoder.companions for view in archive.values())


def test_one_array_reads_as_from_the_whole(together: bytes) -> None:
    whole = aezip.decompress(together)
    with aezip.open(together) as archive:
        assert (archive["flux"][3:5] == whole["flux"][3:5]).all()
        assert (archive["flux"].read() == whole["flux"]).all()


def test_an_array_without_those_it_needs_is_refused(together: bytes) -> None:
    for order in (lambda names: ["flux"], lambda names: ["flux", "u", "v"], lambda names: ["u", "flux"]):
        with aezip.open(rewritten(together, order)) as archive, pytest.raises(CorruptFile, match="does not come before it"):
            archive["flux"].read()


def test_damage_of_one_is_that_of_those_that_need_it(together: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Reader(together) as reader:
        frames = {stream: found[0][:2] for stream, found in reader._entries["u"].frames.items() if found and stream != "model"}
    start, length = max(frames.values(), key=lambda place: place[1])
    path = tmp_path / "bad.aez"
    path.write_bytes(flipped(together, start + length // 2))
    assert cli.run(["test", str(path)]) == 3
    said = capsys.readouterr().err
    assert ": u: " in said
    assert ": flux: " in said
    with pytest.raises(CorruptFile), aezip.open(path) as archive:
        archive["flux"].read()
    with pytest.warns(DamageWarning, match="lost"):
        back = aezip.decompress(path, salvage=True)
    assert np.isnan(back["u"]).all()
    assert np.isnan(back["flux"]).all()
    assert (back["v"] == aezip.decompress(together)["v"]).all()


def test_info_says_what_an_array_needs(together: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.aez"
    path.write_bytes(together)
    assert cli.run(["info", str(path)]) == 0
    assert "needs     u, v, decoded first" in capsys.readouterr().out
    with aezip.open(together) as archive:
        assert [array.needs for array in archive.report().arrays] == [[], [], ["u", "v"]]


def test_the_order_alone_changes_nothing(together: bytes) -> None:
    back = aezip.decompress(rewritten(together, lambda names: ["v", "u", "flux"]))
    assert (back["flux"] == aezip.decompress(together)["flux"]).all()


def test_missing_values_of_one_are_nothing_to_the_others() -> None:
    arrays = fields()
    arrays["u"][:, :9] = -999.0
    arrays["v"][3, 4, 5] = np.nan
    data, _ = aezip.compress(arrays, bound=BOUND, preset="instant", fill_value={"u": -999.0})
    back = aezip.decompress(data)
    assert (back["u"][:, :9] == -999.0).all()
    assert np.isnan(back["v"][3, 4, 5])
    assert not broken(arrays["flux"], back["flux"], BOUND, filled=False)


def test_arrays_of_other_shapes_are_coded_alone(tmp_path: Path) -> None:
    arrays = fields()
    arrays["flux"] = np.ascontiguousarray(arrays["flux"][:20])
    data, _ = aezip.compress(arrays, bound=BOUND, preset="instant")
    with aezip.open(data) as archive:
        assert not archive["flux"]._decoder.companions


def test_the_same_arrays_make_the_same_file() -> None:
    made = {aezip.compress(fields(), bound=BOUND, preset="instant", threads=n)[0] for n in (1, 2)}
    assert len(made) == 1
