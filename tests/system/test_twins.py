"""Each compiled module has a NumPy module of its name beside it, which gives the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from source import MODULES, imports
from test_fused import some_net, values

from aezip.core import jit
from aezip.entropy import ans, residual
from aezip.entropy.residual import TABLE_LEVELS
from aezip.plans.columns import recency
from aezip.plans.context import raster, walk
from aezip.plans.context.net import ContextSizes

DECORATORS = "aezip.core._numba_jit"
COMPILED = sorted(n for n in MODULES if n.rpartition(".")[2].startswith("_") and n.endswith("_jit") and n != DECORATORS)


def coded(fast: bool) -> bytes:
    tables = ans.Tables(np.tile([1000, 3000, 95, 1], (2, 1)).astype(np.int64))
    generator = np.random.default_rng(0)
    passes = [(generator.integers(0, 3, n), generator.integers(0, 2, n)) for n in (4000, 1, 300, 9000)]
    data = ans.encode(tables, passes)
    reader = ans.Decoder(tables, data, fast=fast)
    assert all((reader.decode(contexts) == symbols).all() for symbols, contexts in passes)
    return data


def ranked(fast: bool) -> bytes:
    x = np.random.default_rng(0).integers(0, 40, (100, 5)) ** 9 - 2**50
    ranks, away = recency.to_ranks(x)
    assert (recency.to_values(ranks, away) == x).all()
    return ranks.tobytes() + away.tobytes()


def ordered(fast: bool) -> bytes:
    return raster.Wave((0, 1, 2), (9, 20, 70)).compiled[0].tobytes()


def walked(sizes: ContextSizes) -> Callable[[bool], bytes]:
    def both(fast: bool) -> bytes:
        x, net = values((20, 70, 3), 30.0), some_net(sizes)
        found = walk.code(net, x, None, None, 640)
        counts = residual.TableCounts(TABLE_LEVELS)
        for part in found.residual:
            counts.add(part.symbols, part.contexts)
        tables, _ = residual.tables_from_bytes(counts.to_bytes(), TABLE_LEVELS)
        data = residual.encode(tables, found.residual)
        reader = residual.Decoder(tables, data, fast=fast)
        assert walk.decode(net, reader, x.shape, None, 640, whole=False).tobytes() == found.value.tobytes()
        return data

    return both


BISECTION = walked(ContextSizes(((0,), (1, 2)), 16, 10))
# by module: what is computed with it, compiled or not; a walk goes through the network, its runs and their residuals
TWINS: dict[str, tuple[Callable[[bool], bytes], ...]] = {
    "aezip.entropy.ans": (coded,),
    "aezip.entropy.residual": (BISECTION,),
    "aezip.plans.columns.recency": (ranked,),
    "aezip.plans.context.bisection": (BISECTION,),
    "aezip.plans.context.net": (BISECTION,),
    "aezip.plans.context.raster": (ordered, walked(ContextSizes((), 16, 10, scan=(0, 1, 2)))),
    "aezip.plans.context.signal": (walked(ContextSizes((), 16, 10, columns=3)),),
    "aezip.plans.context.walk": (BISECTION,),
}


def twin(name: str) -> str:
    """Return the NumPy module of a compiled one."""
    package, _, last = name.rpartition(".")
    return f"{package}.{last.removeprefix('_').removesuffix('_jit')}"


def test_every_compiled_module_has_its_twin() -> None:
    assert sorted(map(twin, COMPILED)) == sorted(TWINS)
    assert set(TWINS) <= set(MODULES)


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_modules_are_fetched_by_their_twins_or_what_drives_them(name: str) -> None:
    package = name.rpartition(".")[0]
    users = {other for other, path in MODULES.items() if name in imports(path)} - set(COMPILED)
    assert users <= {twin(name), f"{package}.fast", f"{package}.bisected"}


@pytest.mark.parametrize("name", sorted(TWINS))
def test_twins_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    for computed in TWINS[name]:
        found = []
        for fast in (False, True):
            monkeypatch.setattr(jit, "ENOUGH", 0 if fast else 1 << 60)
            monkeypatch.setattr(ans, "_ENOUGH", 1)
            found.append(computed(fast))
        assert found[0] == found[1]
