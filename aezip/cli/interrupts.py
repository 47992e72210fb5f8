"""What SIGINT and SIGTERM do to a command: an exception unwinds the stack, so that temporary files go."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

    from aezip.core.progress import ProgressEvent

NAMES = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
_AGAIN = 0.1  # seconds
_pending: list[int] = []  # signals that came


class Stopped(BaseException):
    """A signal asked to stop: unwinds the stack, so that temporary files go."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    for other in NAMES:
        signal.signal(other, signal.SIG_IGN)  # a second one must not interrupt the clearing up
    _pending.append(number)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _again)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
    raise Stopped(number)


def _again(number: int, frame: FrameType | None) -> None:
    """Raise once more what foreign code swallowed: Cython does so while a module of its kind is imported.

    Whatever clears up meanwhile does so under the exception, which is how that is told from going on as if nothing was.
    """
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, Stopped):
            return
        error = error.__context__
    raise Stopped(_pending[0])


def calm() -> None:
    """Raise nothing once more."""
    if _pending and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)


def _swallowed(problem: sys.UnraisableHookArgs) -> None:
    """Say nothing of a signal that fell into a destructor: `_again` and `watching` raise it once more."""
    if not isinstance(problem.exc_value, Stopped):
        sys.__unraisablehook__(problem)


def came() -> Stopped | None:
    """Return what a signal raised, if one came."""
    return Stopped(_pending[0]) if _pending else None


def watching(progress: Callable[[ProgressEvent], None] | None) -> Callable[[ProgressEvent], None]:
    """Return a callback that also ends the job if a signal was swallowed."""

    def report(event: ProgressEvent) -> None:
        stopped = came()
        if stopped is not None:
            raise stopped
        if progress is not None:
            progress(event)

    return report


def listen() -> None:
    """Make signals that are not ignored stop this process."""
    for number in NAMES:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    sys.unraisablehook = _swallowed
