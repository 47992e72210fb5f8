"""Lattices: integers that stand for values exactly, found in data or made for a relative bound."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from helpers import FLOATS, INTEGERS
from hypothesis import given
from hypothesis import strategies as st

import aezip.quantize.find
from aezip.array.bounds import Absolute, PointRelative, resolve
from aezip.array.checking import violations
from aezip.array.statistics import measure
from aezip.core.errors import AezipError, CorruptFile, UnsupportedVersion
from aezip.quantize.find import covering, find_hidden, ordered_lattice, ranked, relative_lattice, survey
from aezip.quantize.lattice import Digits, IntegerLattice, Lattice, Ordered
from aezip.quantize.linear import LinearLattice
from aezip.quantize.ranks import Ranks
from aezip.quantize.registry import lattice_from_json


def rules(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


LATTICES = [
    (IntegerLattice(), "i2"),
    (IntegerLattice(4, -3), "i4"),
    (IntegerLattice(3, 2**63), "u8"),
    (LinearLattice(rules(1), rules(0), rules(100)), "f4"),
    (LinearLattice(rules(5, 1), rules(2, 0), rules(1000, 8), True, -1), "f8"),
    (LinearLattice(rules(*[16] * 8), rules(*range(8)), rules(*[512] * 8), False, 0), "f4"),
    (LinearLattice(rules(1), rules(0), rules(10), False, None, np.array([-7, 3, 9]), np.array([1, -1, 2], dtype="i1")), "f8"),
    (LinearLattice(rules(1), rules(0), rules(10), False, None, np.array([3, 2**40]), np.array([1, -1], dtype="i1")), "f8"),
    (Digits(5, -8), "f4"),
    (Digits(12, -3, True), "f8"),
    (Ordered("f2"), "f2"),
    (Ordered("f4"), "f8"),
    (Ordered("f8"), "f8"),
    (Ranks(IntegerLattice(), [np.array([-70, 3, 9, 4000])]), "i4"),
    (Ranks(LinearLattice(rules(1), rules(0), rules(100)), [np.array([-7, 3, 9]), np.zeros(0, np.int64)]), "f4"),
    (relative_lattice(1e-3, np.ones(1), measure(np.array([0.01]))), "f8"),
    (relative_lattice(0.3, np.ones(1, dtype="f4"), measure(np.array([0.01], dtype="f4"))), "f4"),
    (relative_lattice(1e-2, np.ones(1, dtype="i4"), measure(np.ones(1, dtype="i4"))), "i8"),
]


def found(values: np.ndarray, fill: np.ndarray | None = None) -> Lattice:
    lattice = find_hidden(values, measure(values, fill))
    assert lattice is not None
    again = lattice_from_json(json.loads(json.dumps(lattice.to_json())))
    assert again.to_json() == lattice.to_json()
    return again


def misses(values: np.ndarray, lattice: Lattice) -> int:
    return survey(values, lattice, measure(values)).outliers


# --- the forms


@pytest.mark.parametrize(("lattice", "dtype"), LATTICES, ids=lambda item: getattr(item, "kind", item))
def test_points_of_a_lattice_are_kept(lattice: Lattice, dtype: str) -> None:
    k = np.arange(-480, 480).reshape(8, 60, 2)
    if np.dtype(dtype).kind == "u":
        k = np.abs(k)
    x = lattice.from_integers(k, dtype)
    assert x.dtype == dtype
    assert x.shape == k.shape
    np.testing.assert_array_equal(lattice.from_integers(lattice.to_integers(x), dtype), x)
    rising = np.broadcast_to(np.sort(k.reshape(-1))[:, None], (8, k.size, 2))
    assert (np.diff(lattice.from_integers(rising, dtype), axis=1) >= 0).all()


@pytest.mark.parametrize(("lattice", "dtype"), LATTICES, ids=lambda item: getattr(item, "kind", item))
def test_json_round_trip(lattice: Lattice, dtype: str) -> None:
    again = lattice_from_json(json.loads(json.dumps(lattice.to_json(), allow_nan=False)))
    k = np.arange(-480, 480).reshape(8, 60, 2)
    np.testing.assert_array_equal(lattice.from_integers(k, dtype), again.from_integers(k, dtype))


@pytest.mark.parametrize(("lattice", "dtype"), LATTICES, ids=lambda item: getattr(item, "kind", item))
@given(data=st.data())
def test_no_integer_and_no_value_raises_or_warns(lattice: Lattice, dtype: str, data: st.DataObject) -> None:
    raw = data.draw(st.binary(min_size=16 * 8, max_size=16 * 8))
    k = np.frombuffer(raw, dtype="i8").reshape(8, 2)
    assert lattice.from_integers(k, dtype).shape == (8, 2)
    x = np.frombuffer(raw, dtype=dtype)[:16].reshape(8, 2)
    assert lattice.to_integers(x).dtype == np.int64
    assert lattice.from_integers(k[:0], dtype).shape == (0, 2)
    assert lattice.to_integers(x[:0]).shape == (0, 2)


@pytest.mark.parametrize(("lattice", "dtype"), LATTICES, ids=lambda item: getattr(item, "kind", item))
def test_chunks_give_the_same(lattice: Lattice, dtype: str) -> None:
    k = np.arange(-480, 480).reshape(8, 60, 2)
    whole = lattice.from_integers(k, dtype)
    parts = [lattice.from_integers(k[i : i + 3], dtype, i) for i in range(0, 8, 3)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    integers = [lattice.to_integers(whole[i : i + 3], i) for i in range(0, 8, 3)]
    np.testing.assert_array_equal(np.concatenate(integers), lattice.to_integers(whole))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_saturate(dtype: str) -> None:
    limits = np.iinfo(dtype)
    k = np.array([-(2**63), -(2**62), 2**62, 2**63 - 1])
    for lattice in (IntegerLattice(), IntegerLattice(3, 1), IntegerLattice(1, limits.min), IntegerLattice(7, limits.max)):
        y = lattice.from_integers(k, dtype).tolist()
        assert sorted(y) == y
        assert all(limits.min <= item <= limits.max for item in y)
        if limits.bits < 64:
            assert y[-1] > limits.max - lattice.step
            assert y[0] < limits.min + lattice.step


@pytest.mark.parametrize("dtype", FLOATS)
@given(data=st.data())
def test_ordered_bits_keep_order_and_bits(dtype: str, data: st.DataObject) -> None:
    x = np.frombuffer(data.draw(st.binary(min_size=160, max_size=160)), dtype=dtype)
    x = np.sort(x[np.isfinite(x)]) + np.dtype(dtype).type(0)  # -0.0 is a special, not on the lattice
    lattice = ordered_lattice(dtype)
    k = lattice.to_integers(x)
    assert (np.diff(k) >= 0).all()
    assert lattice.from_integers(k, dtype).tobytes() == x.tobytes()


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": "integer"},
        {"kind": "integer", "step": 0, "offset": 0},
        {"kind": "integer", "step": 1, "offset": 2**70},
        {"kind": "integer", "step": 1.0, "offset": 0},
        {"kind": "digits", "digits": 99, "lowest": 0, "narrow": False},
        {"kind": "digits", "digits": 5, "lowest": 0, "narrow": 1},
        {"kind": "ordered", "type": "O"},
        {"kind": "ordered", "type": ["f4"]},
        {"kind": "log", "steps": 0, "octaves": 1, "base": 0},
        {"kind": "log", "steps": 5, "octaves": 7, "base": 0},
        {"kind": "staircase", "starts": [0, 5, 5], "tail": {"kind": "log", "steps": 5, "octaves": 1, "base": 0}},
        {"kind": "staircase", "starts": [0], "tail": {}},
        {"kind": "staircase", "starts": [0, 5], "tail": {"kind": "x"}},
    ],
)
def test_malformed_lattices_are_corrupt(data: object) -> None:
    with pytest.raises(CorruptFile):
        lattice_from_json(data)


def test_an_unknown_form_is_named() -> None:
    with pytest.raises(UnsupportedVersion, match="spiral"):
        lattice_from_json({"kind": "spiral"})


BAD_NUMBERS = [
    None,
    "x",
    [None],
    ["1"],
    [True],
    [0.0],
    [float("nan")],
    [-1.0],
    [1.0, 2.0],
    [],
    {"count": 10**12, "zlib": ""},
    {"count": -1, "zlib": ""},
    {"count": 9, "zlib": "AAAA"},
    {"count": 9, "zlib": "%"},
    {"count": 9},
    [10**400],
    [[1.0]],
]


@pytest.mark.parametrize("name", ["scale", "divisor", "keys", "deltas", "axis", "narrow"])
@pytest.mark.parametrize("bad", BAD_NUMBERS, ids=repr)
def test_malformed_rules_are_corrupt(name: str, bad: object) -> None:
    data = LinearLattice(rules(1), rules(0), rules(10), False, None, np.array([3, 4]), np.array([1, -1], dtype="i1")).to_json()
    data[name] = bad
    if name == "axis" and bad is None:
        return
    with pytest.raises(CorruptFile):
        lattice_from_json(data)


def test_packed_numbers_are_not_inflated_beyond_their_size() -> None:
    data = LinearLattice(np.ones(5000), np.zeros(5000), np.ones(5000), False, -1).to_json()
    data["scale"]["count"] = 6
    with pytest.raises(CorruptFile):
        lattice_from_json(data)


@given(st.data())
def test_any_change_of_a_rule_is_read_or_refused(data: st.DataObject) -> None:
    lattice = data.draw(st.sampled_from([item for item, _ in LATTICES])).to_json()
    name = data.draw(st.sampled_from(sorted(lattice)))
    number = st.one_of(st.integers(), st.floats(), st.none(), st.booleans(), st.text(max_size=3))
    lattice[name] = data.draw(st.one_of(number, st.lists(number, max_size=4)))
    try:
        again = lattice_from_json(lattice)
        again.from_integers(np.arange(-8, 8).reshape(8, 2), "i4" if again.kind in ("integer", "staircase") else "f8")
    except AezipError:
        pass


def test_a_chunk_that_does_not_fit_the_rules_is_corrupt() -> None:
    for axis in (0, -1):
        lattice = LinearLattice(np.ones(5), np.zeros(5), np.ones(5), False, axis)
        with pytest.raises(CorruptFile):
            lattice.from_integers(np.zeros((6, 6), dtype="i8"), "f8")


def test_decoding_uses_no_transcendental_function() -> None:
    folder = Path(aezip.quantize.find.__file__).parent
    checked = 0
    for name in ("lattice.py", "linear.py", "logarithm.py"):
        for node in ast.walk(ast.parse((folder / name).read_text())):
            if isinstance(node, ast.FunctionDef) and node.name in ("from_integers", "_patch", "_points", "_power_of_two"):
                called = {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
                assert not called & {"log", "log2", "log10", "log1p", "exp", "exp2", "expm1", "power", "dot", "ldexp", "sin"}
                checked += 1
    assert checked >= 9


# --- what is found in data


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
@pytest.mark.parametrize("digits", [0, 1, 2, 3, 4])
def test_decimals_are_found(dtype: str, digits: int) -> None:
    k = np.random.default_rng(digits).integers(-5000, 5000, (3000, 4))
    x = (k / 10.0**digits).astype(dtype)
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert lattice.divisor[0] == 10.0**digits
    assert misses(x, lattice) == 0


def test_dyadic_fractions_and_common_steps_are_found() -> None:
    k = np.random.default_rng(0).integers(-5000, 5000, 20_000)
    for unit in (1 / 64, 64.0, 0.05, 30.0, 3 / 16):
        lattice = found(k * unit)
        assert isinstance(lattice, LinearLattice)
        assert lattice.scale[0] / lattice.divisor[0] == pytest.approx(unit)
        assert misses(k * unit, lattice) == 0


@pytest.mark.parametrize("unit", [0.000162435129740, 1 / 409.6 * 1.7, 7.3e-7])
@pytest.mark.parametrize("shift", [0.0, 17.31234567891])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_counts_of_a_converter_are_found(unit: float, shift: float, dtype: str) -> None:
    k = np.rint(np.random.default_rng(0).normal(0, 800, 100_000))
    if dtype == "f4" and shift and unit < 1e-4:
        return  # finer than the type
    x = (k * unit + shift).astype(dtype)
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert lattice.scale[0] / lattice.divisor[0] == pytest.approx(unit, rel=1e-5)
    assert misses(x, lattice) <= 100


def test_packed_fields_are_found() -> None:
    packed = np.cumsum(np.random.default_rng(0).integers(-100, 101, (50, 40, 60)), axis=-1).astype("i2")
    x = packed.astype("f4") * np.float32(0.0023456) + np.float32(281.3)
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert lattice.scale[0] == pytest.approx(0.0023456, rel=1e-5)
    assert misses(x, lattice) <= 1e-3 * x.size


def test_float32_decimals_in_float64_are_found() -> None:
    x = (np.random.default_rng(0).integers(-9999, 9999, (4000, 3)) / 1000).astype("f4").astype("f8")
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert lattice.narrow
    assert misses(x, lattice) == 0


def test_float32_noise_in_float64_is_ordered_float32() -> None:
    x = np.random.default_rng(0).normal(size=20_000).astype("f4").astype("f8")
    assert found(x) == Ordered("f4")
    assert misses(x, found(x)) == 0


def test_columns_have_rules_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 9999, (5000, 3)) * [1.0, 25.0, 0.00123456789] / [1000.0, 1.0, 1.0]
    x[::7, 1] = np.nan
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert lattice.axis == -1
    np.testing.assert_allclose(lattice.scale / lattice.divisor, [0.001, 25.0, 0.00123456789])
    assert misses(x, lattice) == 0


def test_every_outer_index_may_have_a_phase() -> None:
    rng = np.random.default_rng(0)
    x = (rng.integers(30_000, 40_000, (60, 20, 30)) * 64 + rng.integers(0, 64, (60, 1, 1))) / 8192
    lattice = found(x.astype("f4"))
    assert isinstance(lattice, LinearLattice)
    assert lattice.axis == 0
    assert lattice.scale[0] / lattice.divisor[0] == 64 / 8192
    assert misses(x.astype("f4"), lattice) == 0


def test_significant_digits_are_found() -> None:
    x = np.array([float(f"{item:.5g}") for item in np.exp(np.random.default_rng(0).normal(0, 4, 20_000))])
    for dtype in ("f4", "f8"):
        lattice = found(x.astype(dtype))
        assert isinstance(lattice, Digits)
        assert lattice.digits == 5
        assert misses(x.astype(dtype), lattice) <= 20


def test_careless_parsing_is_patched() -> None:
    k = np.random.default_rng(0).integers(-2000, 2000, 50_000)
    x = np.where(k % 5 == 1, np.nextafter(k / 1000, 9.0), k / 1000)
    lattice = found(x)
    assert isinstance(lattice, LinearLattice)
    assert 700 < lattice.keys.size < 900
    assert misses(x, lattice) == 0


def test_a_few_other_values_are_exceptions() -> None:
    x = np.random.default_rng(0).integers(0, 1000, 20_000) / 100
    x[::2000] = np.pi
    assert misses(x, found(x)) == 10


def test_special_values_do_not_hide_a_lattice() -> None:
    x = (np.random.default_rng(0).integers(0, 1000, 20_000) / 100).astype("f4")
    x[::3], x[1::7], x[2::11], x[3::13] = np.nan, 1e20, -0.0, np.inf
    lattice = found(x, np.array([1e20], dtype="f4"))
    assert isinstance(lattice, LinearLattice)
    assert lattice.divisor[0] == 100


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_noise_has_no_lattice(dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=(300, 100)).astype(dtype)
    assert find_hidden(x, measure(x)) is None


@pytest.mark.parametrize("dtype", INTEGERS)
@given(data=st.data())
def test_integers_are_a_lattice_without_exceptions(dtype: str, data: st.DataObject) -> None:
    limits = np.iinfo(dtype)
    step = data.draw(st.sampled_from([1, 2, 7, 100]))
    low = data.draw(st.integers(limits.min, max(limits.min, limits.max - step * 50)))
    most = min(limits.max - low, 1 << 62) // step
    numbers = data.draw(st.lists(st.integers(0, most), min_size=1, max_size=20))
    x = np.array([low + step * item for item in numbers], dtype=dtype)
    lattice = found(x)
    counts = survey(x, lattice, measure(x))
    assert counts.outliers == 0
    if len(set(numbers)) > 1:
        assert lattice.step >= step
        assert counts.maximum - counts.minimum <= max(numbers) - min(numbers)


def test_few_values_are_ranked_by_column() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.choice([5, 900, 901, 40_000, -7], 500), rng.integers(0, 50, 500)], axis=1).astype("i4")
    for values in (x, x.astype("f8") / 100):
        inner = found(values)
        lattice = ranked(inner, values, measure(values))
        assert lattice is not None
        assert [t.size for t in lattice.tables] == [5, 0]
        again = lattice_from_json(json.loads(json.dumps(lattice.to_json())))
        assert misses(values, again) == 0
        assert set(again.to_integers(values)[:, 0]) == set(range(5))


def test_many_values_are_not_ranked() -> None:
    x = np.arange(20_000, dtype="i4") * 3
    assert ranked(IntegerLattice(), x, measure(x)) is None
    dense = np.arange(300, dtype="i4")
    assert ranked(IntegerLattice(), dense, measure(dense)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"counts": [2]},
        {"counts": []},
        {"counts": [5000]},
        {"counts": ["3"]},
        {"counts": 3},
        {"steps": [3, -3, 3]},
        {"steps": None},
        {"inner": None},
        {"inner": {"kind": "ranks"}},
        {"inner": {"kind": "integer", "step": 0, "offset": 0}},
    ],
)
def test_malformed_ranks_are_corrupt(change: dict[str, object]) -> None:
    good = Ranks(IntegerLattice(), [np.array([1, 5, 9])]).to_json()
    assert isinstance(lattice_from_json(good), Ranks)
    with pytest.raises(CorruptFile):
        lattice_from_json({**good, **change})


def test_integers_too_far_apart_have_none() -> None:
    x = np.array([-(2**63), 2**63 - 1])
    assert find_hidden(x, measure(x)) is None


@pytest.mark.parametrize("x", [np.zeros((0, 3)), np.full(5, np.nan), np.zeros((3, 0), dtype="i4")])
def test_nothing_has_no_lattice(x: np.ndarray) -> None:
    assert find_hidden(x, measure(x)) is None


@given(st.sampled_from(FLOATS), st.binary(min_size=8, max_size=400), st.integers(1, 3))
def test_any_floats_are_reproduced_or_counted(dtype: str, raw: bytes, columns: int) -> None:
    size = np.dtype(dtype).itemsize * columns
    x = np.frombuffer(raw[: len(raw) // size * size], dtype=dtype).reshape(-1, columns)
    lattice = find_hidden(x, measure(x))
    if lattice is not None:
        assert misses(x, lattice) <= 1e-3 * x.size


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=50), st.integers(0, 6), st.sampled_from(["f4", "f8"]))
def test_any_decimals_are_found(numbers: list[int], digits: int, dtype: str) -> None:
    x = (np.array(numbers) / 10.0**digits).astype(dtype)
    lattice = find_hidden(x, measure(x))
    assert lattice is None or misses(x, lattice) == 0
    assert lattice is not None or (dtype == "f4" and max(map(abs, numbers)) > 10**5)


def test_one_large_outer_index_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aezip.quantize.find, "BLOCK", 500)
    x = np.random.default_rng(0).integers(0, 1000, (2, 50, 60)) / 100
    assert misses(x, found(x)) == 0


# --- relative bounds


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@given(data=st.data(), bound=st.floats(1e-12, 2.0))
def test_a_relative_lattice_keeps_the_bound(dtype: str, data: st.DataObject, bound: float) -> None:
    x = np.frombuffer(data.draw(st.binary(min_size=320, max_size=320)), dtype=dtype)
    stats = measure(x)
    lattice = relative_lattice(bound, x, stats)
    if lattice is None:
        assert bound < (1.1e-11 if np.dtype(dtype).kind != "f" else max(1.6 * np.finfo(dtype).eps, 1e-11))
        return
    y = lattice.from_integers(lattice.to_integers(x), dtype)
    bad = violations(x, y, resolve(PointRelative(bound), stats))
    bad &= stats.specials.classify(x) == 0
    if np.dtype(dtype).kind == "f":
        bad &= np.abs(x) >= np.finfo(dtype).smallest_normal
    else:  # limits that float64 rounds up to a whole number: the encoder stores such values exactly
        bad &= bound * np.abs(x.astype("f8")) != np.round(bound * np.abs(x.astype("f8")))
    assert not bad.any()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("bound", [0.5, 0.1, 1e-2, 1e-3, 1e-5])
def test_a_relative_lattice_keeps_the_bound_on_many_values(dtype: str, bound: float) -> None:
    rng = np.random.default_rng(0)
    x = (np.exp(rng.normal(0, 10, 300_000)) * rng.choice([-1, 1], 300_000)).astype(dtype)
    x[::50] = 0.0
    stats = measure(x)
    lattice = relative_lattice(bound, x, stats)
    assert lattice is not None
    k = lattice.to_integers(x)
    assert not violations(x, lattice.from_integers(k, dtype), resolve(PointRelative(bound), stats)).any()
    assert ((k == 0) == (x == 0)).all()
    size = np.abs(x[x != 0].astype("f8"))
    ideal = np.log2(size.max() / size.min()) / (2 * np.log2(1 + bound))
    if bound <= 1e-2:
        assert np.abs(k).max() < 1.01 * ideal + 2


@pytest.mark.parametrize("bound", [0.5, 0.1, 1e-2, 1e-3])
@pytest.mark.parametrize("dtype", ["i4", "u2", "i8", "u8"])
def test_a_relative_lattice_of_integers_keeps_the_bound_everywhere(bound: float, dtype: str) -> None:
    x = np.concatenate([np.arange(65_536), np.geomspace(1, np.iinfo(dtype).max / 2, 100_000)]).astype("u8").astype(dtype)
    x = np.concatenate([x, np.negative(x)]) if np.dtype(dtype).kind == "i" else x
    lattice = relative_lattice(bound, x, measure(x))
    assert lattice is not None
    y = lattice.from_integers(lattice.to_integers(x), dtype)
    assert not violations(x, y, resolve(PointRelative(bound), measure(x))).any()
    assert ((y == 0) == (x == 0)).all()


def test_a_lossy_bound_takes_ranks_where_values_are_few() -> None:
    from aezip.quantize.choose_grids import grids_for
    from aezip.quantize.grid import HiddenGrid

    x = (np.random.default_rng(0).choice(np.arange(-1000, 1000, 4) ** 2 // 7, (20_000, 3)) / 100).astype("f4")
    stats = measure(x)
    _, tight = grids_for(x, stats, resolve(Absolute(0.004), stats), 1.0)
    assert isinstance(tight[0], HiddenGrid)
    assert isinstance(tight[0].lattice, Ranks)
    assert tight[0].lattice.edges is None
    even = np.linspace(-5, 5, 20_000).astype("f4").reshape(-1, 2)
    stats = measure(even)
    _, loose = grids_for(even, stats, resolve(Absolute(0.5), stats), 1.0)
    assert not isinstance(loose[0], HiddenGrid)


def crowded(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return values of which most lie on a few numbers, at uneven distances."""
    rng = np.random.default_rng(0)
    often = rng.choice(np.cumsum(rng.integers(1, 60, 40)), shape, p=np.arange(1, 41) ** 2 / np.sum(np.arange(1, 41) ** 2))
    return np.where(rng.random(shape) < 0.1, rng.integers(0, 1200, shape), often).astype(dtype)


CROWDED = [
    crowded((40_000, 3), "f4") / np.float32(10),
    crowded((90_000,), "f8"),
    crowded((60_000, 2), "f8").astype("i4"),
]


@pytest.mark.parametrize("bound", [2.1, 5.2, 100.0])
@pytest.mark.parametrize("x", CROWDED)
def test_points_cover_all_values_and_cost_less_than_even_steps(x: np.ndarray, bound: float) -> None:
    bound = bound / 10 if x.dtype == "f4" else bound
    stats = measure(x)
    lattice = covering(found(x), x, stats, np.array(bound))
    assert lattice is not None
    ranks = lattice.to_integers(x)
    y = lattice.from_integers(ranks, x.dtype)
    assert (np.abs(y.astype("f8") - x) <= bound).all()
    assert not violations(x, y, resolve(Absolute(bound), stats)).any()

    def entropy(symbols: np.ndarray) -> float:
        share = np.unique(symbols, return_counts=True)[1] / symbols.size
        return float(-(share * np.log2(share)).sum())

    columns = [(ranks[..., c], x[..., c]) for c in range(x.shape[-1])] if x.ndim > 1 else [(ranks, x)]
    even = [min(entropy(np.floor(v / (2.0 * bound) + s)) for s in (0.0, 0.3, 0.7)) for _, v in columns]
    assert sum(entropy(k) for k, _ in columns) < sum(even)
    again = lattice_from_json(json.loads(json.dumps(lattice.to_json())))
    assert (again.from_integers(ranks, x.dtype) == y).all()


def test_ranks_by_frequency_stand_for_the_same_values() -> None:
    x = np.cumsum(np.random.default_rng(1).zipf(1.5, (20_000, 1)) % 50, axis=1).astype("i4") ** 2
    x = np.repeat(x, 2, axis=1)
    lattice = ranked(IntegerLattice(), x, measure(x))
    assert lattice is not None
    named = lattice.by_frequency([(0, x, None)])
    again = lattice_from_json(json.loads(json.dumps(named.to_json())))
    ranks = again.to_integers(x)
    assert (again.from_integers(ranks, x.dtype) == x).all()
    for column in range(2):
        counts, table = np.bincount(ranks[:, column]), named.tables[column]
        assert len(counts) == table.size > 40
        assert (np.diff(counts[:32]) <= 0).all()
        assert counts[31] >= counts[32:40].max() >= counts[32:40].min() >= counts[40:].max()
        assert (np.diff(table[32:40]) > 0).all()  # what no symbol tells apart is in rising order: fewer bytes of the header
