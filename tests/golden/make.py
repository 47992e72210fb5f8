"""Write golden files of the current format version: ``python tests/golden/make.py``.

Only files that do not exist yet are written: a golden file is never changed. They prove that old files decode for ever.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

import aezip
from aezip.array.layout import Layout
from aezip.array.narrow import narrow_of
from aezip.container import header
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.bytes import BytesPlan
from aezip.plans.columns.plan import ColumnPlan
from aezip.plans.columns.relations import related
from aezip.plans.registry import PLANS
from aezip.search import context as search_context
from aezip.search import contexts, learned, static
from aezip.search.autoencoder import differences, network_sizes, spiky, train
from aezip.search.below import below_of
from aezip.search.choice import Choice, Wish, smallest
from aezip.search.choose import search
from aezip.search.columns import Mixture
from aezip.search.context import find_spike
from aezip.search.contexts import Way
from aezip.search.convolution import image_axes
from aezip.search.layouts import candidates
from aezip.search.learned import by_columns
from aezip.search.learned import search as autoencoders
from aezip.search.presets import PRESETS, Preset
from aezip.search.sample import Part, Sample
from aezip.search.static import by_name, static_plans
from aezip.search.untrained import HEAD, measured, proposed

FOLDER = Path(__file__).parent
MODELS = FOLDER / "models"  # files that refer to a model, and the models
STEM = "v" + "_".join(map(str, header.VERSION)) + "_{}"


def waves(shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    """Return something smooth with a little noise."""
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(scale=0.05, size=shape)
    for axis, n in enumerate(shape):
        wave = np.sin(np.arange(n) / (3.0 + axis))
        x += wave.reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return (100 * x).astype(dtype)


def with_holes(x: np.ndarray) -> np.ndarray:
    """Return `x` with NaN, infinities and -0.0 in some places."""
    x = x.copy()
    x.flat[::17], x.flat[5], x.flat[6], x.flat[7] = np.nan, np.inf, -np.inf, -0.0
    return x


TABLE = np.round(waves((400, 6), "f8"), 1)
CASES: dict[str, tuple[Any, aezip.Bound, str | None]] = {
    "autoencoder_range": (waves((300, 30)), aezip.RangeRelative(1e-2), "autoencoder"),
    "autoencoder_image": (waves((40, 12, 12), "f8"), aezip.Absolute(0.5), "autoencoder"),
    "autoencoder_lossless_u2": (np.abs(waves((300, 30), "f8")).astype("u2"), aezip.Lossless(), "autoencoder"),
    "columns_per_feature": (TABLE, aezip.RangeRelative(1e-3, per_feature=True), "columns networks"),
    "columns_lossless": (TABLE, aezip.Lossless(), "columns networks"),
    "static_psnr": (waves((300, 8)), aezip.PSNR(60), "static"),
    "static_holes": (with_holes(waves((300, 8))), aezip.Absolute(0.1), "static"),
    "static_point": (with_holes(waves((300, 8), "f8")), aezip.PointRelative(1e-3), "static"),
    "static_window": (waves((3000,)), aezip.RangeRelative(1e-3), "static"),
    "difference_i8": (waves((50, 8)).astype("i8").cumsum(axis=0), aezip.Lossless(), "difference"),
    "difference_f4_bits": (waves((50, 8)), aezip.Lossless(), "difference"),
    "difference_staircase": (waves((50, 8)).astype("i4"), aezip.PointRelative(0.1), "difference"),
    "bytes_f8": (np.random.default_rng(0).normal(size=(40, 8)), aezip.Lossless(), "bytes"),
    "any_f2": (waves((40, 8), "f2"), aezip.Absolute(0.5), None),
    "any_bool": (waves((40, 8)) > 0, aezip.Lossless(), None),
    "any_complex": ((waves((40, 8)) + 1j).astype("c8"), aezip.Absolute(0.1), None),
    "any_dates": (np.arange(300).astype("M8[s]"), aezip.Lossless(), None),
    "any_big_endian": (waves((40, 8), ">f8"), aezip.Absolute(0.01), None),
    "any_zero_d": (np.array(2.5), aezip.Lossless(), None),
    "any_empty": (np.zeros((0, 3), "f4"), aezip.Lossless(), None),
}
RAIN = np.maximum(waves((6, 30, 30), "f8"), 0).astype("u2")
SLIDER = np.random.default_rng(0).choice(np.unique(np.rint(np.linspace(-700, 900, 60))), (400, 6)).astype("f4") / 100
RARE = np.random.default_rng(0).random((400, 30))
SPARSE = np.where(RARE < 0.2, np.rint(1e4 * RARE), np.arange(30)).astype("f4") / 100
LOG = np.sort(np.random.default_rng(0).integers(0, 1 << 30, (300, 2)), axis=0)[np.repeat(np.arange(300), 9)].astype("i4")
LOG = np.stack([LOG[:, 0], np.random.default_rng(1).permuted(LOG[:, 1].reshape(-1, 27), axis=1).ravel()], axis=1)
NAMES = np.random.default_rng(0).zipf(1.3, (30_000, 2)).clip(0, 60).astype("i4") ** 3 % 9001
CASES |= {
    "context_frames": (waves((20, 24, 22)), aezip.RangeRelative(1e-3), "context (0,) (1, 2)"),
    "context_whole": (waves((20, 24, 22)).cumsum(axis=0), aezip.Lossless(), "context (0, 1, 2)"),
    "context_columns_first": (waves((500, 6), "f8"), aezip.RangeRelative(1e-3), "context (1,) (0,)"),
    "context_holes": (with_holes(waves((20, 24, 22))), aezip.Absolute(0.1), "context (0,) (1, 2)"),
    "context_spike": (RAIN, aezip.Lossless(), "context (1, 2)"),
    "context_signal": (waves((3001, 3), "f8"), aezip.Absolute(0.05), "context"),
    "context_autoencoder": (waves((40, 12, 12), "f8"), aezip.Absolute(0.5), "context below (0,) (1, 2)"),
    "static_ranks": (SLIDER, aezip.Lossless(), "static"),
    "static_spikes": (SPARSE, aezip.Lossless(), "static"),
    "autoencoder_spikes": (SPARSE, aezip.Absolute(0.02), "autoencoder spiked"),
    "static_frequency": (NAMES, aezip.Lossless(), "static named"),
    "static_covering": (NAMES.astype("f8") / 8, aezip.Absolute(30.0), "static"),
    "columns": (LOG, aezip.Lossless(), "columns"),
    "columns_holes": (with_holes(LOG.astype("f8") / 4), aezip.Absolute(3.0), "columns"),
    "bytes_changes": (np.cumsum(np.random.default_rng(0).normal(size=(400, 2)), axis=0), aezip.Lossless(), "bytes"),
}
TASTES = np.random.default_rng(1).normal(size=(300, 2)) @ np.random.default_rng(2).normal(size=(2, 90))
RATED = np.random.default_rng(3).random(TASTES.shape) < 1 / (1 + np.exp(2 - 2 * TASTES - np.linspace(-2, 2, 90)))
RATED[:, 0] = True
CASES["static_ratings"] = np.where(RATED, np.rint(3 + TASTES).clip(1, 5), np.nan).astype("f4"), aezip.Lossless(), "static"
SCIENTIFIC = np.array([float(f"{v:.2e}") for v in np.exp(3 * np.random.default_rng(5).normal(size=900))]).reshape(300, 3)
COUNTS = [np.random.default_rng(6).zipf(z, 6000).clip(0, 40) * m for z, m in ((3, 1), (1.2, 7), (1.5, 3))]
SHAPES = np.stack(COUNTS, axis=1).astype("i4")
CASES |= {
    "static_digits": (SCIENTIFIC, aezip.Lossless(), "static"),
    "columns_by_feature": (SHAPES, aezip.Lossless(), "columns networks tables"),
    "autoencoder_chunks": (waves((300, 30)), aezip.RangeRelative(1e-2), "autoencoder"),
    "context_chunks": (waves((20, 24, 22)), aezip.RangeRelative(1e-3), "context (0,) (1, 2)"),
    "context_scan": (waves((9, 14, 16)).cumsum(axis=0), aezip.RangeRelative(1e-3), "context scan (0, 1, 2)"),
    "context_scan_images": (RAIN, aezip.Lossless(), "context scan (1, 2)"),
    "convolution": (waves((12, 18, 22)), aezip.RangeRelative(1e-2), "autoencoder convolved"),
    "convolution_spikes": (RAIN, aezip.Lossless(), "autoencoder convolved"),
    "convolution_field_chunks": (waves((150, 90)), aezip.Absolute(1.0), "autoencoder convolved"),
    "context_convolution": (waves((12, 18, 22)), aezip.RangeRelative(1e-2), "context convolved below (0,) (1, 2)"),
    "columns_chunks": (LOG, aezip.Lossless(), "columns"),
}
STAIRS = np.repeat(np.random.default_rng(7).integers(0, 5, (300, 2)) ** 9, np.random.default_rng(8).geometric(0.1, 300), axis=0)
STAIRS[::97] += np.arange(len(STAIRS[::97]))[:, None] ** 3
DRIFT = np.cumsum(np.random.default_rng(9).normal(size=(30, 90, 3)), axis=0).astype("f4") + 40
TOWNS = np.random.default_rng(10).zipf(1.3, (3000, 2)).clip(1, 30)
TOWNS = np.column_stack([TOWNS, np.where(TOWNS.sum(axis=1) % 2, TOWNS[:, 0] ** 3 % 97, 5 * TOWNS[:, 1])]).astype("i2")
SCALED = np.random.default_rng(11).laplace(size=(3, 40, 70)) * np.exp2(np.random.default_rng(12).integers(-6, 2, (3, 40, 1)))
CASES |= {
    "buckets": (DRIFT, aezip.Lossless(), "buckets"),
    "buckets_holes": (with_holes(DRIFT.astype("f8")), aezip.Absolute(1e-9), "buckets"),
    "columns_recency": (STAIRS.astype("i4"), aezip.Lossless(), "columns"),
    "columns_clusters": (TOWNS, aezip.Lossless(), "columns"),
    "columns_clusters_rows": (with_holes(SCALED.astype("f8")), aezip.Absolute(1e-3), "columns"),
    "columns_moved": (with_holes(STAIRS.astype("f8") / 3), aezip.RangeRelative(0.2), "columns"),
}
CASES |= {
    f"any_{d}": (np.abs(waves((60, 5), "f8")).astype(d), aezip.Lossless(), None) for d in ("i1", "i2", "i4", "u1", "u4", "u8")
}


CASES |= {
    "context_channels": (waves((20, 24, 22)), aezip.RangeRelative(1e-3), "context channels 0 (0,) (1,)"),
    "context_channels_holes": (with_holes(waves((20, 24, 8))), aezip.Absolute(0.1), "context channels 2 scan (0, 1)"),
    "context_channels_whole": (waves((20, 24, 22)).astype("i4"), aezip.Lossless(), "context channels 0 built in alike (0, 1)"),
    "context_builtin": (waves((20, 24, 22)), aezip.RangeRelative(1e-3), "context built in (0,) (1, 2)"),
    "context_builtin_whole": (waves((20, 24, 22)).astype("i4"), aezip.Lossless(), "context built in (0,) (1, 2)"),
    "context_builtin_changed": (waves((20, 24, 22)), aezip.RangeRelative(1e-3), "context changed (0,) (1, 2)"),
    "any_missing": (waves((60, 40)).astype("i2"), aezip.Absolute(5.0), None),
    "any_masked": (np.ma.masked_array(waves((40, 8)), waves((40, 8)) > 90, fill_value=-1.0), aezip.Absolute(0.1), None),
}
FLOWN = np.random.default_rng(15).integers(0, 99, 3000)
ROUTES = np.random.default_rng(16).integers(0, 10**6, (99, 4))[FLOWN] % (10**6, 700, 10**5, 97)
DAYS = np.random.default_rng(17).integers(0, 11, 3000)
ROUTES = np.column_stack([np.random.default_rng(18).integers(0, 40, (7, 11))[FLOWN % 7, DAYS] ** 3, ROUTES, FLOWN % 7, DAYS])
TOTALS = np.column_stack([FLOWN, np.cumsum(FLOWN), ROUTES[:, 1] // 9, FLOWN**2 + np.cumsum(FLOWN) - FLOWN % 3])
CASES |= {
    "columns_keys": (ROUTES, aezip.Lossless(), "columns keys"),
    "columns_keys_networks": (np.hstack([ROUTES, TOTALS]), aezip.Lossless(), "columns keys networks tables"),
    "columns_networks_holes": (with_holes(TOTALS.astype("f8")), aezip.Lossless(), "columns networks"),
    "columns_networks_fine": (
        with_holes(waves((600, 5), "f8")),
        aezip.RangeRelative(1e-3, per_feature=True),
        "columns networks fine",
    ),
}
BRAIN = np.random.default_rng(13).normal(size=(60, 40)) * np.exp(np.random.default_rng(14).normal(size=40))
CASES |= {
    "narrow_steps": (with_holes(waves((40, 30))).astype(ml_dtypes.bfloat16), aezip.RangeRelative(1e-2), None),
    "narrow_points": (with_holes(BRAIN).astype(ml_dtypes.bfloat16), aezip.PointRelative(0.05), None),
    "narrow_bits": (with_holes(BRAIN).astype(ml_dtypes.bfloat16), aezip.Lossless(), None),
    "narrow_eighth": (waves((40, 30)).astype(ml_dtypes.float8_e4m3fn), aezip.Absolute(4.0), None),
    "narrow_eighth_holes": (with_holes(BRAIN).astype(ml_dtypes.float8_e5m2), aezip.PSNR(30), None),
}
OPTIONS: dict[str, dict[str, Any]] = {"any_missing": {"fill_value": [0, 3], "valid_range": (-150, 150)}}


def only(kind: str | None, sample: Sample, wish: Wish) -> Choice[Any]:
    """Return the best choice of the wanted kind; None: whatever is best."""
    if kind is None:
        return search(sample, wish)
    sample.drop_wide()
    if kind in ("bytes", "buckets", "columns", "difference"):
        return without_model(kind, sample)
    if kind == "static":
        return smallest(static_plans(sample))
    if kind == "static named":
        return by_name(sample)[-1]
    if "networks" in kind:
        pairs = [(sample.fine, None)] if "fine" in kind else [(sample.fine, None), *differences(sample)[:1]]
        learned = smallest(train(sample, made, grid, sample.preset.steps) for made, grid in by_columns(sample, pairs))
        mixture = Mixture(sample, learned, related_plan(sample) if "keys" in kind else ColumnPlan())
        forms, own = mixture.forms()
        return mixture.measured(forms["tables" in kind], [*range(1, sample.shape[1])], own)  # of a small array they never pay
    if kind == "columns keys":
        plan = related_plan(sample)
        return Choice(plan, sample.wholes[0], 0.0)
    if kind.startswith("context"):
        return refining(kind, sample, [ast.literal_eval(text) for text in re.findall(r"\([^)]*\)", kind)])
    if kind == "autoencoder convolved":
        return convolution(sample)
    if "spiked" in kind:
        layout, grid = candidates(sample.shape)[0], sample.wholes[0]
        sizes = replace(network_sizes(layout, 2, 8, grid), spiked=True)
        return train(sample, AutoencoderPlan(layout, None, sizes), grid, 100)
    wanted = autoencoders(sample)
    assert wanted is not None
    return wanted


def related_plan(sample: Sample) -> ColumnPlan:
    """Return columns in an order of their own, some sorted by others."""
    (order, keys), *_ = related(sample.wholes[0].integers(sample.pieces[0].x))
    assert order
    assert any(key > place for place, key in enumerate(keys))  # two earlier columns together
    return ColumnPlan(order, keys)


def convolution(sample: Sample) -> Choice[AutoencoderPlan]:
    """Return a convolutional autoencoder of the last two axes; with flags where a number is frequent."""
    grid, axes = sample.fine or sample.wholes[0], image_axes(sample.shape)
    layout = Layout((*(1,) * (len(sample.shape) - 2), 4, 4))
    sizes = Sizes((tuple(range(16)),), 2, 8, 8, grid.whole, axes=axes)
    made = AutoencoderPlan(layout, None, sizes)
    made = replace(made, sizes=replace(sizes, spiked=spiky(sample, made, grid)))
    return train(sample, made, grid, 100)


def refining(kind: str, sample: Sample, order: list[tuple[int, ...]]) -> Choice[Any]:
    """Return a context plan with the order of axes given, or along a signal."""
    grid = sample.fine or sample.wholes[0]
    spike = find_spike(grid, sample.context_pieces[0])
    below = None
    if "below" in kind:
        inner = convolution(sample) if "convolved" in kind else autoencoders(sample)
        assert inner is not None
        trial = contexts.train(sample, grid, Way(tuple(order)), 8, 10)
        assert trial is not None
        below = below_of(sample, replace(inner, grid=trial.grid), trial)
        assert below is not None
    way = Way((), order[0]) if "scan" in kind else Way(tuple(order))
    if "channels" in kind:
        way = way._replace(channels=int(kind.split()[2]), alike="alike" in kind)
    if "built in" in kind or "changed" in kind:
        found = contexts.as_it_is(sample, grid, way, Part.ALL)
        assert found is not None
        if "changed" in kind:  # as where linear parts are fitted
            net = replace(found.model.net, skip=found.model.net.skip + 1, types=None)
            found = search_context._count(found.plan, grid, sample.context_pieces, sample.share, net, None, 1)
        return found
    made = contexts.train(sample, grid, way, 8, 60, below=below, spike=spike, final=True)
    assert made is not None
    return made


def without_model(kind: str, sample: Sample) -> Choice[Any]:
    """Return the best plan of a kind that has no model."""
    best: dict[Any, Choice[Any]] = {}
    for plan in PLANS:
        options = proposed(sample, plan, best, sample.head(HEAD))
        if options:
            best[plan] = smallest(options)
        if kind in plan.kinds:
            forms = [c for c in options if c.plan == BytesPlan(True, True)] or options
            return measured(sample, smallest(forms))
    raise LookupError(kind)


def made(name: str) -> tuple[bytes, Any]:
    """Compress one case with the plan wanted; return the file and its report."""
    from aezip.codec import encoder as codec

    x, bound, kind = CASES[name]
    codec.choose = partial(only, kind)
    PRESETS["fast"] = Preset(60, 60, 2, 9, context_steps=60, context_trial=20, context_trials=2, crop=1 << 14)
    static.MOST_COLUMNS = learned.MOST_COLUMNS = (
        40 if kind is not None and ("columns networks" in kind or kind == "static named") else 0
    )
    target = 4096 if name.endswith("chunks") else 1 << 20
    codec.CHUNK_VALUES = codec.CHUNK_VALUES_CONTEXT = codec.CHUNK_BYTES_PLAIN = target
    data, report = aezip.compress(x, bound=bound, preset="fast", recommend=name.endswith("ratings"), **OPTIONS.get(name, {}))
    assert report.plan is not None
    assert kind is None or kind.split()[0] == report.plan["kind"], (name, report.plan)
    return data, report


def write(name: str) -> None:
    """Write one golden file and the digest of what it decodes to."""
    data, report = made(name)
    y = aezip.decompress(data)
    narrow = narrow_of(y.dtype)
    facts = {
        "shape": list(y.shape),
        "dtype": y.dtype.str if narrow is None else narrow.plain.str,
        "sha256": hashlib.sha256(y.tobytes()).hexdigest(),
        "max_abs_error": report.max_abs_error,
        **({} if narrow is None else {"narrow": narrow.name}),
    }
    if name.endswith("ratings"):
        with aezip.open(data) as archive:
            facts["estimates"] = hashlib.sha256(archive.predict().astype("<f8").tobytes()).hexdigest()
    stem = STEM.format(name)
    (FOLDER / f"{stem}.aez").write_bytes(data)
    (FOLDER / f"{stem}.json").write_text(json.dumps(facts) + "\n")
    print(f"{stem}: {len(data)} bytes, {report.plan['kind']}")


def write_model() -> None:
    """Write a trained model and a file that refers to it."""
    model = aezip.train(waves((300, 30)), bound=aezip.Absolute(0.5), preset="fast")
    model.save(MODELS / f"{STEM.format('model')}.aezm")
    x = waves((60, 30)) + np.float32(0.1)
    data, report = aezip.compress(x, bound=aezip.Absolute(0.5), model=model, embed_model=False)
    y = aezip.decompress(data, model=model)
    facts = {
        "shape": list(y.shape),
        "dtype": y.dtype.str,
        "sha256": hashlib.sha256(y.tobytes()).hexdigest(),
        "max_abs_error": report.max_abs_error,
        "model": model.id,
    }
    stem = STEM.format("reference")
    (MODELS / f"{stem}.aez").write_bytes(data)
    (MODELS / f"{stem}.json").write_text(json.dumps(facts) + "\n")
    print(f"{stem}: {len(data)} bytes and a model of {len(model.data)}")


def is_new(case: str, folder: Path = FOLDER) -> bool:
    """Tell whether no version has written a case yet."""
    stems = [f"v1_{minor}_{case}" for minor in range(header.VERSION[1] + 1)]
    return not any((folder / f"{stem}.aez").exists() for stem in stems)


if __name__ == "__main__":
    if is_new("reference", MODELS):
        write_model()
    for case in filter(is_new, CASES):
        write(case)
