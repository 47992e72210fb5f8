"""Orthogonal indexing gives what NumPy gives for the indices of each axis in turn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import aezip
from aezip.core.errors import InvalidInput

X = np.arange(40 * 6 * 5, dtype="i4").reshape(40, 6, 5)
MASK = np.array([True, False, True, False, False])


@pytest.fixture(scope="module")
def view() -> Any:
    data, _ = aezip.compress(X, None, preset="instant")
    return aezip.open(io.BytesIO(data))["data"]


@pytest.mark.parametrize(
    "key",
    [
        ([1, 5, 1], slice(None), MASK),
        ([-1, 0], [3], [4, -5]),
        (slice(3, 30, 7), 2, [0, 4]),
        (7, ..., [1]),
        (..., MASK),
        (np.arange(40) % 3 == 0,),
        (slice(None, None, -9), [2, 2]),
        ([], [1, 2]),
        (3, 4, 2),
        ...,
    ],
)
def test_each_axis_has_its_own_index(view: Any, key: Any) -> None:
    want: Any = X
    keys = list(key) if isinstance(key, tuple) else [key]
    if any(k is Ellipsis for k in keys):
        at = next(i for i, k in enumerate(keys) if k is Ellipsis)
        keys[at : at + 1] = [slice(None)] * (X.ndim - len(keys) + 1)
    for axis, k in reversed(list(enumerate(keys))):
        want = want[(slice(None),) * axis + (np.asarray(k, np.intp) if isinstance(k, list) else k,)]
    got = view.oindex[key]
    np.testing.assert_array_equal(got, want)
    assert got.shape == want.shape
    assert got.dtype == want.dtype


def test_masked_arrays_stay_masked() -> None:
    x = np.ma.masked_array(X.astype("f4"), X % 7 == 0)
    data, _ = aezip.compress(x, None, preset="instant")
    with aezip.open(data) as archive:
        part = archive["data"].oindex[[2, 30], :, MASK]
    np.testing.assert_array_equal(part.mask, x[[2, 30]][:, :, MASK].mask)


@pytest.mark.parametrize("key", [([1.5],), ([[1, 2]],), (0, 0, 0, 0), ("a",), (None,), (..., ...)])
def test_other_indices_are_refused(view: Any, key: Any) -> None:
    with pytest.raises(InvalidInput):
        view.oindex[key]


@pytest.mark.parametrize("key", [([40],), (0, [-7])])
def test_indices_beyond_the_array_are_refused(view: Any, key: Any) -> None:
    with pytest.raises(IndexError):
        view.oindex[key]
