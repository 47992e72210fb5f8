"""`compress --dask`: the same bytes as here; what does not go through a cluster is told in a line, and nothing is written."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from aezip import cli
from aezip.cli import cluster

X = np.cumsum(np.random.default_rng(0).normal(size=(60, 50, 40)), 0).astype("f4")


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    with h5py.File("x.h5", "w") as file:
        file["g/air"] = np.where(X > 9, np.float32(1e20), X)
        file["g/air"].attrs["_FillValue"] = np.float32(1e20)
        file["other"] = X[:3]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None, processes=True) as made:
        yield made.scheduler_address


@pytest.mark.process
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("way", [["x.npy", "--abs", "0.01"], ["x.npy"], ["x.h5", "--dataset", "g/air", "--range-rel", "1e-3"]])
def test_the_bytes_are_those_of_one_process(address: str, way: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from aezip.integrations import stored

    monkeypatch.setattr(stored, "CHUNK_VALUES", 14_000)
    assert cli.run(["compress", *way, "-o", "here.aez", "--preset", "instant"]) == 0
    assert cli.run(["compress", *way, "-o", "there.aez", "--preset", "instant", "--dask", address]) == 0
    assert Path("there.aez").read_bytes() == Path("here.aez").read_bytes()


@pytest.mark.process
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("way", "said"),
    [
        (["x.h5"], "--dataset"),
        (["x.npy", "--target-size", "9kB"], "a target size does not go with --dask"),
        (["x.npy", "--abs", "1", "--keep-sign"], "--keep-sign does not go with --dask"),
        (["x.h5", "--dataset", "other", "--dataset", "g/air"], "one data set"),
        (["x.npy", "--psnr", "50"], "several passes"),
        (["none.npy"], "does not exist"),
    ],
)
def test_what_does_not_go_is_told(address: str, way: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["compress", *way, "-o", "there.aez", "--preset", "instant", "--dask", address]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert said in line
    assert not Path("there.aez").exists()


def closed() -> str:
    """Return an address where nobody listens."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{made.getsockname()[1]}"


@pytest.mark.filterwarnings("default")
def test_a_cluster_that_does_not_answer_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "WAIT", 1)
    for address in (closed(), "nonsense", "tcp://"):
        assert cli.run(["compress", "x.npy", "--dask", address]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert f"no dask scheduler answers at {address}" in line
        assert not Path("x.npy.aez").exists()


def test_without_dask_it_says_what_to_install(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.run(["compress", "x.npy", "--dask", "tcp://127.0.0.1:1"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "pip install 'aezip[dask]'" in line
