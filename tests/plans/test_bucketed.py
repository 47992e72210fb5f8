"""The plan `buckets`: any chunk comes back, what it is chosen for, and what hostile bytes do."""

from __future__ import annotations

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import aezip
from aezip.core.errors import CorruptFile
from aezip.plans.buckets import CLASSES, WIDE, BucketPlan
from aezip.quantize.grid import HiddenGrid
from aezip.quantize.lattice import IntegerLattice

GRID = HiddenGrid(IntegerLattice(1, 0))


def atoms(frames: int = 30, count: int = 300) -> np.ndarray:
    """Return coordinates of atoms that wander, some fast and some slowly, as float32."""
    rng = np.random.default_rng(0)
    pace = 2.0 ** rng.integers(-6, 1, (1, count, 1))
    return (np.cumsum(rng.normal(size=(frames, count, 3)) * pace, axis=0) + 300).astype("f4")


@pytest.mark.parametrize("axes", [(), (0,), (1,), (0, 1), (1, 0)])
@given(arrays.arrays("i8", st.tuples(st.integers(1, 5), st.integers(1, 9)), elements=st.integers(-(2**62), 2**62)))
def test_any_chunk_comes_back(axes: tuple[int, ...], x: np.ndarray) -> None:
    data, decoded = BucketPlan(axes).pack(GRID, x, None)
    assert (decoded == x).all()
    assert (BucketPlan(axes).unpack(GRID, data, x.shape, x.dtype) == x).all()


@pytest.mark.parametrize("inner", [WIDE - 1, WIDE, WIDE + 1])
def test_wide_indices_are_passes_that_know_the_one_before(inner: int) -> None:
    x = np.random.default_rng(0).integers(-9, 9, (20, inner)) * (np.arange(inner) % 2 * 1000 + 1)
    data, _ = BucketPlan(()).pack(GRID, x, None)
    assert (BucketPlan(()).unpack(GRID, data, x.shape, x.dtype) == x).all()
    used = np.count_nonzero(np.frombuffer(data, np.uint8, CLASSES))
    assert (used > 1) == (inner >= WIDE)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave networks away."""
    monkeypatch.setattr("aezip.search.choose.SMALL", 1 << 40)


@pytest.mark.usefixtures("plain")
def test_selection_takes_it_for_floats_that_drift() -> None:
    x = atoms()
    data, report = aezip.compress(x, preset="fast")
    assert report.plan is not None
    assert report.plan["kind"] == "buckets"
    assert 0 in report.plan["axes"]
    y = aezip.decompress(data)
    assert y.dtype == x.dtype
    assert y.tobytes() == x.tobytes()


@pytest.mark.parametrize("axes", [None, "0", [3], [-1], [0, 0], [True], [1.0]])
def test_malformed_axes_are_refused(axes: object) -> None:
    with pytest.raises(CorruptFile):
        BucketPlan.read({"kind": "buckets", "axes": axes}, (4, 5, 6), None)


def test_damaged_chunks_are_refused_or_decode_to_something() -> None:
    x = np.random.default_rng(0).integers(-999, 999, (9, 300)).cumsum(axis=0)
    data, _ = BucketPlan((0,)).pack(GRID, x, None)
    refused = 0
    for changed in hostile.flips(data, 400):
        try:
            assert BucketPlan((0,)).unpack(GRID, changed, x.shape, x.dtype).shape == x.shape
        except (CorruptFile, ValueError, IndexError, OverflowError):  # the three are named by the decoder of chunks
            refused += 1
    assert refused > 50
    with pytest.raises(CorruptFile):
        BucketPlan((0,)).unpack(GRID, data[:9], x.shape, x.dtype)
