"""What entropy coding leaves over: low bits that are noise, rare large integers, lengths. Knows nothing of tables or files."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aezip.core.errors import CorruptFile
from aezip.core.types import U8, Int64

MOST_SHIFT = 43  # low bits of a value, at most


def zigzag(value: Int64) -> Int64:
    """Map 0, -1, 1, -2, … to 0, 1, 2, 3, …."""
    return (value << 1) ^ (value >> 63)


def unzigzag(value: Int64) -> Int64:
    """Undo `zigzag`."""
    return (value >> 1) ^ -(value & 1)


def pack_low(values: Int64, shifts: U8) -> bytes:
    """Pack low bits, `shifts` of each value: shift by shift a count (LEB128), whole low bytes, then the remaining bits."""
    counts = np.bincount(shifts, minlength=MOST_SHIFT + 1)
    out = []
    for shift in range(1, MOST_SHIFT + 1):
        out.append(leb128(int(counts[shift])))
        if not counts[shift]:
            continue
        low = values[shifts == shift].astype(np.int64)
        for byte in range(shift // 8):
            out.append(((low >> (8 * byte)) & 0xFF).astype(np.uint8).tobytes())
        rest = shift % 8
        if rest:
            top = (low >> (shift - rest)).astype(np.uint8)
            bits = (top[:, None] >> np.arange(rest, dtype=np.uint8)) & np.uint8(1)
            out.append(np.packbits(bits.ravel()).tobytes())
    return b"".join(out)


class LowBits:
    """The low bits of all passes, shift by shift."""

    def __init__(self, data: bytes) -> None:
        self._values: dict[int, Int64] = {}
        self._at: dict[int, int] = {}
        at, shift = 0, 0
        while at < len(data):
            shift += 1
            count, at = read_leb128(data, at)
            need = (shift // 8) * count + (-(-count * (shift % 8) // 8))
            if need > len(data) - at or shift > MOST_SHIFT:
                raise CorruptFile("the low bits are cut short: the file is damaged")
            if count:
                self._values[shift] = self._read(data, at, shift, count)
                self._at[shift] = 0
            at += need

    @staticmethod
    def _read(data: bytes, at: int, shift: int, count: int) -> Int64:
        low = np.zeros(count, np.int64)
        for byte in range(shift // 8):
            low |= np.frombuffer(data, np.uint8, count, at).astype(np.int64) << (8 * byte)
            at += count
        rest = shift % 8
        if rest:
            packed = np.frombuffer(data, np.uint8, -(-count * rest // 8), at)
            bits = np.unpackbits(packed, count=count * rest).reshape(count, rest)
            top = (bits << np.arange(rest, dtype=np.uint8)).sum(axis=1, dtype=np.int64)
            low |= top << (shift - rest)
        return low

    def take(self, shift: int, count: int) -> Int64:
        """Return the next `count` values of a shift."""
        at = self._at.get(shift, 0)
        values = self._values.get(shift)
        if values is None or at + count > len(values):
            raise CorruptFile("low bits are missing: the file is damaged")
        self._at[shift] = at + count
        return values[at : at + count]

    def flat(self) -> tuple[Int64, list[int], list[int]]:
        """Return all values, and for each shift the places of the next one and after the last."""
        parts = [self._values.get(shift, np.zeros(0, np.int64)) for shift in range(MOST_SHIFT + 1)]
        ends = [int(v) for v in np.cumsum([len(p) for p in parts])]
        starts = [end - len(p) + self._at.get(shift, 0) for shift, (end, p) in enumerate(zip(ends, parts, strict=True))]
        return np.concatenate(parts), starts, ends

    def resume(self, places: list[int]) -> None:
        """Go on at places in what `flat` returned."""
        _, starts, _ = self.flat()
        for shift in self._at:
            self._at[shift] += places[shift] - starts[shift]

    def finish(self) -> None:
        """Check that everything was used."""
        if any(self._at[s] != len(v) for s, v in self._values.items()):
            raise CorruptFile("low bits are left over: the file is damaged")


def pack_integers(values: npt.NDArray[np.signedinteger]) -> bytes:
    """Pack rare, large integers: their byte counts, then their bytes by significance."""
    if not len(values):
        return b""
    folded = zigzag(values.astype(np.int64)).astype(np.uint64)
    widths = np.ones(len(values), np.uint8)
    for byte in range(1, 8):
        widths[folded >= np.uint64(1 << (8 * byte))] = byte + 1
    planes = [((folded[widths > byte] >> np.uint64(8 * byte)) & np.uint64(0xFF)).astype(np.uint8) for byte in range(8)]
    return leb128(len(values)) + widths.tobytes() + b"".join(p.tobytes() for p in planes)


def unpack_integers(data: bytes) -> Int64:
    """Undo `pack_integers`; raises CorruptFile if bytes are missing or left over."""
    if not data:
        return np.zeros(0, np.int64)
    count, at = read_leb128(data, 0)
    widths = np.frombuffer(data[at : at + count], np.uint8)
    at += count
    if len(widths) < count or (widths > 8).any() or len(data) - at != int(widths.sum(dtype=np.int64)):
        raise CorruptFile("escaped values are cut short: the file is damaged")
    folded = np.zeros(count, np.uint64)
    for byte in range(8):
        where = widths > byte
        size = int(where.sum())
        folded[where] |= np.frombuffer(data, np.uint8, size, at).astype(np.uint64) << np.uint64(8 * byte)
        at += size
    return (folded >> np.uint64(1)).astype(np.int64) ^ -(folded & np.uint64(1)).astype(np.int64)


def leb128(value: int) -> bytes:
    """Return a length in groups of seven bits, the lowest first (LEB128)."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a length and where it ends; raises CorruptFile if it is cut short or takes more than 63 bits."""
    value = 0
    for shift in range(0, 63, 7):
        if at >= len(data):
            raise CorruptFile("a length is cut short: the file is damaged")
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
    raise CorruptFile("a length is impossible: the file is damaged")
