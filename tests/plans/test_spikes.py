"""Spikes: a most frequent number of each feature told by flags, with codes and without."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import aezip
from aezip.codec import encoder as codec
from aezip.core.errors import CorruptFile
from aezip.plans.autoencoder.networks import Sizes, Spikes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.search.autoencoder import network_sizes, train
from aezip.search.choice import Choice, Wish
from aezip.search.layouts import candidates
from aezip.search.sample import Sample


def counts(rows: int, features: int) -> np.ndarray:
    """Return a table most of whose columns are a number of their own, most of the time, by groups of rows."""
    rng = np.random.default_rng(3)
    group = rng.integers(0, 2, (rows, 1))
    rest = rng.integers(-400, 4000, features)
    rare = rng.random((rows, features)) < np.where(group ^ (np.arange(features) % 2), 0.08, 0.5)
    values = np.where(rare, np.rint(rest + rng.gamma(2.0, 300.0, (rows, features))), rest)
    values[:, 0] = rng.integers(0, 100, rows)
    return (values / 1000).astype("f4")


def spiked(width: int, sample: Sample, wish: Wish) -> Choice[AutoencoderPlan]:
    """Take an autoencoder with spikes, trained shortly, or, for a width of 0, means and odds that do not change."""
    layout, grid = candidates(sample.shape)[0], sample.wholes[0]
    sizes = Sizes((tuple(range(layout.features)),), 0, 1, 0, True, spiked=True)
    if width:
        sizes = replace(network_sizes(layout, width, 8, grid), spiked=True)
    return train(sample, AutoencoderPlan(layout, None, sizes), grid, 80 if width else 0)


@pytest.mark.train
@pytest.mark.parametrize("width", [0, 2])
@pytest.mark.parametrize("bound", [aezip.Lossless(), aezip.Absolute(0.01)])
def test_spikes_keep_the_bound(width: int, bound: aezip.Bound, monkeypatch: pytest.MonkeyPatch) -> None:
    x = counts(300, 21)
    x[5, 3], x[7, 0], x[:4, 9] = np.nan, -0.0, np.inf
    monkeypatch.setattr(codec, "choose", partial(spiked, width))
    data, report = aezip.compress(x, bound=bound, preset="fast")
    assert report.plan["spiked"] is True
    y = aezip.decompress(data)
    finite = np.isfinite(x)
    assert (y[~finite].view("u4") == x[~finite].view("u4")).all()
    if isinstance(bound, aezip.Lossless):
        assert (y.view("u4") == x.view("u4")).all()
    assert (np.abs(y[finite].astype("f8") - x[finite]) <= 0.01).all()


@pytest.mark.train
def test_selection_finds_spikes_worth_their_flags() -> None:
    x = counts(700, 60)
    data, report = aezip.compress(x, bound=aezip.Lossless(), preset="fast")
    assert report.plan.get("spiked") is True
    assert (aezip.decompress(data) == x).all()
    told = x == np.array([np.unique(c, return_counts=True)[0][np.unique(c, return_counts=True)[1].argmax()] for c in x.T])
    share = told[:, 1:].mean()
    flags = -(share * np.log2(share) + (1 - share) * np.log2(1 - share)) * told.size / 8
    rest = (~told).sum() * 12 / 8  # gamma of scale 300: about 10.5 bits
    assert len(data) < flags + rest + 3500


def test_a_feature_without_a_spike_has_no_flags() -> None:
    spikes = Spikes(np.array([True, False]), np.array([7, 0]))
    assert spikes.hits(np.array([[7, 0], [0, 7]])).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("change", [{"whole": False}, {"by_feature": True}, {"groups": ((0,), (1,))}])
def test_spikes_where_there_can_be_none_are_corrupt(change: dict[str, Any]) -> None:
    sizes = Sizes(((0, 1),), 0, 1, 0, True, spiked=True)
    sizes.check()
    with pytest.raises(CorruptFile):
        replace(sizes, **change).check()
