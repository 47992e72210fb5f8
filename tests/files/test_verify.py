"""`verify` and `report` compare tables, safetensors and netCDF-3 files with their archives, as they do arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from making import weather, write_safetensors

from aezip.cli.commands import run

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    rows = [f"{i},{rng.normal():.3f},{'ab'[i % 2]}" for i in range(600)]
    Path("t.csv").write_text("\n".join(["n,x,word", *rows, ""]))
    return tmp_path


@pytest.mark.parametrize("way", [["--bound", "x:abs=0.01"], ["--exact-text"]])
def test_a_table_is_compared_column_by_column(way: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyarrow")
    assert run(["compress", "t.csv", *way, "--preset", "instant"]) == 0
    capsys.readouterr()
    assert run(["verify", "t.csv", "t.csv.aez"]) == 0
    assert capsys.readouterr().out.count("within the bound") == 2
    assert run(["report", "t.csv.aez", "t.csv", "-o", "r.html"]) == 0
    text = Path("t.csv").read_text()
    Path("other.csv").write_text(text.replace("\n5,", "\n5,9", 1))
    assert run(["verify", "other.csv", "t.csv.aez"]) == 4
    Path("less.csv").write_text(text.replace("n,x,word", "n,y,word"))
    assert run(["verify", "less.csv", "t.csv.aez"]) == 2
    assert "'x'" in capsys.readouterr().err
    Path("short.csv").write_text("\n".join(text.splitlines()[:300]) + "\n")
    assert run(["verify", "short.csv", "t.csv.aez"]) == 2


def test_a_safetensors_file_is_compared_tensor_by_tensor(capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).normal(size=(60, 40)).astype("f4")
    write_safetensors(Path("m.safetensors"), {"w": ("F32", x), "n": ("I64", np.arange(500))}, {})
    assert run(["compress", "m.safetensors", "--abs", "0.01", "--preset", "instant"]) == 0
    capsys.readouterr()
    assert run(["verify", "m.safetensors", "m.safetensors.aez"]) == 0
    assert capsys.readouterr().out.count("within the bound") == 2
    x[3, 4] += 1
    write_safetensors(Path("m.safetensors"), {"w": ("F32", x), "n": ("I64", np.arange(500))}, {})
    assert run(["verify", "m.safetensors", "m.safetensors.aez"]) == 4


def test_a_classic_netcdf_file_is_compared_whatever_its_suffix() -> None:
    pytest.importorskip("netCDF4")
    weather(text=False).to_netcdf("w.nc", format="NETCDF3_64BIT", engine="netcdf4")
    assert run(["compress", "w.nc", "--bound", "air:abs=0.1", "--preset", "instant"]) == 0
    assert run(["verify", "w.nc", "w.nc.aez"]) == 0
    weather(text=False).assign(air=lambda d: d.air + 1).to_netcdf("v.nc", format="NETCDF3_64BIT", engine="netcdf4")
    assert run(["verify", "v.nc", "w.nc.aez"]) == 4
