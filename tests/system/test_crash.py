"""G12, G13, G14, G15: whenever a process dies, a disk fails, a signal comes or a file is replaced, there is a whole file.

Faults are injected by a small library that is preloaded and counts what the process does to files: it needs a C compiler.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import TESTS

import aezip
from aezip.core import atomic

HERE = TESTS
COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs Linux and a C compiler")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("inject") / "inject.so"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", str(out), str(HERE / "inject.c"), "-ldl"], check=True)
    return out


def start(mode: str, library: Path, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    env = {**os.environ, "LD_PRELOAD": str(library), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    words = [sys.executable, str(HERE / "crash.py"), mode, str(folder)]
    return subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(child: subprocess.Popen[str]) -> int:
    """Return how many calls were hit."""
    out, err = child.communicate()
    assert child.returncode == 0, err[-2000:]
    said = json.loads(out)
    assert not said["wrong"], said["wrong"]
    assert set(said["counts"]) == {f"t.{kind} {way}" for kind in ("aez", "npy", "npz", "raw") for way in ("new", "replaced")}
    return sum(said["counts"].values())


@pytest.mark.process
@needs_compiler
def test_a_process_killed_at_any_call_leaves_the_old_file_or_the_new_one(library: Path, tmp_path: Path) -> None:
    """Every write, fsync, rename, link and unlink of every kind of output; and every disk that fills up there."""
    children = [start("kill", library, tmp_path / "kill"), start("full", library, tmp_path / "full")]
    assert all([finish(child) >= 150 for child in children])


@needs_compiler
@pytest.mark.long
def test_torn_writes_and_single_failures_too(library: Path, tmp_path: Path) -> None:
    children = [start("tear", library, tmp_path / "tear"), start("fail", library, tmp_path / "fail")]
    assert all([finish(child) >= 150 for child in children])


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_a_limit_of_file_size_is_one_line_and_no_crash(tmp_path: Path, command: str) -> None:
    x = np.random.default_rng(0).integers(0, 1 << 60, 100_000)
    np.save(tmp_path / "x.npy", x)
    aezip.compress(x, tmp_path / "x.npy.aez", preset="fast")
    out = tmp_path / ("y.aez" if command == "compress" else "y.npy")
    out.write_bytes(b"old")
    source = tmp_path / ("x.npy" if command == "compress" else "x.npy.aez")

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))

    words = [sys.executable, "-m", "aezip", command, str(source), "-o", str(out), "-f"]
    words += ["--preset", "fast"] if command == "compress" else []
    child = subprocess.run(words, preexec_fn=limit, capture_output=True, text=True)
    assert child.returncode == 1, child.stderr
    assert child.stderr.count("\n") == 1
    assert "large" in child.stderr
    assert out.read_bytes() == b"old"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.long
@pytest.mark.timeout(3600)  # some ten times what compressing takes
def test_a_signal_at_any_moment_of_training_and_writing(tmp_path: Path, number: signal.Signals) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(20000, 20)).cumsum(axis=0))
    words = [sys.executable, "-m", "aezip", "compress", str(tmp_path / "x.npy"), "--range-rel", "1e-3", "--preset", "fast", "-f"]
    out = tmp_path / "x.npy.aez"
    began = time.monotonic()
    assert subprocess.run(words, capture_output=True).returncode == 0
    whole, took = out.read_bytes(), time.monotonic() - began
    out.write_bytes(b"old")
    ended = []
    for moment in np.linspace(0.05, 1.0, 20):
        child = subprocess.Popen(
            words,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        time.sleep(took * moment)
        child.send_signal(number)
        _, err = child.communicate(timeout=120)
        ended.append(child.returncode)
        assert b"Traceback" not in err, err[-500:]
        assert not list(tmp_path.glob(".*"))
        if child.returncode:
            assert out.read_bytes() == b"old"
        else:
            assert out.read_bytes() == whole
            out.write_bytes(b"old")
    assert set(ended) <= {0, 128 + number}
    assert ended.count(128 + number) >= 10


@pytest.mark.process
def test_readers_see_the_old_or_the_new_array_while_it_is_replaced(tmp_path: Path) -> None:
    """8 processes of 200 reads each, while a writer replaces the file all the time."""
    arrays = [np.arange(5 * rows, dtype="f4").reshape(-1, 5) for rows in (10, 600)]
    arrays[1] += np.random.default_rng(0).normal(size=(600, 5)).astype("f4")
    ready = [aezip.compress(x, preset="fast")[0] for x in arrays]
    known = {hashlib.sha256(x.tobytes()).hexdigest() for x in arrays}
    path = tmp_path / "x.aez"
    path.write_bytes(ready[0])
    program = (
        "import sys, hashlib, aezip\nseen = {}\n"
        "for _ in range(200):\n"
        "    d = hashlib.sha256(aezip.decompress(sys.argv[1], threads=1).tobytes()).hexdigest()\n"
        "    seen[d] = seen.get(d, 0) + 1\n"
        "print(*seen)\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    replaced = 0
    while any(child.poll() is None for child in children):
        with atomic.replacing(path, overwrite=True) as file:
            file.write(ready[replaced % 2])
        replaced += 1
    seen: set[str] = set()
    for child in children:
        out, err = child.communicate()
        assert child.returncode == 0, err[-1000:]
        seen |= set(out.split())
    assert seen == known
    assert replaced > 20


@pytest.mark.process
def test_threads_share_an_archive(tmp_path: Path) -> None:
    x = np.cumsum(np.random.default_rng(0).normal(size=(4000, 6)), axis=0)
    aezip.compress({"a": x, "b": x[:50]}, tmp_path / "x.aez", preset="fast")
    wrong: list[Any] = []
    with aezip.open(tmp_path / "x.aez", threads=2) as archive:

        def work(seed: int) -> None:
            r = np.random.default_rng(seed)
            try:
                for _ in range(20):
                    start = int(r.integers(0, 3900))
                    if not np.array_equal(archive["a"][start : start + 90], x[start : start + 90]):
                        wrong.append(start)
                    if archive["b"].read().tobytes() != x[:50].tobytes():
                        wrong.append("b")
            except BaseException as error:
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong
