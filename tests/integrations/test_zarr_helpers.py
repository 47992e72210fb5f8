"""What numcodecs and zarr check of codecs, with their own helpers."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

import aezip
from aezip.integrations import numcodecs as n
from aezip.integrations import zarr as z

common = pytest.importorskip("numcodecs.tests.common")
strategies = pytest.importorskip("zarr.testing.strategies")
stateful = pytest.importorskip("zarr.testing.stateful")

RNG = np.random.default_rng(0)
FEW = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
NUMBERS = (
    npst.boolean_dtypes()
    | npst.integer_dtypes(endianness="=")
    | npst.unsigned_integer_dtypes(endianness="=")
    | npst.floating_dtypes(endianness="=", sizes=(16, 32, 64))
    | npst.complex_number_dtypes(endianness="=", sizes=(64, 128))
)
# as in numcodecs' own tests: integers, floats, booleans, dates; one to three axes; both orders
ARRAYS = [
    np.arange(1000, dtype="i4"),
    np.linspace(1000, 1001, 1000, dtype="f8"),
    RNG.normal(loc=1000, scale=1, size=(100, 10)),
    RNG.normal(size=(10, 10, 10)).astype("f4").reshape(10, 10, 10, order="F"),
    np.asfortranarray(RNG.integers(0, 2, size=1000, dtype=bool).reshape(100, 10)),
    RNG.integers(0, 1 << 60, size=1000, dtype="u8").view("M8[ns]"),
    RNG.integers(0, 1 << 25, size=1000, dtype="u8").view("m8[m]"),
    RNG.integers(-(2**63), -(2**63) + 20, size=1000, dtype="i8").view("M8[m]"),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_encode_and_decode(array: np.ndarray[Any, Any]) -> None:
    common.check_encode_decode(array, n.Aezip())
    common.check_encode_decode_array(array, n.Aezip())


def test_configuration_and_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("Aezip", n.Aezip), ("Absolute", aezip.Absolute), ("Lossless", aezip.Lossless)):
        monkeypatch.setattr(common, name, value, raising=False)
    for codec in (n.Aezip(), n.Aezip(aezip.Absolute(0.5), preset="fast", fill_value=-9.0)):
        common.check_config(codec)
        common.check_repr(repr(codec))


def test_fixtures_that_were_written_once_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        common.check_backwards_compatibility("aezip", ARRAYS, [n.Aezip(), None])
    assert len(list(tmp_path.rglob("encoded.*.dat"))) == len(ARRAYS)


def test_objects_are_refused() -> None:
    common.check_err_decode_object_buffer(n.Aezip())
    common.check_err_encode_object_buffer(n.Aezip())


@pytest.mark.parametrize("place", ["compressors", "filters"])
@pytest.mark.parametrize("version", [2, 3])
def test_both_orders_of_memory(tmp_path: Path, place: str, version: Any) -> None:
    data = np.sqrt(np.arange(60 * 70, dtype="f4")).reshape(60, 70)
    codec = n.Aezip()
    codecs: Any = {"compressors": None, "filters": None, place: codec if place == "compressors" else [codec]}
    codecs = codecs if version == 2 else {"serializer": z.Aezip(), "compressors": None, "filters": None}
    for order, given_in in itertools.product("CF", repeat=2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the order in version 3: it is of memory alone
            array = zarr.create_array(
                tmp_path / f"{order}{given_in}.zarr", shape=data.shape, dtype=data.dtype, chunks=(20, 30), zarr_format=version,
                order=order, **codecs,
            )  # fmt: skip
        array[...] = np.asarray(data, order=given_in)  # type: ignore[call-overload]
        np.testing.assert_array_equal(zarr.open_array(tmp_path / f"{order}{given_in}.zarr", mode="r")[...], data)


@st.composite
def stored(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw an array of numbers and what zarr makes of it with our codec; zarr's own strategy takes no codec."""
    arrays = strategies.numpy_arrays(dtype=draw(NUMBERS), shapes=npst.array_shapes(max_dims=3, max_side=6, min_side=1))
    data, chunks = draw(strategies.np_array_and_chunks(arrays=arrays))
    version = draw(strategies.zarr_formats)
    options: dict[str, Any] = {"compressors": n.Aezip(), "filters": None}
    if version == 3:
        shards = draw(st.none() | strategies.shard_shapes(shape=data.shape, chunk_shape=chunks))
        options = {"serializer": z.Aezip(), "compressors": None, "filters": None, "shards": shards}
    fill = draw(npst.from_dtype(data.dtype))
    array = zarr.create_array(
        zarr.storage.MemoryStore(),
        shape=data.shape,
        dtype=data.dtype,
        chunks=chunks,
        fill_value=fill,
        zarr_format=version,
        **options,
    )
    array[...] = data
    return array, data


@given(both=stored(), data=st.data())
@FEW
def test_whatever_zarr_draws_comes_back(both: tuple[Any, Any], data: st.DataObject) -> None:
    array, values = both
    assert array[...].tobytes() == values.tobytes()
    key = data.draw(strategies.basic_indices(shape=values.shape))
    np.testing.assert_array_equal(array[key], values[key])
    zarr_key, numpy_key = data.draw(strategies.orthogonal_indices(shape=values.shape))
    np.testing.assert_array_equal(array.oindex[zarr_key], values[numpy_key])


class Machine(stateful.ZarrHierarchyStateMachine):  # type: ignore[misc,unused-ignore]
    """zarr's machine, whose store has our codec; the model beside it has plain bytes."""

    def __init__(self) -> None:
        super().__init__(zarr.storage.MemoryStore())

    @rule(data=st.data(), name=strategies.node_names, kind=NUMBERS)
    def add_array(self, data: st.DataObject, name: str, kind: Any) -> None:
        path = f"{data.draw(st.sampled_from(['', *sorted(self.all_groups)]))}/{name}".lstrip("/")
        assume(self.can_add(path))
        values, chunks = data.draw(strategies.np_array_and_chunks(arrays=strategies.numpy_arrays(dtype=kind)))
        fill = data.draw(npst.from_dtype(kind))
        for store, codec in ((self.store, z.Aezip()), (self.model, zarr.codecs.BytesCodec())):
            zarr.array(values, chunks=chunks, path=path, store=store, fill_value=fill, zarr_format=3, codecs=[codec])
        self.all_arrays.add(path)

    @invariant()
    def arrays_are_alike(self) -> None:
        """Check after each step, not only when the machine draws that it shall."""
        for path in sorted(self.all_arrays):
            ours, plain = (zarr.open_array(store, path=path, mode="r")[...] for store in (self.store, self.model))
            np.testing.assert_equal(ours, plain)


@pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")
def test_arrays_that_are_changed_in_any_order_hold_what_plain_bytes_hold() -> None:
    run_state_machine_as_test(Machine, settings=settings(FEW, max_examples=8, stateful_step_count=20))
