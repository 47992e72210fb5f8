"""What holds beside the bound holds for every value, is told by the file, and is checked by `verify`."""

import json

import numpy as np
import pytest

import aezip
from aezip import Absolute, RangeRelative
from aezip.array.safeguards import Safeguards
from aezip.cli.commands import run

RNG = np.random.default_rng(0)
FIELD = np.cumsum(np.cumsum(RNG.normal(size=(60, 80)), axis=0), axis=1).astype("f4")
FIELD -= FIELD.mean()
MAP = np.where(np.arange(80) < 3, 0.01, 2.0) * np.ones((60, 1))


def error(x, y):
    with np.errstate(invalid="ignore"):
        return np.abs(x.astype("f8") - y)


@pytest.mark.parametrize("bound", [None, Absolute(5.0), RangeRelative(1e-5)])
def test_every_place_keeps_its_own_error(bound):
    data, report = aezip.compress(FIELD, None, bound=bound, error_map=MAP, preset="instant")
    back = aezip.decompress(data)
    assert (error(FIELD, back) <= MAP).all()
    if bound is None or bound == Absolute(5.0):
        assert error(FIELD, back)[:, 3:].max() > 0.5  # where more is allowed, more is done
        assert len(data) < 0.8 * len(aezip.compress(FIELD, None, bound=Absolute(0.01), preset="instant")[0])
    assert report.arrays[0].keeps["map"]["least"] == 0.01
    assert report.arrays[0].keeps["map"]["most"] == 2.0


def test_a_map_of_one_error_is_that_bound():
    places = np.full(FIELD.shape, 0.25)
    report = aezip.compress(FIELD, None, error_map=places, preset="instant")[1]
    assert report.arrays[0].bound == {"kind": "absolute", "value": 0.25}
    assert report.arrays[0].outliers <= 1


def test_zero_allows_none_and_infinity_any():
    places = np.full(FIELD.shape, np.inf)
    places[7] = 0.0
    back = aezip.decompress(aezip.compress(FIELD, None, bound=Absolute(0.5), error_map=places, preset="instant")[0])
    assert (back[7] == FIELD[7]).all()
    assert error(FIELD, back).max() <= 0.5


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u8"])
@pytest.mark.parametrize("chunked", [False, True])
def test_no_value_crosses_a_threshold(dtype, chunked, monkeypatch):
    if chunked:
        from aezip.codec import encoder

        for name in ("CHUNK_VALUES", "CHUNK_VALUES_CONTEXT", "CHUNK_BYTES_PLAIN"):
            monkeypatch.setattr(encoder, name, 600)
    x = (FIELD - (FIELD.min() - 3 if dtype == "u8" else 0)).astype(dtype)
    x[0, :5] = [0, 1, 2, 40, 41]
    limits = [0, 40]
    data, report = aezip.compress(x, None, bound=Absolute(8.0), keep_sign=True, keep_thresholds=[40], preset="instant")
    back = aezip.decompress(data)
    for limit in limits:
        assert ((x < limit) == (back < limit)).all()
        assert ((x > limit) == (back > limit)).all()
    assert error(x, back).max() > 4  # and the bound is used
    assert report.arrays[0].keeps == {"thresholds": [0.0, 40.0]}
    assert aezip.verify(x, data)
    plain = aezip.decompress(aezip.compress(x, None, bound=Absolute(8.0), preset="instant")[0])
    assert ((x > 40) != (plain > 40)).any()  # which it would not be without


def test_what_is_missing_is_left_alone():
    x = FIELD.copy()
    x[3, :9] = np.nan
    x[4, :9] = -9999.0
    x[5, 0] = np.inf
    data = aezip.compress(x, None, bound=Absolute(1.0), keep_sign=True, error_map=MAP, fill_value=-9999.0, preset="instant")[0]
    back = aezip.decompress(data)
    assert np.isnan(back[3, :9]).all()
    assert (back[4, :9] == -9999.0).all()
    kept = np.isfinite(x)
    assert ((x > 0) == (back > 0))[kept].all()
    assert (error(x, back) <= MAP)[kept].all()


def test_verify_finds_what_is_broken():
    data = aezip.compress(FIELD, None, bound=Absolute(1.0), preset="instant")[0]
    assert aezip.verify(FIELD, data)
    with pytest.raises(aezip.BoundViolated):
        aezip.verify(FIELD, data, error_map=MAP)
    assert aezip.verify(FIELD, data, error_map=np.ones(FIELD.shape))
    kept = aezip.compress(FIELD, None, bound=Absolute(1.0), keep_thresholds=[5], preset="instant")[0]
    other = FIELD.copy()
    near = np.unravel_index(np.argmin(np.abs(FIELD - 5)), FIELD.shape)
    other[near] = 10 - other[near]  # on the other side, within the bound
    with pytest.raises(aezip.BoundViolated):
        aezip.verify(other, kept)


def test_each_array_has_its_own():
    arrays = {"a": FIELD, "b": FIELD + 1, "n": np.arange(50)}
    data, report = aezip.compress(
        arrays, None, bound=Absolute(1.0), error_map={"a": MAP}, keep_sign={"b": True}, preset="instant", separate=True
    )
    keeps = {one.name: one.keeps for one in report.arrays}
    assert set(keeps["a"]) == {"map"}
    assert keeps["b"] == {"thresholds": [0.0]}
    assert keeps["n"] == {}
    back = aezip.decompress(data)
    assert (error(FIELD, back["a"]) <= MAP).all()
    assert ((arrays["b"] > 0) == (back["b"] > 0)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"error_map": MAP[1:]}, "shape"),
        ({"error_map": -MAP}, "negative"),
        ({"error_map": np.full(MAP.shape, np.nan)}, "no number"),
        ({"error_map": np.zeros(MAP.shape)}, "Lossless"),
        ({"error_map": MAP.astype("c8")}, "numbers"),
        ({"keep_thresholds": [np.inf]}, "finite"),
    ],
)
def test_what_makes_no_sense_is_refused(options, said):
    bound = {} if "error_map" in options else {"bound": Absolute(1.0)}
    with pytest.raises(aezip.InvalidInput, match=said):
        aezip.compress(FIELD, None, preset="instant", **bound, **options)


def test_signs_of_complex_values_are_refused_with_a_map_and_passed_over_without():
    z = FIELD.astype("c8")
    with pytest.raises(aezip.InvalidInput, match="real"):
        aezip.compress(z, None, error_map=MAP, preset="instant")
    assert aezip.compress(z, None, bound=Absolute(1.0), keep_sign=True, preset="instant")[1].arrays[0].keeps == {}


def test_the_bound_for_all_is_where_the_fewest_bytes_are_expected():
    few = np.full(10_000, 1.0)
    few[:100] = 1e-3  # better stored exactly
    assert Safeguards(few).bound(4).value == 1.0
    many = np.full(10_000, 1.0)
    many[:9000] = 1e-3
    assert Safeguards(many).bound(4).value == 1e-3


def test_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", FIELD)
    np.save("map.npy", MAP)
    assert run(["compress", "x.npy", "--abs-map", "map.npy", "--keep-sign", "--keep-threshold", "3", "--preset", "instant"]) == 0
    capsys.readouterr()
    assert run(["info", "x.npy.aez"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "no value crosses 0, 3; at each place its own largest error, 0.01 to 2" in told
    assert run(["verify", "x.npy", "x.npy.aez", "--abs-map", "map.npy"]) == 0
    np.save("tight.npy", MAP / 100)
    assert run(["verify", "x.npy", "x.npy.aez", "--abs-map", "tight.npy"]) == 4
    assert run(["compress", "x.npy", "--abs-map", "map.npy", "--lossless", "-f"]) == 2
    assert run(["compress", "x.npy", "--abs-map", "x.txt", "-f"]) == 2
    capsys.readouterr()
    assert run(["info", "x.npy.aez", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["arrays"][0]["keeps"]["thresholds"] == [0.0, 3.0]
