"""G28: arrays of all kinds, types, shapes and bounds: no failure, no hang, bounds exact in rational arithmetic."""

from __future__ import annotations

import multiprocessing
import traceback
import warnings
from multiprocessing.connection import Connection

import kinds
import numpy as np
import pytest

import aezip

SECONDS = 60.0  # of one case; all but a few take less than one
A_RUN, LONG = 100, 5000


def _child(connection: Connection, seed: int) -> None:
    try:
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", aezip.FillWarning)
        connection.send(kinds.case(seed))
    except BaseException:
        connection.send(f"seed {seed}: {traceback.format_exc()}")


def outcome(seed: int) -> str:
    """Return what went wrong in a child, "" if nothing did; one that takes too long is killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kinds", "torch"])
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, seed), daemon=True)
    child.start()
    there.close()
    try:
        return str(here.recv()) if here.poll(SECONDS) else f"seed {seed}: still at work after {SECONDS} s"
    except EOFError:
        return f"seed {seed}: the child ended without a word"
    finally:
        child.kill()
        child.join()
        here.close()


@pytest.mark.train
@pytest.mark.parametrize("part", range(4))
def test_100_arrays_of_all_kinds(part: int) -> None:
    seeds = range(A_RUN * part // 4, A_RUN * (part + 1) // 4)
    assert [wrong for wrong in map(outcome, seeds) if wrong] == []


@pytest.mark.long
@pytest.mark.timeout(20_000)
def test_5000_arrays_of_all_kinds() -> None:
    assert [wrong for wrong in map(outcome, range(10_000, 10_000 + LONG)) if wrong] == []


def test_the_check_finds_what_is_broken() -> None:
    x = np.array([1.0, 2.0, 4.0, np.nan, kinds.FILL])
    assert kinds.broken(x, x, aezip.Lossless(), filled=True) == ""
    last_bit = np.nextafter(x, np.inf)
    assert "special" in kinds.broken(x, last_bit, aezip.Absolute(1.0), filled=True)
    y = x.copy()
    y[0] = np.nextafter(1.5, 2)
    assert "beyond" in kinds.broken(x, y, aezip.Absolute(0.5), filled=True)
    assert "beyond" in kinds.broken(x, y, aezip.PointRelative(0.5), filled=True)
    assert kinds.broken(x, y, aezip.RangeRelative(0.5), filled=True) == ""
    assert "PSNR" in kinds.broken(x, y, aezip.PSNR(40.0), filled=True)
    y[0] = kinds.FILL
    assert "fill" in kinds.broken(x, y, aezip.Absolute(200.0), filled=True)
