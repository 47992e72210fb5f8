"""A wheel has all it needs: networks, compiled loops, and nothing of the source tree beside it."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import GOLDEN, TESTS

ROOT = TESTS.parent
PROGRAM = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
sys.modules["torch"] = None
import aezip
from aezip.core import native
from aezip.plans.context import builtin
assert aezip.__file__.startswith(sys.argv[1]), aezip.__file__
print(native.instruction_sets(), len(builtin.BUILTINS))
for name in sys.argv[2:]:
    print(hashlib.sha256(aezip.decompress(name).tobytes()).hexdigest())
data, report = aezip.compress(aezip.decompress(sys.argv[2]), preset="instant", bound=aezip.RangeRelative(1e-3))
print(report.plan["kind"])
"""


@pytest.mark.process
def test_a_wheel_has_all_it_needs(tmp_path: Path) -> None:
    if importlib.util.find_spec("setuptools") is None or importlib.util.find_spec("pip") is None:
        pytest.skip("nothing to build a wheel with")
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    for name in ("aezip", "native"):
        shutil.copytree(ROOT / name, source / name)
    for stale in (source / "aezip").glob("_loops*"):
        stale.unlink()
    words = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(source)]
    built = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert built.returncode == 0, built.stderr[-1000:]
    (wheel,) = tmp_path.glob("*.whl")
    folder = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(folder)
    files = [GOLDEN / f"v1_0_{name}.aez" for name in ("context_builtin", "context_builtin_changed", "autoencoder_range")]
    run = [sys.executable, "-c", PROGRAM, str(folder), *map(str, files)]
    out = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert out.returncode == 0, out.stderr[-1000:]
    sets, networks, *digests, _ = out.stdout.split()
    assert int(networks) == len(list((ROOT / "aezip/data/networks").glob("*.net")))
    assert int(sets) > 0 or shutil.which("gcc") is None
    assert digests == [json.loads(file.with_suffix(".json").read_text())["sha256"] for file in files]
