"""The interface of plans is enough: a plan that no module of the package knows competes, wins, is written, sliced and read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pytest

import aezip
from aezip.core.errors import CorruptFile
from aezip.core.types import Array, Mask
from aezip.plans import registry
from aezip.plans.base import Coded, Plan, Sampled
from aezip.quantize.grid import Grid
from aezip.search import registry as families

PERIOD = 97
REST = np.random.default_rng(3).permutation(1 << 16).astype(np.int64)  # a secret that no other plan knows


@dataclass(frozen=True)
class Toy(Plan):
    """Values that follow a sequence both sides know: each chunk is the place where it begins, or is stored in full."""

    step: int

    kinds: ClassVar[tuple[str, ...]] = ("toy",)

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        if said.get("step") != PERIOD:
            raise CorruptFile("the step of a toy is wrong")
        return cls(PERIOD)

    def to_json(self) -> dict[str, Any]:
        return {"kind": "toy", "step": self.step}

    def describe(self) -> str:
        return "toy"

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        return [(cls(PERIOD), grid) for grid in sample.wholes]

    def expected(self, first: int, count: int) -> Any:
        return REST[(first + self.step * np.arange(count)) % len(REST)]

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        assert grid is not None
        k = grid.integers(x).reshape(-1)
        at = np.flatnonzero(k[0] == REST)
        first = int(at[0]) if len(at) else 0
        rest = b"" if (self.expected(first, len(k)) == k).all() else k.astype("<i8").tobytes()
        return Coded({"data": first.to_bytes(4, "little") + rest}, grid.values(k, x.dtype).reshape(x.shape))

    def decode(
        self,
        grid: Grid | None,
        networks: Any,
        streams: Mapping[str, bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        masked: Mask | None,
        workers: int = 1,
    ) -> Array:
        assert grid is not None
        count = int(np.prod(shape))
        k = self.expected(int.from_bytes(streams["data"][:4], "little"), count)
        if len(streams["data"]) > 4:
            k = np.frombuffer(streams["data"][4:], "<i8")
        return grid.values(k, dtype).reshape(shape)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PLANS", (*registry.PLANS, Toy))
    monkeypatch.setattr("aezip.codec.encoder.CHUNK_BYTES_PLAIN", 1 << 14)


def secret(rows: int = 5000) -> np.ndarray[Any, Any]:
    return REST[(11 + PERIOD * np.arange(rows * 8)) % len(REST)].reshape(rows, 8)


@pytest.mark.usefixtures("registered")
def test_it_competes_wins_is_written_sliced_and_read() -> None:
    x = secret()
    data, report = aezip.compress(x, preset="fast")
    assert report.plan == {"kind": "toy", "step": PERIOD}
    assert len(data) < x.nbytes / 20
    assert "toy" in " ".join(report.arrays[0].candidates)
    with aezip.open(data) as archive:
        view = archive["data"]
        assert view._decoder.chunk_count > 2
        assert (view[1000:4000:7, 3] == x[1000:4000:7, 3]).all()
    assert (aezip.decompress(data) == x).all()


@pytest.mark.usefixtures("registered")
def test_it_loses_where_it_does_not_suit() -> None:
    x = np.arange(40000).reshape(5000, 8)
    data, report = aezip.compress(x, preset="fast")
    assert report.plan is not None
    assert report.plan["kind"] != "toy"
    assert (aezip.decompress(data) == x).all()


def test_a_reader_that_does_not_know_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(registry, "PLANS", (*registry.PLANS, Toy))
        data, report = aezip.compress(secret(), preset="fast")
        assert report.plan is not None
        assert report.plan["kind"] == "toy"
    with pytest.raises(aezip.UnsupportedVersion, match="'toy' is not known: update aezip"):
        aezip.decompress(data)


def test_families_are_classes_of_their_own() -> None:
    """No strategy inherits from another."""
    kinds = [type(family) for family in families.FAMILIES]
    assert not [(a, b) for a in kinds for b in kinds if a is not b and issubclass(a, b)]
    assert len({family.name for family in families.FAMILIES}) == len(kinds)
