"""G10, G11: sizes that a hostile file declares are compared with what there is before memory is taken."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import hostile
import numpy as np
import pytest
from helpers import GOLDEN

import aezip
from aezip.cli.show import show
from aezip.container.reader import Reader
from aezip.core import memory as limits
from aezip.core.names import shown
from aezip.entropy import frames

STATIC, SIGNAL, FRAMES = "v1_0_static_psnr", "v1_0_context_signal", "v1_0_context_frames"


def resized(parts: hostile.Parts, outer: int) -> None:
    """Declare so many outer indices, all in one chunk."""
    shape = parts.header["shape"]
    inner = int(np.prod(shape[1:]))
    parts.header |= {"shape": [outer, *shape[1:]], "chunk_count": 1, "chunk_length": outer, "chunk_values": outer * inner}


def many_values(parts: hostile.Parts) -> None:
    resized(parts, 1 << 27)


def very_many_values(parts: hostile.Parts) -> None:
    parts.header["shape"] = [1 << 49]


def wide_blocks(parts: hostile.Parts) -> None:
    parts.header["plan"]["layout"] = [1 << 13, 8]
    resized(parts, 100)


def wider_blocks(parts: hostile.Parts) -> None:
    parts.header["plan"]["layout"] = [1 << 20, 1 << 10]


def many_groups(parts: hostile.Parts) -> None:
    parts.header["plan"] |= {"layout": [1 << 23, 1], "groups": "columns"}


def many_codes(parts: hostile.Parts) -> None:
    resized(parts, 1 << 20)
    parts.header["plan"] |= {"layout": [1, 1], "width": 255, "kind": "autoencoder"}


def many_tables(parts: hostile.Parts) -> None:
    parts.header["plan"] |= {"layout": [300, 7], "by_feature": True}


def many_segments(parts: hostile.Parts) -> None:
    parts.header["plan"]["signal"]["segments"] = (1 << 31) - 1


def one_segment(parts: hostile.Parts) -> None:
    resized(parts, 1 << 20)
    parts.header["plan"]["signal"]["segments"] = 1


def large_mask(parts: hostile.Parts) -> None:
    parts.chunks[0]["mask"] = bytes(1 << 24)


def large_model(parts: hostile.Parts) -> None:
    parts.shared["model"] = bytes((1 << 28) + 1)


def large_low_bits(parts: hostile.Parts) -> None:
    # one bit each for 2**60 values
    parts.chunks[0]["residual"] = b"\x00\x09" + b"\xff" * 8 + b"\x0f"


def lying_frame(parts: hostile.Parts) -> None:
    large, small = frames.pack(bytes(1 << 24)), frames.pack(parts.chunks[0]["residual"])
    assert len(large) > 12
    parts.frames[0, "residual"] = small[:4] + large[4:9] + small[9:]  # the header of one, the content of the other


BOMBS: list[tuple[str, Callable[[hostile.Parts], None]]] = [
    (STATIC, many_values), (STATIC, very_many_values), (STATIC, wide_blocks), (STATIC, wider_blocks), (STATIC, many_groups),
    (STATIC, many_codes), (STATIC, many_tables), (STATIC, large_mask), (STATIC, large_model), (STATIC, large_low_bits),
    (STATIC, lying_frame), (SIGNAL, many_segments), (SIGNAL, one_segment), (FRAMES, many_values),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), BOMBS, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_bomb_is_refused_before_memory_is_taken(
    name: str, change: Callable[[hostile.Parts], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "memory", lambda: 1 << 30)
    parts = hostile.take_apart((GOLDEN / f"{name}.aez").read_bytes())
    change(parts)
    data = hostile.put_together(parts)
    assert len(data) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises((aezip.UnsafeFile, aezip.CorruptFile)):
            aezip.decompress(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 << 20


@pytest.mark.train
def test_an_array_beyond_memory_is_refused_whole_but_read_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.zeros((1 << 19, 8), "u1")
    data, _ = aezip.compress(x, preset="fast")
    monkeypatch.setattr(limits, "VALUE", 0)
    monkeypatch.setattr(limits, "memory", lambda: 3 << 20)
    with pytest.raises(aezip.UnsafeFile, match="slices"):
        aezip.decompress(data)
    monkeypatch.setattr(limits, "memory", lambda: 1 << 30)
    with aezip.open(data) as archive:
        assert not archive["data"][7:9].any()


def test_an_index_has_no_more_rows_than_headers_say() -> None:
    bomb = frames.pack(bytes(1 << 26), 19)
    assert len(bomb) < 10_000
    with pytest.raises(aezip.CorruptFile):
        Reader._index(bomb, 3)


def test_memory_has_a_limit() -> None:
    assert 1 << 28 < limits.memory() < 1 << 62
    limits.check(1, "nothing")
    with pytest.raises(aezip.UnsafeFile, match="GB"):
        limits.check(1 << 62, "everything")


def test_what_commands_a_terminal_is_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    data, _ = aezip.compress({"\x1b[31m[/bold]": np.arange(5)}, preset="fast")
    with aezip.open(data) as archive:
        report: Any = archive.report()
    show(report, "x")
    assert "\x1b" not in capsys.readouterr().out
    assert shown("a\x07\ud800b") == "a\\x07\\ud800b"
