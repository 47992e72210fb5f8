"""The extension of compiled loops, where it was built: the same bits as NumPy's code, sooner.

Its source is in `native/`; it is loaded with ctypes, which lets go of the interpreter's lock. A struct of C is an array of 64-bit
words here: addresses of arrays and whole numbers. Knows nothing of plans.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import SlowWarning

LARGE = 1 << 20  # values from which it is worth a word that there is no extension
ENOUGH = 64  # values from which a call is worth its price
NO_MEMORY = -2  # as in `native/common.h`
OFF = "AEZIP_NO_NATIVE"  # in the environment: leave the extension alone
SET = "AEZIP_INSTRUCTION_SET"  # in the environment: 1 plain, 2 AVX2, 3 AVX-512; no more than the processor has
_P, _N = ctypes.c_void_p, ctypes.c_int64
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "ans_run": (_P, _N, _P, _P, _N, _P, _N, _N, _P),
    "ans_push": (_P, _N, _P, _P, _P, _N, _P),
    "ranks_of": (_P, _N, _N, _P, _N, _P, _P),
    "ranks_read": (_P, _N, _N, _N, _N, _N, _P, _P),
    "lags_of": (_P, _N, _N, _P, _P, _P),
    "values_of": (_P, _P, _N, _N, _P, _N, _P),
    "counting_sort": (_P, _N, _P, _P),
    "lines": (_P, _N, _P, _N, _P, _N, _P),
    "bisect": (_N, _P, _P, _N, _P, _P, _P, _N, _N, _P, _N),
    "scan": (_N, _P, _P, _N, _P, _P, _P, _P, _N),
    "channels": (_N, _P, _P, _N, _P, _P, _P, _N, _N, _P, _N),
    "mixed": (_P, _N),
    "rows": (_N, _P, _N, _P, _N, _N),
    "series": (_N, _P, _P, _N, _P, _N, _N, _N, _P, _P, _N),
    "log2": (_P, _P),
    "sets": (),
    "use": (_N,),
}


@lru_cache(maxsize=1)
def _library() -> Any:
    """Return the extension, or None where it was not built, or is not to be used."""
    found = None if os.environ.get(OFF) else importlib.util.find_spec("aezip._loops")
    if found is None or found.origin is None:
        return None
    try:
        return load(found.origin)
    except OSError:  # built for another machine
        return None


def load(file: str) -> Any:
    """Return a built extension.

    Raises
    ------
    OSError
        If it cannot be loaded.
    """
    library = ctypes.CDLL(file)
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, f"aezip_{name}")
        function.argtypes, function.restype = arguments, _N
    most, wanted = library.aezip_sets(), os.environ.get(SET, "")
    library.aezip_use(min(most, max(1, int(wanted))) if wanted.isdigit() else most)
    return library


def available(values: int) -> bool:
    """Tell whether there are compiled loops, and so many values are worth a call."""
    if _library() is None:
        if values >= LARGE and not os.environ.get(OFF):
            _tell()
        return False
    return values >= ENOUGH


@lru_cache(maxsize=1)
def _tell() -> None:
    """Say once that there is no extension."""
    warnings.warn(
        "the compiled loops of aezip were not built, as no C compiler was at hand: everything works, several times slower; "
        "install a compiler and then aezip again",
        SlowWarning,
        stacklevel=2,
    )


def instruction_sets() -> int:
    """Return how many instruction sets this machine has of those compiled for; 0: nothing was compiled."""
    return 0 if _library() is None else int(_library().aezip_sets())


def use(instruction_set: int) -> None:
    """Use an instruction set from now on: 1 plain, 2 AVX2, 3 AVX-512."""
    _library().aezip_use(min(instruction_set, instruction_sets()))


def address(array: npt.NDArray[Any], kind: str) -> int:
    """Return where an array begins, which must be contiguous and of a type: compiled loops would read anything.

    Raises
    ------
    TypeError
        If it is not.
    """
    if array.dtype != kind or not array.flags.c_contiguous:
        raise TypeError(f"a compiled loop takes contiguous arrays of {kind}, not of {array.dtype}")
    return int(array.ctypes.data)


def bits(number: float) -> int:
    """Return the 64 bits of a float, for a struct."""
    return int(np.float64(number).view(np.int64))


class Struct:
    """A struct of C: arrays, each with its type, and whole numbers; keeps the arrays alive."""

    __slots__ = ("_kept", "_words", "address")

    def __init__(self, *parts: tuple[npt.NDArray[Any], str] | int) -> None:
        self._kept = parts
        self._words = np.array([part if isinstance(part, int) else address(*part) for part in parts], np.int64)
        self.address = int(self._words.ctypes.data)


def call(name: str, *arguments: int) -> int:
    """Call a loop; addresses and whole numbers.

    Raises
    ------
    MemoryError
        If it could have no memory.
    """
    found: int = getattr(_library(), f"aezip_{name}")(*arguments)
    if found == NO_MEMORY:
        raise MemoryError
    return found
