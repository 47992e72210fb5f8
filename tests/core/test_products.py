"""Products in blocks are products."""

from __future__ import annotations

import numpy as np
import pytest

from aezip.core.products import by_rows, over_rows


@pytest.mark.train
@pytest.mark.parametrize("rows", [0, 1, 103, 104, 105, 2000])
@pytest.mark.parametrize("columns", [(1, 1), (50, 50), (50, 1), (600, 700)])
def test_products_are_those_of_numpy(rows: int, columns: tuple[int, int]) -> None:
    r = np.random.default_rng(rows)
    a, b, c = (r.integers(-9, 9, shape).astype(np.float64) for shape in ((rows, columns[0]), columns, (rows, columns[1])))
    assert np.array_equal(by_rows(a, b), a @ b)  # exact: whole numbers
    assert np.array_equal(over_rows(a, c), a.T @ c)
    assert by_rows(a.astype(np.float32), b.astype(np.float32)).dtype == np.float32
