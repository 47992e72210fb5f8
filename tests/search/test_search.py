"""The stages of a search, the parts of an array that they look at, and what is told by principal components."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aezip.array.layout import Piece, central
from aezip.core.errors import InvalidInput
from aezip.core.progress import Progress
from aezip.plans.bytes import BytesPlan
from aezip.quantize.grid import HiddenGrid, LinearGrid
from aezip.quantize.lattice import IntegerLattice
from aezip.search import choose, contexts, linear
from aezip.search.choice import Choice, Found, Wish, smallest
from aezip.search.contexts import Way
from aezip.search.family import Family, Stage
from aezip.search.presets import PRESETS
from aezip.search.registry import FAMILIES
from aezip.search.sample import Part, Sample


def sample_of(x: np.ndarray[Any, Any], preset: str = "fast", masked: Any = None) -> Sample:
    fine = None if x.dtype.kind in "iu" else LinearGrid(np.array(1.0), np.array(0.0), False)
    wholes = [HiddenGrid(IntegerLattice()) if fine is None else LinearGrid(np.array(1.0), np.array(0.0), True)]
    piece = Piece(x, masked, 0)
    return Sample([piece], 1.0, [piece], fine, wholes, PRESETS[preset], 0, "cpu", Progress(None))


def stages(sample: Sample, size: float = 1e6, best: float = math.inf, **wish: Any) -> list[str]:
    found = Found([Choice(BytesPlan(False), None, size)], [Choice(BytesPlan(False), None, best)])
    return [stage.name for stage in choose.stages(sample, found, Wish(**wish))]


def test_a_search_goes_through_the_stages_that_may_pay() -> None:
    x = np.random.default_rng(0).normal(size=(40, 30))
    everything = ["UNTRAINED", "STATIC", "SHORT", "FULL"]
    assert stages(sample_of(x)) == everything
    assert stages(sample_of(x), size=choose.SMALL - 1.0) == ["UNTRAINED", "STATIC", "BUILT_IN"]
    assert stages(sample_of(x), size=choose.SMALL - 1.0, learned_only=True) == everything
    assert stages(sample_of(x, "instant")) == ["UNTRAINED", "BUILT_IN", "STATIC"]
    assert stages(sample_of(x, "instant"), best=1e5) == ["UNTRAINED", "BUILT_IN"]
    assert stages(sample_of(x[:4])) == ["UNTRAINED"]
    assert stages(sample_of(x * 1e30)) == ["UNTRAINED"]  # integers beyond what networks compute with
    with pytest.raises(InvalidInput, match="trains nothing"):
        stages(sample_of(x, "instant"), learned_only=True)


def test_each_family_says_what_it_does_in_which_stage() -> None:
    sample, found = sample_of(np.zeros((40, 30))), Found([Choice(BytesPlan(False), None, 1.0)])
    idle = Family.__new__(type("Idle", (Family,), {"name": "idle"}))
    for stage in Stage:
        assert list(idle.tried(stage, sample, found, Wish())) == []
    assert all(any(name in vars(type(f)) for name in ("untrained", "static", "built_in", "short", "full")) for f in FAMILIES)


def test_a_search_ends_with_bytes_where_all_families_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(Family):
        name = "failing"

        def tried(self, *_: Any) -> Any:
            raise MemoryError

    monkeypatch.setattr("aezip.search.registry.FAMILIES", (Failing(),))
    sample = sample_of(np.random.default_rng(0).normal(size=(400, 30)))
    assert choose.search(sample, Wish()).plan == BytesPlan(False)
    assert all("failing" in name and math.isinf(size) for name, size in sample.tried)


def test_the_first_of_equals_is_taken() -> None:
    first, second = Choice(BytesPlan(False), None, 3.0), Choice(BytesPlan(True), None, 3.0)
    assert smallest([first, second]) is first
    assert smallest([], default=second) is second
    with pytest.raises(ValueError, match="empty"):
        smallest([])


def test_the_middle_of_a_piece() -> None:
    x = np.arange(20 * 6 * 5).reshape(20, 6, 5)
    part = central(Piece(x, x % 2 == 0, 100), 4 * 30)
    assert part.start == 108
    assert (part.x == x[8:12]).all()
    assert part.masked is not None
    assert (part.masked == (x % 2 == 0)[8:12]).all()
    assert central(Piece(x, None, 0), 10).x.shape == (1, 2, 5)
    assert central(Piece(np.arange(9), None, 0), 3).x.tolist() == [3, 4, 5]


def test_parts_of_a_sample_stand_for_the_whole() -> None:
    x = np.random.default_rng(0).normal(size=(64, 200, 200)).cumsum(axis=1)
    sample = sample_of(x, "instant")
    for part in Part:
        pieces, share = sample.part(part)
        values = sum(p.x.size for p in pieces)
        assert values <= {Part.CROP: PRESETS["instant"].crop, Part.MIDDLE: PRESETS["instant"].middle, Part.ALL: x.size}[part]
        assert 0.7 * x.size <= share * values <= 1.3 * x.size  # alike everywhere
    small = sample_of(x[:3])
    assert small.part(Part.MIDDLE)[0] is small.context_pieces


def test_principal_components_tell_whether_rows_share_features() -> None:
    random = np.random.default_rng(0)
    shared = random.normal(size=(3000, 3)) @ random.normal(size=(3, 40)) * 100
    shuffled = random.permuted(shared, axis=0)
    some, none = (linear.estimate(sample_of(x)).size for x in (shared, shuffled))
    assert 0 < some < 0.5 * none
    bits = np.log2(100 * np.sqrt(3)) + 2.05  # of independent values
    assert none == pytest.approx(shared.size * bits / 8, rel=0.15)
    assert linear.estimate(sample_of(shared, masked=shared > 1e9)).size == 0.0
    assert linear.estimate(sample_of(shared[:30])).size == 0.0


def test_ways_that_are_close_are_compared_on_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is best on the crop is not what is best on the middle, with linear parts fitted, or after some training."""
    sample = replace(sample_of(np.zeros((30, 40, 50))), preset=PRESETS["balanced"])
    ways = [Way(((axis,),)) for axis in range(4)]
    sizes = {  # on the crop, on the middle, fitted, trained on
        ways[0]: (1000.0, 1000.0, 1000.0, 990.0),
        ways[1]: (1100.0, 1010.0, 1005.0, 900.0),
        ways[2]: (1200.0, 2000.0, 1.0, 1.0),  # far from the best on the middle
        ways[3]: (1300.0, 1.0, 1.0, 1.0),  # far from the best on the crop
    }

    def made(way: Way, at: int) -> Any:
        plan = type("Plan", (), {"builtin": 1, "way": way})()
        return Choice(plan, sample.wholes[0], sizes[way][at])

    monkeypatch.setattr(contexts, "way_of", lambda choice: choice.plan.way)
    monkeypatch.setattr(contexts, "as_it_is", lambda sample, grid, way, part, fit=False: made(way, 2 if fit else 1))
    monkeypatch.setattr(contexts, "train", lambda sample, grid, way, *_, **__: made(way, 3))
    done = [made(way, 0) for way in ways]
    assert contexts._sure(sample, done) is done[1]
    untrained = replace(sample, preset=PRESETS["instant"])
    assert contexts._sure(untrained, done) is done[0]


@pytest.mark.parametrize(("size", "own"), [(990.0, True), (800.0, False), (990.0, False)])
def test_a_built_in_network_that_stays_as_it_is_gives_way_to_one_of_its_own(
    size: float, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = replace(sample_of(np.zeros((30, 40, 50))), preset=PRESETS["balanced"])
    ways = [Way(((0,),)), Way(((1,),))]
    monkeypatch.setattr(contexts, "_ways", lambda sample: ways)
    trained: list[tuple[Way, int, int, int]] = []

    def choice(way: Way, bytes_: float) -> Any:
        return Choice(type("Plan", (), {"builtin": 1, "way": way})(), sample.grids[0], bytes_ * 1000)

    def train(sample: Sample, grid: Any, way: Way, hidden: int, steps: int, *, builtin: int = 0, **_: Any) -> Any:
        trained.append((way, hidden, steps, builtin))
        return choice(way, size if builtin else 700.0 - 100.0 * ways.index(way))

    monkeypatch.setattr(contexts, "way_of", lambda choice: choice.plan.way)
    monkeypatch.setattr(contexts, "as_it_is", lambda sample, grid, way, part, fit=False: choice(way, 1000.0))
    monkeypatch.setattr(contexts, "train", train)
    plain = 2000e3 if own or size < 900 else 1001e3  # there is much to find, or little
    found = contexts.adapted(sample, choice(ways[0], 1000.0), plain)
    assert own == any(way == ways[1] and steps == PRESETS["balanced"].context_steps for way, _, steps, _ in trained)
    assert (min(c.size for c in found) == 600e3) == own
