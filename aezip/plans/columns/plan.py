"""The plan `columns`: each column by a predictor and frequency tables of its own, chosen by bytes; networks are a predictor too.

Tables written by people and machines depend on themselves: an hour on a time, a route on a flight number, a delay on two times.
Columns come one after the other; what is known of earlier ones sorts a column's rows (`keys`), tells its values apart
(`clusters`) or predicts them (`predicted`). Any other array is one column. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from aezip.array.missing import fill_forward
from aezip.core import memory as limits
from aezip.core import native as kernels
from aezip.core.errors import CorruptFile
from aezip.core.types import Array, Mask
from aezip.entropy import residual
from aezip.plans.autoencoder.networks import Networks, Sizes, from_bytes
from aezip.plans.base import MALFORMED, Coded, Plan, Sampled
from aezip.plans.delta import DeltaPlan
from aezip.quantize.grid import Grid, LinearGrid

from .table import columns_of, is_table, numbers

SMALL, LITTLE = 1 << 12, 2000  # values, bytes: nothing to save, as the header of an array takes half as much
FEW = 1 << 16  # values by which it is told whether coding by column may pay
CLOSE = 1.03  # how much larger than the smallest a grid may make columns to be tried on more
PROMISING, PROMISING_TABLE = 1.3, 2.0  # how much larger it may be than other plans on so few values to be tried on more


@dataclass(frozen=True)
class ColumnPlan(Plan):
    """Integers of a grid, column by column.

    Parameters
    ----------
    order
        In which order columns are coded; (): as they stand. All else is given in this order.
    keys
        By which grouping of earlier columns the rows of each are sorted (`clusters.chosen`); (): none is.
    sizes
        Of the networks, where columns have some; the grid is fine only then.
    differenced
        Columns of which networks see differences of rows; (): none.
    """

    order: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()
    sizes: Sizes | None = None
    differenced: tuple[bool, ...] = ()

    kinds: ClassVar[tuple[str, ...]] = ("columns",)
    together: ClassVar[bool] = False  # many small steps, between which the interpreter's lock changes hands

    @property
    def trained(self) -> bool:
        """Whether there are networks."""
        return self.sizes is not None

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of its streams."""
        return ("data",) if self.sizes is None else ("data", "residual")

    @property
    def by_columns(self) -> bool:
        """Whether networks predict one column each."""
        return True

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        said: dict[str, Any] = {"kind": "columns"}
        said |= {"order": list(self.order)} if self.order else {}
        said |= {"keys": list(self.keys)} if any(self.keys) else {}
        if self.sizes is not None:
            s = self.sizes
            said["networks"] = {"columns": [int(c) for c in s.networked], "hidden": s.hidden, "scale_hidden": s.scale_hidden}
            said["networks"] |= {"by_feature": True} if s.by_feature else {}
            said["networks"] |= {"differences": [int(d) for d in self.differenced]} if any(self.differenced) else {}
        return said

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan."""
        count, networks = columns_of(shape), said.get("networks")
        order, keys = _integers(said.get("order", [])), _integers(said.get("keys", []))
        if grid is None or (order and sorted(order) != list(range(count))) or (keys and len(keys) != count):
            raise CorruptFile(MALFORMED)
        if any(not 0 <= key <= numbers(place if is_table(shape) else len(shape)) for place, key in enumerate(keys)):
            raise CorruptFile(MALFORMED)
        if networks is None:
            if not grid.whole:
                raise CorruptFile(MALFORMED)
            return cls(order, keys)
        return cls(order, keys, *_read_networks(networks, count, whole=grid.whole))

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
        plan = cls()
        sizes = [sample.cost(plan, g, first) for g in grids]
        fewest = min([math.inf, *sizes])
        if fewest >= (PROMISING_TABLE if table else PROMISING) * min(fewest, least):
            return []
        ranked = [grids[i] for i in np.argsort(sizes, kind="stable") if sizes[i] <= CLOSE * fewest]
        found: list[tuple[Plan, Grid | None]] = [(plan, g) for g in ranked]
        return found if columns_of(sample.shape) < 2 else found + cls._keyed(sample, ranked[0])

    @classmethod
    def _keyed(cls, sample: Sampled, grid: Grid) -> list[tuple[Plan, Grid | None]]:
        """Return plans whose columns are sorted by earlier ones, as they stand or in a better order."""
        from .relations import related  # reading needs it not

        piece = sample.pieces[0]
        integers = grid.at(piece.start).integers(piece.x)
        found = related(integers if piece.masked is None else fill_forward(integers, piece.masked, 0))
        return [(cls(order, keys), grid) for order, keys in found]

    def describe(self) -> str:
        """Return the plan in a few words."""
        text = "columns, sorted by others" if any(self.keys) else "columns"
        return text if self.sizes is None else f"{text}, {len(self.sizes.networked)} networks of {self.sizes.hidden} hidden"

    def memory(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Refuse chunks, or networks, that this machine cannot hold."""
        super().memory(shape, itemsize)
        if self.sizes is not None:
            limits.check_model(self.sizes.weights, self.sizes.contexts + self.sizes.code_tables)

    def networks(self, model: bytes, axes: int) -> Networks | None:
        """Return what the stream `model` holds."""
        return None if self.sizes is None else from_bytes(model, self.sizes, axes)

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        """Return the streams of a chunk.

        Layout of `data`: a byte for each column, its predictor and tables; the frequency tables; the stream of
        `residual.encode`. `residual`: the same without tables, of what networks leave.
        """
        assert grid is not None
        from . import coding
        from .chunk import Chunk

        chunk = Chunk(self, networks, x.shape, masked)
        ways, own, left, table = bytearray(), [], [], 0
        for place, (way, made, known) in enumerate(chunk.coded(grid, x, workers)):
            ways.append(way.byte)
            if way.predictor == coding.NETWORK:
                left += made
            else:
                own += coding.moved(made, table)
                table += way.own_tables
            chunk.store(place, known)
        stored, tables = residual.tables_for(own, table)
        streams = {"data": bytes(ways) + stored + residual.encode(tables, own)}
        if networks is not None:
            streams["residual"] = residual.encode(networks.residual_tables, left) if left else b""
        return Coded(streams, grid.values(chunk.array(), x.dtype))

    def decode(
        self,
        grid: Grid | None,
        networks: Any,
        streams: Mapping[str, bytes],
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        masked: Mask | None,
        workers: int = 1,
    ) -> Array:
        """Return a chunk."""
        assert grid is not None
        from .chunk import DAMAGED, Chunk  # who only looks at a header needs it not
        from .coding import NETWORK, Coding

        data, chunk = streams["data"], Chunk(self, networks, shape, masked)
        ways = [Coding.of(byte) for byte in data[: chunk.count]]
        if len(ways) < chunk.count or not all(way.possible for way in ways):
            raise CorruptFile(DAMAGED)
        count, fast = sum(way.own_tables for way in ways), kernels.available(math.prod(shape))
        tables, used = residual.tables_from_bytes(data[chunk.count :], count)
        own = residual.ResidualReader(tables, data[chunk.count + used :], fast=fast)
        left = None
        if networks is not None and NETWORK in {way.predictor for way in ways}:
            left = residual.ResidualReader(networks.residual_tables, streams["residual"], fast=fast)
        table = 0
        for place, way in enumerate(ways):
            chunk.store(place, chunk.read(place, way, own, left, table))
            table += way.own_tables
        own.finish()
        if left is not None:
            left.finish()
        return grid.values(chunk.array(), dtype)


def _integers(value: Any) -> tuple[int, ...]:
    """Read a list of integers."""
    if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int) for v in value):
        raise CorruptFile(MALFORMED)
    return tuple(value)


def _read_networks(said: Any, count: int, *, whole: bool) -> tuple[Sizes, tuple[bool, ...]]:
    """Read the sizes of networks, and which columns are differenced for them."""
    if not isinstance(said, dict):
        raise CorruptFile(MALFORMED)
    networked, differences = _integers(said.get("columns", [])), _integers(said.get("differences", []))
    hidden, by_feature = _integers([said.get("hidden"), said.get("scale_hidden")]), said.get("by_feature", False)
    if not networked or list(networked) != sorted({*networked} & {*range(count)}) or not isinstance(by_feature, bool):
        raise CorruptFile(MALFORMED)
    if differences and (len(differences) != count or not {*differences} <= {0, 1} or not whole):
        raise CorruptFile(MALFORMED)
    groups = tuple((c,) for c in range(count))
    sizes = Sizes(groups, 0, hidden[0], hidden[1], whole, by_feature, networks=networked)
    sizes.check()
    return sizes, tuple(map(bool, differences))
