"""Channels: entries of an axis, and arrays of one file, each predicted from those before."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import QUICK
from kinds import broken
from nets import some_net

import aezip
from aezip.array.bounds import RangeRelative
from aezip.codec import encoder as codec
from aezip.codec.encoder import ArrayEncoder
from aezip.core.errors import CorruptFile
from aezip.core.planes import Cursor
from aezip.plans.context import walk
from aezip.plans.context.channels import Channels, Companion, Mixing, Tap, moved
from aezip.plans.context.net import ContextSizes
from aezip.plans.context.walk import Base
from aezip.search import channels as fitting
from aezip.search.presets import PRESETS

RNG = np.random.default_rng(5)


def spectra(bands: int = 12, side: int = 40) -> np.ndarray:
    """Return a cube whose bands mix three maps, with a little noise, (side, side, bands)."""
    rng = np.random.default_rng(7)
    maps = np.cumsum(np.cumsum(rng.normal(size=(3, side, side)), axis=1), axis=2) + 20 * rng.normal(size=(3, side, side))
    mixed = np.tensordot(rng.normal(size=(bands, 3)), maps, 1)
    return np.moveaxis(mixed + 0.05 * rng.normal(size=mixed.shape), 0, -1).astype("f4")


def mixing(channels: Channels, taps: list[list[Tap]]) -> Mixing:
    weights = tuple(RNG.integers(-3000, 3000, len(t)).astype(np.int32) for t in taps)
    sums = len(taps)
    return Mixing(channels, tuple(map(tuple, taps)), weights, np.full(sums, 12, np.int8), RNG.integers(-99, 99, sums))


TWO = Companion("a", 1.0, 0.5), Companion("b", 0.0, 2.0)
CASES = [
    (Channels(0, 3, True, False), [[], [Tap(1, 0)], [Tap(2, 0), Tap(1, 3)]]),
    (Channels(1, 5, False, True), [[Tap(1, 0), Tap(4, 2), Tap(2, 1)]]),
    (
        Channels(None, 1, True, False, (Companion("a", 1.0, 0.5), Companion("b", 0.0, 2.0))),
        [[Tap(1, 0), Tap(2, 4), Tap(1, 0, 2)]],
    ),
    (Channels(0, 2, True, True, (Companion("a", -3.0, 0.25),)), [[Tap(1, 0), Tap(2, 0), Tap(3, 0), Tap(2, 0, 3)]]),
]


@pytest.mark.parametrize(("channels", "taps"), CASES)
def test_sums_come_back_from_their_bytes(channels: Channels, taps: list[list[Tap]]) -> None:
    made = mixing(channels, taps)
    data = made.to_bytes()
    cursor = Cursor(data)
    back = Mixing.from_bytes(cursor, channels, 2)
    assert cursor.at == len(data)
    assert back.taps == made.taps
    assert all((a == b).all() for a, b in zip(back.weights, made.weights, strict=True))
    assert (back.exponents == made.exponents).all()
    assert (back.constants == made.constants).all()


@pytest.mark.parametrize(("channels", "taps"), CASES)
def test_means_are_the_sums_of_their_definition(channels: Channels, taps: list[list[Tap]]) -> None:
    made, shape = mixing(channels, taps), (4, 5)
    known = [RNG.normal(scale=1000, size=shape).round() for _ in range(channels.before + channels.count)]

    def value(source: int, at: tuple[int, int], place: int) -> float:
        where = list(at)
        if place:
            axis, on = divmod(place - 1, 2)
            where[axis] = min(max(where[axis] + (1 if on else -1), 0), shape[axis] - 1)
        return float(known[source][tuple(where)])

    for channel in range(channels.count):
        at = 0 if channels.alike else channel
        want = np.full(shape, float(made.constants[at]))
        for tap, weight in zip(made.taps[at], made.weights[at], strict=True):
            sources = []
            for back in (tap.back, tap.other):
                arrays, steps = divmod(back, channels.count)
                alike = channels.before - arrays * channels.count + max(0, channel - steps)
                sources.append(alike if channels.alike else channels.before + channel - back)
            if sources[0] >= channels.before + channel:
                continue
            for index in np.ndindex(*shape):
                found = value(sources[0], index, tap.place)
                found = found if not tap.other else found * known[sources[1]][index] * 2.0**-12
                want[index] += math.ldexp(float(weight), -12) * found
        assert (made.mean(channel, known, shape) == np.rint(want)).all()


@pytest.mark.parametrize(
    "taps",
    [
        [[], [Tap(2, 0)], []],  # before the list
        [[], [Tap(0, 0)], []],  # itself
        [[], [Tap(1, 5)], []],  # no such place
        [[], [], [Tap(1, 0, 2)]],  # a product of the array's own
    ],
)
def test_sums_that_no_writer_makes_are_refused(taps: list[list[Tap]]) -> None:
    channels = Channels(0, 3, True, False)
    with pytest.raises(CorruptFile):
        Mixing.from_bytes(Cursor(mixing(channels, taps).to_bytes()), channels, 2)


def test_exponents_and_constants_have_limits() -> None:
    channels, made = CASES[0][0], mixing(*CASES[0])
    for wrong in (replace(made, exponents=np.full(3, 31, np.int8)), replace(made, constants=np.full(3, 1 << 60))):
        with pytest.raises(CorruptFile):
            Mixing.from_bytes(Cursor(wrong.to_bytes()), channels, 2)


GOOD = {"axis": 0, "count": 4, "levels": True, "alike": False}


@pytest.mark.parametrize(
    "value",
    [
        None,
        {},
        {**GOOD, "axis": 3, "count": 6},
        {**GOOD, "axis": None, "count": 1},
        {**GOOD, "levels": 1},
        {**GOOD, "count": 5},
        {**GOOD, "count": 3},
        {**GOOD, "count": True},
        {**GOOD, "axis": 1, "count": 4, "alike": True},
        {**GOOD, "companions": [["a", 0.0, 0.0]]},
        {**GOOD, "companions": [["a", 0, 1.0]]},
        {**GOOD, "companions": [["a"]]},
        {**GOOD, "companions": [["a", 0.0, 1.0]] * 65},
    ],
)
def test_channels_that_make_no_sense_are_refused(value: Any) -> None:
    with pytest.raises(CorruptFile):
        Channels.from_json(value, (4, 5, 6))


def test_channels_say_themselves() -> None:
    assert Channels.from_json(GOOD, (4, 5, 6)) == Channels(0, 4, True, False)
    assert Channels.from_json({**GOOD, "alike": True}, (9, 5, 6)) == Channels(0, 4, True, True)
    for channels, _ in CASES:
        shape = (channels.count, 4) if channels.axis == 0 else (4, channels.count)
        assert Channels.from_json(channels.to_json(), shape) == channels


def test_a_companion_counts_nothing_where_it_says_nothing() -> None:
    values = np.array([1.0, np.nan, np.inf, -999.0, 3.0], "f4")
    counted = Companion("a", 1.0, 0.5).numbers(values, np.array([-999.0], "f4"))
    assert counted.tolist() == [0.0, 0.0, 0.0, 0.0, 256.0]


def test_moved_values_end_at_the_edge() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert moved(x, 3).tolist() == [[0, 0, 1], [3, 3, 4]]
    assert moved(x, 2).tolist() == [[3, 4, 5], [3, 4, 5]]


def test_weights_find_how_bands_are_mixed() -> None:
    cube = np.moveaxis(spectra(), -1, 0).astype("f8")
    given = [fitting.Given(cube, None, None)]
    made = fitting.fit(Channels(0, 12, True, False), given, 1.0, scan=False, seed=0, effort=2)
    known = [band * 64.0 for band in cube]
    left = [float(np.std(band - made.mean(i, known, band.shape))) for i, band in enumerate(known)]
    assert max(left[4:]) < 0.1 * min(float(np.std(band)) for band in known)


def test_what_stands_still_is_predicted_as_it_is() -> None:
    rng = np.random.default_rng(3)
    frames = np.repeat(100 * rng.normal(size=(1, 40, 40)).cumsum(axis=1), 16, axis=0)
    frames[:, :20] += rng.normal(size=(16, 20, 40)).cumsum(axis=0).cumsum(axis=0)  # half of it moves
    made = fitting.fit(Channels(0, 16, False, True), [fitting.Given(frames, None, None)], 1.0, scan=False, seed=0, effort=1)
    still = [np.full((5, 5), 12_345.0)] * 16
    assert len(made.taps[0]) > 1
    assert all((made.mean(at, still, (5, 5)) == 12_345).all() for at in range(len(made.taps[0]), 16))


def test_channels_of_one_sample_are_coded_as_each_alone() -> None:
    cube, net = np.moveaxis(spectra(), -1, 0).astype("f8"), some_net(ContextSizes(((0,), (1,)), 8, 10))
    seen = replace(net, sizes=net.sizes.stacked(), types=None)
    base = Base(np.rint(64 * cube).astype(np.int64) - 300, np.full(cube.shape, 32, np.uint8))
    together = walk.code(seen, cube, None, None, base)
    for at, band in enumerate(cube):
        alone = walk.code(net, band, None, None, Base(base.mean[at], base.level[at]))
        assert (alone.value == together.value[at]).all()


@pytest.mark.train
@pytest.mark.parametrize("preset", ["instant", "fast"])
def test_bands_of_a_spectrum_are_channels(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    cube = spectra(side=64)
    data, report = aezip.compress(cube, bound=RangeRelative(1e-3), preset=preset)
    assert report.plan is not None
    assert report.plan["channels"]["axis"] == 2
    assert not broken(cube, aezip.decompress(data), RangeRelative(1e-3), filled=False)


def test_a_chunk_holds_all_channels_of_the_outer_axis() -> None:
    cube = np.ascontiguousarray(np.moveaxis(spectra(side=64), -1, 0))
    encoder = ArrayEncoder(cube, RangeRelative(1e-3), preset="instant")
    encoder.prepare()
    channels = encoder.plan.to_json()["channels"]
    assert (channels["axis"], channels["count"], channels["alike"]) == (0, 12, False)
    assert encoder.chunk_count == 1


def test_channels_alike_begin_anew_in_each_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "CHUNK_VALUES_CONTEXT", 28_000)
    rng = np.random.default_rng(11)
    field, frames = 30 * rng.normal(size=(48, 48)), []
    for _ in range(23):  # differences in time are smooth, the field is not
        field = 0.9 * field + rng.normal(size=field.shape).cumsum(axis=0).cumsum(axis=1) / 9
        frames.append(field)
    values = np.array(frames, "f4")
    data, report = aezip.compress(values, bound=RangeRelative(1e-3), preset="instant")
    assert report.plan is not None
    channels = report.plan["channels"]
    assert (channels["axis"], channels["alike"]) == (0, True)
    assert channels["count"] == 12
    assert not broken(values, aezip.decompress(data), RangeRelative(1e-3), filled=False)
    with aezip.open(data) as archive:
        assert (archive["data"][-2:] == aezip.decompress(data)[-2:]).all()


@pytest.mark.train
def test_a_model_serves_arrays_of_any_extent_and_has_no_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    encoder = ArrayEncoder(spectra(), RangeRelative(1e-3), preset="fast", shared=True)
    encoder.prepare()
    assert any("context" in name for name, _ in encoder.tried)
    assert not any("channels" in name for name, _ in encoder.tried)


def test_a_chunk_of_another_length_is_refused() -> None:
    each, alike = mixing(*CASES[0]), mixing(Channels(0, 4, True, True), [[Tap(1, 0)]])
    assert alike.among(3).count == 3
    for made, count in ((each, 2), (alike, 5), (alike, 0)):
        with pytest.raises(CorruptFile):
            made.among(count)
