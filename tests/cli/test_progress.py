"""The bar tells phase, rate of raw data, and ratio; the steps of -v add up."""

from __future__ import annotations

import io
import sys

import pytest

from aezip.cli import progress
from aezip.core.progress import ProgressEvent

CLOCK = "aezip.cli.progress.time.perf_counter"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(CLOCK, lambda: now[0])
    return now


def test_the_rate_is_that_of_the_phase_and_array_that_goes_on(clock: list[float]) -> None:
    rate, told = progress.Rate(), []
    for seconds, step, name in ((1, 1, "a"), (2, 2, "a"), (4, 3, "a"), (9, 1, "b"), (10, 2, "b")):
        clock[0] = seconds
        told.append(rate.words(ProgressEvent("encode", step, 4, 2.0, name, 8_000_000)))
    assert told == ["", "2.0 MB/s", "1.3 MB/s", "", "2.0 MB/s"]
    clock[0] = 11
    assert rate.words(ProgressEvent("encode", 3, 4, 2.0, "b")) == ""


def test_steps_are_told_in_order_with_their_seconds(clock: list[float]) -> None:
    steps = progress.Steps()
    for seconds, phase in ((1, "scan"), (3, "select"), (4, "encode"), (6, "verify"), (7, "encode")):
        clock[0] = seconds
        steps.update(phase)
    clock[0] = 8
    assert steps.words == "reading 1.00 s, choosing 2.00 s, encoding 2.00 s, verifying 2.00 s; 8.00 s in all"


def test_the_bar_shows_phase_rate_and_ratio(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    options = {"quiet": False, "verbose": False, "no_progress": False}
    with progress.followed(options) as update:
        for step in (1, 2):
            clock[0] += 1
            update(ProgressEvent("encode", step, 4, 2.0, "data", 8_000_000))
    text = terminal.getvalue()
    assert "encoding" in text
    assert "2.0 MB/s" in text
    assert "ratio about 2.0" in text
    for key in ("quiet", "no_progress"):
        terminal.truncate(0)
        with progress.followed({**options, key: True}) as update:
            update(ProgressEvent("encode", 1, 4, 2.0, "data"))
        assert terminal.getvalue() == ""
