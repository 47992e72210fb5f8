"""Run the whole reader on changed files in this process, which limits its own memory and time: see `test_fuzz`.

    python tests/fuzz.py MODE SEED COUNT SECONDS FILE...

Modes: `signed` (headers, streams, model, frames and chunks changed, all digests right), `compiled` (the same with compiled
loops for arrays of any size, which check their bounds), `flips` (random bits of the file as it is), `bits` (every bit), `splices`
(runs of bytes moved, set, copied between files), `cuts` (every length). Prints one JSON object. Whatever is neither an exact
array nor an `AezipError` is a finding: other exceptions and warnings, out of memory, too slow. Each finding is also told at once
on standard error, its file kept under the directory of temporary files, so that a run that is cut short loses nothing.
"""

from __future__ import annotations

import base64
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import hostile

import aezip
from aezip.cli import show as render

MEMORY = 3 << 30
SLOW = 20  # seconds for one file
SLOW_CHECKED = 120  # the same where every address is checked
FOUND_MOST = 20


class TooSlow(BaseException):
    """A file takes too long."""


def _slow(number: int, frame: Any) -> None:
    raise TooSlow


def read(data: bytes) -> list[bytes]:
    """Use all of the reader; return the decoded arrays' bytes."""
    with aezip.open(data, threads=1) as archive:
        with redirect_stdout(io.StringIO()):
            render.show(archive.report(), "x")
        archive.report().to_json()
        for view in archive.values():
            _ = view.bound, view._decoder.fill
        damage = archive.damage()
        assert all("\n" not in line for line in damage)
        for view in archive.values():
            view.salvage()
        arrays = [view.read() for view in archive.values()]
        assert not damage, damage
        assert not any(view._lost for view in archive.values())
        for view, array in zip(archive.values(), arrays, strict=True):
            if array.ndim and array.size:
                assert np.asarray(view[-1:]).tobytes() == array[-1:].tobytes()
    return [a.tobytes() for a in arrays]


def mutants(mode: str, seed: int, count: int, files: list[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield changed files, and the file that each must still equal if it can be read at all."""
    r = random.Random(seed)
    if mode in ("signed", "compiled"):
        mutator = hostile.Mutator(seed, [hostile.take_apart(f) for f in files])
        for _ in range(count):
            yield hostile.put_together(mutator.mutant()), None
    elif mode == "bits":
        for file in files:
            for place in range(8 * len(file)):
                data = bytearray(file)
                data[place // 8] ^= 1 << (place % 8)
                yield bytes(data), file
    elif mode == "cuts":
        for file in files:
            for length in range(len(file)):
                yield file[:length], None
    else:
        for _ in range(count):
            file = r.choice(files)
            data = bytearray(file)
            if mode == "flips":
                data[r.randrange(len(data))] ^= 1 << r.randrange(8)
            else:
                _splice(r, data, files)
            yield bytes(data), file


def _splice(r: random.Random, data: bytearray, files: list[bytes]) -> None:
    place, size = r.randrange(len(data)), r.choice((1, 2, 4, 8, 16, 64, 512, 4096))
    move = r.randrange(6)
    if move == 0:
        for _ in range(r.choice((2, 3, 8, 32))):
            data[r.randrange(len(data))] ^= 1 << r.randrange(8)
    elif move == 1:
        data[place : place + size] = r.randbytes(size)
    elif move == 2:
        other = r.choice(files)
        start = r.randrange(len(other))
        data[place : place + size] = other[start : start + size]
    elif move == 3:
        del data[place : place + size]
    elif move == 4:
        start = r.randrange(len(data))
        data[place : place + size] = data[start : start + size]
    else:
        data[place:place] = r.randbytes(size)


def outcome(data: bytes, same: bytes | None, known: dict[bytes, list[bytes]], slow: float = SLOW) -> tuple[str, str]:
    """Return "read" or "refused", or what is wrong and where."""
    signal.setitimer(signal.ITIMER_REAL, slow)
    try:
        arrays = read(data)
        if same is not None:
            if same not in known:
                known[same] = read(same)
            if arrays != known[same]:
                return "WRONG VALUES", ""
        return "read", ""
    except aezip.AezipError as error:
        return ("SEVERAL LINES", repr(str(error))) if "\n" in str(error) else ("refused", type(error).__name__)
    except AssertionError as error:
        if error.args and isinstance(error.args[0], list):
            return "refused", "damage"
        return "ASSERTION", traceback.format_exc()[-600:]
    except TooSlow:
        return "SLOW", "".join(traceback.format_exc()[-900:])
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(f.filename).name}:{f.lineno}" for f in where]
        return type(error).__name__, f"{str(error)[:150]} at {' '.join(ours[-6:])}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def check_bounds_always() -> None:
    """Take compiled loops for arrays of any size, those built with checks of every address, and make sure that they check."""
    from aezip.core import native as kernels

    library = kernels.load(os.environ["CHECKED_LOOPS"])
    kernels._library = lambda: library  # type: ignore[assignment]
    kernels.ENOUGH = 0
    assert kernels.available(1)
    program = (
        "import ctypes, os\nimport numpy as np\nlibrary = ctypes.CDLL(os.environ['CHECKED_LOOPS'])\n"
        "key, starts, out = np.zeros(4, 'i4'), np.array([4096]), np.zeros(4096, 'i4')\n"
        "library.aezip_counting_sort(*(ctypes.c_void_p(a) for a in (key.ctypes.data,)), ctypes.c_int64(4),\n"
        "    ctypes.c_void_p(starts.ctypes.data), ctypes.c_void_p(out.ctypes.data))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.returncode
    assert "AddressSanitizer" in found.stderr, "the loops that were built check nothing"


def keep(number: int, what: str, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(prefix="aezip-found-", suffix=".aez", delete=False) as file:
        file.write(data)
    print(f"number {number}: {what}: {file.name}", file=sys.stderr, flush=True)


def main() -> None:
    mode, seed, count, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    files = [Path(name).read_bytes() for name in sys.argv[5:]]
    if mode == "compiled":
        check_bounds_always()
    if mode != "compiled":  # the checks reserve addresses by the terabyte
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, _slow)
    warnings.simplefilter("error")
    known: dict[bytes, list[bytes]] = {}
    results: dict[str, int] = {}
    found: dict[str, list[str]] = {}
    slowest, began = 0.0, time.monotonic()
    for number, (data, same) in enumerate(mutants(mode, seed, count, files)):
        start = time.monotonic()
        limit = SLOW_CHECKED if mode == "compiled" else SLOW
        kind, where = outcome(data, same, known, limit)
        if kind == "SLOW":  # the machine may have stood still; a file that is slow is so every time
            keep(number, "SLOW, read again", data)
            start = time.monotonic()
            kind, where = outcome(data, same, known, limit)
        slowest = max(slowest, time.monotonic() - start)
        results[kind] = results.get(kind, 0) + 1
        if kind not in ("read", "refused"):
            key = f"{kind}: {where}"
            if key not in found and len(found) < FOUND_MOST:
                found[key] = [f"number {number}", base64.b64encode(data).decode()]
                keep(number, key, data)
        if time.monotonic() - began > seconds:
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"results": results, "found": found, "slowest": slowest, "peak": peak, "ran": sum(results.values())}))


if __name__ == "__main__":
    with redirect_stderr(sys.stderr):
        main()
