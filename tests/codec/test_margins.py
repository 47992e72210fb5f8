"""Masks by what rows and columns have in common: exact, smaller where that holds, and safe to read."""

from __future__ import annotations

import decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip.codec import mask_margins as margins
from aezip.codec.mask import MARGINS, pack_mask
from aezip.entropy.frames import pack
from aezip.search.choice import smallest
from aezip.search.static import static_plans


def popular(rows: int = 300, columns: int = 120, seed: int = 0) -> np.ndarray:
    """Entries by popularity and by taste: some columns go together."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-2.0, 1.2, (rows, 1)) + rng.normal(0.0, 1.5, columns)
    logit = logit + 1.5 * rng.normal(size=(rows, 2)) @ rng.normal(size=(2, columns))
    return (rng.random((rows, columns)) < 1.0 / (1.0 + np.exp(-logit))).astype(np.uint8)


MASK = popular()
GOOD = margins.encode(popular(100, 40))


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK.T.copy(),
        popular(64, 16),
        np.eye(70, dtype=np.uint8),
        np.tri(90, 20, dtype=np.uint8),
        np.pad(np.ones((3, 3), np.uint8), ((50, 40), (10, 20))),
        1 - np.eye(70, dtype=np.uint8),
    ],
    ids=["tall", "wide", "least", "eye", "triangle", "spot", "full"],
)
def test_masks_come_back(mask: np.ndarray) -> None:
    assert (margins.decode(margins.encode(mask), mask.shape) == mask).all()


def test_smaller_than_a_bitmap_and_than_margins_alone() -> None:
    mask = popular(1500, 200)
    size = len(margins.encode(mask))
    assert size < 0.85 * len(pack(np.packbits(mask).tobytes(), 19))
    logit, _, _ = margins._rasch(mask)
    p = 1.0 / (1.0 + np.exp(-logit))
    alone = -np.where(mask, np.log2(p), np.log2(1.0 - p)).sum() / 8.0
    assert size < alone  # though the margins themselves are counted


def test_probabilities_are_those_of_the_format() -> None:
    t = np.arange(-margins.TOP, margins.TOP + 1) / margins.STEPS
    assert np.abs(margins.PROBABILITIES - 4096 / (1 + np.exp(-t))).max() <= 0.5 + 1e-9
    assert margins.PROBABILITIES.min() >= 1


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_change_of_a_byte_is_read_or_refused(at: int, change: int) -> None:
    wrong = bytearray(GOOD)
    wrong[at] ^= change
    try:
        mask = margins.decode(bytes(wrong), (100, 40))
    except aezip.CorruptFile:
        return
    assert mask.shape == (100, 40)
    assert mask.max() <= 1


@given(st.integers(0, len(GOOD) - 1))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(aezip.CorruptFile):
        margins.decode(GOOD[:size], (100, 40))


@pytest.mark.parametrize("shape", [(100, 41), (40, 100), (100, 40, 1), (10, 40)])
def test_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(aezip.CorruptFile):
        margins.decode(GOOD, shape)


def test_files_with_such_a_mask_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aezip.codec.encoder.choose", lambda sample, wish: smallest(static_plans(sample)))
    mask = popular(1200, 100)
    x = np.where(mask > 0, np.random.default_rng(0).integers(1, 6, mask.shape), np.nan).astype("f4")
    assert pack_mask((mask == 0).astype(np.uint8))[0] == MARGINS
    data, report = aezip.compress(x, preset="fast")
    assert report.arrays[0].plan["kind"] != "bytes"
    with aezip.open(data) as archive:
        assert np.array_equal(archive["data"].read(), x, equal_nan=True)


def test_probabilities_do_not_depend_on_the_callers_precision() -> None:
    with decimal.localcontext(decimal.Context(prec=2)):
        assert (margins._probabilities() == margins.PROBABILITIES).all()
