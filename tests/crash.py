"""Write files in many forked children, each of which dies or fails at another call: see `test_crash`.

    LD_PRELOAD=inject.so python tests/crash.py HOW FOLDER LEAST

HOW: `kill` (before each call), `tear` (in the middle of each write), `fail` (one call fails), `full` (a call and all later
ones fail). Prints one JSON object: how many calls were hit for each kind of output, and what went wrong.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aezip
from aezip import cli
from aezip.codec import encoder as codec

MODES = {"kill": 1, "tear": 2, "fail": 3, "full": 4}
X = np.cumsum(np.random.default_rng(0).normal(size=(400, 6)), axis=0)
Y = X[::-1] + 1
inject = ctypes.CDLL(None)


def run(*words: str) -> None:
    """Run a command; a failure must be one line and an exit code, as for a user."""
    code = cli.run([*words])
    if code:
        raise SystemExit(code)


def outputs(folder: Path) -> dict[str, Callable[[], None]]:
    """Return what writes each kind of file."""
    made = str(folder / "made.aez")
    arrays = {name: Y[i:] for i, name in enumerate("abcdef")}
    aezip.compress(arrays, made, preset="fast", threads=1)
    one = str(folder / "one.aez")
    aezip.compress(Y, one, preset="fast", threads=1)

    def decompress(source: str, name: str) -> Callable[[], None]:
        return lambda: run("decompress", source, "-o", str(folder / name), "-f", "--threads", "1")

    return {
        "t.aez": lambda: aezip.compress(arrays, folder / "t.aez", preset="fast", overwrite=True, threads=1),
        "t.npy": decompress(one, "t.npy"),
        "t.npz": decompress(made, "t.npz"),
        "t.raw": decompress(one, "t.raw"),
    }


def in_child(action: Callable[[], None], number: int, how: int) -> tuple[int, int]:
    """Do it in a forked child with an injected fault; return how the child ended, and how many calls it made."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 0
        try:
            sys.stderr = open(os.devnull, "w")
            inject.armed(ctypes.c_long(number), how)
            action()
        except (OSError, aezip.AezipError):
            code = 1
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 99
        except BaseException as error:
            code = 99
            os.write(2, repr(error).encode())
        finally:
            calls = inject.counted()
            inject.armed(ctypes.c_long(-1), 0)
            os.write(writing, str(calls).encode())
            os._exit(code)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    said = os.read(reading, 100)
    os.close(reading)
    return os.waitstatus_to_exitcode(status), int(said or b"0")


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def hit(folder: Path, name: str, action: Callable[[], None], mode: str, exists: bool) -> tuple[int, list[str]]:
    """Hit every call that writing a file makes; return how many, and what was wrong."""
    target = folder / name
    old = b"the old file" if exists else None
    ended, calls = in_child(action, 0, 0)
    assert ended == 0, (name, ended)
    new = digest(target)
    wrong = []
    for number in range(1, calls + 1):
        for left in folder.glob(".*.tmp"):
            left.unlink()
        target.unlink(missing_ok=True)
        if old is not None:
            target.write_bytes(old)
        before = digest(target)
        ended, _ = in_child(action, number, MODES[mode])
        after = digest(target)
        where = f"{name}, call {number} of {calls}: "
        if after not in (before, new):
            wrong.append(where + "neither the old file nor the new one")
        if mode in ("kill", "tear"):
            if ended not in (-signal.SIGKILL, 0):
                wrong.append(where + f"ended with {ended}")
        elif ended not in (0, 1, 2):
            wrong.append(where + f"ended with {ended}")
        elif ended and list(folder.glob(".*.tmp")):
            wrong.append(where + "left a temporary file")
        elif not ended and after != new:
            wrong.append(where + "said nothing of a failure")
    return calls, wrong


def main() -> None:
    mode, folder = sys.argv[1], Path(sys.argv[2])
    codec.CHUNK_VALUES = codec.CHUNK_VALUES_CONTEXT = 600
    codec.CHUNK_BYTES_PLAIN = 2400
    counts: dict[str, int] = {}
    wrong: list[str] = []
    for name, action in outputs(folder).items():
        for exists in (True, False):
            counts[f"{name} {'replaced' if exists else 'new'}"], found = hit(folder, name, action, mode, exists)
            wrong += found
    shutil.rmtree(folder)
    print(json.dumps({"counts": counts, "wrong": wrong}))


if __name__ == "__main__":
    main()
