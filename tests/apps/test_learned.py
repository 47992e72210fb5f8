"""What an autoencoder learned is shown as it is: responses are those of the decoder, maps those of the codes."""

from pathlib import Path

import numpy as np
import pytest
from helpers import GOLDEN, QUICK

import aezip
from aezip.apps.learned import learned
from aezip.cli.commands import run
from aezip.search.presets import PRESETS

pytestmark = pytest.mark.train
BANDS = np.linspace(0, 1, 40)
SHAPES = np.stack([np.exp(-((BANDS - 0.3) ** 2) / 0.01), np.exp(-((BANDS - 0.7) ** 2) / 0.02)])


@pytest.fixture(scope="module")
def spectra():
    """Return two spectra mixed over a plane: one more on the right, one more below."""
    across, down = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 20))
    mixed = across[..., None] * SHAPES[0] + down[..., None] * SHAPES[1]
    return (100 * mixed + np.random.default_rng(0).normal(size=(20, 24, 40))).astype("f4")


@pytest.fixture(scope="module")
def archive(spectra):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "fast", QUICK)
        return aezip.compress(spectra, None, bound=aezip.RangeRelative(1e-2), preset="fast", codes=2)[0]


def test_responses_and_maps_are_those_of_the_decoder_and_the_codes(archive):
    with aezip.open(archive) as opened:
        view = opened["data"]
        found = view.learned()
        codes, predicted = view.codes(), np.concatenate(list(view.predictions()))
    assert found.width == codes.shape[1]
    assert not found.differences
    rows = len(predicted)
    for code in found.codes:
        places = code.places.reshape(rows, -1)
        own = codes.reshape(rows, -1)[:, code.number]
        if places.shape[1] == 1:  # a code for each block, and each block a row
            assert np.corrcoef(places[:, 0], own)[0, 1] == pytest.approx(1.0)
        assert code.response.size * code.places.size == predicted.size
    sizes = [float(np.square(code.response).sum()) for code in found.codes]
    assert sizes == sorted(sizes, reverse=True)


def test_what_was_mixed_is_in_the_responses(archive):
    with aezip.open(archive) as opened:
        found = opened["data"].learned()
    shown = np.stack([code.response.reshape(-1, 40).mean(axis=0) for code in found.codes])
    rest = SHAPES - SHAPES @ np.linalg.pinv(shown) @ shown  # of the spectra, what no mixture of responses gives
    assert np.square(rest).sum() < 0.35 * np.square(SHAPES).sum()


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.aez")), ids=lambda p: p.stem)
def test_every_plan_has_one_or_none(path: Path):
    with aezip.open(path) as opened:
        for view in opened.values():
            found = view.learned()
            plan = view._decoder.autoencoder
            assert found is None or plan is not None
            if found is not None:
                assert all(np.isfinite(code.response).all() and code.places.size for code in found.codes)
    assert plan is None or plan[0].sizes.axes or found is not None


def test_nothing_without_codes():
    with aezip.open(aezip.compress(np.arange(300.0), preset="instant")[0]) as opened:
        assert opened["data"].learned() is None
        assert learned(opened["data"]._decoder, np.zeros((0, 3), np.int64)) is None


def test_the_page_shows_it(archive, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x.aez").write_bytes(archive)
    assert run(["report", "x.aez", "-o", "r.html"]) == 0
    page = Path("r.html").read_text()
    assert "What was learned" in page
    assert "response up to" in page
    assert run(["report", "x.aez", "-o", "r.html", "-f", "--no-verify"]) == 0
    assert "What was learned" not in Path("r.html").read_text()


def test_codes_are_to_be_had_of_smooth_fields_too(monkeypatch):
    """Where entries of an axis are best told by those before them, which an autoencoder cannot be put below."""
    monkeypatch.setitem(PRESETS, "fast", QUICK)
    t, y, x = np.meshgrid(*[np.linspace(0, 1, n) for n in (20, 24, 30)], indexing="ij")
    field = (np.sin(7 * y + 3 * t) * np.cos(9 * x - 2 * t) + 0.3 * t * x).astype("f4")
    field += 0.002 * np.random.default_rng(0).normal(size=(24, 30)).astype("f4")  # the same at all times
    data = aezip.compress(field, None, bound=aezip.RangeRelative(1e-3), preset="fast", codes=4)[0]
    with aezip.open(data) as opened:
        assert opened["data"].codes().shape[1] == 4
