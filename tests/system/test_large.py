"""G16: arrays larger than memory. Peak memory is a constant plus a few chunks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import TESTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA counts memory as needed here on Linux only")


def run(folder: Path, values: int, limit: int) -> dict[str, float]:
    words = [sys.executable, str(TESTS / "large.py"), str(folder), str(values), str(limit)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    child = subprocess.run(words, capture_output=True, text=True, env=env)
    assert child.returncode == 0, child.stderr[-2000:]
    found: dict[str, float] = json.loads(child.stdout)
    print(found)
    return found


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_an_array_four_times_larger_than_memory(tmp_path: Path) -> None:
    """3 GB with 768 MB of private memory."""
    limit = 768 << 20
    found = run(tmp_path, (3 << 30) // 8, limit)
    assert found["bytes"] >= 4 * limit
    assert found["peak"] < limit
    assert found["chunks"] > 100


@pytest.mark.long
@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_array(tmp_path: Path) -> None:
    peaks = []
    for number, values in enumerate((1 << 22, 1 << 24)):
        (tmp_path / str(number)).mkdir()
        peaks.append(run(tmp_path / str(number), values, 768 << 20)["peak"])
    assert peaks[1] < 1.25 * peaks[0]
