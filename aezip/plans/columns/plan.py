"""The plan `recall`: each column coded by what came before it; a value as its distance from a recent one, which a lag names.

Tables written by people and machines repeat themselves at a distance: times of a session, identifiers, prices. No network
predicts those, but a value near this one often lies among the last few hundred rows (`lag`). Columns that stay or return are
coded as ranks of recency (`recency`), those that other columns tell about by classes (`clusters`). Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from aezip.array.missing import fill_forward
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.types import Int64, Mask
from aezip.entropy import residual
from aezip.entropy.plainbits import unzigzag, zigzag
from aezip.plans.base import MALFORMED, Plan, Sampled, WholePlan
from aezip.plans.delta import DeltaPlan
from aezip.quantize.grid import Grid, LinearGrid

from . import clusters as classes
from . import recency
from .distances import buckets, from_buckets
from .lag import LAG_TABLES, WINDOW, find_lags, follow, octave

VALUE, DIFFERENCE, LAG, RECENCY = 0, 1, 2, 3  # how a column is coded; from RECENCY on by ranks, which see mode - RECENCY others
CLASSES = RECENCY + recency.ORDERS  # from here on by classes, whose number doubles mode - CLASSES times
MODES = CLASSES + classes.DOUBLINGS + 1
MOST_COLUMNS = 64
PREFIX = 1 << 13  # rows by which a column's coding is chosen
SMALL, LITTLE = 1 << 12, 2000  # values, bytes: nothing to save, as the header of an array takes half as much
FEW = 1 << 16  # values by which it is told whether coding by column may pay
PROMISING, PROMISING_TABLE = 1.3, 2.0  # how much larger it may be than other plans on so few values to be tried on more
WORTH = 0.98  # what part of the bytes without lags lags must get by with


@dataclass(frozen=True)
class ColumnPlan(WholePlan):
    """Whole grid values, by column: as they are, as differences of rows, or as distances from recent ones.

    Parameters
    ----------
    recent
        Columns may also be coded as ranks of recency.
    classed
        Columns may also be coded by classes.
    """

    recent: bool = False
    classed: bool = False

    kinds: ClassVar[tuple[str, ...]] = ("recall",)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        kinds = {"recency": self.recent, "classes": self.classed}
        return {"kind": "recall", **{name: True for name, used in kinds.items() if used}}

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan."""
        kinds = [said.get(name, False) for name in ("recency", "classes")]
        if not all(isinstance(used, bool) for used in kinds):
            raise CorruptFile(MALFORMED)
        return cls(*kinds)

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        """Yield grids that suit and on which columns repeat most, ranks by frequency among them, that few values show to pay."""
        first, table = sample.head(FEW), is_table(sample.shape)
        known, least = best.get(DeltaPlan), min((c.size for c in best.values()), default=math.inf)
        few = sum(p.x.size for p in first) <= SMALL and least < LITTLE
        if not sample.wholes or few or (not table and sum(p.x.size for p in first) > 4 * FEW):
            return []  # an outer index is a large frame: what repeats there, repeats at neighbours
        grids = [g for i, g in enumerate(sample.wholes) if sample.fits(g) and (i == 0 or (known is not None and g is known.grid))]
        grids += [named for g in grids for named in sample.named(g)]
        if grids and table and isinstance(grids[0], LinearGrid):
            from .place import moved  # reading needs it not

            grids.append(moved(grids[0], first[0].x, first[0].masked))
        plan = cls(recent=table, classed=True)
        sizes = [sample.cost(plan, g, first) for g in grids]
        most = (PROMISING_TABLE if table else PROMISING) * min([*sizes, least], default=math.inf)
        return [(plan, g) for g, size in zip(grids, sizes, strict=True) if size < most]

    def trimmed(self, streams: Sequence[Mapping[str, bytes]], shape: tuple[int, ...]) -> ColumnPlan:
        """Return the plan without kinds of coding that no column of chunks of `shape`, given as their streams, has."""
        columns = shape[1] if len(shape) == 2 and is_table(shape) else 1
        modes = {mode for parts in streams for mode in parts["data"][:columns]}
        return ColumnPlan(any(RECENCY <= mode < CLASSES for mode in modes), any(mode >= CLASSES for mode in modes))

    def describe(self) -> str:
        """Return the plan in a few words."""
        return "recall"

    def pack(self, grid: Grid, x: npt.NDArray[Any], masked: Mask | None) -> tuple[bytes, npt.NDArray[Any]]:
        """Return the bytes of a chunk and the chunk as decoded.

        Layout: a byte for each column, how it is coded; the frequency tables; the stream of `residual.encode`.
        """
        k = grid.integers(x)
        if masked is not None:
            k = fill_forward(k, masked, 0)
        passes: list[residual.Split] = []
        modes, table = [], 0
        for column, groups in _with_groups(k):
            mode, made = self._column(column, table, groups, lags=is_table(k.shape))
            modes.append(mode)
            passes += made
            table += _tables(mode)
        stored, tables = residual.tables_for(passes, table)
        return bytes(modes) + stored + residual.encode(tables, passes), grid.values(k, x.dtype)

    def _column(
        self, column: Int64, table: int, groups: Sequence[classes.Groups], *, lags: bool
    ) -> tuple[int, list[residual.Split]]:
        """Return how a column is coded, and its passes, whose frequency tables are numbered from `table`."""
        mode = choose(column, lags=lags)
        plain = _passes(column, mode, 0)
        if self.recent and recency.promising(column):
            ranks, away = recency.to_ranks(recency.split(column))
            order, made = recency.choose_order(ranks, len(column))
            made.append(_news(ranks, away, len(column), recency.tables(order)))
            if residual.cost(made, recency.tables(order) + 1) < _bytes(plain):
                mode, plain = RECENCY + order, made
        grouped = classes.passes(column, groups) if self.classed else None
        if grouped is not None and residual.cost(grouped[1], classes.tables(grouped[0])) < residual.cost(plain, _tables(mode)):
            mode, plain = CLASSES + grouped[0], grouped[1]
        return mode, [replace(part, contexts=part.contexts + np.uint16(table)) for part in plain]

    def unpack(self, grid: Grid, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the chunk of `shape`.

        Raises
        ------
        CorruptFile
            If the bytes do not make sense.
        """
        k = np.empty(shape, np.int64)
        columns = _columns(k)
        modes = data[: len(columns)]
        if len(modes) < len(columns) or not all(map(self._known, modes)):
            raise CorruptFile("the columns of a chunk are malformed: the file is damaged")
        count = sum(map(_tables, modes))
        tables, used = residual.tables_from_bytes(data[len(columns) :], count)
        reader = residual.ResidualReader(tables, data[len(columns) + used :], fast=kernels.available(k.size))
        table = 0
        for (column, groups), mode in zip(_with_groups(k), modes, strict=True):
            column[...] = _read(reader, mode, table, len(column), groups)
            table += _tables(mode)
        reader.finish()
        return grid.values(k, dtype)

    def _known(self, mode: int) -> bool:
        """Tell whether columns may be coded so."""
        return mode < RECENCY or (self.recent and mode < CLASSES) or (self.classed and CLASSES <= mode < MODES)


def is_table(shape: tuple[int, ...]) -> bool:
    """Tell whether arrays of `shape` are coded column by column: those of one axis, or of two with few columns."""
    return len(shape) == 1 or (len(shape) == 2 and shape[1] <= MOST_COLUMNS)


def _columns(k: Int64) -> list[Int64]:
    """Return views of the columns of a table, else of all values as one."""
    return [k[:, column] for column in range(k.shape[1])] if k.ndim == 2 and is_table(k.shape) else [k.reshape(-1)]


def _with_groups(k: Int64) -> Iterator[tuple[Int64, list[classes.Groups]]]:
    """Yield columns and the groupings of their values: by earlier columns of a table, by axes of anything else."""
    columns = _columns(k)
    groups = classes.of_axes(k.shape) if len(columns) == 1 else []
    for column in columns:
        yield column, list(groups)
        groups.append(classes.of_column(column))


def _news(ranks: npt.NDArray[np.uint8], away: Int64, count: int, table: int) -> residual.Split:
    """Return the distances of values that were not among the recent ones, in order of decoding."""
    new = ranks == recency.RECENT
    for row, lanes in zip(new, recency.steps(count), strict=True):
        row[lanes:] = False
    return buckets(away[new], np.full(int(new.sum()), table, np.uint16))


def _read_recent(reader: residual.ResidualReader, order: int, table: int, count: int) -> Int64:
    """Return a column that is coded as ranks."""
    ranks = recency.read(reader, count, order, table)
    if count and not 0 <= int(ranks.min()) <= int(ranks.max()) <= recency.RECENT:
        raise CorruptFile("a rank is impossible: the file is damaged")
    new = ranks == recency.RECENT
    away = np.zeros(ranks.shape, np.int64)
    away[new] = from_buckets(reader, np.full(int(new.sum()), table + recency.tables(order), np.uint16))
    return recency.to_values(ranks.astype(np.uint8), away).T.reshape(-1)[:count]


def _tables(mode: int) -> int:
    if mode >= CLASSES:
        return classes.tables(mode - CLASSES)
    if mode >= RECENCY:
        return recency.tables(mode - RECENCY) + 1
    return 1 + LAG_TABLES if mode == LAG else 1


def _passes(column: Int64, mode: int, table: int) -> list[residual.Split]:
    """Return the passes of a column whose frequency tables are numbered from `table`."""
    if mode != LAG:
        value = np.diff(column, prepend=0) if mode == DIFFERENCE else column
        return [buckets(value, np.full(len(column), table, np.uint16))]
    lag = find_lags(column)
    away = column - np.where(np.arange(len(column)) > 0, column[np.maximum(np.arange(len(column)) - lag, 0)], 0)
    lags = residual.Split(unzigzag(lag - 1), np.full(len(column), table, np.uint16), np.zeros(0, np.int64), None)
    return [lags, buckets(away, np.uint16(table + 1) + octave(lag))]


def _read(reader: residual.ResidualReader, mode: int, table: int, count: int, groups: Sequence[classes.Groups]) -> Int64:
    if mode >= CLASSES:
        return classes.read(reader, mode - CLASSES, table, count, groups)
    if mode >= RECENCY:
        return _read_recent(reader, mode - RECENCY, table, count)
    context = np.full(count, table, np.uint16)
    if mode != LAG:
        value = from_buckets(reader, context)
        return value.cumsum() if mode == DIFFERENCE else value
    lag = zigzag(reader.decode(np.zeros(count, np.uint8), context)) + 1
    if count and not 1 <= int(lag.min()) <= int(lag.max()) <= WINDOW + 1:
        raise CorruptFile("a lag is impossible: the file is damaged")
    return follow(from_buckets(reader, np.uint16(table + 1) + octave(lag)), lag) if count else lag


def choose(column: Int64, *, lags: bool = True) -> int:
    """Return the coding of a column that takes the fewest bytes on its beginning; lags only where they may be."""
    head = np.ascontiguousarray(column[:PREFIX])
    if len(head) < 2:
        return VALUE
    sizes = [_bytes(_passes(head, mode, 0)) for mode in (VALUE, DIFFERENCE)]
    best = int(np.argmin(sizes))
    return LAG if lags and _bytes(_passes(head, LAG, 0)) < WORTH * sizes[best] else best


def _bytes(passes: list[residual.Split]) -> float:
    """Return about how many bytes passes take, their tables included."""
    return residual.cost(passes, 1 + LAG_TABLES)
