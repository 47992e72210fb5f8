"""Section 5 of the page: tables of frequencies, the rANS part, low bits and escapes of a stream."""

from __future__ import annotations

import numpy as np

from independent.container import check, uleb

ESCAPE = 255
WEIGHTS = [65536, 71468, 77936, 84990, 92682, 101070, 110218, 120194]


class Tables:
    """Frequencies of symbols: for each table and symbol where it starts and how wide it is, and what a slot means."""

    def __init__(self, frequencies: np.ndarray) -> None:
        ends = frequencies.cumsum(axis=1)
        check(bool((ends[:, -1] == 4096).all()), "frequencies that sum to 4096")
        self.frequencies, self.starts = frequencies, ends - frequencies
        symbols = np.arange(frequencies.shape[1], dtype="u1")
        self.symbols = np.array([np.repeat(symbols, row) for row in frequencies]).reshape(-1, 4096)
        self.certain = frequencies.max(axis=1) == 4096  # such symbols are not coded at all

    @classmethod
    def parse(cls, data: bytes, at: int, count: int) -> tuple[Tables, int]:
        """Return `count` tables and where they end."""
        lengths = data[at : at + count]
        at += count
        frequencies = np.zeros((count, 256), "i8")
        frequencies[:, ESCAPE] = 4096
        for table, length in enumerate(lengths):
            if length:
                frequencies[table] = _frequencies(data[at : at + length + 1])
                at += length + 1
        return cls(frequencies), at


def _frequencies(coded: bytes) -> np.ndarray:
    weights = np.zeros(256, "i8")
    for symbol, byte in enumerate(coded):
        if byte:
            weights[ESCAPE if symbol == len(coded) - 1 else symbol] = WEIGHTS[(byte - 1) % 8] << ((byte - 1) // 8)
    used = weights > 0
    used[ESCAPE] = True
    room = 4096 - int(used.sum())
    found = used + weights * room // int(weights.sum())
    found[found.argmax()] += 4096 - int(found.sum())
    return found


class Coder:
    """The coded part: states of lanes that take words as they shrink."""

    def __init__(self, data: bytes) -> None:
        lanes, self.tail, most = (int(np.frombuffer(data, f"<u{size}", 1, at)[0]) for at, size in ((0, 2), (2, 2), (4, 4)))
        self.words, self.at = np.frombuffer(data, "<u2", offset=8).astype("i8"), 0
        self.left = most if lanes else None  # symbols that the main lanes still have
        self.states = self._states(lanes or self.tail)

    def _take(self, count: int) -> np.ndarray:
        check(self.at + count <= len(self.words), "enough words")
        self.at += count
        return self.words[self.at - count : self.at]

    def _states(self, lanes: int) -> np.ndarray:
        low = self._take(lanes)
        nibbles = self._take(-(-lanes // 4))
        lengths = ((nibbles[:, None] >> np.arange(0, 16, 4)) & 15).reshape(-1)[:lanes]
        packed = self._take(-(-int(lengths.sum()) // 16)).astype("<u2")
        bits = np.unpackbits(packed.view("u1"))
        high, at = np.ones(lanes, "i8"), 0
        for lane, length in enumerate(lengths.tolist()):
            for bit in bits[at : at + length].tolist():
                high[lane] = high[lane] * 2 + bit
            at += length
        return high << 16 | low

    def symbols(self, tables: Tables, which: np.ndarray) -> np.ndarray:
        """Return the symbols of one pass, each in its table."""
        found = tables.symbols[which, 0].astype("i8")
        coded = np.flatnonzero(~tables.certain[which])
        if self.left is not None and len(coded) > self.left:
            main, coded = coded[: self.left], coded[self.left :]
            found[main] = self._run(tables, which[main])
            self._change()
        found[coded] = self._run(tables, which[coded])
        return found

    def _run(self, tables: Tables, which: np.ndarray) -> np.ndarray:
        found = np.empty(len(which), "i8")
        lanes = len(self.states)
        if len(which):
            check(lanes > 0, "lanes")
        for i in range(0, len(which), lanes or 1):
            table = which[i : i + lanes]
            states = self.states[: len(table)]
            slots = states & 4095
            symbols = tables.symbols[table, slots]
            states[:] = tables.frequencies[table, symbols] * (states >> 12) + slots - tables.starts[table, symbols]
            low = np.flatnonzero(states < 1 << 16)
            if len(low):
                states[low] = states[low] << 16 | self._take(len(low))
            found[i : i + lanes] = symbols
        if self.left is not None:
            self.left -= len(which)
        return found

    def _change(self) -> None:
        """Go on with the tail lanes: the main ones give back words."""
        check(bool((self.states >> 16 == 1).all()), "main lanes that end below 2^17")
        self.words = np.concatenate([self.states & 0xFFFF, self.words[self.at :]])
        self.at, self.left = 0, None
        self.states = self._states(self.tail)

    def close(self) -> None:
        """Check that nothing is left over."""
        if self.left == 0:
            self._change()
        check(self.left is None and bool((self.states == 1 << 16).all()), "states that end at 2^16")
        check(self.at == len(self.words), "no word left over")


class Stream:
    """A stream of symbols, low bits and escapes, read pass by pass."""

    def __init__(self, data: bytes) -> None:
        coded, at = uleb(data, 0)
        low, at = uleb(data, at)
        self.coder = Coder(data[at : at + coded])
        self.low = _low_bits(data[at + coded : at + coded + low])
        self.escapes = _escapes(data[at + coded + low :])

    def symbols(self, tables: Tables, which: np.ndarray) -> np.ndarray:
        """Return the symbols of one pass, as uint64: those that their table has not are escapes."""
        found = self.coder.symbols(tables, which)
        symbols, escaped = found.astype("u8"), np.flatnonzero(found == ESCAPE)
        symbols[escaped], self.escapes = self.escapes[: len(escaped)], self.escapes[len(escaped) :]
        return symbols

    def low_bits(self, shifts: np.ndarray) -> np.ndarray:
        """Return the low bits of values, each of so many bits as it has."""
        found = np.zeros(len(shifts), "i8")
        for shift in np.unique(shifts[shifts > 0]).tolist():
            where = np.flatnonzero(shifts == shift)
            values = self.low[shift]
            found[where], self.low[shift] = values[: len(where)], values[len(where) :]
        return found

    def residuals(self, tables: Tables, which: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Return one pass of values q of the levels given."""
        high = unfold(self.symbols(tables, which))
        shifts = np.where(levels < 28, 0, (levels - 28) // 4 + 1)
        return (high << shifts) - ((1 << shifts) >> 1) + self.low_bits(shifts)

    def close(self) -> None:
        """Check that nothing is left over."""
        self.coder.close()
        check(not len(self.escapes) and not any(map(len, self.low.values())), "neither low bits nor escapes left over")


def unfold(zigzag: np.ndarray) -> np.ndarray:
    """Return 0, -1, 1, -2 for 0, 1, 2, 3."""
    zigzag = zigzag.astype("u8")
    return (zigzag >> np.uint64(1)).view("i8") ^ -(zigzag & np.uint64(1)).view("i8")


def _low_bits(data: bytes) -> dict[int, np.ndarray]:
    found, at, shift = {}, 0, 0
    while at < len(data):
        shift += 1
        count, at = uleb(data, at)
        values = np.zeros(count, "i8")
        for byte in range(shift // 8):
            values |= np.frombuffer(data, "u1", count, at).astype("i8") << 8 * byte
            at += count
        rest, done = shift % 8, shift // 8 * 8
        size = -(-count * rest // 8)
        bits = np.unpackbits(np.frombuffer(data, "u1", size, at))[: count * rest].reshape(count, rest).astype("i8")
        values |= (bits << np.arange(done, shift)).sum(axis=1)
        found[shift], at = values, at + size
    return found


def _escapes(data: bytes) -> np.ndarray:
    if not data:
        return np.zeros(0, "u8")
    count, at = uleb(data, 0)
    lengths = np.frombuffer(data, "u1", count, at)
    at += count
    values = np.zeros(count, "u8")
    for plane in range(int(lengths.max(initial=0))):
        reach = np.flatnonzero(lengths > plane)
        values[reach] |= np.frombuffer(data, "u1", len(reach), at).astype("u8") << np.uint64(8 * plane)
        at += len(reach)
    check(at == len(data), "nothing after the escapes")
    return values
