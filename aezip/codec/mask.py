"""The classes of special values of a chunk: a small stream of its own."""

from __future__ import annotations

import math

import numpy as np

from aezip.core.errors import CorruptFile
from aezip.core.types import U8
from aezip.entropy.frames import pack as zstd

_BITMAP, _CLASSES = 0, 1  # how classes are stored; + 2: differences along the outer axis
MARGINS = 4  # by what rows and columns have in common
SMALL = 2048  # bytes up to which a mask is not worth more trouble


def pack_mask(classes: U8) -> bytes:
    """Return the classes of a chunk, b"" if all are ordinary.

    Layout: a byte that tells the form, then a bitmap (if there is only one class, 1) or a byte a value; either may be
    differenced (exclusive or) along the outer axis; or what `mask_margins` makes of one class. The smallest form after zstd wins.
    """
    if not classes.any():
        return b""
    delta = classes.copy()
    delta[1:] ^= classes[:-1]
    options = []
    for step, form in ((0, classes), (2, delta)):
        options.append(bytes([_CLASSES + step]) + form.tobytes())
        if int(classes.max()) == 1:
            options.append(bytes([_BITMAP + step]) + np.packbits(form.reshape(-1)).tobytes())
    best = min(options, key=lambda o: len(zstd(o, 3)))
    from . import mask_margins as margins

    worth = int(classes.max()) == 1 and not classes.all() and margins.suits(classes.shape)
    if worth and len(zstd(best, 3)) > SMALL:
        options = [best, bytes([MARGINS]) + margins.encode(classes)]
        best = min(options, key=lambda o: len(zstd(o, 3)))
    return best


def unpack_mask(data: bytes, shape: tuple[int, ...]) -> U8 | None:
    """Return the classes of a chunk of `shape`, None if all are ordinary.

    Raises
    ------
    CorruptFile
        If the size is wrong.
    """
    if not data:
        return None
    count = math.prod(shape)
    form, body = data[0], data[1:]
    if form == MARGINS:
        from . import mask_margins as margins  # few masks are so

        return margins.decode(body, shape)
    need = count if form & 1 else -(-count // 8)
    if form > 3 or len(body) != need:
        raise CorruptFile("the mask does not fit its chunk: the file is damaged")
    raw = np.frombuffer(body, np.uint8)
    classes = (raw if form & 1 else np.unpackbits(raw, count=count)).reshape(shape).copy()
    if form & 2:
        np.bitwise_xor.accumulate(classes, axis=0, out=classes)
    return classes
