"""Frames: small, the same bits, and refused when damaged."""

from __future__ import annotations

import numpy as np
import pytest

import aezip
from aezip.archive.frames import decode_frame, encode_frame
from aezip.container.frame import MAGIC, Frame
from aezip.core.errors import AezipError, CorruptFile, InvalidInput, ModelMismatch, UnsupportedVersion

X = np.cumsum(np.cumsum(np.random.default_rng(0).normal(size=(32, 32, 32)), 0), 2).astype("f4")
MOST = 64  # bytes beyond the streams


def beside(frame: bytes, base: dict[str, object] | None = None) -> int:
    """Return the bytes of a frame that are of no stream."""
    parsed = Frame(frame, {"bound": {"kind": "lossless"}, **(base or {})})
    return len(frame) - sum(length for runs in parsed.entry.frames.values() for _, length, _ in runs)


@pytest.mark.parametrize("bound", [aezip.Absolute(0.05), aezip.Lossless(), aezip.PointRelative(0.01)])
def test_a_frame_is_what_a_file_is_without_the_container(bound: aezip.Bound) -> None:
    frame = encode_frame(X, bound)
    data, _ = aezip.compress(X, None, bound=bound, preset="instant")
    np.testing.assert_array_equal(decode_frame(frame), aezip.decompress(data))
    assert len(frame) < len(data) - 400


@pytest.mark.parametrize(
    "array",
    [X, X[:1], np.zeros((16, 16), "f8"), np.arange(500, dtype="i2"), np.float32(3.5), np.zeros((0, 3), "f4"), X.view("c8")],
    ids=lambda a: f"{a.dtype}{np.shape(a)}",
)
def test_little_stands_beside_the_streams(array: np.ndarray) -> None:  # type: ignore[type-arg]
    frame = encode_frame(array)
    assert beside(frame) <= MOST
    np.testing.assert_array_equal(decode_frame(frame), array)


@pytest.mark.parametrize("value", [0.05, 0.0137, 2.0])
def test_little_stands_beside_the_streams_of_a_built_in_network(value: float) -> None:
    frame = encode_frame(X, aezip.Absolute(value))
    assert beside(frame) <= MOST
    assert np.abs(decode_frame(frame).astype("f8") - X).max() <= value


def test_a_model_serves_frames_of_any_extent() -> None:
    bound = aezip.Absolute(0.05)
    model = aezip.train(X, bound=bound, preset="fast")
    for part in (X[:16, :20, :24], X[5:6], X[:, ::2]):
        frame = encode_frame(part, bound, model=model)
        assert np.abs(decode_frame(frame, model=model) - part).max() <= 0.05
        if Frame(frame, {"bound": {"kind": "lossless"}, **model.trained.header}).header.get("model"):
            assert beside(frame, model.trained.header) <= MOST
            with pytest.raises((ModelMismatch, CorruptFile)):
                decode_frame(frame)


def test_damage_is_found() -> None:
    frame = encode_frame(X, aezip.Absolute(0.05))
    want = decode_frame(frame)
    rng = np.random.default_rng(1)
    for _ in range(300):
        bad = bytearray(frame)
        bad[int(rng.integers(len(bad)))] ^= 1 << int(rng.integers(8))
        assert_found(bytes(bad), want)
    for size in (0, 3, 4, 10, 60, len(frame) - 1):
        assert_found(frame[:size], want)
    assert_found(frame + b"x", want)


def assert_found(frame: bytes, want: np.ndarray) -> None:  # type: ignore[type-arg]
    try:
        back = decode_frame(frame)
    except AezipError:
        return
    np.testing.assert_array_equal(back, want)  # what does not matter, such as a bit of padding, changed


def test_later_versions_and_other_bytes_are_refused() -> None:
    frame = encode_frame(X, aezip.Absolute(0.05))
    with pytest.raises(UnsupportedVersion):
        decode_frame(MAGIC + b"\2" + frame[4:])
    with pytest.raises(CorruptFile, match="no frame"):
        decode_frame(b"PK\3\4" + frame[4:])


def test_masked_arrays_are_refused() -> None:
    with pytest.raises(InvalidInput, match="mask"):
        encode_frame(np.ma.masked_array(X, X > 0))
