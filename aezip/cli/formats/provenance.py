"""Whether values went through lossy compression before: said in what aezip writes where a format has room, read in what it takes.

An .npz file has a comment (of the zip archive), .npy and raw values have no room. Data sets of netCDF say so in attributes.
Knows texts only, no files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_KEY = "aezip lossy"
_MOST = 60_000  # bytes of a comment; zip allows 65,535


def to_comment(bounds: Mapping[str, dict[str, Any]]) -> bytes:
    """Return the comment that names arrays and the bounds they were stored with; b"" if there are none."""
    if not bounds:
        return b""
    text = json.dumps({_KEY: dict(bounds)}).encode()
    return text if len(text) <= _MOST else json.dumps({_KEY: {}}).encode()


def from_comment(comment: bytes, names: Iterable[str]) -> dict[str, str]:
    """Return what a comment says of arrays: a few words for each that was stored lossily."""
    try:
        told = json.loads(comment)[_KEY]
    except (ValueError, TypeError, KeyError, RecursionError):
        return {}
    if not isinstance(told, dict):
        return {}
    if not told:
        return dict.fromkeys(names, "with a bound that is not told")
    return {name: describe(told[name]) for name in names if name in told}


def describe(bound: Any) -> str:
    """Return a bound in words, whatever a foreign file says it is."""
    words = [f"{key} {value}" for key, value in bound.items()] if isinstance(bound, dict) else [str(bound)]
    return ", ".join(words)[:100]
