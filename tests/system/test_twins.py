"""Compiled loops give the bits of the NumPy code that calls them, on every instruction set that they are built for."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nets import some_net, values

import aezip
from aezip.core import fixed, native
from aezip.entropy import ans, distances, residual
from aezip.entropy.residual import TABLE_LEVELS
from aezip.plans.columns import coding, recency
from aezip.plans.columns.lag import find_lags
from aezip.plans.context import bisected, raster, walk
from aezip.plans.context.channels import Channels, Companion, Mixing, Tap, code, decode
from aezip.plans.context.net import ContextSizes
from aezip.plans.context.rows import COLUMNS, ContextSample, collect
from aezip.plans.context.walk import Base

NATIVE = Path(aezip.__file__).parent.parent / "native"


def coded(fast: bool) -> bytes:
    tables = ans.Tables(np.tile([1000, 3000, 95, 1], (2, 1)).astype(np.int64))
    generator = np.random.default_rng(0)
    passes = [(generator.integers(0, 3, n), generator.integers(0, 2, n)) for n in (4000, 1, 300, 9000)]
    data = ans.encode(tables, passes)
    reader = ans.SymbolReader(tables, data, fast=fast)
    assert all((reader.decode(contexts) == symbols).all() for symbols, contexts in passes)
    return data


def ranked(fast: bool) -> bytes:
    x = np.random.default_rng(0).integers(0, 40, (100, 5)) ** 9 - 2**50
    ranks, away = recency.to_ranks(x)
    assert (recency.to_values(ranks, away) == x).all()
    return ranks.tobytes() + away.tobytes()


def remembered(fast: bool) -> bytes:
    """Return what columns that are coded as ranks decode to, with escapes, after and before other passes."""
    out = b""
    for count, order in ((9001, 4), (5000, 2), (300, 0), (1, 3)):
        x = np.random.default_rng(count).geometric(0.4, count) ** 5
        ranks = recency.to_ranks(recency.split(x))[0]
        first = distances.buckets(x[:7], np.zeros(min(count, 7), np.uint16))
        made = [first, *coding.moved(recency.passes(ranks, count, order), 1), first]
        _, tables = residual.tables_for(made, 1 + recency.tables(order))
        reader = residual.ResidualReader(tables, residual.encode(tables, made), fast=fast)
        ends = distances.from_buckets(reader, first.contexts), recency.read(reader, count, order, 1)
        assert (ends[1].T.reshape(-1)[:count] == ranks.T.reshape(-1)[:count]).all()
        assert (distances.from_buckets(reader, first.contexts) == ends[0]).all()
        reader.finish()
        out += ends[1].tobytes()
    return out


def lagged(fast: bool) -> bytes:
    x = np.random.default_rng(0).integers(0, 40, 900) ** 9 * np.random.default_rng(1).choice([1, -1, 1 << 17], 900)
    return find_lags(x).tobytes() + find_lags(x[:70]).tobytes()


def ordered(fast: bool) -> bytes:
    return raster.Wave((0, 1, 2), (9, 20, 70))._order[0].tobytes()


def walked(sizes: ContextSizes, shape: tuple[int, ...] = (20, 70, 3), workers: int = 1) -> Callable[[bool], bytes]:
    def both(fast: bool) -> bytes:
        x, net = values(shape, 30.0), some_net(sizes)
        bisected.prepared.cache_clear()
        found = walk.code(net, x, None, None, 640, workers)
        counts = residual.TableCounts(TABLE_LEVELS)
        for part in found.residual:
            counts.add(part.symbols, part.contexts)
        tables, _ = residual.tables_from_bytes(counts.to_bytes(), TABLE_LEVELS)
        data = residual.encode(tables, found.residual)
        reader = residual.ResidualReader(tables, data, fast=fast)
        assert walk.decode(net, reader, x.shape, None, 640, whole=False, workers=workers).tobytes() == found.value.tobytes()
        return data

    return both


def collected(sizes: ContextSizes, fitted: bool, based: bool = False) -> Callable[[bool], bytes]:
    """Return what rows to train on are made of: all values, or some, with masked ones."""

    def both(fast: bool) -> bytes:
        random, shape = np.random.default_rng(1), (20, 30, 9)
        x = values(shape, 30.0) * (1.0 if sizes.precision == 10 else 1e5)
        offset = Base(random.integers(-500, 500, shape), random.integers(0, 200, shape).astype(np.uint8)) if based else 640
        pairs = np.full((sizes.kinds, 2), -1, np.int16)
        pairs[1:] = (0, 1) if fitted else (-1, -1)
        whole = None if sizes.spike is None else np.rint(x).astype(np.int64)
        sample = ContextSample(x, whole, random.random(shape) < 0.3 if fitted else None, offset)
        found = collect(sizes, [sample], None, pairs, 3, most=1000 if fitted else None)
        return b"".join(getattr(found, name).tobytes() for name in COLUMNS)

    return both


def mixed(
    order: tuple[tuple[int, ...], ...], channels: Channels, precision: int = 10, workers: int = 1
) -> Callable[[bool], bytes]:
    """Return the residual of channels of 40 x 37 values, with companions and products, masked values too."""

    def both(fast: bool) -> bytes:
        random, shape = np.random.default_rng(2), (40, channels.count, 37)
        net = some_net(ContextSizes(order, 8, precision, scan=() if order else (0, 1)))
        taps = [Tap(1, place) for place in range(5)] + [Tap(channels.count, 0, channels.count + 2), Tap(2, 3), Tap(3, 0)]
        sums = 1 if channels.alike else channels.count
        kept = [[tap for tap in taps if tap.back <= channels.before + at] for at in range(sums)]
        mixing = Mixing(
            channels, tuple(map(tuple, kept)), tuple(random.integers(-900, 900, len(some)).astype(np.int32) for some in kept),
            random.integers(9, 13, sums).astype(np.int8), random.integers(-500, 500, sums),
        )  # fmt: skip
        x, beside = values(shape, 30.0), [np.rint(values(shape, 3000.0)) for _ in channels.companions]
        ignore = random.random(shape) < 0.1 if precision == 10 else None
        parts, value = code(net, mixing, x, None, ignore, beside, workers)
        counts = residual.TableCounts(TABLE_LEVELS)
        for part in parts:
            counts.add(part.symbols, part.contexts)
        tables, _ = residual.tables_from_bytes(counts.to_bytes(), TABLE_LEVELS)
        data = residual.encode(tables, parts)
        reader = residual.ResidualReader(tables, data, fast=fast)
        back = decode(net, mixing, reader, shape, ignore, beside, whole=False, workers=workers)
        assert back.tobytes() == value.tobytes()
        known = np.concatenate([channels.split(other) for other in (*beside, value.astype(np.float64))])
        means = mixing.means(known)
        return data + value.tobytes() + b"".join(means(at).tobytes() for at in range(channels.count))

    return both


COMPANIONS = tuple(Companion(name, 0.0, 1.0) for name in "ab")
MIXED = (
    mixed(((0,), (1,)), Channels(1, 9, True, False, COMPANIONS)),
    mixed(((0, 1),), Channels(1, 9, False, True, COMPANIONS), 20),
    mixed((), Channels(1, 9, True, True, COMPANIONS)),
    mixed((), Channels(1, 9, False, False, COMPANIONS), 20, 3),
)
BISECTION = walked(ContextSizes(((0,), (1, 2)), 16, 10))
WIDE = walked(ContextSizes(((0,), (1, 2)), 16, 20))
LARGE = walked(ContextSizes(((1,), (0, 2)), 19, 10), (60, 70, 40), 3)  # passes of several runs
SCAN, SIGNAL = walked(ContextSizes((), 16, 10, scan=(0, 1, 2))), walked(ContextSizes((), 16, 10, columns=3))
THREADS = (
    walked(ContextSizes((), 16, 10, scan=(0, 1, 2)), (40, 90, 30), 3),
    walked(ContextSizes((), 16, 10, columns=3), (30, 3000, 3), 3),
)
# by function of the extension: what is computed with it, and without
TWINS: dict[str, tuple[Callable[[bool], bytes], ...]] = {
    "ans_push": (coded,),
    "ans_run": (coded,),
    "counting_sort": (ordered,),
    "bisect": (BISECTION, WIDE, LARGE),
    "channels": MIXED,
    "lags_of": (lagged,),
    "lines": (BISECTION, WIDE),
    "log2": (BISECTION,),  # of every network
    "mixed": MIXED,
    "ranks_of": (ranked, remembered),
    "ranks_read": (remembered,),
    "rows": tuple(
        collected(replace(sizes, precision=precision), fitted, based and not sizes.columns)
        for sizes in (
            ContextSizes(((0,), (1, 2)), 16, 10, spike=3),
            ContextSizes(((1,), (0,), (2,)), 16, 10),
            ContextSizes((), 16, 10, scan=(1, 2)),
            ContextSizes((), 16, 10, columns=9),
        )
        for precision, fitted, based in ((10, False, True), (20, True, False), (10, True, True))
    ),
    "scan": (SCAN, THREADS[0], walked(ContextSizes((), 7, 20, scan=(0, 1, 2)))),
    "series": (SIGNAL, THREADS[1], walked(ContextSizes((), 32, 20, columns=3))),
    "values_of": (ranked,),
}
SETS = {1: "plain", 2: "AVX2", 3: "AVX-512"}


def test_every_loop_has_its_twin() -> None:
    assert set(TWINS) == set(native._SIGNATURES) - {"sets", "use"}


def test_the_extension_is_there_where_a_compiler_is() -> None:
    if shutil.which("gcc") is None or not (NATIVE / "aezip.c").exists():
        pytest.skip("nothing could have built it")
    assert native.instruction_sets() > 0


def test_constants_are_those_of_the_package() -> None:
    text = (NATIVE / "common.h").read_text()
    for name in ("EXTRAS", "LEVELS", "FLAG_BINS"):
        assert f"#define {name} {getattr(fixed, name)}\n" in re.sub(" +/.*", "", text)
    assert f"#define ACTIVATION_TOP {fixed.ACTIVATION_TOP:.1f}f" in text


@pytest.mark.parametrize("instruction_set", list(SETS), ids=SETS.get)
@pytest.mark.parametrize("name", sorted(TWINS))
def test_twins_give_the_same_bits(name: str, instruction_set: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if native.instruction_sets() < instruction_set:
        pytest.skip("this processor has not got these instructions")
    native.use(instruction_set)
    called = []
    honest = native.call
    monkeypatch.setattr(native, "call", lambda what, *arguments: (called.append(what), honest(what, *arguments))[1])
    try:
        for computed in TWINS[name]:
            found = []
            for fast in (False, True):
                monkeypatch.setattr(native, "ENOUGH", 0 if fast else 1 << 60)
                called.clear()
                found.append(computed(fast))
                assert (name in called) == (fast and name != "log2")
            assert found[0] == found[1]
    finally:
        native.use(max(SETS))
