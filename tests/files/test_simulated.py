"""A file that a simulation wrote comes back: the one that is here, and a new one where py-pde is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

import aezip

FILE = Path(__file__).parent / "data" / "brusselator.h5"


def same(path: Path, other: Path) -> None:
    """Compare with `h5diff`, where it is installed."""
    if shutil.which("h5diff") is None:
        return
    out = subprocess.run(["h5diff", str(path), str(other)], capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stdout


def check(path: Path, tmp_path: Path) -> None:
    archive, out = tmp_path / "made.aez", tmp_path / "back.h5"
    aezip.compress_file(path, archive, preset="instant")
    aezip.decompress_file(archive, out)
    same(path, out)
    exact = archive.stat().st_size
    aezip.compress_file(path, archive, bounds={"data": aezip.RangeRelative(1e-3)}, preset="instant", overwrite=True)
    assert archive.stat().st_size < exact / 3
    aezip.decompress_file(archive, out, overwrite=True)
    with h5py.File(path) as a, h5py.File(out) as b:
        x, y = a["data"][()], b["data"][()]
        assert 0 < np.abs(x - y).max() <= 1e-3 * np.ptp(x)
        assert (a["times"][()] == b["times"][()]).all()
        assert dict(a.attrs) == dict(b.attrs)
        assert a["data"].chunks == b["data"].chunks
        assert a["data"].maxshape == b["data"].maxshape
        assert b["data"].attrs["lossy_compression_bound"] == "range_relative 0.001"


def test_a_file_of_py_pde_comes_back(tmp_path: Path) -> None:
    assert FILE.stat().st_size < 100_000
    check(FILE, tmp_path)


@pytest.mark.long
def test_a_file_that_py_pde_writes_now_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("pde")
    from benchmarks.simulate import simulate

    simulate(str(tmp_path / "new.h5"), 24, 8)
    check(tmp_path / "new.h5", tmp_path)
