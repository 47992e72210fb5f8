"""How far a command is, while it works: a bar on a terminal; and, with -v, what took how long when it is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from aezip.core.names import shown

from . import interrupts as signals
from .common import say

if TYPE_CHECKING:
    from aezip.core.progress import ProgressEvent

PHASES = {"scan": "reading", "select": "choosing", "train": "training", "encode": "encoding", "verify": "verifying"}
PHASES |= {"bench": "comparing", "measure": "measuring", "decode": "decoding"}


class Steps:
    """What was done, and the seconds of each part: what leads to an event is part of its phase."""

    def __init__(self) -> None:
        self.began = self._since = time.perf_counter()
        self.seconds: dict[str, float] = {}

    def update(self, phase: str) -> None:
        """Count the time since the last event for a phase."""
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self._since
        self._since = now

    @property
    def words(self) -> str:
        """The parts in order, and all together."""
        parts = [f"{PHASES.get(phase, phase)} {spent:.2f} s" for phase, spent in self.seconds.items()]
        return "; ".join([*([", ".join(parts)] if parts else []), f"{time.perf_counter() - self.began:.2f} s in all"])


@contextmanager
def followed(options: Mapping[str, Any], what: str = "") -> Iterator[Callable[[ProgressEvent], None]]:
    """Yield what takes progress: shows a bar unless -q or --no-progress is given, and tells the steps where -v is.

    Parameters
    ----------
    options
        Of the command: quiet, verbose, no_progress.
    what
        What is worked on, named with its steps.
    """
    steps = Steps()
    with bar(not (options["quiet"] or options["no_progress"])) as show:

        def update(event: ProgressEvent) -> None:
            steps.update(event.phase)
            if show is not None:
                show(event)

        yield signals.watching(update)
    if options["verbose"] and not options["quiet"]:
        say(f"{what}: {steps.words}" if what else steps.words)


class Rate:
    """Raw bytes a second of the phase that goes on."""

    def __init__(self) -> None:
        self._key: tuple[str, str] = ("", "")
        self._began, self._first = 0.0, 0

    def words(self, event: ProgressEvent) -> str:
        """Return the rate since the phase began, "" where it is not known yet."""
        now = time.perf_counter()
        if (event.phase, event.message) != self._key or event.step <= self._first:
            self._key, self._began, self._first = (event.phase, event.message), now, event.step
            return ""
        if event.raw is None or now == self._began:
            return ""
        done = event.raw * (event.step - self._first) / max(1, event.total)
        return f"{done / (now - self._began) / 1e6:.1f} MB/s"


@contextmanager
def bar(enabled: bool) -> Iterator[Callable[[ProgressEvent], None] | None]:
    """Show a progress bar on standard error if it is a terminal: phase, share, time left, rate, ratio so far."""
    if not enabled or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown_bar:
        task = shown_bar.add_task("", total=1, note="")
        phase, rate = "", Rate()

        def update(event: ProgressEvent) -> None:
            nonlocal phase
            ratio = "" if event.ratio is None else f"ratio about {event.ratio:.1f}"
            note = "  ".join(shown(part) for part in (event.message, rate.words(event), ratio) if part)
            if event.phase != phase or event.step == 0:
                phase = event.phase
                shown_bar.reset(task)
            shown_bar.update(task, description=PHASES.get(phase, phase), completed=event.step, total=event.total, note=note)

        yield update
