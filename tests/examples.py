"""The files that examples of the help name, made small; training lasts a moment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers import QUICK

import aezip
from aezip import cli
from aezip.search.presets import PRESETS

FIELD = np.cumsum(np.random.default_rng(0).normal(size=(20, 12, 10)), axis=0).astype("f4")


@contextmanager
def quickly() -> Iterator[None]:
    """Let the preset `fast` train for a moment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "fast", QUICK)
        yield


def make(folder: Path) -> None:
    """Make the files."""
    rng = np.random.default_rng(0)
    months = np.cumsum(rng.normal(size=(1200, 2)), axis=0) @ rng.normal(size=(2, 8)) + 0.01 * rng.normal(size=(1200, 8))
    images = np.cumsum(rng.normal(size=(60, 8, 8)), axis=2).astype("f4")
    ratings = np.where(rng.random((60, 20)) < 0.5, rng.integers(1, 6, (60, 20)), np.nan)
    arrays = {"temperature": FIELD, "january": months[:600], "february": months[600:], "images": images, "ratings": ratings}
    arrays["broken"] = FIELD + 1
    for name, array in {**arrays, "row": images[3] + 0.1}.items():
        np.save(folder / f"{name}.npy", array)
    with h5py.File(folder / "model.nc", "w") as file:
        file["tas"], file["lat"] = FIELD, np.arange(12.0)
        file["tas"].attrs["units"] = "K"
    aezip.compress({"temperature": FIELD}, folder / "temperature.npy.aez", bound=aezip.RangeRelative(1e-3), preset="instant")
    aezip.compress_file(folder / "model.nc", bounds={"tas": aezip.Absolute(0.05)}, preset="instant")
    with quickly():
        aezip.compress({"images": images}, folder / "images.npy.aez", bound=aezip.Absolute(0.5), preset="fast", codes=4)
        aezip.compress({"ratings": ratings}, folder / "ratings.npy.aez", preset="fast", recommend=True)
        aezip.train(months[:600], bound=aezip.Absolute(0.01), preset="fast").save(folder / "daily.aezm")


def run(words: list[str], made: Path) -> int:
    """Run a command in this folder, with copies of the files that it names; return its exit code."""
    for before, word in zip(["", *words], words, strict=False):
        if before != "-o" and (made / word).is_file():
            shutil.copy(made / word, os.curdir)
    with quickly():
        return cli.run(words)
