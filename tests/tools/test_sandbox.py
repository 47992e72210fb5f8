"""`aezip test --sandbox`: what a file from a stranger does to the decoder, it does to a child with limits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import hostile
import numpy as np
import pytest
from helpers import GOLDEN

import aezip
from aezip import cli
from aezip.tools import sandbox

X = np.cumsum(np.random.default_rng(1).normal(size=(200, 6)), axis=0).astype("f4")
STATIC = GOLDEN / "v1_0_static_psnr.aez"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("good.aez").write_bytes(STATIC.read_bytes())
    return tmp_path


def test_a_good_and_a_damaged_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray(STATIC.read_bytes())
    data[len(data) // 2] ^= 1
    Path("bad.aez").write_bytes(data)
    Path("numpy.py").write_text("raise SystemExit(99)")  # beside the file: must not be imported
    assert cli.run(["test", "--sandbox", "good.aez"]) == 0
    assert capsys.readouterr().out == "good.aez: good\n"
    assert cli.run(["test", "--sandbox", "good.aez", "bad.aez", "--json"]) == 3
    assert not json.loads(capsys.readouterr().out)["good"]
    assert cli.run(["test", "--sandbox", "absent.aez"]) == 2


def test_a_file_that_takes_too_much_memory_or_time_is_unsafe(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = hostile.take_apart(STATIC.read_bytes())
    outer = 1 << 25
    parts.header |= {"shape": [outer, 8], "chunk_count": 1, "chunk_length": outer, "chunk_values": outer * 8}
    Path("large.aez").write_bytes(hostile.put_together(parts))
    assert cli.run(["test", "--sandbox", "--max-memory", "1024", "large.aez"]) == 7
    assert "1.07 GB" in capsys.readouterr().err
    os.mkfifo("endless.aez")  # opening it waits for ever
    assert cli.run(["test", "--sandbox", "--max-seconds", "1", "endless.aez"]) == 7
    assert "--max-seconds" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "said", "late", "words"),
    [
        (-11, b"", False, "signal 11"),
        (-9, b"", True, "seconds"),
        (-signal.SIGXCPU, b"", False, "seconds"),
        (1, b"Traceback", False, "memory"),
        (0, b'{"code": "x"}', False, "memory"),
    ],
)
def test_however_the_child_ends_there_is_a_verdict(code: int, said: bytes, late: bool, words: str) -> None:
    verdict = sandbox._verdict(code, said, late, 1 << 30, 10)
    assert verdict.code == aezip.UnsafeFile.exit_code
    assert words in verdict.lines[0]


def test_the_child_cannot_write_nor_take_more_than_its_memory(folder: Path) -> None:
    program = (
        "import sys\nfrom aezip.tools import sandbox\nsandbox.confine(1 << 30, 30)\n"
        "try:\n    bytearray(2 << 30)\nexcept MemoryError:\n    print('memory')\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n    f = open('x', 'wb', buffering=0); f.write(b'1')\nexcept OSError:\n    print('disk')\n"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["memory", "disk"]


def test_an_archive_may_come_from_standard_input(folder: Path) -> None:
    command = [sys.executable, "-m", "aezip", "test", "--sandbox", "-"]
    assert subprocess.run(command, input=STATIC.read_bytes(), capture_output=True).returncode == 0
    assert subprocess.run(command, input=b"nonsense", capture_output=True).returncode == 3
