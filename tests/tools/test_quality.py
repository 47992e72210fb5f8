"""The measures that people report: each against its definition, on values for which it is known."""

import json

import numpy as np
import pytest

import aezip
from aezip.cli.commands import run
from aezip.tools.quality import BANDS, Middle, Quality, measure

RNG = np.random.default_rng(0)


def field(shape=(3, 70, 90), seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for axis in (-2, -1):
        x = np.cumsum(x, axis=axis)
    return x - x.mean()


def compare(x, y, keep=None):
    return measure(x, y, np.ones(x.shape, bool) if keep is None else keep)


def similarity(x, y, keep, spread):
    """Return the mean structural similarity, window by window."""
    one, two, found = (0.01 * spread) ** 2, (0.03 * spread) ** 2, []
    for i in range(x.shape[0] - 6):
        for j in range(x.shape[1] - 6):
            a, b = x[i : i + 7, j : j + 7].ravel(), y[i : i + 7, j : j + 7].ravel()
            if not keep[i : i + 7, j : j + 7].all():
                continue
            (va, c), (_, vb) = np.cov(a, b)
            found.append(
                (2 * a.mean() * b.mean() + one) * (2 * c + two) / ((a.mean() ** 2 + b.mean() ** 2 + one) * (va + vb + two))
            )
    return np.mean(found)


@pytest.mark.parametrize("holes", [False, True])
def test_structural_similarity_is_that_of_its_definition(holes):
    x = field((2, 30, 40))
    y = x + 3.0 * RNG.normal(size=x.shape)
    keep = np.ones(x.shape, bool)
    if holes:
        keep[0, 5:9, 10:14] = False
        x[~keep] = 1e20
    # similarity depends on where zero is: the mean of what is kept is taken for it
    a, b = (np.where(keep, v - x[keep].mean(), 0.0) for v in (x, y))
    spread = x[keep].max() - x[keep].min()
    wanted = [similarity(a[k], b[k], keep[k], spread) for k in range(2)]
    count = [sum(keep[k, i : i + 7, j : j + 7].all() for i in range(24) for j in range(34)) for k in range(2)]
    assert compare(x, y, keep).ssim == pytest.approx(np.average(wanted, weights=count), rel=1e-9)


def test_nothing_lost_is_told_as_such():
    x = field()
    found = compare(x, x)
    assert found.ssim == pytest.approx(1.0)
    assert found.pearson == pytest.approx(1.0)
    assert found.ks == 0.0
    assert found.error_correlation is None
    assert found.autocorrelation == []
    assert found.spectrum == pytest.approx([1.0] * BANDS)
    assert found.warnings == []


def test_an_error_like_noise_gives_no_warning_and_is_measured():
    x = field()
    error = 0.05 * RNG.uniform(-1, 1, x.shape)
    found = compare(x, x + error)
    assert found.warnings == []
    assert found.pearson == pytest.approx(np.corrcoef(x.ravel(), (x + error).ravel())[0, 1], abs=1e-12)
    assert found.error_correlation == pytest.approx(np.corrcoef(error.ravel(), x.ravel())[0, 1], abs=1e-9)
    assert found.autocorrelation == pytest.approx([0.0] * 3, abs=0.05)
    # white noise beside a spectrum that falls: the share rises with frequency
    assert found.noise_spectrum[-1] > 10 * found.noise_spectrum[0]


def test_distributions_differ_by_what_kolmogorov_and_smirnov_say():
    x = np.arange(1000.0)
    assert compare(x, x + 100.0).ks == pytest.approx(0.1)
    assert compare(x, x[::-1].copy()).ks == 0.0


def test_a_filter_shows_in_the_spectrum():
    x = RNG.normal(size=4096)
    wave = np.fft.rfft(x)
    wave[len(wave) // 2 :] = 0.0
    found = compare(x, np.fft.irfft(wave))
    assert found.spectrum[: BANDS // 2 - 1] == pytest.approx([1.0] * (BANDS // 2 - 1))
    assert max(found.spectrum[BANDS // 2 + 1 :]) < 1e-20
    assert found.noise_spectrum[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("error", "said"),
    [(lambda x: -0.01 * x, "goes with the values"), (lambda x: np.sin(np.arange(x.size).reshape(x.shape) / 50), "neighbours")],
)
def test_an_error_that_is_no_noise_is_warned_of(error, said):
    x = RNG.normal(size=(200, 60))
    assert any(said in words for words in compare(x, x + 0.01 * error(x)).warnings)


@pytest.mark.parametrize("x", [np.ones((100, 100)), np.zeros((0, 3)), np.arange(10.0), np.array(1e308) * np.ones((80, 80))])
def test_what_cannot_be_told_is_not(x):
    found = compare(x, x)
    assert found.ssim is None
    assert found.words == ""


def test_huge_values_do_not_overflow():
    x = field() * 1e306
    assert compare(x, x * (1 + 1e-12)).pearson == pytest.approx(1.0)


def test_the_middle_is_collected_from_chunks(monkeypatch):
    from aezip.tools import quality

    x = field((40, 20, 30)).astype("f4")
    y = x + np.float32(0.5)
    whole = Middle(x.shape)
    whole.update(x, y, np.zeros(x.shape, bool))
    for most, shape in ((1 << 22, (40, 20, 30)), (6000, (10, 20, 30)), (300, (1, 10, 30))):
        monkeypatch.setattr(quality, "MOST", most)
        middle = Middle(x.shape)
        for start in range(0, 40, 7):
            part = slice(start, start + 7)
            middle.update(x[part], y[part], np.zeros(x[part].shape, bool))
        got = middle.result()
        assert got.count == np.prod(shape)
        if shape == x.shape:
            assert got == whole.result()


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = field((60, 80)).astype("f4")
    x[3, 4] = np.nan
    np.savez("x.npz", x=x, n=np.arange(9))
    aezip.compress({"x": x, "n": np.arange(9)}, "x.aez", bound=aezip.RangeRelative(1e-2), preset="instant")
    return tmp_path


def test_verify_tells_them(files, capsys):
    assert run(["verify", "x.npz", "x.aez"]) == 0
    told = capsys.readouterr().out
    assert "SSIM 0." in told
    assert "Pearson 0.99" in told
    assert run(["verify", "x.npz", "x.aez", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["arrays"]["x"]
    assert told["count"] == 60 * 80 - 1
    assert 0.9 < told["ssim"] < 1.0
    assert len(told["spectrum"]) == BANDS


def test_the_page_shows_them(files):
    assert run(["report", "x.aez", "x.npz", "-o", "r.html"]) == 0
    page = (files / "r.html").read_text()
    assert "SSIM 0." in page
    assert "Power of the error over that of the values" in page


def test_complex_values_and_integers_have_them_too():
    data = {"z": (field((60, 60)) + 1j * field((60, 60), 2)), "k": (10 * field((60, 60), 3)).astype("i4")}
    from aezip.tools import inspection

    archive = aezip.open(aezip.compress(data, None, bound=aezip.RangeRelative(1e-2), preset="instant")[0])
    for _, quality in inspection.measured(archive, data).values():
        assert isinstance(quality, Quality)
        assert quality.pearson > 0.99
