"""What defines each kind of autoencoder, and that asking for one really uses it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aezip
from aezip import cli
from aezip.codec.encoder import ArrayEncoder
from aezip.core.training.chance import Chance
from aezip.entropy import residual
from aezip.entropy.codebook import CodeBook
from aezip.plans.autoencoder import variants
from aezip.plans.autoencoder.networks import Sizes
from aezip.plans.autoencoder.rows import Rows
from aezip.plans.autoencoder.training import fit as training
from aezip.plans.autoencoder.training import layerwise as pretraining
from aezip.plans.autoencoder.training.fit import Fitted, Schedule
from aezip.search import choose as plan

FEATURES, STEPS = 24, 250


def curved(rows: int = 1500, features: int = FEATURES) -> np.ndarray:
    """Return rows near a bent surface of four dimensions, in steps."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(rows, 4))
    return np.tanh(latent @ rng.normal(size=(4, features)) * 0.5) * 20 + rng.normal(size=(rows, features)) * 0.3


def fitted(variant: str, *, steps: int = STEPS, x: np.ndarray | None = None) -> Fitted:
    x = curved() if x is None else x
    width = variants.width_for(variant, 6, x.shape[1])
    sizes = Sizes((tuple(range(x.shape[1])),), width, 24, 16, False)
    return training.fit(Rows(x, None, False), sizes, Schedule(steps, 0, variant=variant))


def decoded(fit: Fitted, x: np.ndarray) -> np.ndarray:
    """Return what the integer decoder makes of the codes of `x`, in steps."""
    assert fit.encoder is not None
    wide = fit.norm.codes(fit.encoder.codes(x).astype(np.int64))
    return fit.decoders[0].predict(wide >> (fit.norm.top - 8), wide)[0] / 64.0


@pytest.mark.train
def test_sparse_codes_are_overcomplete_and_mostly_zero() -> None:
    fit, x = fitted("sparse"), curved()
    assert fit.encoder is not None
    codes = fit.encoder.codes(x)
    assert codes.shape[1] > FEATURES
    assert ((codes != 0).sum(axis=1) <= variants.winners("sparse", codes.shape[1])).all()
    assert (codes == 0).mean() >= 0.85
    assert (codes != 0).any()
    assert np.square(decoded(fit, x) - x).mean() < 0.5 * x.var()


@pytest.mark.train
def test_zeros_of_a_sparse_code_cost_next_to_nothing() -> None:
    fit, x = fitted("sparse"), curved()
    assert fit.encoder is not None
    codes = fit.encoder.codes(x).astype(np.int64)
    book = CodeBook.choose([codes])
    tables, _ = residual.tables_from_bytes(book.counts([codes]).to_bytes(), codes.shape[1])
    kept = np.count_nonzero(codes)
    bits = 8 * len(residual.encode(tables, book.passes(codes)))
    assert bits < 1.5 * codes.size  # of which the codes that are not zero have nearly all
    zero = np.median(np.log2(4096 / tables.frequencies[:, 0]))
    assert zero < 0.2
    assert zero * (codes.size - kept) < 0.35 * bits


@pytest.mark.train
def test_denoising_puts_back_what_was_corrupted() -> None:
    x, rng = curved(), np.random.default_rng(1)
    fit = fitted("denoising")
    assert fit.encoder is not None
    assert fit.encoder.skip.shape[1] > FEATURES
    corrupted = np.where(rng.random(x.shape) < variants.CORRUPTED, fit.encoder.centre, x)
    before, after = np.square(corrupted - x).mean(), np.square(decoded(fit, corrupted) - x).mean()
    assert after < 0.75 * before
    assert np.square(decoded(fit, x) - x).mean() < 0.25 * before  # clean rows come back


def test_the_jacobian_is_exact() -> None:
    import torch

    from aezip.plans.autoencoder.training.module import Autoencoder

    torch.manual_seed(0)
    for variant in ("contractive", "stacked"):
        sizes = Sizes((tuple(range(7)),), 3, 8, 4, False)
        network = Autoencoder(sizes, torch.ones(7), torch.zeros(7), variant, Chance(0)).double()
        torch.nn.init.normal_(network.encoder_skip.weight)
        rows = torch.randn(5, 7, dtype=torch.float64)
        whole = torch.autograd.functional.jacobian(network.latent, rows)  # (5, 3, 5, 7)
        wanted = torch.stack([whole[i, :, i] for i in range(5)])
        assert torch.allclose(network.jacobian(rows), wanted, atol=1e-12)
        norm = torch.stack([torch.linalg.matrix_norm(j) ** 2 for j in wanted]).mean()
        assert torch.allclose(network.contraction(rows), norm)


def _norm(fit: Fitted, x: np.ndarray) -> float:
    """Return the mean squared Frobenius norm of the frozen encoder's Jacobian, by central differences."""
    encoder = fit.encoder
    assert encoder is not None
    total = 0.0
    for feature in range(x.shape[1]):
        step = np.zeros(x.shape[1])
        step[feature] = 0.02 * encoder.spread[feature]
        slope = (encoder.latents(x + step).astype("f8") - encoder.latents(x - step)) / 0.04
        total += float(np.square(slope).sum(axis=1).mean())
    return total


@pytest.mark.train
def test_the_contractive_penalty_shrinks_the_jacobian() -> None:
    x = curved()
    with_penalty, without = _norm(fitted("contractive"), x), _norm(fitted("deep"), x)
    assert with_penalty < 0.8 * without


@pytest.mark.train
@pytest.mark.parametrize("variant", ["stacked", "rbm"])
def test_layers_are_trained_in_order_each_on_what_the_one_below_makes(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "_fit_autoencoder" if variant == "stacked" else "_fit_machine"
    real, calls = getattr(pretraining, name), []

    def spied(start: Any, value: Any, steps: int, generator: Any) -> Any:
        layer = real(start, value, steps, generator)
        calls.append((value.clone(), layer))
        return layer

    monkeypatch.setattr(pretraining, name, spied)
    fit = fitted(variant)
    assert [layer.weight.shape for _, layer in calls] == [(24, FEATURES), (24, 24), (6, 24)]
    for (value, layer), (following, _) in pairwise(calls):
        assert (layer.up(value) == following).all()  # the layer below is finished and stays as it is
    assert fit.layers == tuple(layer for _, layer in calls)
    for layer in fit.layers:
        assert layer.errors[-1] < 0.7 * layer.errors[0]


@pytest.mark.train
def test_contrastive_divergence_lowers_the_reconstruction_error_of_every_machine() -> None:
    for layer in fitted("rbm").layers:
        assert layer.errors[-1] == min(layer.errors)
        assert np.mean(np.diff(layer.errors) < 0) >= 0.75


@pytest.mark.parametrize("variant", ["stacked", "rbm"])
def test_unrolled_layers_are_where_fine_tuning_starts(variant: str) -> None:
    import torch

    from aezip.plans.autoencoder.training.module import Autoencoder

    torch.manual_seed(0)
    x = torch.from_numpy(curved()).float()
    spread = torch.full((FEATURES,), 16.0)
    sizes = Sizes((tuple(range(FEATURES)),), 6, 24, 16, False)
    network = Autoencoder(sizes, spread, torch.zeros(FEATURES), variant, Chance(0))
    layers = pretraining.pretrain(x / spread, sizes, variant, 800, 0)
    left = pretraining.unroll(network, layers, x)
    assert torch.equal(network.hidden_layers[0].weight, layers[0].weight)
    assert torch.equal(network.decoders[0].mean.weight, layers[0].weight.T)
    assert float(left.square().mean()) < 0.3 * float(x.square().mean())


@pytest.mark.train
@pytest.mark.parametrize("variant", variants.VARIANTS[1:])
def test_a_variant_that_was_asked_for_is_used_and_keeps_the_bound(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quickest = plan.Preset(60, 20, 4, 3, context_steps=30, context_trial=10, context_trials=1, crop=1 << 14)
    monkeypatch.setitem(plan.PRESETS, "fast", quickest)
    x = curved(900).astype("f4")
    np.save(tmp_path / "x.npy", x)
    words = ["compress", str(tmp_path / "x.npy"), "--abs", "0.5", "--preset", "fast", "--variant", variant, "-q"]
    assert cli.run(words) == 0
    assert np.abs(aezip.decompress(tmp_path / "x.npy.aez").astype("f8") - x).max() <= 0.5
    with aezip.open(tmp_path / "x.npy.aez") as archive:
        assert archive.report().arrays[0].variant == variant
    assert cli.run(["info", str(tmp_path / "x.npy.aez")]) == 0
    assert f"variant   {variant}" in capsys.readouterr().out


@pytest.mark.train
def test_auto_tries_every_variant_and_takes_the_fewest_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    quickest = plan.Preset(60, 20, 4, 3, context_steps=30, context_trial=10, context_trials=1, crop=1 << 14)
    monkeypatch.setitem(plan.PRESETS, "fast", quickest)
    encoder = ArrayEncoder(curved(900), aezip.Absolute(0.5), preset="fast", variant="auto")
    encoder.prepare()
    names = " ".join(name for name, _ in encoder.tried)
    assert all(f"{name} autoencoder" in names for name in variants.VARIANTS[1:])
    assert encoder._choice.size <= min(size for _, size in encoder.tried) * 1.0001


@pytest.mark.parametrize("x", [np.arange(40.0), np.zeros((0, 8)), np.arange(2000, dtype="i8").reshape(1, -1) << 52])
def test_what_no_network_can_store_is_stored_without_one(x: np.ndarray) -> None:
    data, report = aezip.compress(x, variant="sparse", preset="fast")
    assert report.arrays[0].variant is None
    assert (aezip.decompress(data) == x).all()
    assert len(data) <= x.nbytes + 4096


def test_an_unknown_variant_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(aezip.InvalidInput, match="unknown variant 'deeper': use one of deep, sparse"):
        aezip.compress(curved(), variant="deeper")
    np.save(tmp_path / "x.npy", curved())
    assert cli.run(["compress", str(tmp_path / "x.npy"), "--variant", "vae"]) == 2
    assert "unknown variant 'vae'" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["x.npy"]


def test_a_file_of_an_unknown_variant_is_refused_by_name() -> None:
    from aezip.plans.autoencoder.plan import AutoencoderPlan

    known = {"layout": [1, 8], "difference": None, "width": 2, "hidden": 8, "scale_hidden": 4, "groups": None}
    known["by_feature"] = False
    assert AutoencoderPlan.from_json({**known, "variant": "rbm"}, (10, 8), whole=False).variant == "rbm"
    with pytest.raises(aezip.UnsupportedVersion, match="'quantum'"):
        AutoencoderPlan.from_json({**known, "variant": "quantum"}, (10, 8), whole=False)
    with pytest.raises(aezip.CorruptFile):
        AutoencoderPlan.from_json({**known, "variant": 3}, (10, 8), whole=False)
