"""Products of long matrices in blocks that BLAS multiplies on one thread.

Its threads wait for each other: where another process keeps a core busy, what takes milliseconds takes up to half a second. The
command line leaves BLAS one thread for everything; a library cannot, its user may want them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[Any]
ALONE = 1 << 18  # multiplications up to which OpenBLAS takes one thread


def by_rows(a: Float, b: Float) -> Float:
    """Return a @ b, (n, m), of shapes (n, k) and (k, m)."""
    step = max(1, ALONE // max(1, b.size))
    whole = len(a) // step * step
    out = np.empty((len(a), b.shape[1]), np.result_type(a, b))
    np.matmul(a[:whole].reshape(-1, step, a.shape[1]), b, out=out[:whole].reshape(-1, step, b.shape[1]))
    np.matmul(a[whole:], b, out=out[whole:])
    return out


def over_rows(a: Float, b: Float) -> Float:
    """Return a.T @ b, (k, m), of shapes (n, k) and (n, m)."""
    step = max(1, ALONE // max(1, a.shape[1] * b.shape[1]))
    whole = len(a) // step * step
    blocks = (part[:whole].reshape(-1, step, part.shape[1]) for part in (a, b))
    products: Float = np.matmul(next(blocks).transpose(0, 2, 1), next(blocks))
    return np.asarray(products.sum(axis=0) + a[whole:].T @ b[whole:])
