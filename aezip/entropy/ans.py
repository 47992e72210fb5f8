"""Interleaved range asymmetric numeral systems (rANS), vectorized over lanes.

Many independent coder states ("lanes") advance together, so that every step is a
handful of NumPy calls over all lanes; symbols carry a context that selects one of
several frequency tables. Knows nothing of residuals, codes or files.

Source: J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving after
F. Giesen, "Interleaved entropy coders", arXiv:1402.3392.

    symbol i of a pass  ->  lane i % lanes
    step:  slot = state & 4095 -> symbol, frequency, start      (one table look-up)
           state = frequency * (state >> 12) + slot - start
           lanes below 2**16 take the next 16-bit words, in lane order

A lane's last state would waste 16 bits. The lanes of the main part therefore start (in
the encoder) from words of the short tail part, which few lanes code: nothing is lost
but the states of those few.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.native import address
from aezip.core.types import U8, U16, U32, Int64

PRECISION = 12
TOTAL = 1 << PRECISION
LOWER = 1 << 16
MAX_LANES = 2048
_TAIL_LANES = 16
_ENDLESS = 1 << 62  # symbols left in the last part
_HEADER = 8  # bytes: u16 main lanes, u16 tail lanes, u32 symbols of the main part

Frequencies = npt.NDArray[np.int64]  # (contexts, symbols), rows sum to TOTAL


_MASK, _SHIFT, _LOWER = np.uint32(TOTAL - 1), np.uint32(PRECISION), np.uint32(LOWER)
_ONE, _EIGHT, _SIXTEEN, _TWENTY = np.uint32(1), np.uint32(8), np.uint32(16), np.uint32(20)


class Tables:
    """Frequency tables of all contexts, ready for coding.

    Parameters
    ----------
    frequencies
        Shape (contexts, symbols), int64; every row sums to 4096; at most 256 symbols.

    Raises
    ------
    CorruptFile
        If a row does not sum to 4096 or holds a negative frequency.
    """

    def __init__(self, frequencies: Frequencies) -> None:
        if frequencies.ndim != 2 or frequencies.shape[1] > 256 or not len(frequencies):
            raise CorruptFile("frequency tables have an impossible shape: the file is damaged")
        if (frequencies < 0).any() or (frequencies.sum(axis=1) != TOTAL).any():
            raise CorruptFile("a frequency table does not add up: the file is damaged")
        self.frequencies = frequencies
        self.starts = np.cumsum(frequencies, axis=1) - frequencies
        # as the encoder takes them
        self.coding = tuple(part.ravel().astype(np.uint16) for part in (frequencies, self.starts))
        self._lookup: U32 | None = None
        peak = frequencies.argmax(axis=1)
        sure = frequencies[np.arange(len(peak)), peak] == TOTAL
        # the only symbol of a context, or -1: such symbols need not be coded at all
        self.certain = np.where(sure, peak, -1).astype(np.int16)
        self.any_certain = bool(sure.any())

    @property
    def lookup(self) -> U32:
        """Slot table, shape (contexts * 4096,): frequency - 1, start and symbol in one word."""
        if self._lookup is None:
            contexts, symbols = self.frequencies.shape
            flat = self.frequencies.ravel()
            symbol = np.tile(np.arange(symbols, dtype=np.uint32), contexts)
            start = self.starts.ravel().astype(np.uint32)
            word = ((flat - 1).clip(0).astype(np.uint32) << 20) | (start << 8) | symbol
            self._lookup = np.repeat(word, flat)
        return self._lookup

    def bits(self, symbols: npt.NDArray[np.integer], contexts: npt.NDArray[np.integer]) -> float:
        """Return the ideal number of bits of `symbols` in `contexts`."""
        shape = self.frequencies.shape
        index = contexts.astype(np.int64) * shape[1] + symbols
        counts = np.bincount(index.ravel(), minlength=shape[0] * shape[1])
        used = counts > 0
        return float((counts[used] * (PRECISION - np.log2(self.frequencies.ravel()[used]))).sum())


def _split(count: int, bits: float) -> tuple[int, int, int]:
    """Choose the lanes of both parts and the number of symbols in the main part."""
    words = bits / 16.0
    lanes = int(min(MAX_LANES, count // 16, words / 20)) if words > 640 else 0
    if lanes <= 2 * _TAIL_LANES:
        return 0, max(1, min(_TAIL_LANES, int(words / 64) + 1), min(_TAIL_LANES, count >> 14)), 0
    tail_lanes = max(_TAIL_LANES, lanes // 5)
    # the tail's words fill the lanes' first states: 30 % more than needed on average
    tail = int(count * min(0.9, 1.15 * (lanes + 64) / words))
    return lanes, tail_lanes, count - tail


class _Part:
    """One run of the coder over consecutive steps; encodes backwards."""

    def __init__(self, states: npt.NDArray[np.uint64], total: int) -> None:
        self.states = states
        self.total = total
        self.blocks: list[U16] = []

    def push(self, frequency: U16, start: U16, ends: Int64) -> None:
        """Encode passes, the last first; `ends`: where each ends."""
        lanes = len(self.states)
        if kernels.available(self.total):
            out = np.empty(len(frequency), np.uint16)
            count = kernels.call(
                "ans_push", address(self.states, "u8"), lanes, address(frequency, "u2"), address(start, "u2"),
                address(ends, "i8"), len(ends), address(out, "u2"),
            )  # fmt: skip
            self.blocks.append(out[len(out) - count :].copy())
            return
        for begin, end in zip([0, *ends[:-1]][::-1], ends[::-1], strict=True):
            for at in range(begin + (end - begin - 1) // lanes * lanes, begin - 1, -lanes):
                f = frequency[at : min(at + lanes, end)].astype(np.uint64)
                state = self.states[: len(f)]
                full = state >= (f << np.uint64(32 - PRECISION))
                if full.any():
                    self.blocks.append((state[full] & np.uint64(0xFFFF)).astype(np.uint16))
                    state[full] >>= np.uint64(16)
                state[:] = ((state // f) << np.uint64(PRECISION)) + state % f + start[at : at + len(f)].astype(np.uint64)

    def words(self) -> U16:
        """Return the final states followed by the blocks as the decoder reads."""
        return np.concatenate([_pack_states(self.states), *reversed(self.blocks)])


_PLACES = np.arange(15, -1, -1, dtype=np.uint16)  # bits of a word, the highest first


def _pack_states(states: npt.NDArray[np.uint64]) -> U16:
    """Return states as words: low halves; lengths of the high halves, four bits each; their bits below the first.

    A high half h is about as likely as 1/h: its length and the rest cost 4.5 bits less than 16.
    """
    high = (states >> np.uint64(16)).astype(np.uint16)
    length = np.log2(high.astype(np.float64)).astype(np.uint8)  # exact: below 2**16
    bits = (high[:, None] >> _PLACES) & np.uint16(1)
    rest = bits[length[:, None] > _PLACES].astype(np.uint8)
    nibbles = np.pad(length, (0, -len(length) % 4)).reshape(-1, 2)
    packed = [(nibbles[:, 0] | (nibbles[:, 1] << 4)).tobytes(), np.packbits(np.pad(rest, (0, -len(rest) % 16))).tobytes()]
    low = (states & np.uint64(0xFFFF)).astype("<u2").tobytes()
    return np.frombuffer(low + b"".join(packed), "<u2").astype(np.uint16)


def encode(
    tables: Tables,
    passes: list[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]],
    ends: list[Int64 | None] | None = None,
) -> bytes:
    """Encode passes of (symbols, contexts), each 1-D and of equal length.

    Parameters
    ----------
    ends
        For each item of `passes` that is several passes, where those end; None: it is one.

    Returns
    -------
    bytes
        Header, the lanes' states and the 16-bit words; the number of symbols is not stored.
    """
    if not passes:
        return b""
    symbols, contexts = (np.concatenate(part).astype(np.int64) for part in zip(*passes, strict=True))
    stops = _stops([len(s) for s, _ in passes], ends)
    if tables.any_certain:
        open_ = tables.certain[contexts] < 0
        stops = np.concatenate([[0], np.cumsum(open_)])[stops]
        symbols, contexts = symbols[open_], contexts[open_]
    count = len(symbols)
    if not count:
        return b""
    bits = tables.bits(symbols, contexts)
    frequency, start = (part[contexts * tables.frequencies.shape[1] + symbols] for part in tables.coding)
    lanes, tail_lanes, main = _split(count, bits)

    def tail(begin: int) -> U16:
        part = _Part(np.full(tail_lanes, LOWER, np.uint64), count)
        part.push(frequency[begin:], start[begin:], np.unique(stops[stops > begin]) - begin)
        return part.words()

    words = tail(main)
    if main and len(words) < lanes:  # too few words to start the lanes from: one part only
        main, words = 0, tail(0)
    if main:
        part = _Part(words[:lanes].astype(np.uint64) + np.uint64(LOWER), count)
        inside = np.unique(np.append(stops[(stops > 0) & (stops < main)], main))
        part.push(frequency[:main], start[:main], inside.astype(np.int64))
        words = np.concatenate([part.words(), words[lanes:]])
    header = np.array([lanes if main else 0, tail_lanes], "<u2").tobytes()
    return header + np.array([main], "<u4").tobytes() + words.astype("<u2").tobytes()


def _stops(lengths: list[int], ends: list[Int64 | None] | None) -> Int64:
    """Return where the passes end, counted through."""
    before = np.cumsum([0, *lengths])
    if ends is None:
        return before[1:]
    parts = ([b + n] if e is None else b + e for b, n, e in zip(before, lengths, ends, strict=False))
    return np.concatenate([np.asarray(part, np.int64) for part in parts])


class SymbolReader:
    """Decode the passes in the order in which they were encoded.

    Raises
    ------
    CorruptFile
        If the words run out or are not used up.
    """

    def __init__(self, tables: Tables, data: bytes, *, fast: bool = False) -> None:
        self._tables = tables
        self.fast = fast  # by compiled loops
        if len(data) % 2 or 0 < len(data) < _HEADER:
            raise CorruptFile("an entropy-coded stream is cut short: the file is damaged")
        self._left = 0
        self._states = np.zeros(0, np.uint32)
        self._words = np.zeros(0, np.uint16)
        self._at = 0
        self._tail_lanes = 0
        if data:
            lanes, self._tail_lanes = (int(v) for v in np.frombuffer(data, "<u2", 2))
            self._left = int(np.frombuffer(data, "<u4", 1, 4)[0])
            self._words = np.frombuffer(data, "<u2", offset=_HEADER)
            if max(lanes, self._tail_lanes) > MAX_LANES or not self._tail_lanes:
                raise CorruptFile("an entropy-coded stream has an impossible header")
            if bool(lanes) != bool(self._left):
                raise CorruptFile("an entropy-coded stream has an impossible header")
            if lanes:
                self._states = self._load(lanes)
            else:
                self._states = self._load(self._tail_lanes)
                self._tail_lanes = 0

    def _take(self, count: int) -> U16:
        at = self._at
        if at + count > len(self._words):
            raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
        self._at = at + count
        return self._words[at : at + count]

    def _load(self, lanes: int) -> U32:
        """Read states; the mirror of `_pack_states`."""
        low = self._take(lanes).astype(np.uint32)
        pairs = np.frombuffer(self._take(-(-lanes // 4)).astype("<u2").tobytes(), np.uint8)
        length = np.stack([pairs & 15, pairs >> 4], axis=1).reshape(-1)[:lanes]
        count = int(length.sum(dtype=np.int64))
        rest = np.frombuffer(self._take(-(-count // 16)).astype("<u2").tobytes(), np.uint8)
        bits = np.zeros((lanes, 16), np.uint32)
        bits[length[:, None] > _PLACES] = np.unpackbits(rest, count=count)
        high = (bits << _PLACES.astype(np.uint32)).sum(axis=1, dtype=np.uint32) | (np.uint32(1) << length.astype(np.uint32))
        states: U32 = low | (high << np.uint32(16))
        return states

    def _switch(self) -> None:
        """Go over to the tail: the main lanes' states are its first words."""
        payload = (self._states & np.uint32(0xFFFF)).astype(np.uint16)
        self._words = np.concatenate([payload, self._words[self._at :]])
        self._at = 0
        self._states = self._load(self._tail_lanes)
        self._tail_lanes = 0

    def decode(self, contexts: npt.NDArray[np.integer]) -> U8:
        """Return the symbols of one pass, uint8, shape (n,), for its contexts, shape (n,)."""
        if not self._tables.any_certain:
            return self._decode(contexts)
        certain = self._tables.certain[contexts]
        open_ = certain < 0
        symbols: U8 = certain.astype(np.uint8)
        if open_.any():
            symbols[open_] = self._decode(contexts[open_])
        return symbols

    def _decode(self, contexts: npt.NDArray[np.integer]) -> U8:
        count = len(contexts)
        out = np.empty(count, np.uint8)
        offsets = contexts.astype(np.uint32) << np.uint32(PRECISION)
        at = 0
        while at < count:
            if self._tail_lanes and not self._left:
                self._switch()
            stop = min(count, at + self._left) if self._tail_lanes else count
            self._run(offsets[at:stop], out[at:stop])
            if self._tail_lanes:
                self._left -= stop - at
            at = stop
        return out

    def _run(self, offsets: U32, out: U8) -> None:
        states, lanes, lookup = self._states, len(self._states), self._tables.lookup
        if not lanes:
            raise CorruptFile("an entropy-coded stream is missing: the file is damaged")
        words = self._words
        if self.fast:
            if len(offsets) and int(offsets.max()) >= len(lookup):  # compiled loops do not check: nothing may reach beyond
                raise CorruptFile("an entropy-coded stream has an impossible table: the file is damaged")
            self._at = kernels.call(
                "ans_run", address(states, "u4"), lanes, address(lookup, "u4"), address(offsets, "u4"), len(offsets),
                address(words, "u2"), len(words), self._at, address(out, "u1"),
            )  # fmt: skip
            if self._at < 0:
                raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
            return
        take = lookup.take
        slot = np.empty(lanes, np.uint32)
        word = np.empty(lanes, np.uint32)
        high = np.empty(lanes, np.uint32)
        low = np.empty(lanes, np.bool_)
        states0 = states
        for at in range(0, len(offsets), lanes):
            offset = offsets[at : at + lanes]
            n = len(offset)
            if n < lanes:
                states, slot, word, high, low = states0[:n], slot[:n], word[:n], high[:n], low[:n]
            np.bitwise_and(states, _MASK, slot)
            np.bitwise_or(offset, slot, word)
            take(word, None, word, "clip")
            out[at : at + n] = word  # the low byte is the symbol
            np.right_shift(states, _SHIFT, states)
            np.right_shift(word, _TWENTY, high)
            np.add(high, _ONE, high)
            np.multiply(states, high, states)
            np.add(states, slot, states)
            np.right_shift(word, _EIGHT, word)
            np.bitwise_and(word, _MASK, word)
            np.subtract(states, word, states)
            np.less(states, _LOWER, low)
            short = low.nonzero()[0]
            count = len(short)
            if count:
                stop = self._at + count
                if stop > len(words):
                    raise CorruptFile("an entropy-coded stream ends too early: the file is damaged")
                states[short] = (states[short] << _SIXTEEN) | words[self._at : stop]
                self._at = stop

    def compiled(self) -> tuple[npt.NDArray[np.int16], U32, U32, U16, list[int]]:
        """Return tables, states, words and cursor for compiled loops, which change the latter three; see `resume`."""
        lanes, tail = len(self._states), self._tail_lanes
        states = np.zeros(max(lanes, tail), np.uint32)
        states[:lanes] = self._states
        left = self._left if tail else _ENDLESS
        words = self._words.astype(np.uint16)
        return self._tables.certain, self._tables.lookup, states, words, [self._at, lanes, tail, left]

    def resume(self, states: U32, words: U16, cursor: list[int]) -> None:
        """Go on where compiled loops ended."""
        self._at, lanes, self._tail_lanes, left = cursor
        self._states, self._words = states[:lanes], words
        self._left = left if self._tail_lanes else 0

    def finish(self) -> None:
        """Check that all words were used and every state is back at its start."""
        if self._tail_lanes and not self._left:
            self._switch()
        if self._tail_lanes or self._at != len(self._words) or (self._states != LOWER).any():
            raise CorruptFile("an entropy-coded stream does not end where it should")
