"""Bounds that values suggest: noise, information of bits and steps are found where they are known, and nowhere else."""

import json
import tomllib

import h5py
import numpy as np
import pytest

import aezip
from aezip import Absolute, Lossless, PointRelative
from aezip.cli.commands import run
from aezip.tools.information import free_entropy, information, mutual_information, noise


def everything(values):
    return np.ones(values.shape, bool)


@pytest.fixture(scope="module")
def wave():
    t = np.arange(20_000) / 200
    return np.sin(t), np.random.default_rng(0).normal(size=t.size)


@pytest.mark.parametrize("sigma", [0.003, 0.03])
def test_the_noise_that_was_added_is_found(wave, sigma):
    signal, random = wave
    found = noise(signal + sigma * random, everything(signal))
    assert found is not None
    assert found.axis == 0
    assert found.sigma == pytest.approx(sigma, rel=0.05)


def test_noise_is_measured_where_values_go_on_most_smoothly_and_not_at_what_is_missing():
    rng = np.random.default_rng(1)
    field = np.sin(np.arange(60) / 2.0)[:, None] * np.sin(np.arange(800) / 60.0) + 0.01 * rng.normal(size=(60, 800))
    keep = everything(field)
    keep[10:20, 100:300] = False
    field[10:20, 100:300] = 1e20
    found = noise(field, keep)
    assert found is not None
    assert found.axis == 1
    assert found.sigma == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("make", [lambda t, r: np.sin(t), lambda t, r: r, lambda t, r: np.cumsum(r), lambda t, r: np.round(t)])
def test_no_noise_where_there_is_none_or_nothing_else(make):
    t = np.arange(5000) / 100
    values = make(t, np.random.default_rng(2).normal(size=t.size))
    assert noise(values, everything(values)) is None


def test_mutual_information_is_that_of_its_definition():
    one = np.array([0b00, 0b01, 0b11, 0b10] * 100, np.uint8)
    told = mutual_information(one, one ^ np.uint8(0b10))  # the second bit from the right is always the other one
    np.testing.assert_allclose(told, [0, 0, 0, 0, 0, 0, 1, 1])
    fair = np.random.default_rng(3).integers(0, 256, (2, 1 << 14)).astype(np.uint8)
    assert mutual_information(*fair).max() < 4 * free_entropy(1 << 14)
    assert not mutual_information(one[:60], one[:60]).any()  # too few to tell


def test_bits_that_were_shaved_hold_no_information_and_noise_holds_none():
    rng = np.random.default_rng(4)
    smooth = (300 + 10 * np.sin(np.arange(1 << 15) / 300)).astype(np.float32)
    rough = (smooth.view(np.uint32) & np.uint32(0xFFFFF000)) | rng.integers(0, 1 << 12, smooth.size).astype(np.uint32)
    told = information(rough.view(np.float32), everything(smooth))
    assert told is not None
    assert told.keepbits <= 11
    assert told.bits[-12:].max() < 4 * free_entropy(smooth.size)


def test_the_more_cautious_of_noise_and_information_is_suggested_but_not_less_than_half_a_step(wave):
    signal, random = wave
    rounded = np.round(300 + 20 * signal, 2).astype(np.float32)
    found = {
        one.name: one
        for one in aezip.suggest(
            {"noisy": signal + 0.01 * random, "rounded": rounded, "wide": np.exp(10 * signal), "white": random[:2000]}
        )
    }
    assert found["noisy"].bound == Absolute(0.005)
    assert found["noisy"].noise == pytest.approx(0.01, rel=0.05)
    assert found["rounded"].step == pytest.approx(0.01)
    assert found["rounded"].bound == Absolute(0.005)
    assert isinstance(found["wide"].bound, PointRelative)
    assert found["white"].bound == Lossless()
    assert "nothing" in found["white"].reason


def test_ratios_that_are_expected_are_those_of_files(wave):
    signal, random = wave
    values = signal + 0.01 * random
    (found,) = aezip.suggest(values)
    assert [one.bound for one in found.expected] == [Absolute(0.0005), Absolute(0.005), Absolute(0.05)]
    for one in found.expected:
        report = aezip.compress(values, None, bound=one.bound, preset="instant")[1]
        assert one.ratio == pytest.approx(report.ratio, rel=0.1)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.arange(500), "whole numbers"),
        (np.ones(500), "equal"),
        (np.array([1.0, 2.0, 3.5]), "too few"),
        (np.arange(500).astype("M8[s]"), "dates"),
        (np.full(500, np.nan), "equal"),
        (np.zeros((0, 3)), "equal"),
        (np.float64(3.0), "equal"),
    ],
)
def test_what_takes_no_bound_stays_lossless(values, reason):
    (found,) = aezip.suggest(values)
    assert found.bound == Lossless()
    assert reason in found.reason


@pytest.fixture
def file(tmp_path, wave):
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        file["time"] = np.arange(20_000) / 200
        file["time"].make_scale("time")
        file["t[2m]"] = (wave[0] + 0.01 * wave[1]).astype(np.float32)
        file["t[2m]"].dims[0].attach_scale(file["time"])
        file["count"] = np.arange(5000)
    return path


def test_the_file_of_bounds_is_one_that_compress_takes(file, capsys):
    bounds = file.with_name("bounds.toml")
    assert run(["suggest", str(file), "-o", str(bounds)]) == 0
    told = capsys.readouterr().out
    assert "noise" in told
    assert "a coordinate" in told
    assert tomllib.loads(bounds.read_text())["bounds"] == {"time": "lossless", "t[[]2m]": "abs=0.005", "count": "lossless"}
    assert "noise" in bounds.read_text()
    assert run(["compress", str(file), "--bounds", str(bounds), "--preset", "instant"]) == 0
    with aezip.open(f"{file}.aez") as archive:
        assert archive["t[2m]"].bound == Absolute(0.005)
        assert archive["time"].bound == Lossless()
    capsys.readouterr()
    assert run(["suggest", str(file), "-o", str(bounds)]) == 2
    assert "-f" in capsys.readouterr().err


def test_as_json(file, capsys):
    assert run(["suggest", str(file), "--dataset", "t[2m]", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    (one,) = told["variables"]
    assert one["words"] == "abs=0.005"
    assert len(one["expected"]) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing.h5"], "no such file|does not exist"),
        (["{file}", "--fill-value", "3"], "--dataset"),
        (["{file}", "--dataset", "none"], "no data set"),
    ],
)
def test_refusals_name_the_remedy(file, capsys, words, said):
    assert run(["suggest", *(word.format(file=file) for word in words)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert any(part in error.lower() for part in said.split("|"))
