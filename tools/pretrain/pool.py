"""Synthetic arrays that the built-in networks are trained on: many kinds, each at many ratios of signal to step.

All are made from random numbers; no measured data is in the networks. Spectral fields follow the usual recipe: white noise
through a power law in the wave numbers; in time, each mode is an autoregression of its own that drifts.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Field = npt.NDArray[np.float64]
Rng = np.random.Generator
Shape = tuple[int, ...]
# lengths along each axis, by number of axes; some thin, none too small for all strides to occur
SHAPES: dict[int, list[Shape]] = {
    1: [(40_000,)],
    2: [(300, 200), (90, 700), (1200, 48), (256, 256)],
    3: [(48, 33, 49), (20, 80, 64), (96, 40, 24), (64, 48, 40), (8, 120, 100), (200, 24, 20)],
    4: [(6, 24, 28, 30), (3, 40, 33, 30), (12, 16, 20, 24), (24, 12, 18, 20)],
}


def _wave_numbers(shape: Shape, stretch: Field) -> Field:
    """Return the length of the wave vector of each mode, in cycles over the longest axis, stretched along each axis."""
    total: Field = np.zeros(shape)
    for axis, n in enumerate(shape):
        k = np.fft.fftfreq(n) * max(shape) * stretch[axis]
        total = total + (k**2).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    k = np.sqrt(total)
    k.flat[0] = np.inf
    return k


def _stretch(r: Rng, axes: int) -> Field:
    return np.exp(r.normal(scale=0.7, size=axes)) * np.where(r.random(axes) < 0.15, 0.1, 1.0)


def power_law(r: Rng, shape: Shape) -> Field:
    """Return a random field whose power falls with the wave number: rough to smooth, often more so along one axis."""
    slope = r.uniform(0.5, 3.5) + len(shape) / 2
    if len(shape) > 1 and r.random() < 0.7:
        padded = tuple(n + n // 4 for n in shape)  # not periodic over the array
    else:
        padded = shape
    k = _wave_numbers(padded, _stretch(r, len(shape)))
    field = np.fft.ifftn(np.fft.fftn(r.normal(size=padded)) * k**-slope).real
    return np.asarray(field[tuple(slice(0, n) for n in shape)])


def moving(r: Rng, shape: Shape) -> Field:
    """Return frames of a field that drifts and changes: each mode an autoregression, small ones forget sooner."""
    if len(shape) < 2:
        return power_law(r, shape)
    frame = shape[1:]
    k = _wave_numbers(frame, _stretch(r, len(frame)))
    drift = r.normal(size=len(frame)) * r.uniform(0, 2)
    phase: Field = np.zeros(frame)
    for axis, n in enumerate(frame):
        phase = phase + (np.fft.fftfreq(n) * drift[axis]).reshape([-1 if a == axis else 1 for a in range(len(frame))])
    memory = np.exp(-np.minimum(10.0 ** r.uniform(-3.5, -0.5) * np.where(np.isfinite(k), k, 0) ** r.uniform(0.5, 2), 50))
    shift = np.exp(-2j * math.pi * phase) * memory
    power = k ** -(r.uniform(0.8, 3.0) + len(frame) / 2)
    state = np.fft.fftn(r.normal(size=frame)) * power
    fresh = np.sqrt(1 - memory**2) * power
    frames = []
    for _ in range(shape[0]):
        frames.append(np.fft.ifftn(state).real)
        state = state * shift + np.fft.fftn(r.normal(size=frame)) * fresh
    return np.stack(frames)


def cycles(r: Rng, shape: Shape) -> Field:
    """Return daily and yearly cycles along the first axis whose strength and phase vary in space, on a moving field."""
    base = moving(r, shape)
    base = base / (base.std() + 1e-12)
    rest = shape[1:] or (1,)
    t = np.arange(shape[0]).reshape(-1, *[1] * len(rest))
    for _ in range(int(r.integers(1, 4))):
        period = math.exp(r.uniform(math.log(5), math.log(200)))
        strength, phase = power_law(r, rest), power_law(r, rest)
        strength, phase = (a / (a.std() + 1e-12) for a in (strength, phase))
        wave = np.sin(2 * math.pi * t / period + phase) * (1 + 0.3 * strength) * r.uniform(0.2, 3)
        base = base + wave.reshape(shape)
    return np.asarray(base)


def climate(r: Rng, shape: Shape) -> Field:
    """Return weather over a fixed map with coasts and relief: what the sun does varies in space, what passes is smooth."""
    rest = shape[1:]
    if not rest:
        return cycles(r, shape)
    relief = power_law(r, rest)
    relief = relief / (relief.std() + 1e-12)
    land = np.where(relief > r.normal(scale=0.5), 1.0, r.uniform(0, 0.4))
    if r.random() < 0.5:
        land = land * (1 + 0.2 * regions(r, rest))
    t = np.arange(shape[0]).reshape(-1, *[1] * len(rest))
    lag = power_law(r, rest)
    phase = lag / (lag.std() + 1e-12) * r.uniform(0, 0.6)
    period = math.exp(r.uniform(math.log(6), math.log(60)))
    day = np.maximum(np.sin(2 * math.pi * t / period + phase), r.choice([-1.0, -0.3, 0.0]))
    weather = moving(r, shape)
    weather = weather / (weather.std() + 1e-12)
    cloud = moving(r, shape)
    cloud = 1 - r.uniform(0, 0.6) / (1 + np.exp(-2 * cloud / (cloud.std() + 1e-12)))
    slow = np.cumsum(r.normal(size=shape[0])).reshape(t.shape) / math.sqrt(shape[0])
    passing = weather * r.uniform(0.3, 2)
    sun = day * land * cloud * r.uniform(0.3, 3)
    return np.asarray(passing + sun + relief * r.uniform(0, 2) * land + slow)


def flow(r: Rng, shape: Shape) -> Field:
    """Return a tracer carried by vortices that move, and diffused: filaments and fronts that wander."""
    if len(shape) < 3 or min(shape[-2:]) < 8:
        return shocks(r, shape)
    high, wide = shape[-2:]
    frames = math.prod(shape[:-2])
    tracer = power_law(r, (high, wide))
    tracer = tracer / (tracer.std() + 1e-12)
    if r.random() < 0.5:
        tracer = np.tanh(3 * tracer)
    stream = moving(r, (frames, high, wide))
    stream = stream / (stream.std(axis=(1, 2), keepdims=True) + 1e-12) * 10.0 ** r.uniform(0, 1.3)
    blur = r.uniform(0, 0.2)
    y, x = np.mgrid[0:high, 0:wide].astype(np.float64)
    out = np.empty((frames, high, wide))
    for i in range(frames):
        gy, gx = np.gradient(stream[i])
        py, px = (y - gx) % (high - 1), (x + gy) % (wide - 1)
        iy, ix = py.astype(int), px.astype(int)
        fy, fx = py - iy, px - ix
        jy, jx = np.minimum(iy + 1, high - 1), np.minimum(ix + 1, wide - 1)
        above = tracer[iy, ix] * (1 - fx) + tracer[iy, jx] * fx
        under = tracer[jy, ix] * (1 - fx) + tracer[jy, jx] * fx
        tracer = above * (1 - fy) + under * fy
        around = np.pad(tracer, 1, mode="edge")
        near = (around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]) / 4
        tracer = tracer * (1 - blur) + near * blur
        out[i] = tracer
    return out.reshape(shape)


def waves(r: Rng, shape: Shape) -> Field:
    """Return plane waves of a few wave lengths: gratings, ripples."""
    out: Field = np.zeros(shape)
    for _ in range(int(r.integers(1, 6))):
        phase: Field = np.full(shape, r.uniform(0, 7))
        for axis, n in enumerate(shape):
            step = r.normal() * 2 * math.pi / math.exp(r.uniform(math.log(6), math.log(4 * n + 8)))
            phase = phase + (np.arange(n) * step).reshape([-1 if a == axis else 1 for a in range(len(shape))])
        out = out + np.sin(phase) * r.exponential()
    return out


def shocks(r: Rng, shape: Shape) -> Field:
    """Return fronts: a steep function of a smooth field, beside a smooth one."""
    front = (moving if r.random() < 0.5 else power_law)(r, shape)
    front = front / (front.std() + 1e-12)
    steep = np.tanh(front * 10.0 ** r.uniform(0, 2.5) + r.normal())
    other = power_law(r, shape)
    return np.asarray(steep + other / (other.std() + 1e-12) * r.uniform(0, 0.5))


def bounded(r: Rng, shape: Shape) -> Field:
    """Return what cannot be negative: zero over large parts (rain, saturation), or of many magnitudes (densities)."""
    field = (moving if r.random() < 0.5 else power_law)(r, shape)
    field = field / (field.std() + 1e-12)
    if r.random() < 0.6:
        return np.asarray(np.maximum(field - r.uniform(-0.5, 1.2), 0) ** r.uniform(0.5, 2))
    return np.asarray(np.exp(field * r.uniform(0.5, 2)))


def regions(r: Rng, shape: Shape) -> Field:
    """Return regions of constant or smoothly shaded values with sharp edges, as in images of things."""
    labels = np.zeros(shape, np.int64)
    for _ in range(int(r.integers(1, 4))):
        field = power_law(r, shape)
        field = field / (field.std() + 1e-12)
        labels = labels * 4 + np.digitize(field, np.sort(r.normal(size=3)))
    levels = r.normal(size=4**4)
    out = levels[labels % 4**4]
    shade = power_law(r, shape)
    return np.asarray(out + shade / (shade.std() + 1e-12) * r.choice([0.0, 0.05, 0.3]))


def signals(r: Rng, shape: Shape) -> Field:
    """Return autoregressions with resonances along one axis, related across the others."""
    axis = int(np.argmax(shape)) if r.random() < 0.6 else 0
    n = shape[axis]
    rest = tuple(m for a, m in enumerate(shape) if a != axis) or (1,)
    freq = np.abs(np.fft.rfftfreq(n))
    power = np.full(freq.shape, 10.0 ** r.uniform(-4, -1))
    for _ in range(int(r.integers(1, 5))):
        centre, width = r.uniform(0, 0.4), 10.0 ** r.uniform(-3.5, -1)
        power = power + r.exponential() / (1 + ((freq - centre) / width) ** 2)
    power = power + r.exponential() * (freq + 1 / n) ** -r.uniform(0, 3) * 1e-2
    spectrum = np.fft.rfft(r.normal(size=(math.prod(rest), n)), axis=1) * np.sqrt(power)
    found = np.fft.irfft(spectrum, n, axis=1)
    mix = r.uniform(0, 1)
    found = found + mix * np.cumsum(found, axis=0) * r.choice([0.0, 0.5])
    return np.asarray(np.moveaxis(found.T.reshape(n, *rest), 0, axis).reshape(shape))


def counts(r: Rng, shape: Shape) -> Field:
    """Return Poisson counts of a smooth rate."""
    field = power_law(r, shape)
    field = field / (field.std() + 1e-12)
    return np.asarray(r.poisson(np.exp(np.minimum(field * r.uniform(0.3, 1.5) + r.uniform(0, 5), 12)))).astype(np.float64)


KINDS: list[Callable[[Rng, Shape], Field]] = [
    power_law, moving, moving, moving, climate, climate, climate, flow, flow, cycles, waves, shocks, bounded, regions, signals,
    counts,
]  # fmt: skip


def array(r: Rng, axes: int) -> tuple[Field, bool]:
    """Return an array in steps of the grid, and whether it is one of whole numbers."""
    shapes = SHAPES[axes]
    shape = shapes[int(r.integers(len(shapes)))]
    x = KINDS[int(r.integers(len(KINDS)))](r, shape)
    if axes > 1 and r.random() < 0.3:  # any axis may be the slow one
        order = r.permutation(axes)
        x = np.ascontiguousarray(x.transpose(order))
    x = x - x.mean()
    if r.random() < 0.5:  # an instrument's noise
        x = x + r.normal(size=x.shape) * x.std() * 10.0 ** r.uniform(-4, -0.7)
    spread = float(np.ptp(x)) + 1e-300
    steps = 2.0 ** r.uniform(3.0, 13.5)
    x = x / spread * steps
    whole = bool(r.random() < 0.4)
    if whole:
        x = np.rint(x)
    elif r.random() < 0.15:  # quantized at its source, not at our steps
        quantum = r.uniform(1.5, 12)
        x = np.rint(x / quantum) * quantum
    return x, whole
