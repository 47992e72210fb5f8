"""The largest error at which every plane of the decoded arrays is as like the original as asked: the bound is searched.

Structural similarity as in `quality`. A first bound comes from planes rounded as the codec would round them; the file is made,
decoded and every plane measured, and made anew with another bound until all are as like as asked.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.archive.comparing import by_name, matched
from aezip.archive.reading import Archive
from aezip.archive.report import Report
from aezip.archive.target import own
from aezip.archive.writing import compress
from aezip.array.admission import admit, native
from aezip.array.bounds import RangeRelative
from aezip.array.foreign import as_numpy
from aezip.array.statistics import measure
from aezip.core import atomic
from aezip.core.errors import InvalidInput

from .quality import WINDOW, similarity

LOOSEST, TIGHTEST = 0.5, 1e-12  # bounds, of the range
FILES = 8  # that are made at most
CLOSE = 0.7  # of the unlikeness allowed: what is nearer to it is near enough
LOOKED_AT = 16  # planes that are rounded to begin with


def compress_alike(
    data: Any,
    path: str | os.PathLike[str] | None,
    ssim: float,
    *,
    overwrite: bool = False,
    told: Callable[[Mapping[str, float], Mapping[str, float]], None] | None = None,
    **options: Any,
) -> tuple[bytes, Report]:
    """Compress an array, or a mapping of names to arrays, so that each plane keeps a structural similarity.

    Parameters
    ----------
    data
        Arrays of at least two axes; a plane is an entry of all axes but the last two. Windows with missing values do not count.
    path
        The file; None: it is returned only.
    ssim
        The least mean similarity of a plane, after Wang et al. 2004: windows of 7 x 7, dynamic range that of the array.
    told
        Called after each file that was made with the bound of each array, as part of its range, and the least similarity found.
    **options
        As of `compress`; not `bound`.

    Returns
    -------
    bytes, Report
        The file.

    Raises
    ------
    InvalidInput
        If an array has no planes, or no bound keeps the similarity.
    """
    if "bound" in options:
        raise InvalidInput("a similarity finds the bound: leave bound= away, or use compress")
    if not 0 < ssim < 1:
        raise InvalidInput(f"a similarity of {ssim:g} cannot be asked for: give a number between 0 and 1, such as 0.999")
    named = by_name(data)
    shares = {name: _first(name, array, ssim, options) for name, array in named.items()}
    best: tuple[bytes, Report] | None = None
    for _ in range(FILES):
        made = compress(named, None, bound={n: RangeRelative(s) for n, s in shares.items()}, **options)
        found = _least(named, made[0])
        if told is not None:
            told(shares, found)
        kept = all(one >= ssim for one in found.values())
        if kept and (best is None or len(made[0]) < len(best[0])):
            best = made
        if kept and all((1 - one) >= CLOSE * (1 - ssim) or shares[n] in (LOOSEST, TIGHTEST) for n, one in found.items()):
            break
        shares = {name: _next(shares[name], found[name], ssim, failed=best is None) for name in shares}
    if best is None:
        raise InvalidInput(f"no bound was found that keeps a similarity of {ssim:g}: ask for less, or for no loss")
    if path is not None:
        atomic.write(Path(path), best[0], overwrite=overwrite)
    return best


def _next(share: float, found: float, ssim: float, *, failed: bool) -> float:
    """Return the bound to try next: unlikeness goes about with the square of the error."""
    factor = math.sqrt(0.9 * (1 - ssim) / max(1 - found, 1e-15))
    factor = min(factor, 0.9) if found < ssim else min(factor, 4.0 if failed else 2.0)
    return float(f"{min(LOOSEST, max(TIGHTEST, share * factor)):.4g}")


def _first(name: str, array: Any, ssim: float, options: Mapping[str, Any]) -> float:
    """Return a bound at which rounded planes are as like as asked."""
    admitted = admit(np.asanyarray(as_numpy(array)), own(options.get("fill_value"), name), own(options.get("valid_range"), name))
    x = admitted.values
    if x.ndim < 2 or min(x.shape[-2:]) < WINDOW or x.dtype.kind not in "iuf" or not x.size:
        raise InvalidInput(f"{name}: structural similarity is of planes of at least {WINDOW} x {WINDOW} numbers: give a bound")
    planes = x.reshape(-1, *x.shape[-2:])
    some = native(planes[:: -(-len(planes) // LOOKED_AT)])
    specials = measure(some, admitted.fill, admitted.valid, trailing=admitted.trailing).specials
    keep = np.isfinite(some) & ~specials.masked(specials.classify(some))
    planes = some.astype(np.float64)
    if not keep.any() or planes[keep].min() == planes[keep].max():
        return TIGHTEST
    spread = float(planes[keep].max() - planes[keep].min())
    low, high = math.log(TIGHTEST), math.log(LOOSEST)
    planes = np.where(keep, planes - planes[keep].mean(), 0.0)
    while high - low > 0.05:
        middle = 0.5 * (low + high)
        step = 2.0 * math.exp(middle) * spread
        rounded = np.rint(planes / step) * step
        good = min((_mean(a, b, k, spread) for a, b, k in zip(planes, rounded, keep, strict=True)), default=1.0) >= ssim
        low, high = (middle, high) if good else (low, middle)
    return float(f"{math.exp(low):.4g}")


def _mean(x: Any, y: Any, there: npt.NDArray[np.bool_], spread: float) -> float:
    likeness = similarity(x, y, there, spread)
    return float(likeness.mean()) if likeness.size else 1.0


def _least(named: Mapping[str, Any], data: bytes) -> dict[str, float]:
    """Return the similarity of the least alike plane of each array, decoded from a file."""
    found = {}
    with Archive(data) as archive:
        for name, comparison in matched(named, archive).items():
            pairs = list(comparison.pairs())
            x, y, masked = (np.concatenate([getattr(pair, part) for pair in pairs]) for part in ("original", "decoded", "masked"))
            x, y = x.astype(np.float64), y.astype(np.float64)
            there = ~masked & np.isfinite(x) & np.isfinite(y)
            spread, middle = (np.ptp(x[there]), x[there].mean()) if there.any() else (1.0, 0.0)
            flat = (np.where(there, values - middle, 0.0).reshape(-1, *values.shape[-2:]) for values in (x, y))
            planes = zip(*flat, there.reshape(-1, *there.shape[-2:]), strict=True)
            found[name] = min((_mean(a, b, k, float(spread) or 1.0) for a, b, k in planes), default=1.0)
    return found
