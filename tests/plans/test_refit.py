"""Linear parts fitted without torch, and training on from a built-in network: never worse in the closed loop."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from aezip.plans.context import builtin, refit
from aezip.plans.context.net import BITS, ContextSizes
from aezip.plans.context.rows import ContextSample, RowsCollector
from aezip.plans.context.walk import Walk

SIZES = ContextSizes(((0,), (1, 2)), builtin.HIDDEN, BITS)


def sample(seed: int = 0, *, whole: bool = False) -> ContextSample:
    """Something with waves that no neighbour alone tells, in steps."""
    rng = np.random.default_rng(seed)
    t, y, x = np.meshgrid(np.arange(40), np.arange(24), np.arange(30), indexing="ij")
    values = 300 * np.sin(t * 0.9 + y / 5) + 80 * np.cos(x * 0.8 - t / 3) + rng.normal(size=t.shape) * 2
    return (
        ContextSample(np.rint(values), np.rint(values).astype(np.int64), None, 0)
        if whole
        else ContextSample(values, None, None, 0)
    )


@pytest.mark.parametrize("whole", [False, True])
def test_fitted_linear_parts_take_fewer_bits(whole: bool) -> None:
    samples = [sample(whole=whole)]
    start = refit.loop(builtin.load(builtin.number_for(SIZES, whole=whole), SIZES), samples, 1)
    fitted, rows = refit.refitted(start, samples, 0, 1)
    assert fitted.bits < 0.95 * start.bits
    assert len(rows.kind) > 0
    again, _ = refit.refitted(start, samples, 0, 2)
    assert again.bits == fitted.bits
    assert (again.net.skip == fitted.net.skip).all()


def test_what_is_not_better_in_the_closed_loop_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = [sample()]
    start = refit.loop(builtin.load(1, SIZES), samples, 1)
    monkeypatch.setattr(refit, "least_squares", lambda sizes, rows: np.full((sizes.kinds, sizes.places), 0.4, np.float32))
    assert refit.refitted(start, samples, 0, 1)[0] is start


def test_means_in_floating_point_are_those_of_the_network() -> None:
    net = builtin.load(1, SIZES)
    values = sample().target
    walk = Walk(SIZES, values.shape, 0)
    walk.context[...] = np.rint(values * 64)
    compared = 0
    for tile in itertools.islice(walk.tiles(net.pair), 1, None, 7):
        collector = RowsCollector(SIZES, 1.0, np.random.default_rng(0))
        collector.take(tile, tile.of(values).reshape(-1) * 64, None, None)
        rows = collector.rows()
        mean = net.predict(tile.kind, tile.active, tile.neighbours)[0]
        reference = tile.of(values).reshape(-1) - rows.target  # in steps
        np.testing.assert_allclose(refit._means(net, rows) + reference, mean / 64, atol=0.02, rtol=1e-3)
        compared += len(mean)
    assert compared > 1000


def test_nothing_here_loads_torch() -> None:
    program = "import sys, aezip.plans.context.refit, aezip.search.choose\nprint('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.train
@pytest.mark.parametrize("steps", [1, 120])
def test_training_on_is_never_worse(steps: int) -> None:
    from aezip.plans.context.training.fit import fit

    samples = [sample()]
    net = builtin.load(1, SIZES)
    before = refit.loop(net, samples, 1)
    made = fit(SIZES, samples, steps, 0, 1.5e-3, (0.5,), resumed=net, threads=1, adapt=True)
    assert refit.loop(made.net, samples, 1).bits <= before.bits
    assert (made.net.skip_exponent == net.skip_exponent).all()
