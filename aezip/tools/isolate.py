"""Runs a function in a child process with limits, so that whatever it does is a result. Knows nothing of codecs."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

Emit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Limits:
    """What a child may use.

    Attributes
    ----------
    cpu : float
        Processor seconds; the child is killed when it has used them.
    wall : float
        Seconds until the child is killed in any case.
    memory : int
        Bytes of address space; 0 for no limit.
    """

    cpu: float = 240.0
    wall: float = 1800.0
    memory: int = 12 << 30


@dataclass
class Outcome:
    """What a child sent and how it ended: ``ok``, or one line that says what went wrong."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    status: str = "ok"
    peak_memory: int = 0


def peak_memory() -> int:
    """Return the most bytes that this process had in memory so far; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _confine(limits: Limits) -> None:
    """Limit this process for good; on Windows only the clock of the parent counts."""
    with contextlib.suppress(ImportError):
        import resource

        wanted = {resource.RLIMIT_CPU: int(limits.cpu) + 1}
        if limits.memory:
            wanted[resource.RLIMIT_AS] = limits.memory
        for kind, most in wanted.items():
            hard = resource.getrlimit(kind)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (most, most))


def _child(
    sender: Connection, limits: Limits, environment: dict[str, str], function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    os.environ.update(environment)  # the server that forks has that of its own start
    _confine(limits)
    # Libraries print what they like; what the parent prints is all that is wanted.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    try:
        function(sender.send, *arguments)
        status = "ok"
    except MemoryError:
        status = "out of memory"
    except BaseException as error:  # whatever a codec raises is its result
        status = f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}".rstrip(": ")
    sender.send({"ended": status, "peak_memory": peak_memory()})
    sender.close()


def isolated(limits: Limits, function: Callable[..., None], *arguments: Any) -> Outcome:
    """Run ``function(emit, *arguments)`` in a new process and collect what it emits.

    Parameters
    ----------
    limits : Limits
        What it may use.
    function : callable
        Importable, as are its arguments picklable.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context: Any = multiprocessing.get_context("forkserver" if forks else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    given = (sender, limits, dict(os.environ), function, arguments)
    process = context.Process(target=_child, args=given, daemon=True)
    process.start()
    sender.close()
    outcome = Outcome(status="")
    deadline = time.monotonic() + limits.wall
    try:
        while not outcome.status:
            if not receiver.poll(max(0.0, deadline - time.monotonic())):
                outcome.status = f"time limit of {limits.wall:g} s"
                break
            message = receiver.recv()
            if "ended" in message:
                outcome.status, outcome.peak_memory = message["ended"], message["peak_memory"]
            else:
                outcome.messages.append(message)
    except EOFError:
        process.join()
        outcome.status = _death(process.exitcode, limits)
    finally:
        process.kill()
        process.join()
        receiver.close()
    return outcome


def _death(code: int | None, limits: Limits) -> str:
    if code is not None and -code in (signal.SIGKILL, getattr(signal, "SIGXCPU", None)):
        return f"killed, or time limit of {limits.cpu:g} s"
    if code is not None and code < 0:
        return f"crash: {signal.Signals(-code).name}"
    return f"exit {code}"
