"""Built-in networks: named by number and SHA-256, the same for ever; changes to them; installations that lack one."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip.core.errors import CorruptFile, ModelMismatch, UnsupportedVersion
from aezip.core.planes import Cursor
from aezip.plans.context import builtin
from aezip.plans.context.net import ContextSizes

ORDER = ((0,), (1, 2))


def field(shape: tuple[int, ...] = (24, 40, 48)) -> np.ndarray:
    rng = np.random.default_rng(1)
    t, y, x = np.meshgrid(*map(np.arange, shape), indexing="ij")
    return (np.sin(t / 7 + y / 9) * 10 + np.cos(x / 11 - t / 5) * 6 + 0.02 * rng.normal(size=shape)).astype("f4")


@pytest.mark.parametrize("number", range(1, len(builtin.BUILTINS) + 1))
def test_networks_are_what_they_were(number: int) -> None:
    known = builtin.BUILTINS[number - 1]
    data = (builtin.FOLDER / f"{known.name}.net").read_bytes()
    assert hashlib.sha256(data).hexdigest() == known.sha256
    net = builtin.load(number, known.sizes)
    assert net.sizes == known.sizes
    assert builtin.from_json(builtin.to_json(number)) == number
    assert builtin.number_for(known.sizes, whole=known.whole) >= number


def test_all_networks_together_are_small() -> None:
    files = list(builtin.FOLDER.glob("*.net"))
    assert {f.stem for f in files} == {b.name for b in builtin.BUILTINS}
    assert sum(f.stat().st_size for f in files) < 1 << 20


def test_changes_come_back() -> None:
    rng = np.random.default_rng(0)
    sizes = ContextSizes(((2,), (0, 1)), builtin.HIDDEN, 20)
    number = builtin.number_for(sizes, whole=False)
    start = builtin.load(number, sizes)
    assert builtin.changes_to_bytes(start, start) == b""
    weight = start.first.weight.copy()
    weight[rng.random(weight.shape) < 0.3] = rng.integers(-128, 128, 1)[0]
    skip = start.skip + rng.integers(-5, 6, start.skip.shape).astype(np.int32)
    changed = replace(start, first=replace(start.first, weight=weight), skip=skip, types=None)
    again = builtin.changed(start, Cursor(builtin.changes_to_bytes(changed, start)))
    for mine, other in zip(builtin._arrays(again), builtin._arrays(changed), strict=True):
        assert mine.dtype == other.dtype
        assert (mine == other).all()


@pytest.mark.parametrize("bound", [aezip.RangeRelative(1e-3), aezip.RangeRelative(1e-2)])
def test_instant_trains_nothing_and_names_the_network(bound: aezip.Bound) -> None:
    x = field()
    data, report = aezip.compress(x, bound=bound, preset="instant")
    assert report.plan is not None
    assert "builtin" in report.plan
    y = aezip.decompress(data)
    assert np.abs(y.astype("f8") - x).max() <= bound.value * np.ptp(x)
    with aezip.open(data) as archive:
        assert archive["data"][3:5].tobytes() == y[3:5].tobytes()


@pytest.mark.parametrize("options", [{"codes": True}, {"variant": "sparse"}, {"recommend": True}])
def test_instant_refuses_what_needs_training(options: dict[str, Any]) -> None:
    with pytest.raises(aezip.InvalidInput, match="instant"):
        aezip.compress(field((6, 8, 9)), preset="instant", **options)


def test_a_network_that_is_missing_or_altered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _ = aezip.compress(field(), bound=aezip.RangeRelative(1e-3), preset="instant")
    builtin._loaded.cache_clear()
    monkeypatch.setattr(builtin, "FOLDER", tmp_path)
    with pytest.raises(ModelMismatch, match=r"\.net cannot be read"):
        aezip.decompress(data)
    for known in builtin.BUILTINS:
        (tmp_path / f"{known.name}.net").write_bytes(b"x" * 100)
    with pytest.raises(ModelMismatch, match=r"\.net is not what it was"):
        aezip.decompress(data)
    builtin._loaded.cache_clear()


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({}, CorruptFile), (3, CorruptFile), ({"number": 0, "sha256": ""}, CorruptFile),
        ({"number": True, "sha256": ""}, CorruptFile),
        ({"number": 1, "sha256": "00"}, CorruptFile), ({"number": 10**6, "sha256": ""}, UnsupportedVersion),
    ],
)  # fmt: skip
def test_odd_names_are_refused(said: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        builtin.from_json(json.loads(json.dumps(said)))


def test_a_network_for_another_way_is_refused() -> None:
    number = builtin.number_for(ContextSizes(ORDER, 32, 10), whole=False)
    for order, hidden, spike in ((((0, 1),), 32, None), (ORDER, 16, None), (ORDER, 32, 3)):
        sizes = ContextSizes(order, hidden, 10, spike=spike)
        with pytest.raises(CorruptFile):
            builtin.load(number, sizes)
    assert builtin.number_for(ContextSizes(ORDER, 32, 10, spike=3), whole=True) == 0
