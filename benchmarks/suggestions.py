"""``python -m benchmarks.suggestions``: the bits that `aezip.suggest` finds worth keeping, beside those of xbitinfo.

xbitinfo (`pip install xbitinfo`) is the reference in Python of Kloewer et al., "Compressing atmospheric data into its real
information content" (2021). Both are given the same values and asked for 99 % of the information.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from importlib import metadata

import numpy as np
import numpy.typing as npt

import aezip
from aezip.array.layout import middle
from aezip.tools.information import KEPT, MANTISSA, information
from aezip.tools.suggesting import MEASURED
from benchmarks.datasets import DATASETS, Array
from benchmarks.measure import RESULTS, revision

NAMES = ("era5_uk_t2m", "ukmo_north_america_tair", "viscous_fingers", "md_adk", "kuramoto_sivashinsky")
HEAD = (
    "Made by `python -m benchmarks.suggestions`; revision {}, xbitinfo {}. Both see the same values, up to a million of"
    f" the middle of each field, and keep {KEPT:.0%} of the information. `suggest` takes the axis along which neighbours "
    "tell most; xbitinfo is asked along each. The last column is the largest difference, over the bits of the mantissa, of "
    "the information that the two find along aezip's axis."
)
NOTE = (
    "The two measure the same information of the mantissa, but for what lies within the limit of accidents. xbitinfo first "
    "writes the exponent as sign and magnitude, aezip counts it as it is stored, so that it holds more: where the numbers "
    "of bits differ, it is for that, or since aezip leaves out of the sum what is no more than the last bits hold "
    "(rounding, steps). A negative number of xbitinfo ends within the exponent: of values that lie on steps, bits tell of "
    "each other by the step."
)


def xbitinfo_of(array: Array, axis: int) -> tuple[int, npt.NDArray[np.float64]]:
    """Return the bits of the mantissa that xbitinfo keeps along an axis, and the information of each bit."""
    import xarray as xr
    import xbitinfo

    data = xr.Dataset({"x": ([f"axis{n}" for n in range(array.ndim)], array)})
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # a bar for each axis
        told = xbitinfo.get_bitinformation(data, axis=axis, implementation="python")
        kept = xbitinfo.get_keepbits(told, inflevel=KEPT)
    return int(np.ravel(kept["x"].values)[0]), np.ravel(told["x"].values)


def line(name: str) -> str:
    """Return the line of the table for a field."""
    array = DATASETS[name].load()
    values = np.ascontiguousarray(array[middle(array.shape, MEASURED)])
    ours = information(values, np.isfinite(values))
    if ours is None:
        raise ValueError(f"{name}: neighbours tell nothing of each other")
    (found,) = aezip.suggest(array)
    theirs = [xbitinfo_of(values, axis) for axis in range(array.ndim)]
    mantissa = slice(-MANTISSA[values.dtype.itemsize], None)
    apart = np.abs(ours.bits - theirs[ours.axis][1])[mantissa].max()
    every = ", ".join(str(bits) for bits, _ in theirs)
    told = f"{found.keepbits} | {ours.axis} | {theirs[ours.axis][0]} | {every} | {apart:.1e}"
    return f"| {name} | {told} | `{found.words}` | {found.reason} |"


def lines() -> Iterator[str]:
    """Yield the page."""
    yield from ("# Suggested bounds, beside xbitinfo", "", HEAD.format(revision(), metadata.version("xbitinfo")), "")
    yield "| field | bits, aezip | axis | bits, xbitinfo, there | along each axis | apart | suggestion | reason |"
    yield "|---|--:|--:|--:|---|--:|---|---|"
    yield from map(line, NAMES)
    yield from ("", NOTE)


def main() -> None:
    """Measure and write ``suggestions.md``."""
    try:
        metadata.version("xbitinfo")
    except metadata.PackageNotFoundError:
        sys.exit("xbitinfo is not installed: pip install xbitinfo xarray")
    text = []
    for words in lines():
        text.append(words)
        print(words, flush=True)
    (RESULTS / "suggestions.md").write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
