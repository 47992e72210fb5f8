"""The header of a `.safetensors` file: a length, JSON, then tensors at stated places.

After the format's description (https://huggingface.co/docs/safetensors). Types that NumPy has not are taken as unsigned
integers of their size; bfloat16, float8_e4m3 and float8_e5m2 are said to be such, so that they take a bound. Those of which
several values share a byte (I4, F4, F6) stay as they are.
"""

from __future__ import annotations

import json
import math
import struct

import numpy as np

from .flat import Header, Run

TYPES = {
    "BOOL": "u1", "U8": "u1", "I8": "i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8", "I64": "<i8",
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8", "BF16": "<u2", "F8_E4M3": "u1", "F8_E5M2": "u1", "F8_E8M0": "u1",
}  # fmt: skip
_NARROW = {"BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}
_MOST = 100_000_000  # bytes of the header, as the format limits it


def parse(data: bytes) -> Header | None:
    """Return what the first bytes of a file tell; None if more are needed.

    Raises
    ------
    ValueError, KeyError, TypeError
        If they are malformed.
    """
    if len(data) < 8:
        raise ValueError("it is too short")
    (size,) = struct.unpack("<Q", data[:8])
    if size > _MOST:
        raise ValueError("its header is too long")
    if len(data) < 8 + size:
        return None
    told = json.loads(data[8 : 8 + size])
    runs = {}
    for name, entry in told.items():
        if name == "__metadata__":
            continue
        start, stop = (int(n) for n in entry["data_offsets"])
        shape = tuple(int(n) for n in entry["shape"])
        if entry["dtype"] not in TYPES:
            continue  # packed types stay as they are
        dtype = np.dtype(TYPES[entry["dtype"]])
        if min((start, *shape)) < 0 or stop - start != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"the place of {name[:40]!r} does not fit its shape")
        if stop > start:
            runs[name] = Run(dtype, shape, 8 + size + start, stop - start)
    kinds = {name: str(entry["dtype"]) for name, entry in told.items() if name != "__metadata__"}
    narrow = {name: _NARROW[kinds[name]] for name in runs if kinds[name] in _NARROW}
    bits = frozenset(name for name in runs if kinds[name] == "F8_E8M0")  # powers of two alone, to scale others
    return Header(8 + size, runs, bits=bits, narrow=narrow, others={n: kind for n, kind in kinds.items() if n not in runs})
