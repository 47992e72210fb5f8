"""Compiled loops for the hot spots, through numba where it is installed: the same bits as NumPy's, sooner.

`available(values)` says whether compiling pays. Sums are of integers that the floating-point type holds exactly, so
that the order of summation does not matter; all else is one rounding each, as in NumPy. Knows nothing of plans.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import lru_cache
from typing import Any

ENOUGH = 1 << 18  # values from which importing numba is worth it


@lru_cache(maxsize=1)
def _installed() -> bool:
    return importlib.util.find_spec("numba") is not None and not os.environ.get("AEZIP_NO_NUMBA")


def available(values: int) -> bool:
    """Tell whether compiled kernels exist and so many values are worth importing them; of those imported, fewer are."""
    loaded = "aezip.plans.context._raster_jit" in sys.modules
    return values >= (ENOUGH >> 2 if loaded else ENOUGH) and _installed()


@lru_cache(maxsize=1)
def bisection() -> tuple[Any, Any, Any]:
    """Return compiled loops for bisection: where neighbours are, the network, what becomes of a predicted run."""
    from aezip.plans.context._bisection_jit import finish, lines, predict

    return lines, predict, finish


@lru_cache(maxsize=1)
def scan_walk() -> Any:
    """Return the compiled loop over a chunk in raster order."""
    from aezip.plans.context._raster_jit import scan

    return scan


@lru_cache(maxsize=1)
def series_walk() -> Any:
    """Return the compiled loop over a signal."""
    from aezip.plans.context._raster_jit import series

    return series


@lru_cache(maxsize=1)
def counting_sort() -> Any:
    """Return the compiled counterpart of a stable `np.argsort` of small numbers."""
    from aezip.plans.context._raster_jit import counting_sort as found

    return found


@lru_cache(maxsize=1)
def ans_run() -> Any:
    """Return the compiled counterpart of `ans.Decoder._run`."""
    from aezip.plans.context._net_jit import run

    return run


@lru_cache(maxsize=1)
def ans_push() -> Any:
    """Return the compiled counterpart of `ans._Part.push`."""
    from aezip.plans.context._net_jit import push

    return push


@lru_cache(maxsize=1)
def recency() -> tuple[Any, Any]:
    """Return the compiled counterparts of the loops of `recency.to_ranks` and `recency.to_values`."""
    from aezip.plans.context._net_jit import ranks_of, values_of

    return ranks_of, values_of
