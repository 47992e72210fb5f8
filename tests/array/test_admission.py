"""Admission: every array that is taken comes back bit for bit, the rest is refused in one line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers import FLOATS, INTEGERS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aezip.array.admission import admit, native, parse_dtype, restore
from aezip.array.specials import EXCEPTION, Specials
from aezip.array.statistics import measure
from aezip.core.errors import CorruptFile, InvalidInput

OTHERS = ["?", "c8", "c16", "M8[ns]", "M8[D]", "m8[25s]", "M8"]
SPECIAL = {
    "f2": [0x7E00, 0x7E01, 0xFE00, 0x7C00, 0xFC00, 0x8000, 0x0001, 0x8001, 0x7D00],
    "f4": [0x7FC00000, 0x7FC0BEEF, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x80000001, 0x7FA00000],
    "f8": [0x7FF8 << 48, (0x7FF8 << 48) + 7, 0xFFF8 << 48, 0x7FF0 << 48, 0xFFF0 << 48, 1 << 63, 1, (1 << 63) + 1, 0x7FF4 << 48],
}


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.dtype.str == b.dtype.str and a.tobytes() == b.tobytes()


def round_trip(x: np.ndarray) -> np.ndarray:
    taken = admit(x)
    return restore(native(taken.values), taken.shape, taken.dtype)


def arrays(order: str) -> st.SearchStrategy[np.ndarray]:
    dtype = st.sampled_from(FLOATS + INTEGERS + OTHERS).map(lambda name: np.dtype(name).newbyteorder(order))
    shape = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)

    def fill(drawn: tuple[np.dtype, tuple[int, ...], int]) -> np.ndarray:
        kind, dims, seed = drawn
        count = int(np.prod(dims, dtype=int))
        raw = np.random.default_rng(seed).integers(0, 2 if kind == "?" else 256, count * kind.itemsize, dtype=np.uint8)
        return np.frombuffer(raw.tobytes(), dtype=kind).reshape(dims)

    return st.tuples(dtype, shape, st.integers(0, 2**32 - 1)).map(fill)


@pytest.mark.parametrize("order", ["<", ">"])
@given(data=st.data())
def test_any_array_comes_back_bit_for_bit(order: str, data: st.DataObject) -> None:
    x = data.draw(arrays(order))
    variants = [x, np.asfortranarray(x)]
    if x.ndim:
        variants += [x[::-1], x[..., ::-1], x[::2], x.T, np.repeat(x, 2, axis=-1)[..., ::2]]
    for variant in variants:
        assert same_bits(round_trip(variant), np.ascontiguousarray(variant).reshape(variant.shape))


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + OTHERS)
def test_values_are_plain_numbers_and_views(dtype: str) -> None:
    x = np.ones((6, 4), dtype="u1").astype("i8").astype(dtype)
    for variant in (x, x[::2, ::-1], x.T):
        taken = admit(variant)
        assert taken.values.dtype.str[1:] in {*FLOATS, *INTEGERS}
        assert np.shares_memory(taken.values, x)
        assert taken.lossless_only == (np.dtype(dtype).kind in "bmM")


def test_zero_dimensional_and_complex_shapes() -> None:
    assert admit(np.float32(3)).values.shape == (1,)
    assert admit(np.complex64(3 + 1j)).values.tolist() == [[3.0, 1.0]]
    assert admit(np.zeros((2, 3), dtype="c8")).values.shape == (2, 3, 2)
    assert admit(np.zeros((2, 3), dtype="c8")).trailing == 2
    assert admit([[1, 2], [3, 4]]).shape == (2, 2)


def test_memory_maps_and_read_only_arrays_are_not_copied(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1000, 1000)))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    taken = admit(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000
    assert np.shares_memory(taken.values, x)
    frozen = np.arange(5.0)
    frozen.setflags(write=False)
    assert same_bits(round_trip(frozen), frozen)


@pytest.mark.parametrize(
    "bad",
    [
        np.array([object()]),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(2, dtype=[("a", "f4")]),
        np.zeros(2, dtype="V4"),
        [[1, 2], [3]],
        ["a"],
        None,
        {"a": 1},
        np.zeros(2, dtype=np.longdouble),
        np.zeros(2, dtype=np.clongdouble),
        np.ma.masked_array(np.zeros(2, dtype=[("a", "f4")]), mask=True),
        np.array([None, 1.0]),
        10**30,
    ],
)
def test_other_types_are_refused_in_one_line(bad: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        admit(bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "fill"),
    [
        ("u1", -1),
        ("i2", 40000),
        ("i4", 1.5),
        ("i4", np.nan),
        ("f4", "x"),
        ("f4", 1j),
        ("f2", 1e20),
        ("u1", "7"),
        ("i8", [1, 2.5]),
        ("i8", []),
        ("i8", list(range(65))),
        ("i4", None.__class__),
    ],
)
def test_impossible_fill_values_are_refused(dtype: str, fill: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        admit(np.zeros(3, dtype=dtype), fill)
    assert "\n" not in str(caught.value)


def test_fill_values_take_the_type_of_the_data() -> None:
    assert admit(np.zeros(3, dtype=">f4"), 1e20).fill == np.float32(1e20)
    assert admit(np.zeros(3, dtype="i2"), -9999.0).fill.tolist() == [-9999]
    assert admit(np.zeros(3, dtype="c8"), 1e20).fill.tolist() == [np.float32(1e20), 0.0, -0.0]
    assert admit(np.zeros(3, dtype="u8"), 2**64 - 1).fill.tolist() == [2**64 - 1]
    assert admit(np.zeros(3)).fill is None


@pytest.mark.parametrize("dtype", ["f4", ">f8", "i2", "u1", "c8", "?", "M8[s]"])
def test_masked_arrays_are_filled_and_masked(dtype: str) -> None:
    data = np.arange(6).reshape(2, 3).astype("i8").astype(dtype)
    x = np.ma.masked_array(data, mask=[[0, 1, 0], [0, 0, 0]])
    taken = admit(x)
    assert taken.masking is not None
    stored = restore(native(taken.values), taken.shape, taken.dtype)
    assert same_bits(taken.masking.filled(stored), np.asarray(x.filled()))
    assert (taken.masking.mask(stored) == x.mask).all()
    assert taken.fill is not None
    found = measure(taken.values, taken.fill, trailing=taken.trailing)
    assert found.specials.masked(found.specials.classify(native(taken.values))).any()


def test_a_masked_array_without_masked_values_has_no_fill() -> None:
    assert admit(np.ma.masked_array([1.0, 2.0], mask=[False, False])).fill is None
    assert admit(np.ma.masked_array([1.0, 2.0])).fill is None


def test_a_fill_value_stands_beside_that_of_the_mask() -> None:
    taken = admit(np.ma.masked_array([1.0, 2.0, -1.0], mask=[True, False, False]), -1.0)
    assert taken.values.tolist() == [1e20, 2.0, -1.0]
    assert taken.fill.tolist() == [1e20, -1.0]


@pytest.mark.parametrize("text", ["O", "|O", "<U3", "|V4", "<f16", "f4,f4", "<M8[xx]", "<f3", "", "=f4", "<f4 ", 5, None])
def test_headers_with_other_types_are_corrupt(text: object) -> None:
    with pytest.raises(CorruptFile):
        parse_dtype(text)


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS + OTHERS)
def test_every_type_is_readable_from_a_header(dtype: str) -> None:
    for order in "<>":
        kind = np.dtype(dtype).newbyteorder(order)
        assert parse_dtype(kind.str) == kind


def test_values_that_do_not_fit_the_header_are_corrupt() -> None:
    with pytest.raises(CorruptFile):
        restore(np.zeros(5, dtype="f4"), (2, 3), "<f4")
    with pytest.raises(CorruptFile):
        restore(np.zeros(6, dtype="f8"), (2, 3), "<f4")
    with pytest.raises(CorruptFile):
        restore(np.zeros(5, dtype="f4"), (5,), "<c8")


@pytest.mark.parametrize("dtype", FLOATS)
def test_special_values_are_classified_and_restored(dtype: str) -> None:
    bits = np.array(SPECIAL[dtype], dtype=f"u{np.dtype(dtype).itemsize}")
    ordinary = np.arange(1, 4).astype(dtype).view(bits.dtype)
    x = np.concatenate([np.tile(bits, 3), ordinary]).view(dtype)
    table = measure(x).specials
    classes = table.classify(x)
    denormal = (x.view(bits.dtype) == 1) | (x.view(bits.dtype) == bits[7])
    np.testing.assert_array_equal(classes == 0, (np.isfinite(x) & ~((x == 0) & np.signbit(x))))
    assert not classes[denormal].any()
    out = np.where(classes == 0, x, np.dtype(dtype).type(5))
    table.restore(classes, out)
    assert same_bits(out, x)
    assert Specials.from_json(json.loads(json.dumps(table.to_json())), np.dtype(dtype)) == table


@pytest.mark.parametrize("dtype", FLOATS + INTEGERS)
@given(data=st.data())
def test_any_bits_survive_classes_or_exceptions(dtype: str, data: st.DataObject) -> None:
    size = np.dtype(dtype).itemsize
    x = np.frombuffer(data.draw(st.binary(min_size=0, max_size=60 * size).map(lambda b: b[: len(b) // size * size])), dtype=dtype)
    fill = x[:1].copy() if x.size and data.draw(st.booleans()) else None
    table = measure(x, fill).specials
    classes = table.classify(x)
    out = np.where((classes == 0) | (classes == EXCEPTION), x, np.dtype(dtype).type(0))
    table.restore(classes, out)
    assert same_bits(out, x)
    if fill is not None:
        np.testing.assert_array_equal(table.masked(classes), x.view(f"u{size}") == fill.view(f"u{size}"))


def test_more_payloads_than_the_table_holds_are_exceptions() -> None:
    x = (np.arange(70_000, dtype="u4") % 1000 + 0x7FC00000).view("f4").copy()
    x[5], x[6] = -0.0, np.inf
    table = measure(x, block=999).specials
    assert table == measure(x).specials == Specials.scan([x[:30_000], x[30_000:]])
    classes = table.classify(x)
    assert len(table.patterns) == 254
    assert classes[5] not in (0, EXCEPTION)
    assert classes[6] not in (0, EXCEPTION)
    assert 0.7 < np.mean(classes == EXCEPTION) < 0.8


def test_a_class_outside_the_table_is_corrupt() -> None:
    with pytest.raises(CorruptFile):
        Specials().restore(np.array([1], dtype=np.uint8), np.zeros(1))
    with pytest.raises(CorruptFile):
        Specials((b"\0" * 4,)).restore(np.array([1], dtype=np.uint8), np.zeros(1))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"fills": 0},
        {"fills": 1, "patterns": []},
        {"fills": 0, "patterns": ["zz"]},
        {"fills": 0, "patterns": [3]},
        {"fills": True, "patterns": ["00"]},
        {"fills": 0, "patterns": ["00", "0000"]},
        None,
        [],
        {"fills": 0, "patterns": ["00", "00"]},
        {"fills": 0, "patterns": [f"{i:04x}" for i in range(255)]},
        {"fills": 0, "patterns": [], "valid": ["0000"]},
        {"fills": 0, "patterns": [], "valid": ["0500", "0400"]},
        {"fills": 0, "patterns": [], "valid": ["05", "06"]},
        {"fills": 0, "patterns": [], "valid": 7},
        {"fills": 0, "patterns": [], "apart": 1},
        {"fills": 140, "patterns": [f"{i:04x}" for i in range(200)]},
    ],
)
def test_malformed_tables_are_corrupt(data: object) -> None:
    with pytest.raises(CorruptFile):
        Specials.from_json(data, np.dtype("u2"))


def test_integers_without_fill_have_no_specials() -> None:
    found = measure(np.arange(-5, 5, dtype="i2"))
    assert found.specials == Specials()
    assert (found.minimum, found.maximum, found.count) == (-5, 4, 10)
    assert type(found.minimum) is int


def test_wide_integers_keep_exact_extremes() -> None:
    x = np.array([[2**64 - 1, 0], [2**64 - 3, 5]], dtype="u8")
    found = measure(x)
    assert (found.minimum, found.maximum) == (0, 2**64 - 1)
    assert found.column_range.tolist() == [2.0, 5.0]


def test_negative_zero_is_special_but_counts_as_zero_in_ranges() -> None:
    found = measure(np.array([[-0.0, 3.0], [2.0, 4.0]]))
    assert len(found.specials.patterns) == 1
    assert (found.minimum, found.count) == (0.0, 4)
    assert not np.signbit(found.minimum)
    assert found.column_minimum.tolist() == [0.0, 3.0]


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i1", "u2", ">i4", "u8"])
@pytest.mark.parametrize("shape", [(1,), (7,), (5, 3), (3, 4, 20), (1, 1, 900), (40, 2, 2)])
@pytest.mark.parametrize("block", [1, 16, 1 << 20])
def test_statistics_equal_their_definition(dtype: str, shape: tuple[int, ...], block: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 100, shape).astype(dtype)
    fill = np.array([7], dtype=dtype)
    keep = x != 7
    if x.dtype.kind == "f":
        x[rng.random(shape) < 0.2] = np.nan
        keep &= np.isfinite(x)
    found = measure(x, fill, block=block)
    assert (found.size, found.count) == (x.size, keep.sum())
    if keep.any():
        assert (found.minimum, found.maximum) == (x[keep].min(), x[keep].max())
    if len(shape) > 1 and found.column_minimum is not None:
        for column in range(shape[-1]):
            part = x[..., column][keep[..., column]].astype("f8")
            assert found.column_minimum[column] == (part.min() if part.size else 0)
            assert found.column_maximum[column] == (part.max() if part.size else 0)
            assert found.column_range[column] == (np.ptp(part) if part.size else 0)


def test_statistics_of_nothing() -> None:
    for x in (np.zeros((0, 4)), np.zeros(0, dtype="i4"), np.full(3, np.nan), np.zeros((3, 0))):
        found = measure(x)
        assert (found.count, found.minimum, found.maximum, found.range) == (0, 0, 0, 0.0)


def test_complex_features_have_ranges_of_their_own() -> None:
    taken = admit(np.array([[1 + 10j, 100j], [2 + 30j, 5 + 100j]], dtype="c16"))
    assert measure(taken.values, trailing=taken.trailing).column_range.tolist() == [[1.0, 20.0], [5.0, 0.0]]


def test_scanning_a_memory_map_takes_bounded_memory(tmp_path: Path) -> None:
    x = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype="f8", shape=(2, 2_000_000))
    x[:] = 1.5
    x.flush()
    values = np.load(tmp_path / "x.npy", mmap_mode="r")
    tracemalloc.start()
    measure(values, block=10_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000
