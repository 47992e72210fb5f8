"""Previews: some values of an array, those of the whole decode, for less work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import GOLDEN

import aezip
from aezip import cli
from aezip.archive.view import ArrayView
from aezip.codec import encoder as codec
from aezip.core import native
from aezip.core.errors import InvalidInput
from aezip.plans.context.bisection import Order
from aezip.search import contexts
from aezip.search.contexts import Way


def field(shape: tuple[int, ...]) -> np.ndarray:
    """Return waves, which interpolation predicts best."""
    rng, grid = np.random.default_rng(4), np.indices(shape)
    waves = [np.sin(np.tensordot(rng.uniform(-0.5, 0.5, len(shape)), grid, 1) + rng.uniform(0, 6)) for _ in range(40)]
    return np.sum(waves, axis=0).astype("f4")


def bisected(values: np.ndarray, order: Order, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Return an archive whose axes are bisected in that order."""
    monkeypatch.setattr(contexts, "_ways", lambda sample: [Way(order)])
    data, report = aezip.compress(values, bound=aezip.RangeRelative(1e-4), preset="instant")
    assert report.arrays[0].plan["kind"] == "context"
    return bytes(data)


ORDERS: list[Order] = [((0, 1, 2),), ((0,), (1, 2)), ((2,), (0, 1)), ((1, 2),)]


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_a_preview_is_a_part_of_the_whole(order: Order, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bisected(field((17, 24, 26)), order, monkeypatch)
    if not compiled:
        monkeypatch.setattr(native, "available", lambda values: False)
    whole = aezip.decompress(data)
    with aezip.open(data) as archive:
        for level in (1, 2, 4, 9):
            values, places = archive["data"].preview(level)
            assert (values == whole[np.ix_(*places)]).all()
            steps = [1 << level if axis in order[0] else 1 for axis in range(3)]
            assert values.shape == tuple(-(-n // step) for n, step in zip(whole.shape, steps, strict=True))


def test_each_chunk_has_a_lattice_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "CHUNK_VALUES_CONTEXT", 7000)
    x = field((31, 24, 26))
    x[5, 3, 4], x[:, 0, 0] = np.nan, np.inf
    data = bisected(x, ((0, 1, 2),), monkeypatch)
    whole = aezip.decompress(data)
    with aezip.open(data) as archive:
        assert archive["data"]._decoder.chunk_count > 1
        values, places = archive["data"].preview(2)
        np.testing.assert_array_equal(values, whole[np.ix_(*places)])
        starts = [archive["data"]._decoder.chunk_range(i)[0] for i in range(archive["data"]._decoder.chunk_count)]
        assert set(starts) <= set(places[0].tolist())


def test_the_work_is_in_proportion(monkeypatch: pytest.MonkeyPatch) -> None:
    from aezip.plans.context import walk

    data = bisected(field((32, 32, 32)), ((0, 1, 2),), monkeypatch)
    monkeypatch.setattr(native, "available", lambda values: False)
    done: list[int] = []
    finish = walk._finish
    monkeypatch.setattr(walk, "_finish", lambda *args, **more: (done.append(len(args[2])), finish(*args, **more)))
    with aezip.open(data) as archive:
        archive["data"].preview(2)
    assert sum(done) == 8**3


@pytest.mark.parametrize("name", ["static", "context_channels", "context_scan", "context_signal"])
def test_plans_that_do_not_refine_say_so(name: str) -> None:
    path = next(iter(sorted(GOLDEN.glob(f"v1_0_{name}*.aez"))))
    with aezip.open(path) as archive, pytest.raises(InvalidInput, match="coarse to fine"):
        archive[archive.names[0]].preview(1)


@pytest.mark.parametrize("level", [0, -1, 31, 1.5, True, "2"])
def test_levels_that_are_none_are_refused(level: object, monkeypatch: pytest.MonkeyPatch) -> None:
    view = object.__new__(ArrayView)
    with pytest.raises(InvalidInput, match="no level"):
        view.preview(level)  # type: ignore[arg-type]


def test_the_command_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.npy.aez").write_bytes(bisected(field((17, 24, 26)), ((0,), (1, 2)), monkeypatch))
    monkeypatch.chdir(tmp_path)
    assert cli.run(["decompress", "x.npy.aez", "--preview", "2", "-o", "part.npy"]) == 0
    assert (np.load("part.npy") == aezip.decompress("x.npy.aez")[::4]).all()
    assert cli.run(["decompress", "x.npy.aez", "--preview", "2", "--slice", "0:3", "-o", "y.npy"]) == 2
    assert "whole arrays" in capsys.readouterr().err
    assert not Path("y.npy").exists()
