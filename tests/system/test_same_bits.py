"""G5: the same bits on any number of threads, batch size, BLAS kernel and instruction set, with torch and loops or without."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from helpers import GOLDEN, NOT_BUILT, QUICK, TESTS

import aezip
from aezip.core import native
from aezip.search import choose as plan

FILES = [p for p in sorted(GOLDEN.glob("v*.aez")) if "any_" not in p.name and "bytes" not in p.name]
X86 = platform.machine() in ("x86_64", "AMD64")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return golden files and some that this machine has just written, with the digest of what they decode to here."""
    folder = tmp_path_factory.mktemp("fresh")
    generator = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plan.PRESETS, "fast", QUICK)
        patch.setattr(plan, "SMALL", 0)
        for number, shape in enumerate(((400, 24), (20, 24, 22))):
            x = generator.normal(size=shape)
            for axis in range(len(shape)):
                x = x.cumsum(axis=axis)
            aezip.compress(x.astype("f4"), folder / f"{number}.aez", bound=aezip.RangeRelative(1e-3), preset="fast")
    return [*FILES, *sorted(folder.glob("*.aez"))]


@pytest.fixture(scope="module")
def digest(files: list[Path]) -> str:
    whole = hashlib.sha256()
    for path in files:
        whole.update(aezip.decompress(path, threads=1).tobytes())
    return whole.hexdigest()


def features() -> ModuleType:
    """Return the module that knows what NumPy may use on this machine."""
    name = "numpy._core._multiarray_umath" if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else "numpy.core._multiarray_umath"
    return importlib.import_module(name)


def dispatched() -> str:
    """Return the instruction sets that NumPy chooses at run time on this machine."""
    inner = features()
    return " ".join(feature for feature in inner.__cpu_dispatch__ if inner.__cpu_features__.get(feature))


VARIANTS = [
    ("plain", {}),
    ("blocked", {"AEZIP_NO_NATIVE": "1"}),
    ("compiled", {}),
    ("compiled", {"AEZIP_INSTRUCTION_SET": "2"}),
    ("plain", {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "1"}),
    ("plain", {"OPENBLAS_CORETYPE": "Sandybridge", "OPENBLAS_NUM_THREADS": "2"}),
    ("compiled", {"OPENBLAS_CORETYPE": "Haswell", "AEZIP_INSTRUCTION_SET": "1"}),
    ("plain", {"OPENBLAS_CORETYPE": "SkylakeX", "OPENBLAS_NUM_THREADS": "8"}),
    ("blocked", {"NPY_DISABLE_CPU_FEATURES": "all", "OPENBLAS_CORETYPE": "Nehalem"}),
    ("torch", {"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "2"}),
    ("torch", {"ATEN_CPU_CAPABILITY": "avx2", "MKL_CBWR": "COMPATIBLE"}),
]


@pytest.mark.process
@pytest.mark.parametrize(("way", "env"), VARIANTS, ids=lambda v: v if isinstance(v, str) else ",".join(v.values()) or "default")
def test_every_way_of_decoding_gives_the_same_bits(files: list[Path], digest: str, way: str, env: dict[str, str]) -> None:
    """Each with 1, 2 and 8 threads, and networks fed with 1 row, some, and all at a time."""
    if way == "compiled":
        if not native.available(1 << 30):
            pytest.skip(NOT_BUILT)
    if env.get("NPY_DISABLE_CPU_FEATURES") == "all":
        env = {**env, "NPY_DISABLE_CPU_FEATURES": dispatched()}
    if not X86 and ("OPENBLAS_CORETYPE" in env or "ATEN_CPU_CAPABILITY" in env):
        pytest.skip("these kernels are those of x86")
    if env.get("OPENBLAS_CORETYPE") == "SkylakeX" and not features().__cpu_features__.get("AVX512_SKX"):
        pytest.skip("this processor lacks the instructions of these kernels")
    words = [sys.executable, "-W", "error::RuntimeWarning", str(TESTS / "decode.py"), way, *map(str, files)]
    out = subprocess.run(words, env={**os.environ, **env}, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr[-1000:]
    assert set(out.stdout.split()) == {digest}
    assert len(out.stdout.split()) == 4
