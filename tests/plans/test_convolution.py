"""Convolutional autoencoders: blocks that see the codes of the blocks around them, with the same guarantees as any plan."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import NOT_BUILT

import aezip
from aezip.array.layout import Layout, Piece
from aezip.codec import encoder as codec
from aezip.core import memory as limits
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile, UnsafeFile
from aezip.core.progress import Progress
from aezip.entropy import residual
from aezip.entropy.codebook import ACTIVITIES, CodeBook, activity
from aezip.plans.autoencoder import chunk as network
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.networks import Networks, Sizes, from_bytes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.autoencoder.sites import Sites, unfold
from aezip.plans.autoencoder.training.crops import crops
from aezip.quantize.grid import Grid, HiddenGrid, LinearGrid
from aezip.quantize.lattice import IntegerLattice
from aezip.search.autoencoder import train
from aezip.search.choice import Choice, Wish
from aezip.search.convolution import convolved, image_axes, is_image
from aezip.search.presets import PRESETS, Preset
from aezip.search.sample import Sample

GRIDS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((5, 7), (0, 1)),
    ((1, 4), (0, 1)),
    ((3, 4, 5), (1, 2)),
    ((3, 4, 5), (0, 2)),
    ((3, 4, 5), (0, 1, 2)),
    ((6, 1, 1), (1, 2)),
    ((4,), (0,)),
]
QUICK = Preset(40, 20, 2, 3, context_steps=30, context_trial=10, context_trials=2, crop=1 << 14)


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """Return smooth spots at random places on nothing."""
    rng = np.random.default_rng(sum(shape))
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    out = np.zeros((int(np.prod(shape[:-2])), *shape[-2:]))
    for image in out:
        for _ in range(2):
            cy, cx, s = rng.uniform(0, shape[-2]), rng.uniform(0, shape[-1]), rng.uniform(1.5, 3)
            image += 200 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / s**2)
    return np.floor(out.reshape(shape)).clip(0, 255)


def brute(grid: tuple[int, ...], axes: tuple[int, ...], site: int) -> list[int]:
    place = np.unravel_index(site, grid)
    out = []
    for offset in itertools.product((-1, 0, 1), repeat=len(axes)):
        there = list(map(int, place))
        for axis, step in zip(axes, offset, strict=True):
            there[axis] = min(max(there[axis] + step, 0), grid[axis] - 1)
        out.append(int(np.ravel_multi_index(there, grid)))
    return out


@pytest.mark.parametrize(("grid", "axes"), GRIDS)
def test_sites_see_those_around_them(grid: tuple[int, ...], axes: tuple[int, ...]) -> None:
    count = int(np.prod(grid))
    sites = Sites(grid, axes)
    near = sites.near(0, count + 5)
    assert near.tolist() == [brute(grid, axes, i) for i in range(count)]
    assert (near[:, near.shape[1] // 2] == np.arange(count)).all()
    codes = np.random.default_rng(0).integers(-9, 9, (count, 2))
    part = slice(count // 3, count)
    assert (unfold(sites, codes, part) == codes[near[part]].reshape(count - part.start, -1)).all()
    assert (unfold(None, codes, part) == codes[part]).all()
    size = np.random.default_rng(1).integers(0, 12, grid)
    total = size.ravel()[near].sum(axis=1)
    assert activity(size, axes).tolist() == [min(int(t).bit_length(), ACTIVITIES - 1) for t in total]


@pytest.mark.parametrize(("grid", "axes"), GRIDS)
def test_crops_tell_which_sites_have_all_neighbours(grid: tuple[int, ...], axes: tuple[int, ...]) -> None:
    grids = (Sites(grid, axes), Sites((grid[0] + 2, *grid[1:]), axes))
    made = crops(grids, 512)
    count = sum(int(np.prod(s.grid)) for s in grids)
    assert len(made.near) == count
    sites = made.corners[:, None] + made.offsets
    inside = (made.near[sites] == sites[:, made.local]).all(axis=2)
    for crop, good in zip(sites, inside, strict=True):
        assert len(set(crop)) == len(crop)
        assert good.tolist() == [set(made.near[i]) <= set(crop) for i in crop]
    whole = grids[1:] if 0 in axes and grid[0] < 3 else grids  # what is too short for a crop is not trained on
    assert set(sites[inside]) == set(range(count)[-sum(int(np.prod(s.grid)) for s in whole) :])  # each in some crop


def test_codes_come_back() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(-6, 7, (3, 8, 9, 4)) * (rng.random((3, 8, 9, 1)) < 0.3)
    book = CodeBook.choose([codes], (1, 2))
    counts = book.counts([codes])
    assert counts.counts.shape[0] == 4 * ACTIVITIES
    tables, _ = residual.tables_from_bytes(counts.to_bytes(), 4 * ACTIVITIES)
    data = residual.encode(tables, book.passes(codes))
    again = CodeBook.from_bytes(book.to_bytes(), 4, 3, (1, 2))
    assert (again.decode(tables, data, (3, 8, 9)).reshape(codes.shape) == codes).all()
    plain = CodeBook.choose([codes])
    tables, _ = residual.tables_from_bytes(plain.counts([codes]).to_bytes(), 4)
    assert len(data) < 0.95 * len(residual.encode(tables, plain.passes(codes)))
    huge = np.where(codes == 5, -(2**63), codes)
    assert (activity(np.abs(huge.clip(-255, 255))[..., 0], (1, 2)) < ACTIVITIES).all()


def sample(grid: Grid, pieces: list[Piece], preset: Preset = QUICK) -> Sample:
    fine, wholes = (None, [grid]) if grid.whole else (grid, [])
    return Sample(pieces, 1.0, pieces[:1], fine, wholes, preset, 0, "cpu", Progress(None))


def convolution(
    axes: tuple[int, ...], block: tuple[int, ...], *, width: int = 2, whole: bool = False, **more: Any
) -> AutoencoderPlan:
    layout = Layout(block)
    return AutoencoderPlan(layout, None, Sizes((tuple(range(layout.features)),), width, 8, 8, whole, axes=axes, **more))


def both_ways(choice: Choice[Any], grid: Grid, x: np.ndarray, masked: np.ndarray | None = None) -> np.ndarray:
    made, model = choice.plan, choice.model
    assert isinstance(made, AutoencoderPlan)
    assert isinstance(model, Networks)
    coded = network.code(made, grid, model.decoders, model.norm, choice.encoder, x, masked, model.spikes)
    streams = {
        "codes": network.encode_codes(model, coded),
        "residual": residual.encode(model.residual_tables, coded.residual),
    }
    y = network.decode(made, grid, model, streams, x.shape, x.dtype, masked)
    assert y.tobytes() == coded.decoded.tobytes()
    return y


@pytest.mark.train
@pytest.mark.parametrize(
    ("shape", "axes", "block"),
    [
        ((9, 14, 15), (1, 2), (1, 4, 4)),
        ((1, 17, 8), (1, 2), (1, 4, 4)),
        ((60, 41), (0, 1), (8, 8)),
        ((7, 9, 10), (0, 1, 2), (4, 4, 4)),
        ((5, 3, 9, 9), (2, 3), (1, 1, 4, 4)),
        ((300,), (0,), (16,)),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_convolution_keeps_the_bound(
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    block: tuple[int, ...],
    whole: bool,
    compiled: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if compiled and not kernels.available(1 << 30):
        pytest.skip(NOT_BUILT)
    monkeypatch.setattr(kernels, "available", lambda values: compiled)
    x = np.random.default_rng(0).normal(size=shape)
    for axis in range(len(shape)):
        x = x.cumsum(axis=axis)
    grid = LinearGrid(np.array(0.02 * float(np.ptp(x)) * (1 - 1e-6)), np.array(float(x.mean())), whole)
    choice = train(sample(grid, [Piece(x, None, 0)]), convolution(axes, block, whole=whole), grid, 30)
    assert np.abs(both_ways(choice, grid, x) - x).max() <= 0.01 * np.ptp(x)
    longer = np.concatenate([x, x[::-1], x])  # a chunk of another length
    assert np.abs(both_ways(choice, grid, longer) - longer).max() <= 0.01 * np.ptp(x)


@pytest.mark.parametrize("extra", ["holes", "spikes", "difference"])
def test_holes_frequent_values_and_differences(extra: str) -> None:
    x = blobs((12, 18, 21)).astype("u1")
    masked = None
    if extra == "holes":
        masked = np.zeros(x.shape, bool)
        masked[:, 5:13, :7] = True
        masked[3] = True
    grid = HiddenGrid(IntegerLattice())
    made = convolution((1, 2), (1, 4, 4), whole=True, spiked=extra == "spikes")
    if extra == "difference":
        made = replace(made, difference=Difference(1))
    pieces = [Piece(x[:8], None if masked is None else masked[:8], 0), Piece(x[8:], None, 8)]
    choice = train(sample(grid, pieces), made, grid, 30)
    y = both_ways(choice, grid, x, masked)
    kept = slice(None) if masked is None else ~masked
    assert (y[kept] == x[kept]).all()


def test_it_is_a_convolution_of_the_codes() -> None:
    """The frozen decoder against a convolution and a pixel shuffle written as loops of Python's integers."""
    grid = LinearGrid(np.array(1.0), np.array(0.0), False)
    x = blobs((4, 14, 13))
    choice = train(sample(grid, [Piece(x, None, 0)]), convolution((1, 2), (1, 4, 4)), grid, 40)
    assert isinstance(choice.plan, AutoencoderPlan)
    assert isinstance(choice.model, Networks)
    rng = np.random.default_rng(0)
    codes = rng.integers(-40, 40, (5, 3, 4, 2))
    mean, level = network.predictions(choice.plan, choice.model, codes.reshape(-1, 2), (5, 12, 16))
    pixels = choice.plan.layout.array(mean, (5, 12, 16))
    levels = choice.plan.layout.array(level, (5, 12, 16))
    decoder = choice.model.decoders[0]

    def layer(linear: Any, inputs: list[int], top: int | None) -> list[float]:
        rows = zip(linear.weight.tolist(), linear.bias.tolist(), linear.exponent.tolist(), strict=True)
        sums = [(sum(w * v for w, v in zip(row, inputs, strict=True)) + b) * 2.0**-e for row, b, e in rows]
        return sums if top is None else [float(min(max(round(s), 0), top)) for s in sums]

    for image, row, column in itertools.product((0, 4), (0, 1, 2), (0, 1, 3)):
        taps = [
            int(codes[image, min(max(row + i, 0), 2), min(max(column + j, 0), 3), k])
            for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (0, 1)
        ]  # fmt: skip
        seen = [t << 5 for t in taps]
        hidden = [int(h) for h in layer(decoder.second, [int(h) for h in layer(decoder.first, seen, 1023)], 1023)]
        means = layer(decoder.mean, hidden, None)
        skips = layer(decoder.skip, seen, None)
        scales = layer(decoder.scale, hidden, 199)
        for f, (i, j) in enumerate(itertools.product(range(4), range(4))):
            want = round(means[f] + skips[f]) + int(decoder.offset[f])
            assert pixels[image, 4 * row + i, 4 * column + j] == want
            assert levels[image, 4 * row + i, 4 * column + j] == scales[f]


@pytest.mark.train
def test_where_things_are_does_not_matter() -> None:
    """Spots anywhere: a convolution of few weights is smaller than the dense network of whole images."""
    x = blobs((160, 28, 28)).astype("u1")
    grid = HiddenGrid(IntegerLattice())
    chooser = sample(grid, [Piece(x, None, 0)])
    small = train(chooser, convolution((1, 2), (1, 4, 4), width=3, whole=True), grid, 300)
    dense = train(chooser, convolution((), (1, 28, 28), width=12, whole=True), grid, 300)
    assert small.size < 0.8 * dense.size
    assert len(small.model_bytes) < 0.5 * len(dense.model_bytes)


@pytest.mark.parametrize(
    "change",
    [
        {"convolution": []},
        {"convolution": [3]},
        {"convolution": [1, 1]},
        {"convolution": [2, 1]},
        {"convolution": ["1"]},
        {"convolution": 3},
        {"convolution": [True, 2]},
        {"convolution": [0, 1, 2, 3]},
        {"convolution": [-1]},
        {"width": 0},
        {"groups": [[0], list(range(1, 16))]},
        {"variant": "sparse"},
        {"width": 256},
        {"hidden": 1 << 20},
    ],
)
def test_a_malformed_convolution_is_refused(change: dict[str, object]) -> None:
    written = convolution((1, 2), (1, 4, 4))
    good = written.to_json()
    assert AutoencoderPlan.from_json(good, (4, 8, 8), whole=False) == written
    with pytest.raises(CorruptFile):
        AutoencoderPlan.from_json({**good, **change}, (4, 8, 8), whole=False)


def test_a_hostile_model_is_refused() -> None:
    grid = LinearGrid(np.array(1.0), np.array(0.0), False)
    made = convolution((1, 2), (1, 4, 4))
    choice = train(sample(grid, [Piece(blobs((4, 14, 13)), None, 0)]), made, grid, 10)
    data = choice.model_bytes
    from_bytes(data, made.sizes, 3)
    for wrong in (data[:-1], data + b"\0", data[: len(data) // 2], data[:1]):
        with pytest.raises(CorruptFile):
            from_bytes(wrong, made.sizes, 3)
    with pytest.raises(CorruptFile):  # dense weights are no convolution's
        from_bytes(data, replace(made.sizes, axes=()), 3)
    for at in range(0, len(data), 7):
        changed = bytearray(data)
        changed[at] ^= 0xFF
        try:
            from_bytes(bytes(changed), made.sizes, 3)
        except CorruptFile:
            continue


def test_codes_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory", lambda: 1 << 29)
    limits.check_chunk((1000, 8, 8), 4, Layout((1, 1, 1)), 255)
    with pytest.raises(UnsafeFile):
        limits.check_chunk((1000, 8, 8), 4, Layout((1, 1, 1)), 255, 27)


def convolving(given: Sample, wish: Wish) -> Choice[AutoencoderPlan]:
    """Take the convolution whatever is smaller."""
    grid = given.fine or given.wholes[0]
    made = convolution(image_axes(given.shape), (*(1,) * (len(given.shape) - 2), 4, 4), whole=grid.whole)
    return train(given, made, grid, 40)


def test_files_and_models_with_a_convolution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "choose", convolving)
    monkeypatch.setattr(codec, "CHUNK_VALUES", 3000)
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    x = blobs((30, 14, 18)).astype("f4")
    x[3, 4:6, 5] = np.nan
    data, report = aezip.compress(x, bound=aezip.Absolute(2.0), preset="fast")
    assert report.plan is not None
    assert report.plan["convolution"] == [1, 2]
    with aezip.open(data) as archive:
        y = archive["data"][:]
        assert (archive["data"][11:13, 2] == y[11:13, 2]).all()
        codes = archive.codes("data")
        assert codes.shape == (30, 4 * 5 * 2)  # an image's are those of all its blocks
        near = archive.nearest("data", 7, 3)
        assert 7 not in near.rows
        assert archive.nearest("data", x[7].ravel(), 3).rows[0] == 7
    assert np.nanmax(np.abs(y.astype("f8") - x)) <= 2.0
    assert (np.isnan(y) == np.isnan(x)).all()
    model = aezip.train(x, bound=aezip.Absolute(2.0), preset="fast")
    assert model.plan["convolution"] == [1, 2]
    other = np.nan_to_num(x[::-1, ::-1]).copy()
    again, _ = aezip.compress(other, bound=aezip.Absolute(2.0), model=model)
    assert np.abs(aezip.decompress(again).astype("f8") - other).max() <= 2.0
    tuned = aezip.train(x, bound=aezip.Absolute(2.0), preset="fast", init_from=model)
    assert tuned.plan["convolution"] == [1, 2]


def test_codes_of_a_field_are_those_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "choose", convolving)
    monkeypatch.setattr(codec, "CHUNK_VALUES", 1500)
    x = blobs((70, 41))
    data, _ = aezip.compress(x, bound=aezip.Absolute(2.0), preset="fast")
    assert np.abs(aezip.decompress(data) - x).max() <= 2.0
    with aezip.open(data) as archive:
        assert archive.codes("data").shape[1] == 2


@pytest.mark.train
def test_who_asks_for_codes_of_images_gets_a_convolution_where_it_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "fast", replace(QUICK, steps=60, trial_steps=60, context_trials=1))
    x = blobs((80, 20, 20)).astype("u1")
    data, report = aezip.compress(x, preset="fast", codes=True)
    assert report.plan is not None
    inner = report.plan.get("base") or report.plan
    assert inner["convolution"] == [1, 2]
    assert (aezip.decompress(data) == x).all()
    with aezip.open(data) as archive:
        assert archive.codes("data").shape == (80, 5 * 5 * inner["width"])
    _, wide = aezip.compress(x, preset="fast", codes=20)  # so many codes a row: no convolution has that
    assert wide.plan is not None
    assert "convolution" not in (wide.plan.get("base") or wide.plan)


def test_what_is_tried() -> None:
    assert image_axes((10, 28, 28)) == (1, 2)
    assert image_axes((300, 300)) == (0, 1)
    assert image_axes((10, 28, 3)) == ()
    assert image_axes((1000,)) == ()
    assert is_image(Layout((1, 8, 8)))
    assert not is_image(Layout((1, 1, 28)))
    assert not is_image(Layout((16,)))
    x = blobs((30, 14, 18)).astype("u1")
    grid = HiddenGrid(IntegerLattice())
    chooser = sample(grid, [Piece(x, None, 0)])
    tiny = Choice[Any](convolution((), (1, 14, 18), whole=True), grid, 1.0)
    assert convolved(chooser, tiny) is tiny
    assert len(chooser.tried) == 1
    assert convolved(chooser, replace(tiny, size=1e9), 1.0).size == 1e9  # too large to be trained on
    assert len(chooser.tried) == 2
    large = replace(tiny, size=1e9)
    found = convolved(chooser, large)
    assert isinstance(found.plan, AutoencoderPlan)
    assert found.plan.sizes.axes == (1, 2)
    assert found.plan.sizes.spiked
    assert "convolutional" in found.plan.describe()
