"""Columns by classes: leading parts, classes of groups, and what hostile bytes do."""

from __future__ import annotations

import hostile
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import aezip
from aezip.core.errors import CorruptFile
from aezip.entropy import residual
from aezip.entropy.distances import buckets
from aezip.entropy.plainbits import unzigzag, zigzag
from aezip.plans.columns import clusters as classes
from aezip.plans.columns import coding
from aezip.plans.columns.plan import ColumnPlan
from aezip.quantize.grid import HiddenGrid
from aezip.quantize.lattice import IntegerLattice

GRID = HiddenGrid(IntegerLattice(1, 0))
PLAN = ColumnPlan()


def weights(rows: int = 200) -> np.ndarray:
    """Return rows of float32 whose scales differ, as those of a trained layer do."""
    rng = np.random.default_rng(0)
    scale = np.exp2(rng.integers(-6, 2, (2, rows, 1)))
    return (rng.laplace(size=(2, rows, 64)) * scale).astype("f4")


def delays(rows: int = 9000) -> np.ndarray:
    """Return rows of (town, carrier, distance, delay): a town has one distance, delays depend on town and carrier."""
    rng = np.random.default_rng(1)
    town, carrier = rng.zipf(1.3, rows).clip(1, 40), rng.integers(0, 9, rows)
    distance = rng.permutation(5000)[:41][town]
    delay = np.where((town + carrier) % 2 == 0, rng.integers(-9, 5, rows), rng.geometric(0.02, rows))
    return np.stack([town, carrier, distance, delay], axis=1).astype("i4")


def packed(x: np.ndarray) -> tuple[bytes, np.ndarray]:
    coded = PLAN.encode(GRID, None, None, x, None)
    return coded.streams["data"], coded.decoded


def unpacked(data: bytes, x: np.ndarray) -> np.ndarray:
    return PLAN.decode(GRID, None, {"data": data}, x.shape, x.dtype, None)


def stream(value: np.ndarray, groupings: list[classes.Groups]) -> tuple[bytes, residual.ResidualReader]:
    made = classes.passes(value, groupings)
    assert made is not None
    stored, tables = residual.tables_for(made[1], classes.tables(made[0]))
    data = residual.encode(tables, made[1])
    return stored + data, residual.ResidualReader(tables, data)


@given(st.lists(st.integers(-(2**43), 2**43), min_size=1, max_size=80), st.floats(0, 60))
def test_leading_parts_are_leaves_of_a_tree_over_all_values(numbers: list[int], entry: float) -> None:
    value = np.array(numbers, np.int64)
    found = classes.leading_parts(value, entry)
    assert found is not None
    starts, shifts, which = found
    assert (starts & ((1 << shifts) - 1) == 0).all()
    assert (starts[:-1] + (1 << shifts[:-1]) <= starts[1:]).all()
    assert (starts[which] <= value).all()
    assert (value < starts[which] + (1 << shifts[which])).all()


def test_rare_values_share_a_part_and_frequent_ones_have_their_own() -> None:
    value = np.repeat(np.arange(64), [5000, 1000, 3000, 200] + [1] * 60)
    starts, shifts, _ = classes.leading_parts(value, 8.0) or ()
    assert list(zip(starts[:4].tolist(), shifts[:4].tolist(), strict=True)) == [(0, 0), (1, 0), (2, 0), (3, 0)]
    assert len(starts) < 10
    assert classes.leading_parts(np.arange(-300, 300) << 41, 8.0) is None  # more than a table can tell apart


def test_rows_that_are_distributed_alike_share_a_table() -> None:
    rng = np.random.default_rng(0)
    wide = rng.permutation(np.arange(90) % 2)
    value = np.rint(rng.normal(size=(90, 50)) * np.where(wide, 40, 4)[:, None]).astype(np.int64)
    groups = classes.of_axes(value.shape)
    doublings, passes = classes.passes(value.reshape(-1), groups) or (0, [])
    assert doublings == 1
    classes_pass = passes[3]
    of_row = zigzag(classes_pass.high.astype(np.int64))
    assert len(set(of_row[wide == 0])) == len(set(of_row[wide == 1])) == 1
    assert of_row[wide == 0][0] != of_row[wide == 1][0]
    apart = sum(len(stream(value[wide == w].reshape(-1), [])[0]) for w in (0, 1))
    assert len(stream(value.reshape(-1), groups)[0]) < apart + 60
    assert len(stream(value.reshape(-1), [])[0]) > apart + 200


def test_axes_are_groups_in_c_order() -> None:
    shape = (3, 4, 5)
    leading, first, last = classes.of_axes(shape)
    place = np.indices(shape).reshape(3, -1)
    assert (leading.of == place[0] * 4 + place[1]).all()
    assert (first.of == place[0]).all()
    assert (last.of == place[2]).all()
    assert [g.count for g in (leading, first, last)] == [12, 3, 5]
    assert classes.of_axes((7,)) == []


def test_groups_that_a_sample_does_not_show_are_not_too_many() -> None:
    rng, rows = np.random.default_rng(0), 200_001  # more than groupings are compared by
    step = -(-rows // classes.SAMPLED) | 1
    pair = rng.integers(0, classes.MOST_GROUPS - 100, rows)
    rare = np.flatnonzero(np.arange(rows) % step)[::50][:1500]
    pair[rare] = classes.MOST_GROUPS - 100 + np.arange(len(rare))
    x = np.column_stack([pair // 100, pair % 100, rng.integers(0, 16, pair.max() + 1)[pair]])
    assert len(np.unique(pair[::step])) < classes.MOST_GROUPS < len(np.unique(pair))
    assert (unpacked(packed(x)[0], x) == x).all()


def test_two_columns_together_tell_what_neither_does() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, (2, 6000))
    both = [classes.of_column(a * 7 - 3), classes.of_column(b)]
    data, reader = stream(a ^ b, both)
    assert (classes.read(reader, 1, 0, 6000, both) == a ^ b).all()
    assert len(data) < 100
    assert len(stream(a ^ b, both[:1])[0]) > 700


@pytest.mark.parametrize(
    "x",
    [
        delays(),
        delays(1),
        weights(20).view("i4"),
        np.zeros((0, 3), "i4"),
        np.full((3, 2), -7),
        np.array([[-(2**63)], [2**63 - 1], [0], [-1]]),
        np.random.default_rng(0).integers(-(2**40), 2**40, (2000, 3)),
    ],
)
def test_any_chunk_comes_back(x: np.ndarray) -> None:
    data, decoded = packed(x)
    assert (decoded == x).all()
    assert (unpacked(data, x) == x).all()


def test_columns_tell_about_later_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x = delays()
    data, _ = packed(x)
    monkeypatch.setattr(classes, "passes", lambda value, groups: None)
    way = coding.Coding.of(data[3])
    assert way.tables > 0
    assert len(data) < 0.75 * len(packed(x)[0])
    monkeypatch.undo()
    for moved in (x, x[:, ::-1]):
        assert (unpacked(packed(moved)[0], moved) == moved).all()


def test_rows_of_an_array_tell_about_its_values(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.rint(weights() * 1000).astype("i4")
    data, _ = packed(x)
    assert (unpacked(data, x) == x).all()
    monkeypatch.setattr(classes, "of_axes", lambda shape: [])
    assert len(data) < 0.95 * len(packed(x)[0])


@pytest.mark.train
def test_selection_takes_it_for_weights_and_names_the_feature() -> None:
    x = weights()
    data, report = aezip.compress(x, preset="fast")
    assert report.plan == {"kind": "columns"}
    assert (aezip.decompress(data).view("u4") == x.view("u4")).all()


@pytest.mark.train
def test_bounds_and_holes_are_kept() -> None:
    x = delays().astype("f8")
    x[::7, 3] = np.nan
    data, report = aezip.compress(x, bound=aezip.Absolute(2.0), preset="fast")
    y = aezip.decompress(data)
    assert report.plan["kind"] == "columns"
    assert (np.isnan(x) == np.isnan(y)).all()
    assert np.nanmax(np.abs(x - y)) <= 2.0


@pytest.mark.train
@pytest.mark.parametrize("x", [delays(400), weights(10).view("i4")])
def test_damaged_chunks_are_refused_or_decode_to_something(x: np.ndarray) -> None:
    data, _ = packed(x)
    assert max(byte & 7 for byte in data[: x.shape[1] if x.ndim == 2 else 1]) > 0
    refused = 0
    for changed in hostile.flips(data, 600):
        try:
            assert unpacked(changed, x).shape == x.shape
        except (CorruptFile, ValueError, IndexError, OverflowError):  # the three are named by the decoder of chunks
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    "numbers",
    [
        (3, 2, 0),
        (-1, 2, 0),
        (2**40, 2, 0),
        (1, 0, 0),
        (1, 256, 0),
        (1, -5, 0),
        (1, 2**40, 0),
    ],
)
def test_impossible_numbers_are_refused(numbers: tuple[int, int, int]) -> None:
    part = buckets(np.array(numbers, np.int64), np.zeros(3, np.uint16))
    _, tables = residual.tables_for([part], classes.tables(1))
    reader = residual.ResidualReader(tables, residual.encode(tables, [part]))
    with pytest.raises(CorruptFile):
        classes.read(reader, 1, 0, 10, [classes.of_column(np.arange(10) % 2)])


def test_a_class_or_part_that_does_not_exist_is_refused() -> None:
    value = np.arange(4000) % 3
    groups = [classes.of_column(value)]
    doublings, passes = classes.passes(value, groups) or (0, [])
    for number, wrong in ((3, 1 << doublings), (2, classes.DEEPEST + 1), (4, 3)):
        changed = list(passes)
        high = np.full(len(passes[number].high), unzigzag(np.array([wrong]))[0])
        changed[number] = residual.Split(high, passes[number].contexts, np.zeros(0, np.int64), None)
        _, tables = residual.tables_for(changed, classes.tables(doublings))
        reader = residual.ResidualReader(tables, residual.encode(tables, changed))
        with pytest.raises(CorruptFile):
            classes.read(reader, doublings, 0, len(value), groups)
    many = [classes.of_column(np.arange(classes.MOST_GROUPS + 1))]
    part = buckets(np.array([1, 1, 0], np.int64), np.zeros(3, np.uint16))
    shift = residual.Split(np.zeros(1, np.int64), np.full(1, classes.SHIFTS_TABLE, np.uint16), np.zeros(0, np.int64), None)
    _, tables = residual.tables_for([part, shift], classes.tables(1))
    with pytest.raises(CorruptFile, match="groups"):
        classes.read(residual.ResidualReader(tables, residual.encode(tables, [part, shift])), 1, 0, len(many[0].of), many)
