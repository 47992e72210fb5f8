"""G8, G11, G21: whatever is done to a file, reading it gives the exact array or an `AezipError`, in bounded memory and time.

The work is done by `fuzz.py` in a few children that limit their own memory; many files in each.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import fuzz
import hostile
import pytest
from helpers import GOLDEN, TESTS

import aezip
from aezip.cli import show as render
from aezip.tools import inspection, page

FILES = sorted(GOLDEN.glob("v*.aez"))
LEARNED = [p for p in FILES if any(kind in p.name for kind in ("context", "autoencoder", "columns", "static"))]
SMALLEST = min((p for p in FILES if "static" in p.name), key=lambda p: p.stat().st_size)


def start(mode: str, seed: int, count: int, seconds: float, files: list[Path], **env: str) -> subprocess.Popen[str]:
    words = [sys.executable, str(TESTS / "fuzz.py"), mode, str(seed), str(count), str(seconds), *map(str, files)]
    return subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **env}
    )


def finish(child: subprocess.Popen[str], least: int) -> dict[str, int]:
    """Return the outcomes; whatever the child found, and its own death, is a failure."""
    out, err = child.communicate()
    assert child.returncode == 0, err[-2000:]
    found = json.loads(out)
    assert not found["found"], json.dumps(found["found"], indent=1)[:4000]
    assert found["peak"] < fuzz.MEMORY / 2
    assert found["ran"] >= least
    results: dict[str, int] = found["results"]
    return results


@pytest.mark.process
@pytest.mark.timeout(600)
def test_random_changes_are_harmless() -> None:
    """5,000 flipped bits, 500 splices, and 900 files signed again, over files of every plan."""
    flips, signed = start("flips", 1, 5000, 300, FILES), start("signed", 2, 900, 300, FILES)
    results = finish(signed, 900)
    assert results["read"] > 50  # what only describes may change: mutants do get past all digests
    assert results["refused"] > 700
    splices = start("splices", 3, 500, 300, FILES)
    assert finish(flips, 5000)["refused"] > 4900
    finish(splices, 500)


def test_every_length_of_a_file_is_refused() -> None:
    assert set(finish(start("cuts", 0, 0, 300, [SMALLEST]), SMALLEST.stat().st_size)) == {"refused"}


@pytest.mark.long
@pytest.mark.timeout(6000)
def test_every_bit_and_many_random_changes() -> None:
    """Every bit of one file, 100,000 flips and 100,000 splices over all."""
    children = [start("bits", 0, 0, 5000, [SMALLEST]), start("flips", 11, 100_000, 5000, FILES)]
    finish(children[0], 8 * SMALLEST.stat().st_size)
    last = start("splices", 12, 100_000, 5000, FILES)
    finish(children[1], 100_000)
    finish(last, 100_000)


@pytest.mark.long
@pytest.mark.timeout(8000)
def test_an_hour_of_signed_files() -> None:
    seeds = [int.from_bytes(os.urandom(4), "big") for _ in range(2)]
    print("seeds", seeds)
    children = [start("signed", seeds[0], 1 << 40, 3600, FILES), start("signed", seeds[1], 1 << 40, 3600, LEARNED)]
    for child in children:
        finish(child, 100_000)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_compiled_loops_stay_within_their_arrays(tmp_path: Path) -> None:
    """The compiled loops, built with checks of every address, on 20,000 signed files."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is not installed")
    loops, include = tmp_path / "loops.so", sysconfig.get_paths()["include"]
    source = Path(aezip.__file__).parent.parent / "native" / "aezip.c"
    flags = ["-O1", "-g", "-fPIC", "-shared", "-fwrapv", "-ffp-contract=off", "-fno-math-errno", "-fsanitize=address"]
    subprocess.run([compiler, *flags, "-DPy_LIMITED_API=0x030b0000", f"-I{include}", str(source), "-o", str(loops)], check=True)
    checker = subprocess.run([compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout.strip()
    env = {"CHECKED_LOOPS": str(loops), "LD_PRELOAD": checker, "ASAN_OPTIONS": "detect_leaks=0", "PYTHONMALLOC": "malloc"}
    finish(start("compiled", 5, 20_000, 2500, LEARNED, **env), 20_000)


def test_the_fuzzer_sees_what_it_looks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    data = SMALLEST.read_bytes()
    good: dict[bytes, list[bytes]] = {}
    assert fuzz.outcome(data, data, good) == ("read", "")

    def wrong(_: bytes) -> list[bytes]:
        return [b"other"]

    def broken(_: bytes) -> list[bytes]:
        raise KeyError("defect")

    def two_lines(_: bytes) -> list[bytes]:
        raise aezip.CorruptFile("one\ntwo")

    def endless(_: bytes) -> Any:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        while True:
            pass

    old = signal.signal(signal.SIGALRM, fuzz._slow)
    try:
        for read, kind in ((wrong, "WRONG VALUES"), (broken, "KeyError"), (two_lines, "SEVERAL LINES"), (endless, "SLOW")):
            monkeypatch.setattr(fuzz, "read", read)
            assert fuzz.outcome(data, data, good)[0] == kind
    finally:
        signal.signal(signal.SIGALRM, old)


ODD: list[Any] = [None, True, "", "x", [], {}, [None], -1, 0.5, 10**400]


@pytest.mark.train
@pytest.mark.parametrize("name", ["v1_0_context_autoencoder", "v1_0_static_spikes", "v1_0_autoencoder_range"])
def test_what_only_describes_is_shown_or_refused(name: str) -> None:
    """Every value of the header that no decoding needs, replaced by odd ones: shown by `info` and on the page, or refused."""
    parts = hostile.take_apart((GOLDEN / f"{name}.aez").read_bytes())
    describing = ("achieved", "rates", "candidates", "bound", "preset", "seed")
    paths = [path for path in hostile.places(parts.header) if path[0] in describing]
    paths += [("recommender",), ("trained",), ("rates", "new"), ("achieved", "outliers")]
    shown, refused = 0, []
    for path in paths:
        for value in ODD:
            changed = parts.copy()
            hostile.at(changed.header, path[:-1])[path[-1]] = value
            try:
                with aezip.open(hostile.put_together(changed), threads=1) as archive, redirect_stdout(io.StringIO()):
                    report = archive.report()
                    render.show(report, "x")
                    page.page(report, inspection.Inspection(False, {}), "x")
                    json.dumps(report.to_json())
                shown += 1
            except aezip.AezipError as error:
                refused.append(str(error))
    assert refused
    assert not any("\n" in line for line in refused)
    assert shown > len(paths)
