"""What a long job tells while it runs. Knows nothing of terminals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class ProgressEvent:
    """One report of progress.

    Parameters
    ----------
    phase
        "scan", "select", "train", "encode", "verify" or "decode".
    step, total
        Steps done, and in all, of this phase.
    ratio
        Estimated compression ratio, if known.
    message
        What is going on, in a few words.
    raw
        Raw bytes that all steps of this phase pass over, if known.
    """

    phase: str
    step: int
    total: int
    ratio: float | None
    message: str
    raw: int | None = None


class Progress:
    """Passes events on to a callback, if there is one; `raised` is what that raised last."""

    def __init__(self, callback: Callable[[ProgressEvent], None] | None = None) -> None:
        self._callback = callback
        self.raised: BaseException | None = None

    def __call__(
        self, phase: str, step: int, total: int, ratio: float | None = None, message: str = "", raw: int | None = None
    ) -> None:
        """Report."""
        if self._callback is not None:
            try:
                self._callback(ProgressEvent(phase, step, total, ratio, message, raw))
            except BaseException as error:
                self.raised = error
                raise
