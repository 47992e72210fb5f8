"""Models that are trained once: what their files promise, and what happens where a model does not suit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers import head_of, resigned

import aezip
from aezip import cli
from aezip.archive import models
from aezip.container import header
from aezip.container.reader import Reader
from aezip.plans.context.plan import ContextNetworks, ContextPlan
from aezip.search import choose as plan

BOUND = aezip.Absolute(0.05)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quickest = plan.Preset(60, 20, 2, 3, context_steps=30, context_trial=10, context_trials=1, crop=1 << 12)
    monkeypatch.setitem(plan.PRESETS, "fast", quickest)
    monkeypatch.delenv(models.PATH, raising=False)


def spectra(rows: int, seed: int = 0) -> np.ndarray:
    """Return rows of three smooth ingredients and a little noise."""
    rng = np.random.default_rng(seed)
    wave = np.arange(48) / 48
    parts = np.stack([np.exp(-((wave - c) ** 2) / 0.02) for c in (0.2, 0.5, 0.8)])
    return (rng.gamma(2.0, size=(rows, 3)) @ parts + rng.normal(scale=0.03, size=(rows, 48))).astype("f4")


def field(frames: int, seed: int = 0) -> np.ndarray:
    t, y, x = np.meshgrid(np.arange(frames // 10), np.arange(24), np.arange(20), indexing="ij")
    noise = np.random.default_rng(seed).normal(scale=0.02, size=t.shape)
    return (np.sin(0.3 * t + 0.2 * x + seed) * np.cos(0.15 * y) + noise).astype("f4")


def signal(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.normal(size=(samples, 2)), axis=0).astype("f4")


def table(rows: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 500, rows)
    return np.stack([a, 2 * a + rng.integers(0, 3, rows), rng.integers(0, 40, rows), a // 7], axis=1).astype("i4")


@pytest.fixture(scope="module")
def model() -> aezip.Model:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(plan.PRESETS, "fast", plan.Preset(120, 40, 3, 3, 80, 20, 1, 1 << 14))
        return aezip.train(spectra(800), bound=BOUND, preset="fast", variant="contractive")


@pytest.mark.train
@pytest.mark.parametrize(
    ("make", "bound"),
    [(spectra, BOUND), (field, BOUND), (signal, aezip.Absolute(0.1)), (table, aezip.Lossless())],
    ids=["spectra", "field", "signal", "table"],
)
def test_a_model_saved_and_loaded_encodes_to_the_same_bytes(make: Any, bound: aezip.Bound, tmp_path: Path) -> None:
    counts = {spectra: (400, 4000), field: (400, 130)}.get(make, (3000, 900))  # a small file would do without its model
    first, second = make(counts[0]), make(counts[1], seed=1)
    model = aezip.train(first, bound=bound, preset="fast")
    model.save(tmp_path / "m.aezm")
    loaded = aezip.Model.load(tmp_path / "m.aezm")
    assert loaded.id == model.id
    data, report = aezip.compress(second, bound=bound, model=loaded)
    assert data == aezip.compress(second, bound=bound, model=model)[0]
    assert report.plan["kind"] == model.plan["kind"]
    assert sum(report.bytes.values()) == len(data)
    aezip.verify(second, data)
    assert (aezip.decompress(data) == second).all() or isinstance(bound, aezip.Absolute)
    codec = aezip.Codec(bound=bound, model=tmp_path / "m.aezm", embed_model=False)
    small = codec.encode(second)
    assert len(small) < len(data)
    assert codec.decode(small).tobytes() == aezip.decompress(data).tobytes()


@pytest.mark.train
def test_no_network_is_trained_with_a_model(model: aezip.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from aezip.plans.autoencoder.training import fit as training

    monkeypatch.setattr(training, "fit", lambda *a, **k: pytest.fail("trained"))
    _, report = aezip.compress(spectra(4000, 1), bound=BOUND, model=model)
    assert report.arrays[0].variant == "contractive"
    assert report.arrays[0].trained == model.reference(embedded=True)


@pytest.mark.train
@pytest.mark.parametrize("embed", [True, False])
def test_a_model_that_does_not_suit_is_left_away(model: aezip.Model, embed: bool) -> None:
    x = np.repeat(np.random.default_rng(2).normal(size=(1, 48)), 4000, axis=0).astype("f4")  # all rows the same
    data, report = aezip.compress(x, bound=BOUND, model=model, embed_model=embed)
    assert report.plan["kind"] not in ("autoencoder", "context")
    assert report.arrays[0].trained is None
    assert len(data) < 10_000
    aezip.verify(x, data)  # without the model


@pytest.mark.train
def test_a_model_that_costs_more_than_it_saves_is_not_put_into_a_file(model: aezip.Model) -> None:
    x = spectra(150, 1)
    inside, outside = (aezip.compress(x, bound=BOUND, model=model, embed_model=e)[1] for e in (True, False))
    assert inside.arrays[0].trained is None
    assert outside.arrays[0].trained is not None
    assert inside.file_bytes < outside.file_bytes + model.stream_bytes


def test_the_id_is_the_digest_that_closes_the_file(model: aezip.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "m.aezm")
    root, rest = head_of(tmp_path / "m.aezm")
    with h5py.File(tmp_path / "m.aezm") as file:
        head, data = bytes(file["header"][:]), bytes(file["data"][:])
    assert model.id == head[-32:].hex() == hashlib.sha256(head[:-32]).hexdigest()
    assert root["kind"] == "model"
    assert root["features"] == ["model"]
    (about,) = root["arrays"]
    assert about["plan"]["variant"] == "contractive"
    assert about["streams"] == ["encoder", "model"]
    lengths = [length for segments in model_frames(tmp_path / "m.aezm").values() for _, length, _ in segments]
    parts = data[: lengths[0]], data[lengths[0] :]
    assert rest[-32:] == hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


def model_frames(path: Path) -> dict[str, list[tuple[int, int, int]]]:
    with Reader(str(path)) as reader:
        return reader._entries[reader.names[0]].frames


@pytest.mark.train
def test_a_file_by_reference_needs_its_model(model: aezip.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, path = spectra(300, 1), tmp_path / "x.aez"
    report = aezip.compress(x, path, bound=BOUND, model=model, embed_model=False)
    assert "model" not in report.bytes
    assert report.ratio_with_model < report.ratio == report.ratio_without_model
    with pytest.raises(aezip.ModelMismatch, match="which is not in AEZIP_MODEL_PATH: give it with -m"):
        aezip.decompress(path)
    y = aezip.decompress(path, model=model)
    assert np.abs(x.astype("f8") - y).max() <= 0.05
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a_broken.aezm").write_bytes(b"no model")
    aezip.Model(model.data).save(folder / "b.aezm")
    monkeypatch.setenv(models.PATH, f"{tmp_path / 'nowhere'}:{folder}")
    assert (aezip.decompress(path) == y).all()
    with aezip.open(path) as archive:
        assert (archive["data"][10:20] == y[10:20]).all()


def test_old_readers_refuse_references_by_name(model: aezip.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data = aezip.compress(spectra(300, 1), bound=BOUND, model=model, embed_model=False)[0]
    monkeypatch.setattr(header, "FEATURES", frozenset())
    with pytest.raises(aezip.UnsupportedVersion, match="'model-reference'"):
        aezip.open(data)
    with pytest.raises(aezip.UnsupportedVersion, match="'model'"):
        aezip.Model(model.data)


@pytest.mark.train
def test_another_model_is_refused_by_its_id(model: aezip.Model, tmp_path: Path) -> None:
    path = tmp_path / "x.aez"
    aezip.compress(spectra(300, 1), path, bound=BOUND, model=model, embed_model=False)
    other = aezip.train(spectra(800, 5), bound=BOUND, preset="fast", seed=1)
    with pytest.raises(aezip.ModelMismatch, match="this is"):
        aezip.decompress(path, model=other)


@pytest.mark.parametrize(
    ("x", "bound", "message"),
    [
        (spectra(100)[:, :40], BOUND, "the model is for arrays of shape"),
        (spectra(100)[None], BOUND, "the model is for arrays of shape"),
        (spectra(100).astype("f8"), BOUND, "the model is for float32"),
        (spectra(100), aezip.Lossless(), "the model is for the bound absolute"),
        (spectra(100), aezip.RangeRelative(1e-3, per_feature=True), "the bound absolute, asked is range-relative per"),
        (spectra(100), aezip.Absolute(1e-4), "the model's steps are"),
        (spectra(100), aezip.Absolute(1e-9), "the bound leaves no steps"),
    ],
    ids=["features", "axes", "dtype", "lossless", "kind", "tighter", "too tight"],
)
def test_a_model_for_other_arrays_is_refused(x: np.ndarray, bound: aezip.Bound, message: str, model: aezip.Model) -> None:
    with pytest.raises(aezip.ModelMismatch, match=message) as failure:
        aezip.compress(x, bound=bound, model=model)
    assert "\n" not in str(failure.value)
    assert failure.value.exit_code == 5


@pytest.mark.train
def test_the_bound_holds_where_a_model_suits_badly(model: aezip.Model) -> None:
    x = spectra(200, 3) * 40 + 1000
    x[3, 5] = np.nan
    data, _ = aezip.compress(x, bound=BOUND, model=model)
    y = aezip.decompress(data)
    assert np.isnan(y[3, 5])
    assert np.nanmax(np.abs(x.astype("f8") - y)) <= 0.05
    assert len(data) <= x.nbytes + 4096


def test_a_damaged_model_is_refused(model: aezip.Model, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for place in (*range(0, 200, 23), *rng.integers(0, len(model.data), 60)):
        broken = bytearray(model.data)
        broken[int(place)] ^= 1 << int(rng.integers(8))
        try:
            same = aezip.Model(bytes(broken)).id == model.id  # a byte that no one reads
        except aezip.AezipError:
            continue
        assert same
    for length in range(0, len(model.data), 211):
        with pytest.raises(aezip.AezipError):
            aezip.Model(model.data[:length])
    (tmp_path / "m.aezm").write_bytes(model.data[:-100])
    with pytest.raises(aezip.CorruptFile, match=r"m\.aezm: "):
        aezip.Model.load(tmp_path / "m.aezm")


@pytest.mark.parametrize("way", [[], ["--sandbox"]])
def test_the_command_test_takes_models(
    way: list[str], model: aezip.Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, broken, archive = tmp_path / "good.aezm", tmp_path / "broken.aezm", tmp_path / "archive.aezm"
    good.write_bytes(model.data)
    middle = len(model.data) // 2
    broken.write_bytes(model.data[:middle] + bytes([model.data[middle] ^ 1]) + model.data[middle + 1 :])
    archive.write_bytes(aezip.Codec().encode(np.arange(5)))
    assert cli.run(["test", *way, str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: good\n"
    for path, code in ((broken, 3), (archive, 2), (tmp_path / "none.aezm", 2)):
        assert cli.run(["test", *way, str(path)]) == code
        err = capsys.readouterr().err
        assert err.startswith(f"aezip: error: {path}")
        assert err.count("\n") == err.count(path.name) == 1


def _signed(model: aezip.Model, change: Any) -> bytes:
    """Return a model with a changed header and digests made right again."""
    return resigned(model.data, lambda told: change(told["arrays"][0]))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(encoder=None),
        lambda h: h["encoder"].update(hidden=1 << 40),
        lambda h: h["encoder"].update(hidden=7),
        lambda h: h["encoder"].update(winners=-1),
        lambda h: h.update(bound={"kind": "absolute"}),
        lambda h: h.update(bound=None),
        lambda h: h.update(plan={"kind": "bytes", "shuffled": True}),
        lambda h: h["plan"].update(hidden=99),
        lambda h: h.update(shape=[0, 48, 1]),
        lambda h: h.update(shape=[5, 48]),
        lambda h: h.update(grid=None),
    ],
)
def test_a_model_that_was_signed_again_is_still_checked(change: Any, model: aezip.Model) -> None:
    data = _signed(model, change)
    with pytest.raises(aezip.AezipError) as failure:
        aezip.Model(data)
    assert failure.value.exit_code in (3, 6, 7)


def test_training_on_starts_where_the_model_ended(model: aezip.Model) -> None:
    from aezip.plans.autoencoder import chunk as network
    from aezip.plans.autoencoder.training import fit as training

    trained, x = model.trained, spectra(800)
    inner = trained.plan.base if isinstance(trained.plan, ContextPlan) else trained.plan
    frozen = trained.model.base if isinstance(trained.model, ContextNetworks) else trained.model
    rows = training.Rows(network.prepare(inner, trained.grid, x, None).target, None, False)
    start = training.Start(trained.encoder, frozen.decoders, frozen.norm)
    one = training.Schedule(1, 0, learning_rate=0.0, variant=inner.variant)  # no learning: what was loaded
    loaded = training.fit(rows, inner.sizes, one, start=start)
    fresh = training.fit(rows, inner.sizes, one)
    assert loaded.rate < 0.9 * fresh.rate
    for old, new in zip(frozen.decoders, loaded.decoders, strict=True):
        for name in ("first", "second", "mean", "skip"):
            assert (getattr(old, name).weight == getattr(new, name).weight).mean() > 0.99


@pytest.mark.train
@pytest.mark.parametrize("make", [spectra, field, signal, table], ids=lambda f: f.__name__)
def test_any_learned_plan_can_be_trained_on(make: Any) -> None:
    x = make(2000 if make in (signal, table) else 300)
    bound = aezip.Lossless() if make is table else BOUND
    first = aezip.train(x, bound=bound, preset="fast")
    second = aezip.train(make(len(x), seed=2), bound=bound, preset="fast", init_from=first)
    how = ("by_feature", "builtin")  # how it is stored, which the bytes decide
    assert {k: v for k, v in second.plan.items() if k not in how} == {k: v for k, v in first.plan.items() if k not in how}
    assert second.id != first.id
    data, _ = aezip.compress(x, bound=bound, model=second)
    aezip.verify(x, data)


@pytest.mark.train
def test_train_and_use_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, c, m = (str(tmp_path / name) for name in ("a.npy", "b.npy", "c.npy", "m.aezm"))
    for path, seed in ((a, 0), (b, 1), (c, 2)):
        np.save(path, spectra(400, seed))
    assert cli.run(["train", a, b, "-o", m, "--abs", "0.05", "--preset", "fast", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["id"] == aezip.Model.load(m).id
    assert cli.run(["train", a, "-o", m, "--abs", "0.05", "--preset", "fast"]) == 2  # exists
    assert "exists" in capsys.readouterr().err
    assert cli.run(["compress", c, "--abs", "0.05", "-m", m, "--no-embed-model", "-q"]) == 0
    assert cli.run(["info", f"{c}.aez"]) == 0
    assert "a shared model pays from" in capsys.readouterr().out
    assert cli.run(["decompress", f"{c}.aez", "-o", str(tmp_path / "d.npy")]) == 5
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "give it with -m" in line
    assert not (tmp_path / "d.npy").exists()
    assert cli.run(["decompress", f"{c}.aez", "-m", m, "-o", str(tmp_path / "d.npy")]) == 0
    assert cli.run(["test", f"{c}.aez", "-m", m]) == 0
    assert cli.run(["test", f"{c}.aez"]) == 5
    assert cli.run(["verify", c, f"{c}.aez", "-m", m]) == 0
    assert cli.run(["compress", c, "-m", m, "-f"]) == 5  # lossless is another kind of bound
    assert cli.run(["compress", c, "-m", f"{c}.aez", "--abs", "0.05", "-f"]) == 2
    assert "not a model" in capsys.readouterr().err
    assert cli.run(["decompress", m, "-o", str(tmp_path / "e.npy")]) == 2
    assert "this is a model" in capsys.readouterr().err
    assert cli.run(["compress", c, "-m", str(tmp_path / "none.aezm"), "--abs", "0.05", "-f"]) == 2
    assert cli.run(["compress", c, "--no-embed-model", "-f"]) == 2
    (tmp_path / "m.aezm").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(300))
    assert cli.run(["compress", c, "-m", m, "--abs", "0.05", "-f"]) == 3


def test_arrays_that_cannot_share_a_model_and_data_without_pattern_are_refused() -> None:
    with pytest.raises(aezip.InvalidInput, match="cannot share a model"):
        aezip.train([spectra(10), spectra(10)[:, 1:]], bound=BOUND)
    with pytest.raises(aezip.InvalidInput, match="no network pays"):
        aezip.train(np.arange(50.0), preset="fast")
