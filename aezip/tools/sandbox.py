"""Testing a file from a stranger in a child process that limits its own memory and time and cannot write files.

libhdf5 parses a file before any check of aezip's: what goes wrong there, or takes too long, ends the child and not the caller.
The child is this interpreter with this module: ``python -P -m aezip.tools.sandbox FILE MEMORY SECONDS``, on one thread and
without compiled loops. It is no jail: it reads what its user may read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aezip.core.errors import AezipError, CorruptFile, UnsafeFile

MEMORY = 4 << 30
SECONDS = 600
_LINES = 1000  # problems that are listed
_MOST = 1 << 24  # bytes that the child may say
_OTHER = 1


@dataclass(frozen=True)
class Verdict:
    """What a test found.

    Attributes
    ----------
    code : int
        Exit code: 0 if the file is good.
    lines : list of str
        What is wrong.
    """

    code: int
    lines: list[str]


def examine(path: str, *, memory: int = MEMORY, seconds: int = SECONDS) -> Verdict:
    """Decode a file in a child process and check every digest.

    Parameters
    ----------
    path
        The file; "-": standard input.
    memory, seconds
        Bytes of address space and seconds (of the clock, and of the processor) that the child may take.

    Returns
    -------
    Verdict
        Of the exit code of `UnsafeFile` if the child crashed or went beyond a limit.
    """
    command = [sys.executable, "-P", "-m", "aezip.tools.sandbox", path, str(memory), str(seconds)]
    folders = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    quiet = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "AEZIP_NO_NATIVE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    child = subprocess.Popen(
        command,
        stdin=None if path == "-" else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **quiet, "PYTHONPATH": os.pathsep.join(folders)},
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        child.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        assert child.stdout is not None
        with child.stdout:
            said = child.stdout.read(_MOST)
        if len(said) == _MOST:
            child.kill()
        code = child.wait()
    finally:
        timer.cancel()
        child.kill()
    return _verdict(code, said, late.is_set(), memory, seconds)


def _verdict(code: int, said: bytes, late: bool, memory: int, seconds: int) -> Verdict:
    """Judge by how the child ended and what it said."""
    too_long = f"testing takes more than {seconds} seconds: allow more with --max-seconds, or do not trust this file"
    if late or -code == getattr(signal, "SIGXCPU", None):
        return Verdict(UnsafeFile.exit_code, [too_long])
    if code < 0:
        return Verdict(UnsafeFile.exit_code, [f"the decoder was killed by signal {-code}: do not trust this file"])
    try:
        told: Any = json.loads(said)
        return Verdict(int(told["code"]), [str(line) for line in told["lines"]])
    except (ValueError, TypeError, KeyError):
        pass
    needs = f"testing needs more than {memory >> 20} MB of memory: allow more with --max-memory, or do not trust this file"
    return Verdict(UnsafeFile.exit_code, [needs])


def confine(memory: int, seconds: int) -> None:
    """Limit this process for good: memory, time; no core dump, and no file can be written to."""
    try:
        import resource
    except ImportError:  # not on Windows: only the clock of the parent counts there
        return
    wanted = {
        resource.RLIMIT_AS: memory, resource.RLIMIT_CPU: seconds, resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 0,
    }  # fmt: skip
    for kind, most in wanted.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _decode(path: str) -> Verdict:
    """Test a file in this process."""
    from aezip.archive.models import SUFFIX, Model
    from aezip.archive.reading import Archive

    try:
        if path.endswith(SUFFIX):
            Model(Path(path).read_bytes())
            return Verdict(0, [])
        with Archive(sys.stdin.buffer.read() if path == "-" else path, threads=1) as archive:
            lines = archive.damage()
    except AezipError as error:
        return Verdict(error.exit_code, [str(error)])
    except OSError as error:
        return Verdict(_OTHER, [f"{error.strerror or error}: check the path and its permissions"])
    more = [f"and {len(lines) - _LINES} more"] if len(lines) > _LINES else []
    return Verdict(CorruptFile.exit_code if lines else 0, [*lines[:_LINES], *more])


def main(words: list[str]) -> None:
    """Be the child: confine this process, test the file, say what was found on standard output."""
    path, memory, seconds = words[0], int(words[1]), int(words[2])
    confine(memory, seconds)
    verdict = _decode(path)
    print(json.dumps({"code": verdict.code, "lines": verdict.lines}))


if __name__ == "__main__":
    main(sys.argv[1:])
