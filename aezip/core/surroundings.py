"""The caller's state: what arithmetic does with odd values and what libraries change when imported is put back as it was.

Files do not depend on that state either: floating-point errors are told by the values, denormals are not flushed.
"""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def own_arithmetic() -> Iterator[None]:
    """Compute by IEEE 754, without exceptions or warnings, whatever the caller asked of NumPy and of the processor."""
    import numpy as np  # not for help alone

    torch = sys.modules.get("torch")
    with np.errstate(all="ignore"):
        flushing = torch is not None and not (np.full(2, sys.float_info.min * sys.float_info.epsilon) * 1.0).all()
        if not flushing:  # who flushes denormals without torch has to stop doing so: nothing else here can
            yield
            return
        torch.set_flush_denormal(False)  # type: ignore[union-attr]
        try:
            yield
        finally:
            torch.set_flush_denormal(True)  # type: ignore[union-attr]


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """Return a public function that runs in `own_arithmetic`."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with own_arithmetic():
            return function(*args, **kwargs)

    return run


@contextmanager
def restored() -> Iterator[None]:
    """Put warning filters and environment back: large libraries change both when they are imported."""
    filters, environment = list(warnings.filters), dict(os.environ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nor is what they warn of the caller's
        try:
            yield
        finally:
            for name in os.environ.keys() - environment.keys():
                del os.environ[name]
            for name, value in environment.items():
                if os.environ.get(name) != value:
                    os.environ[name] = value
    if list(warnings.filters) != filters:
        warnings.filters[:] = filters  # type: ignore[index]
