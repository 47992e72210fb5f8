"""The columns of a chunk on their way in and out: what is known of earlier ones, how each is coded. Knows no streams."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from aezip.array.missing import fill_forward
from aezip.core.errors import CorruptFile
from aezip.core.fixed import FRACTION_BITS
from aezip.core.parallel import ordered
from aezip.core.types import Array, Float64, Int64, Mask
from aezip.entropy import residual
from aezip.plans.autoencoder.networks import Networks, Sizes
from aezip.quantize.grid import Grid

from . import clusters, coding
from .coding import Coding
from .keys import along, rows_by
from .predicted import Predictor
from .table import columns_of, is_table

LONG = 1 << 16  # rows from which columns are coded on several threads: steps of fewer wait for the interpreter's lock
DAMAGED = "the columns of a chunk are malformed: the file is damaged"


class Columns(Protocol):
    """What of a plan this module needs."""

    @property
    def order(self) -> tuple[int, ...]:
        """Columns as they are coded; (): as they stand."""

    @property
    def keys(self) -> tuple[int, ...]:
        """By which grouping of earlier columns rows are sorted; (): none is."""

    @property
    def sizes(self) -> Sizes | None:
        """Of the networks."""

    @property
    def differenced(self) -> tuple[bool, ...]:
        """Columns of which networks see differences; (): none."""


class Chunk:
    """The columns of a chunk that are known, in the order in which they become so, and what they tell about the next one."""

    def __init__(self, plan: Columns, networks: Networks | None, shape: tuple[int, ...], masked: Mask | None) -> None:
        self.count, self._shape, self._table = columns_of(shape), shape, is_table(shape)
        self._order = list(plan.order) or list(range(self.count))
        self._keys = plan.keys or (0,) * self.count
        rows = math.prod(shape) // self.count if self.count else 0
        self._held = np.zeros((rows, self.count), np.int64)
        self._ignore = None if masked is None else masked.reshape(self._held.shape)[:, self._order]
        self._groups = [] if self._table else clusters.of_axes(shape)
        self._fine = plan.sizes is not None and not plan.sizes.whole
        self._predictor = self._tables = None
        if plan.sizes is not None and networks is not None:
            self._tables = networks.residual_tables
            differenced = plan.differenced or (False,) * self.count
            self._predictor = Predictor(plan.sizes, networks, differenced, rows, self._ignore)

    def coded(self, grid: Grid, x: Array, workers: int) -> Iterator[tuple[Coding, list[residual.Split], Int64]]:
        """Yield how each column of a chunk is coded, its passes, and the column as it will be known, for the caller to store."""
        k = self._integers(grid, x)
        if self._fine:  # what is known depends on what networks leave
            steps = np.nan_to_num(grid.coordinates(x).reshape(self._held.shape)[:, self._order])
            for place in range(self.count):
                yield self._smaller(place, k[:, place], steps[:, place], self._own(place, k[:, place], self._groups))
            return
        for place, one in enumerate(self._alone(k, workers)):
            yield self._smaller(place, k[:, place], k[:, place], one)

    def _integers(self, grid: Grid, x: Array) -> Int64:
        """Return the integers of a chunk, in the order of coding, those that are not coded filled up."""
        k = grid.integers(x).reshape(self._held.shape)[:, self._order]
        return k if self._ignore is None else fill_forward(k, self._ignore, 0)

    def _alone(self, k: Int64, workers: int) -> Iterator[tuple[Coding, list[residual.Split]]]:
        """Yield how each column is coded without a network, and its passes, given all of them."""
        columns = [clusters.of_column(column) for column in k.T] if self._table else []
        known = [columns[:place] if self._table else self._groups for place in range(self.count)]
        threads = min(workers, self.count) if len(k) >= LONG else 1
        yield from ordered(lambda place: self._own(place, k[:, place], known[place]), range(self.count), threads)

    def _own(self, place: int, column: Int64, groups: list[clusters.Groups]) -> tuple[Coding, list[residual.Split]]:
        """Return how a column is coded without a network, and its passes."""
        rows = self._rows(place, groups)
        some = np.ascontiguousarray(column if rows is None else column[rows])
        return coding.choose(some, along(groups, rows), table=self._table)

    def _smaller(
        self, place: int, column: Int64, target: npt.NDArray[Any], own: tuple[Coding, list[residual.Split]]
    ) -> tuple[Coding, list[residual.Split], Int64]:
        """Return what a network leaves of a column instead, where that takes fewer bytes."""
        if self._predictor is not None and self._tables is not None and self._predictor.has(place):
            split, predicted = self._predictor.encode(place, column, target)
            if residual.ideal_bits(self._tables, [split]) / 8.0 < coding.size_of(*own):
                return Coding(coding.NETWORK), [split], predicted
        return *own, column << FRACTION_BITS if self._fine else column

    def sizes_alone(self, grid: Grid, x: Array, workers: int) -> Float64:
        """Return about how many bytes each column of a chunk takes without networks, shape (columns,)."""
        return np.array([coding.size_of(*one) for one in self._alone(self._integers(grid, x), workers)])

    def left_by_networks(self, grid: Grid, x: Array) -> Iterator[residual.Split]:
        """Yield what the networks leave of each column of a chunk."""
        assert self._predictor is not None
        k = self._integers(grid, x)
        steps = np.nan_to_num(grid.coordinates(x).reshape(k.shape)[:, self._order]) if self._fine else k
        for place in range(self.count):
            left, known = self._predictor.encode(place, k[:, place], steps[:, place])
            yield left
            self.store(place, known)

    def read(
        self, place: int, way: Coding, own: residual.ResidualReader, left: residual.ResidualReader | None, table: int
    ) -> Int64:
        """Return a column."""
        if way.predictor == coding.NETWORK:
            if self._predictor is None or left is None or not self._predictor.has(place):
                raise CorruptFile(DAMAGED)
            return self._predictor.decode(place, left)
        rows = self._rows(place, self._groups)
        count = len(self._held) if rows is None else len(rows)
        some = coding.read(own, way, table, count, along(self._groups, rows))
        if rows is None:
            column = some
        else:
            column = np.zeros(len(self._held), np.int64)
            column[rows] = some
            column = column if self._ignore is None else fill_forward(column, self._ignore[:, place], 0)
        return column << FRACTION_BITS if self._fine else column

    def store(self, place: int, column: Int64) -> None:
        """Take in a column."""
        self._held[:, place] = column
        if self._table:
            self._groups.append(clusters.of_column(column))
        if self._predictor is not None:
            self._predictor.store(place, column)

    def array(self) -> Int64:
        """Return all columns in the shape of the chunk."""
        k = np.empty_like(self._held)
        k[:, self._order] = self._held
        return k.reshape(self._shape)

    def _rows(self, place: int, groups: list[clusters.Groups]) -> Int64 | None:
        """Return the rows of a column that are coded, in their order; None: all as they are."""
        return rows_by(self._keys[place], groups, None if self._ignore is None else ~self._ignore[:, place])
