"""A wheel made of the source distribution has all it needs: networks, compiled loops, and nothing of the source tree beside it.

It is installed into empty environments: one that sees the core dependencies but PyTorch, and one that sees all that the tests do.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from helpers import GOLDEN, TESTS

ROOT = TESTS.parent
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links need rights there, and programs lie elsewhere")
CORE = "numpy", "h5py", "zstandard", "click", "rich"  # with PyTorch the dependencies that are no extra
BARE = """
import hashlib, sys
import aezip
from aezip.core import native
from aezip.plans.context import builtin
assert aezip.__file__.startswith(sys.prefix), aezip.__file__
print(native.instruction_sets(), len(builtin.BUILTINS))
for name in sys.argv[1:]:
    print(hashlib.sha256(aezip.decompress(name).tobytes()).hexdigest())
data, report = aezip.compress(aezip.decompress(sys.argv[1]), preset="instant", bound=aezip.RangeRelative(1e-3))
print(report.plan["kind"])
"""
EXTRAS = """
import sys
import numcodecs, numpy as np, xarray, zarr
import aezip
air = np.cumsum(np.random.default_rng(0).normal(size=(64, 9)), axis=0).astype("f4")
xarray.Dataset({"air": (("time", "x"), air)}).to_netcdf("run.nc")
aezip.compress_file("run.nc", "run.nc.aez", bounds={"air": aezip.Absolute(0.01)}, preset="instant")
with xarray.open_dataset("run.nc.aez", engine="aezip") as lazy:
    assert abs(lazy["air"] - air).max() <= 0.01
engine = type(xarray.backends.list_engines()["aezip"])
codec = numcodecs.get_codec({"id": "aezip"})
assert (codec.decode(codec.encode(air)) == air).all()
serializer = zarr.registry.get_codec_class("aezip")
array = zarr.create_array("air.zarr", shape=air.shape, dtype="f4", chunks=(32, 9), serializer=serializer(aezip.Absolute(0.01)),
                          compressors=None, filters=None)
array[...] = air
assert abs(zarr.open_array("air.zarr")[...] - air).max() <= 0.01
open("log.csv", "w").write("a,b\\n1,x\\n2,y\\n")
aezip.compress_file("log.csv", "log.csv.aez", preset="instant")
aezip.decompress_file("log.csv.aez", "back.csv")
for kind in (engine, type(codec), serializer):
    assert sys.modules[kind.__module__].__file__.startswith(sys.prefix), kind
"""
WITHOUT = {  # an extra, and what asks for it
    "tables": ["compress", "log.csv"],
    "zarr": ["compress", "run.zarr"],
    "dask": ["compress", "x.npy", "--dask", "tcp://localhost:1"],
    "remote": ["info", "https://localhost/x.aez"],
}


def away(words: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command away from the source and its paths."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, cwd=folder, env=kept)


def run(words: Sequence[str | Path], folder: Path) -> str:
    """Run a command that has to succeed; return what it prints."""
    done = away(words, folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built of the source distribution."""
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("nothing to build a wheel with")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("aezip", "native"):
        shutil.copytree(ROOT / name, source / name)
    for stale in (source / "aezip").glob("_loops*"):
        stale.unlink()
    run([sys.executable, "-c", "from setuptools.build_meta import build_sdist as build; build('..')"], source)
    (packed,) = folder.glob("*.tar.gz")
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, packed], folder)
    (made,) = folder.glob("*.whl")
    return made


def environment(folder: Path, wheel: Path) -> tuple[Path, Path]:
    """Make an empty environment with the wheel in it; return its Python and where packages are."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    python = folder / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel], folder)
    return python, Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip())


def link(names: Iterable[str], target: Path, seen: set[str]) -> None:
    """Link distributions of this environment, and what they require, into another one."""
    for name in set(names) - seen:
        seen.add(name)
        found = metadata.distribution(name)
        for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
            if not (target / top).exists():
                (target / top).symlink_to(found.locate_file(top))
        needed = [need for need in found.requires or [] if ";" not in need]
        link([re.split(r"[^\w.-]", need)[0] for need in needed], target, seen)


@pytest.mark.process
def test_a_wheel_has_all_it_needs(wheel: Path, tmp_path: Path) -> None:
    python, packages = environment(tmp_path / "bare", wheel)
    link(CORE, packages, set())
    files = [GOLDEN / f"v1_0_{name}.aez" for name in ("context_builtin", "context_builtin_changed", "autoencoder_range")]
    sets, networks, *digests, _ = run([python, "-c", BARE, *files], tmp_path).split()
    assert int(networks) == len(list((ROOT / "aezip/data/networks").glob("*.net")))
    assert int(sets) > 0 or shutil.which("gcc") is None
    assert digests == [json.loads(file.with_suffix(".json").read_text())["sha256"] for file in files]

    np.save(tmp_path / "x.npy", np.zeros((64, 3), "f4"))
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    (tmp_path / "run.zarr").mkdir()
    (tmp_path / "run.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    for extra, words in WITHOUT.items():
        done = away([python.with_name("aezip"), *words], tmp_path)
        assert done.returncode == 2, (extra, done.stderr)
        assert f"pip install 'aezip[{extra}]'" in " ".join(done.stderr.split()), (extra, done.stderr)
    done = away([python, "-c", "import aezip.integrations.sklearn"], tmp_path)
    assert "pip install 'aezip[sklearn]'" in done.stderr


@pytest.mark.process
def test_extras_find_what_a_wheel_offers(wheel: Path, tmp_path: Path) -> None:
    for module in ("xarray", "netCDF4", "zarr", "numcodecs", "pyarrow"):
        pytest.importorskip(module)
    python, packages = environment(tmp_path / "extras", wheel)
    seen = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    (packages / "seen.pth").write_text("\n".join(sorted(seen)) + "\n")  # behind the wheel's own folder
    run([python, "-c", EXTRAS], tmp_path)
