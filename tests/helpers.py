"""What tests of several parts share: folders, the quick preset, arrays, comparisons."""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from aezip.container import header
from aezip.container.deflate import FILE_DICTIONARY, deflated, inflated
from aezip.search.presets import Preset

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOT_BUILT = "the extension was not built: no compiler was at hand"
GOLDEN = TESTS / "golden"
FLOATS = ["f2", "f4", "f8"]
INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
# trains for a moment: what is promised does not depend on how good a network is
QUICK = Preset(30, 10, 2, 3, context_steps=30, context_trial=10, context_trials=2, crop=1 << 14)


def head_of(data: bytes | Path) -> tuple[dict[str, Any], bytes]:
    """Return the JSON of the header of a file, and the index and digests that follow it."""
    with h5py.File(io.BytesIO(data) if isinstance(data, bytes) else data) as file:
        raw, rest = inflated(bytes(file["header"][()]), FILE_DICTIONARY, header.MAX_HEADER)
    return json.loads(raw), rest[:-32]


def resigned(data: bytes, change: Callable[[dict[str, Any]], None], *, close: bool = True) -> bytes:
    """Return the file with its header changed, and the digest that closes it made right again, or left as it is."""
    told, rest = head_of(data)
    change(told)
    made = deflated(header.dump(told), FILE_DICTIONARY) + rest
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as old, h5py.File(buffer, "w", libver=("v110", "v110")) as new:
        end = hashlib.sha256(made).digest() if close else bytes(old["header"][-32:])
        new.create_dataset("header", data=np.frombuffer(made + end, "u1"), track_times=False)
        for name in set(old) - {"header"}:
            new.create_dataset(name, data=old[name][()], track_times=False)
    return buffer.getvalue()


def flipped(data: bytes, place: int) -> bytes:
    """Return the file with a bit of the streams changed."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+", libver=("v110", "v110")) as file:
        file["data"][place] ^= 16
    return buffer.getvalue()


def fenced(path: Path) -> list[tuple[list[str], str]]:
    """Return the fenced blocks of a page in order: language and further classes, text."""
    found = re.findall(r"^```[ ]*(\{[^\n]*?\}|\w*)[^\n]*\n(.*?)^```$", path.read_text(encoding="utf-8"), re.M | re.S)
    return [([word.lstrip(".") for word in words.strip("{}").split()], text) for words, text in found]
