"""What people report of lossy compression beside its largest error: likeness of pictures, distributions, spectra and errors.

Structural similarity after Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
Transactions on Image Processing 13, 2004; the other measures are those of Tao et al., "Z-checker: a framework for assessing lossy
compression of scientific data", International Journal of High Performance Computing Applications 33, 2019. Knows arrays only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.array.layout import middle
from aezip.core.types import Array

MOST = 1 << 22  # values in the middle of an array on which everything is measured
SORTED = 1 << 20  # of which as many are sorted
PLANES, WINDOW = 16, 7  # pictures that are compared, values along a side of what is compared at a time
BANDS = 24  # of frequencies, up to half a turn a value
FEWEST = 64  # values from which anything is measured
GOES_ALONG, SMOOTH = 0.1, 0.5  # correlations from which a warning is due

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Quality:
    """How like the decoded values are; None where it cannot be told.

    Attributes
    ----------
    count : int
        Values that were compared, from the middle of the array.
    ssim : float or None
        Mean structural similarity of planes of the last two axes, windows of 7 x 7, dynamic range that of the values.
    pearson : float or None
        Correlation of decoded values with originals.
    ks : float or None
        Largest difference of the two cumulative distributions (Kolmogorov and Smirnov).
    error_correlation : float or None
        Of the error with the values.
    autocorrelation : list
        Of the error with that of the next value, along each axis; None along those that are too short.
    spectrum : list
        Power of the decoded values over that of the originals, in bands of frequency along the last two axes.
    noise_spectrum : list
        Power of the error over that of the originals, in the same bands.
    """

    count: int
    ssim: float | None = None
    pearson: float | None = None
    ks: float | None = None
    error_correlation: float | None = None
    autocorrelation: list[float | None] = field(default_factory=list)
    spectrum: list[float] = field(default_factory=list)
    noise_spectrum: list[float] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the measures as a JSON object."""
        return {**vars(self), "warnings": self.warnings}

    @property
    def warnings(self) -> list[str]:
        """What of the error may matter although it keeps the bound."""
        found = []
        if abs(self.error_correlation or 0.0) > GOES_ALONG:
            found.append(f"the error goes with the values (correlation {self.error_correlation:.2f}): variances change")
        smooth = max((abs(one) for one in self.autocorrelation if one is not None), default=0.0)
        if smooth > SMOOTH:
            found.append(f"the error is alike in neighbours (correlation {smooth:.2f}): it does not average out")
        return [f"{words}; ask for a smaller error if that matters" for words in found]

    @property
    def words(self) -> str:
        """The measures in one line; "" where there are none."""
        named = [("SSIM", self.ssim, ".6f"), ("Pearson", self.pearson, ".8f"), ("KS", self.ks, ".2g")]
        texts = [f"{name} {value:{form}}" for name, value, form in named if value is not None]
        lags = [one for one in self.autocorrelation if one is not None]
        if lags:
            texts.append(f"error autocorrelation {max(lags, key=abs):.2f}")
        if self.spectrum:
            texts.append(f"spectrum {min(self.spectrum):.4g} to {max(self.spectrum):.4g} of the original's")
        return ", ".join(texts)


class Middle:
    """Collects the middle of an array and of what became of it, from chunks that come in order.

    Parameters
    ----------
    shape
        Of the plain values.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._key = middle(shape, MOST)
        self._at, self._parts = 0, list[tuple[Array, Array, Mask]]()

    def update(self, original: Array, decoded: Array, masked: Mask) -> None:
        """Take in a chunk."""
        rows, *others = self._key
        start, stop = (min(max(0, place - self._at), len(original)) for place in (rows.start, rows.stop))
        self._at += len(original)
        if start < stop:
            key = (slice(start, stop), *others)
            self._parts.append((original[key], decoded[key], masked[key]))

    def result(self) -> Quality:
        """Measure what was collected."""
        if not self._parts:
            return Quality(0)
        x, y, masked = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        with np.errstate(all="ignore"):
            wide, other = x.astype(np.float64), y.astype(np.float64)
            return measure(wide, other, ~masked & np.isfinite(wide) & np.isfinite(other))


def measure(x: Floats, y: Floats, keep: Mask) -> Quality:
    """Compare decoded values with originals.

    Parameters
    ----------
    x, y : ndarray, any shape
        Originals and decoded values.
    keep : ndarray of bool, same shape
        False for what is missing.
    """
    kept, other = x[keep], y[keep]
    if kept.size < FEWEST:
        return Quality(kept.size)
    size = float(np.abs(kept).max())
    if size == 0.0 or kept.min() == kept.max():
        return Quality(kept.size)
    a, b = (np.where(keep, values / size, 0.0) for values in (x, y))  # no sums and squares overflow
    mean = float(a[keep].mean())
    a, b = (np.where(keep, values - mean, 0.0) for values in (a, b))
    scale = float(np.abs(a).max())
    a, b = a / scale, b / scale
    error = b - a
    moved = bool(error.any())
    spectra = _spectra(a, b)
    return Quality(
        kept.size,
        ssim=_ssim(a, b, keep),
        pearson=_correlation(a[keep], b[keep]),
        ks=_distance(kept, other),
        error_correlation=_correlation(error[keep], a[keep]) if moved else None,
        autocorrelation=[_next(error, keep, axis) for axis in range(error.ndim)] if moved else [],
        spectrum=[] if spectra is None else spectra[0],
        noise_spectrum=[] if spectra is None else spectra[1],
    )


def _correlation(a: Floats, b: Floats) -> float | None:
    """Return Pearson's correlation; None where one of them does not vary."""
    if a.size < FEWEST:
        return None
    a, b = a - a.mean(), b - b.mean()
    power = math.sqrt(float(a @ a)) * math.sqrt(float(b @ b))
    return float(a @ b) / power if power > 0.0 else None


def _next(error: Floats, keep: Mask, axis: int) -> float | None:
    """Return the correlation of errors with the next ones along an axis."""
    values, there = np.moveaxis(error, axis, 0), np.moveaxis(keep, axis, 0)
    both = there[1:] & there[:-1]
    return _correlation(values[1:][both], values[:-1][both])


def _distance(a: Floats, b: Floats) -> float:
    """Return the largest difference of two cumulative distributions."""
    step = -(-a.size // SORTED)
    one, other = np.sort(a[::step]), np.sort(b[::step])
    places = np.concatenate([one, other])
    return float(np.abs(np.searchsorted(one, places, "right") - np.searchsorted(other, places, "right")).max() / one.size)


def _planes(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return planes of the last two axes, equally far apart: shape (planes, rows, columns)."""
    planes = values.reshape(-1, *values.shape[-2:])
    return planes[:: -(-len(planes) // PLANES)]


def _ssim(a: Floats, b: Floats, keep: Mask) -> float | None:
    """Return the mean structural similarity of planes, given values between -1 and 1."""
    if a.ndim < 2 or min(a.shape[-2:]) < WINDOW:
        return None
    spread = float(a[keep].max() - a[keep].min())
    total = count = 0.0
    for x, y, there in zip(_planes(a), _planes(b), _planes(keep), strict=True):
        likeness = similarity(x, y, there, spread)
        total, count = total + float(likeness.sum()), count + likeness.size
    return total / count if count else None


def similarity(x: Floats, y: Floats, there: Mask, spread: float) -> Floats:
    """Return the structural similarity of each window of a plane that lacks no value.

    Parameters
    ----------
    x, y : ndarray, shape (rows, columns)
        Original and decoded values, about 0 in the middle, else digits are lost.
    there : ndarray of bool, same shape
        False for what is missing.
    spread : float
        The dynamic range: largest minus smallest value of the array.
    """
    small, least = (0.01 * spread) ** 2, (0.03 * spread) ** 2
    whole, correction = WINDOW * WINDOW, WINDOW * WINDOW / (WINDOW * WINDOW - 1)
    full = _box(there.astype(np.float64)) > whole - 0.5
    mx, my, xx, yy, xy = (_box(part) / whole for part in (x, y, x * x, y * y, x * y))
    cross, both = correction * (xy - mx * my), correction * (xx - mx * mx + yy - my * my)
    likeness = (2 * mx * my + small) * (2 * cross + least) / ((mx * mx + my * my + small) * (both + least))
    found: Floats = likeness[full]
    return found


def _box(values: Floats) -> Floats:
    """Return the sums of all windows of a plane."""
    sums = np.pad(values, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    found: Floats = sums[WINDOW:, WINDOW:] - sums[:-WINDOW, WINDOW:] - sums[WINDOW:, :-WINDOW] + sums[:-WINDOW, :-WINDOW]
    return found


def _spectra(a: Floats, b: Floats) -> tuple[list[float], list[float]] | None:
    """Return powers of decoded values and of errors over those of the originals, by band of frequency."""
    axes = [axis for axis in range(max(0, a.ndim - 2), a.ndim) if a.shape[axis] >= 2 * BANDS]
    if not axes:
        return None
    if a.ndim < 2:
        a, b, axes = a[None], b[None], [axis + 1 for axis in axes]
    axes = [axis - a.ndim for axis in axes]
    frequencies = np.sqrt(
        sum(np.square(np.fft.fftfreq(n) * 2.0).reshape([-1 if axis == at else 1 for at in (-2, -1)]) if axis in axes else 0.0
            for axis, n in zip((-2, -1), a.shape[-2:], strict=True))
    )  # fmt: skip
    band = np.broadcast_to(np.ceil(frequencies * BANDS).astype(np.int64), a.shape[-2:]).reshape(-1)
    powers = np.zeros((3, int(band.max()) + 1))
    for x, y in zip(_planes(a), _planes(b), strict=True):
        one, other = (np.fft.fftn(plane, axes=axes) for plane in (x, y))
        for row, wave in enumerate((one, other, other - one)):
            powers[row] += np.bincount(band, np.square(np.abs(wave)).reshape(-1), powers.shape[1])
    kept = powers[:, 1 : BANDS + 1]  # without the mean, and without what lies beyond half a turn a value
    if not (kept[0] > 0.0).all():
        return None
    return (kept[1] / kept[0]).tolist(), (kept[2] / kept[0]).tolist()
