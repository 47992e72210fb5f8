"""Residuals and codes as entropy-coded streams.

Every integer to be coded comes with a level: the predicted scale in quarter octaves. The level chooses a
frequency table and how many low bits are noise and stored plainly:

    q, level -> shift(level) -> high = round(q / 2**shift) -> symbol (zigzag), 255 = escape -> rANS
                             -> low  = the other bits, stored plainly

Where values are whole numbers but predictions are not (lossless), the fraction of the prediction is known
to both sides and chooses among several tables for the lower levels. Knows nothing of networks or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from aezip.core import native
from aezip.core.errors import CorruptFile
from aezip.core.fixed import LEVELS, LOG2_SCALE_MIN
from aezip.core.types import U8, Int64

from . import ans
from .plainbits import MOST_SHIFT, LowBits, leb128, pack_integers, pack_low, read_leb128, unpack_integers, unzigzag, zigzag

LEVELS_PER_OCTAVE = 4
SHIFT_FROM = 28  # levels from here on have low bits
TABLE_LEVELS = 28  # the last octave of tables also serves all shifted levels
ESCAPE = 255
FRACTIONS = 5  # tables a level has where values are whole numbers
FRACTION_LEVELS = 22  # levels that low have them
_EIGHTHS = np.array([65536, 71468, 77936, 84990, 92682, 101070, 110218, 120194], np.int64)

_LEVEL = np.arange(256)
SHIFTS: Int64 = np.where(_LEVEL < SHIFT_FROM, 0, (_LEVEL - SHIFT_FROM) // LEVELS_PER_OCTAVE + 1)
assert int(SHIFTS[LEVELS - 1]) == MOST_SHIFT
_TABLE = np.where(_LEVEL < SHIFT_FROM, _LEVEL, TABLE_LEVELS - LEVELS_PER_OCTAVE + (_LEVEL - SHIFT_FROM) % LEVELS_PER_OCTAVE)
_TABLE_OF_LEVEL: U8 = _TABLE.astype(np.uint8)
CONTEXTS_WHOLE = FRACTION_LEVELS * FRACTIONS + TABLE_LEVELS - FRACTION_LEVELS


def log2_scale_to_level(log2_scale: float) -> int:
    """Return the level of a scale."""
    level = round((log2_scale - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE)
    return min(max(level, 0), LEVELS - 1)


def contexts(level: U8, fraction: npt.NDArray[np.integer] | None, fraction_bits: int) -> U8:
    """Return the table of each value: from its level and, if given, the fraction of its prediction.

    Parameters
    ----------
    level
        uint8, any shape.
    fraction
        Prediction minus the whole number it was rounded to, in 1/2**fraction_bits, within a half.
    """
    if fraction is None:
        return _TABLE_OF_LEVEL[level]
    half = 1 << (fraction_bits - 1)
    part = ((fraction + half) * FRACTIONS) // (2 * half + 1)
    low = _TABLE[level]
    return np.where(low < FRACTION_LEVELS, low * FRACTIONS + part, low + FRACTION_LEVELS * (FRACTIONS - 1)).astype(np.uint8)


@dataclass(frozen=True)
class Split:
    """One pass of values, or several, split into what is entropy-coded and what is stored plainly."""

    high: npt.NDArray[np.signedinteger]
    contexts: npt.NDArray[np.integer]
    low: npt.NDArray[np.signedinteger]  # with `shifts`: of the values that have low bits, or of all
    shifts: U8 | None  # how many each of these has; None: no value of this pass has any
    ends: Int64 | None = None  # where passes end, if these are several

    @property
    def symbols(self) -> U8:
        """The symbols, before any that a table lacks becomes an escape."""
        folded = zigzag(self.high.astype(np.int64))
        return np.where((folded >= ESCAPE) | (folded < 0), ESCAPE, folded).astype(np.uint8)


def split(value: Int64, level: U8, context: npt.NDArray[np.integer], ends: Int64 | None = None) -> Split:
    """Split values, int64, shape (n,), by their levels; `ends`: where passes end, if they are several."""
    where = np.flatnonzero(level >= SHIFT_FROM)
    if not len(where):
        return Split(_narrow(value), context, np.zeros(0, np.int64), None, ends)
    shift = SHIFTS[level[where]]
    moved = value[where] + ((1 << shift) >> 1)
    high = value.copy()
    high[where] = moved >> shift
    low = moved - (high[where] << shift)
    return Split(_narrow(high), context, _narrow(low), shift.astype(np.uint8), ends)


def _narrow(value: Int64) -> npt.NDArray[np.signedinteger]:
    """Return integers in 32 bits if they fit: a chunk's passes are held until all are split."""
    reach = 1 << 31
    fits = len(value) and -reach <= int(value.min()) and int(value.max()) < reach
    return value.astype(np.int32) if fits else value


def flags(hits: npt.NDArray[np.bool_], bins: U8) -> Split:
    """Return flags, shape (n,), as symbols 0 and 2 in the tables of their bins, which come after those of whole residuals."""
    return Split(hits.astype(np.int64), bins + np.uint8(CONTEXTS_WHOLE), np.zeros(0, np.int64), None)


class TableCounts:
    """Counts of symbols in contexts, from which the frequency tables are made."""

    def __init__(self, count: int) -> None:
        self.counts = np.zeros((count, 256), np.int64)

    def add(self, symbols: U8, context: npt.NDArray[np.integer]) -> None:
        """Count symbols in their contexts."""
        index = context.astype(np.int64) * 256 + symbols
        self.counts += np.bincount(index, minlength=self.counts.size).reshape(self.counts.shape)

    def to_bytes(self) -> bytes:
        """Return the tables in their stored form: frequencies in eighths of octaves.

        Layout: for each context a length, uint8 (0: unused, else symbols up to the last used one), then all
        lengths' worth of entries, uint8: 0 = never seen, else 1 + round(8 log2(frequency)).
        """
        total = self.counts.sum(axis=1)
        seen = self.counts[:, :ESCAPE] > 0
        last = ESCAPE - seen[:, ::-1].argmax(axis=1)
        lengths = np.where(total > 0, np.where(seen.any(axis=1), last, 1), 0)
        kept = np.flatnonzero(lengths)
        longest = int(lengths.max(initial=0))
        columns = [*range(longest), ESCAPE]
        part = self.counts[np.ix_(kept, columns)] * (ans.TOTAL / total[kept])[:, None]
        level = np.rint(8 * np.log2(np.maximum(part, 1.0))) + 1
        # a symbol rarer than one in 8192 is cheaper as an escape than as a table entry
        entries = np.where(part >= 0.35, level, 0).astype(np.uint8)
        stored = np.arange(longest + 1) < lengths[kept, None]
        stored[:, longest] = True
        return lengths.astype(np.uint8).tobytes() + entries[stored].tobytes()

    def cost(self) -> float:
        """Return about how many bytes what was counted takes, the tables included."""
        stored = self.to_bytes()
        frequencies = tables_from_bytes(stored, len(self.counts))[0].frequencies
        listed = np.where(frequencies > 0, frequencies, frequencies[:, ESCAPE:])
        escaped = 8.0 * float(self.counts[frequencies == 0].sum())
        return float((self.counts * (ans.PRECISION - np.log2(listed))).sum() + escaped) / 8.0 + len(stored)


def tables_from_bytes(data: bytes, count: int) -> tuple[ans.Tables, int]:
    """Return the tables of `count` contexts and the bytes read.

    Integer arithmetic alone, so that every machine gets the same tables.

    Raises
    ------
    CorruptFile
        If `data` is too short or impossible.
    """
    lengths = np.frombuffer(data[:count], np.uint8)
    if len(lengths) < count:
        raise CorruptFile("the frequency tables are cut short: the file is damaged")
    used = np.flatnonzero(lengths)
    sizes = lengths[used].astype(np.int64) + 1
    ends = sizes.cumsum()
    entry = np.frombuffer(data[count : count + int(sizes.sum())], np.uint8).astype(np.int64)
    if len(entry) < sizes.sum() or (entry > 97).any():
        raise CorruptFile("a frequency table is impossible: the file is damaged")
    frequencies = np.zeros((count, 256), np.int64)
    frequencies[:, ESCAPE] = ans.TOTAL
    if len(used):
        symbol = np.arange(len(entry)) - np.repeat(ends - sizes, sizes)
        symbol[ends - 1] = ESCAPE
        weight = np.zeros((len(used), 256), np.int64)
        level = (entry - 1).clip(0)
        weight[np.repeat(np.arange(len(used)), sizes), symbol] = np.where(entry > 0, _EIGHTHS[level % 8] << (level >> 3), 0)
        frequencies[used] = _normalize(weight)
    return ans.Tables(frequencies), count + len(entry)


def _joined(passes: list[Split]) -> list[Split]:
    """Return passes as one, for sums over all of their values: thousands of short ones take long one by one."""
    if len(passes) < 2:
        return passes
    high, contexts = (np.concatenate([getattr(part, name) for part in passes]) for name in ("high", "contexts"))
    shifts = [np.zeros(len(part.high), np.uint8) if part.shifts is None else part.shifts for part in passes]
    return [Split(high, contexts, high[:0], np.concatenate(shifts))]


def tables_for(passes: list[Split], count: int) -> tuple[bytes, ans.Tables]:
    """Return the tables of `count` contexts that suit passes, as stored and ready for coding."""
    counts = TableCounts(count)
    for part in _joined(passes):
        counts.add(part.symbols, part.contexts)
    stored = counts.to_bytes()
    return stored, tables_from_bytes(stored, count)[0]


def cost(passes: list[Split], count: int) -> float:
    """Return about how many bytes passes in `count` contexts take, their tables included."""
    stored, tables = tables_for(passes, count)
    return ideal_bits(tables, _joined(passes)) / 8 + len(stored)


def _normalize(weight: Int64) -> Int64:
    """Scale the weights of each table to frequencies that sum to TOTAL; used symbols and the escape keep at least 1."""
    used = weight > 0
    used[:, ESCAPE] = True
    room = ans.TOTAL - used.sum(axis=1, keepdims=True)
    total = np.maximum(1, weight.sum(axis=1, keepdims=True))
    frequency = used + weight * room // total
    at = np.arange(len(frequency)), frequency.argmax(axis=1)
    frequency[at] += ans.TOTAL - frequency.sum(axis=1)
    return np.asarray(frequency, np.int64)


def ideal_bits(tables: ans.Tables, passes: list[Split]) -> float:
    """Return the cross-entropy of passes under the tables, with low bits and escapes as they are stored."""
    bits = 0.0
    for part in passes:
        symbols = part.symbols
        symbols[tables.frequencies[part.contexts, symbols] == 0] = ESCAPE
        bits += tables.bits(symbols, part.contexts)
        bits += 8.0 * len(pack_integers(part.high[symbols == ESCAPE]))
        bits += 0.0 if part.shifts is None else float(part.shifts.sum())
    return bits


def encode(tables: ans.Tables, passes: list[Split]) -> bytes:
    """Encode passes to one byte string: rANS, low bits, escapes.

    Layout: lengths of the three parts, LEB128; the parts.
    """
    coded_passes: list[tuple[npt.NDArray[np.integer], npt.NDArray[np.integer]]] = []
    escapes_of = []
    for part in passes:
        symbols = part.symbols
        symbols[tables.frequencies[part.contexts, symbols] == 0] = ESCAPE
        coded_passes.append((symbols, part.contexts))
        escapes_of.append(part.high[symbols == ESCAPE])
    coded = ans.encode(tables, coded_passes, [part.ends for part in passes])
    shifted = [(p.low, p.shifts) for p in passes if p.shifts is not None]
    low = pack_low(*map(np.concatenate, zip(*shifted, strict=True))) if shifted else b""
    escapes = pack_integers(np.concatenate(escapes_of or [np.zeros(0, np.int64)]))
    return leb128(len(coded)) + leb128(len(low)) + coded + low + escapes


class ResidualReader:
    """Decode passes in order; the mirror of `encode`.

    Raises
    ------
    CorruptFile
        Whenever the bytes do not make sense.
    """

    def __init__(self, tables: ans.Tables, data: bytes, *, fast: bool = False) -> None:
        coded, at = read_leb128(data, 0)
        low, at = read_leb128(data, at)
        if at + coded + low > len(data):
            raise CorruptFile("an entropy-coded stream is cut short: the file is damaged")
        self._symbols = ans.SymbolReader(tables, data[at : at + coded], fast=fast)
        self._low = LowBits(data[at + coded : at + coded + low])
        self._escapes = unpack_integers(data[at + coded + low :])
        self._escape_at = 0

    @property
    def fast(self) -> bool:
        """Whether it decodes by compiled loops."""
        return self._symbols.fast

    def decode(self, level: U8, context: npt.NDArray[np.integer]) -> Int64:
        """Return the values of one pass, int64, shape (n,)."""
        symbols = self._symbols.decode(context)
        high = _UNZIGZAG[symbols]
        if int(symbols.max(initial=0)) == ESCAPE:
            where = np.flatnonzero(symbols == ESCAPE)
            stop = self._escape_at + len(where)
            if stop > len(self._escapes):
                raise CorruptFile("an escaped value is missing: the file is damaged")
            high[where] = self._escapes[self._escape_at : stop]
            self._escape_at = stop
        if not len(level) or int(level.max()) < SHIFT_FROM:
            return high
        shift = SHIFTS[level]
        high <<= shift
        high -= (1 << shift) >> 1
        for value in np.unique(shift):
            if value:
                where = np.flatnonzero(shift == value)
                high[where] += self._low.take(int(value), len(where))
        return high

    def flags(self, bins: U8) -> npt.NDArray[np.bool_]:
        """Return the flags of one pass; the mirror of `flags`."""
        hits: npt.NDArray[np.bool_] = self.decode(np.zeros(len(bins), np.uint8), bins + np.uint8(CONTEXTS_WHOLE)) != 0
        return hits

    def low(self, shift: int, count: int) -> Int64:
        """Return the plain low bits, `shift` of each, of the next values that have so many."""
        return self._low.take(shift, count)

    def compiled(self, tables: int) -> tuple[npt.NDArray[Any], ...]:
        """Return what compiled loops decode with (see `coder`): they use so many tables.

        Raises
        ------
        CorruptFile
            If there are fewer tables.
        """
        certain, lookup, states, words, cursor = self._symbols.compiled()
        if len(certain) < tables:  # compiled loops do not check: nothing may reach beyond
            raise CorruptFile("an entropy-coded stream has too few tables: the file is damaged")
        low, starts, ends = self._low.flat()
        return (
            lookup,
            certain,
            states,
            words,
            np.array([*cursor, self._escape_at, *starts], np.int64),
            self._escapes,
            low,
            np.array(ends, np.int64),
        )

    def resume(self, coder: tuple[npt.NDArray[Any], ...]) -> None:
        """Go on where compiled loops ended."""
        cursor = [int(v) for v in coder[4]]
        self._symbols.resume(coder[2], coder[3], cursor[:4])
        self._escape_at = cursor[4]
        self._low.resume(cursor[5:])

    def finish(self) -> None:
        """Check that everything was used."""
        self._symbols.finish()
        self._low.finish()
        if self._escape_at != len(self._escapes):
            raise CorruptFile("an entropy-coded stream has values left over: the file is damaged")


def coder(parts: tuple[npt.NDArray[Any], ...]) -> native.Struct:
    """Return what `ResidualReader.compiled` gave as the struct that loops take."""
    kinds = zip(parts, ("u4", "i2", "u4", "u2", "i8", "i8", "i8", "i8"), strict=True)
    return native.Struct(*kinds, len(parts[3]), len(parts[5]))


_UNZIGZAG: Int64 = unzigzag(np.arange(256, dtype=np.int64))


def ideal_scale(values: Int64) -> float:
    """Return the log2 of the logistic scale that suits `values` (mean absolute value / 1.386)."""
    if not len(values):
        return LOG2_SCALE_MIN
    mean = float(np.abs(values.astype(np.float64)).mean())
    return math.log2(max(mean / 1.386, 2.0**LOG2_SCALE_MIN))
