"""Whether loops are to be compiled, by numba where it is installed: the same bits as NumPy's, sooner.

The compiled loops of a module `x` are in `_x_jit` beside it. Sums are of integers that the floating-point type holds exactly, so
that the order of summation does not matter; all else is one rounding each, as in NumPy. Knows nothing of plans.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import lru_cache

ENOUGH = 1 << 18  # values from which importing numba is worth it


@lru_cache(maxsize=1)
def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None and not os.environ.get("AEZIP_NO_NUMBA")


def available(values: int) -> bool:
    """Tell whether compiled kernels exist and so many values are worth importing them; of those imported, fewer are."""
    loaded = f"{__package__}._numba_jit" in sys.modules
    return values >= (ENOUGH >> 2 if loaded else ENOUGH) and _installed()
