"""What every kind of plan can do; each is a class of its own. Knows no files, bounds, search."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np

from aezip.array.layout import Piece
from aezip.core import memory as limits
from aezip.core.errors import CorruptFile
from aezip.core.types import Array, Mask
from aezip.quantize.grid import Grid

ROWS, FRAMES, PLAIN = "rows", "frames", "plain"  # how large chunks are: `Plan.chunk`
MALFORMED = "the plan in the header is malformed: the file is damaged"


class Coded(NamedTuple):
    """A chunk as a plan writes it.

    Attributes
    ----------
    streams
        Raw, by name.
    decoded
        The chunk as a reader will get it, before special values and outliers.
    ideal
        Bytes that an ideal coder would need; 0 where that is not known.
    """

    streams: dict[str, bytes]
    decoded: Array
    ideal: float = 0.0


class Sampled(Protocol):
    """What a plan may ask about an array, to propose itself; `search/sample.py` answers."""

    wholes: list[Grid]  # whole grids, the preferred first
    pieces: list[Piece]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sampled chunk."""

    def fits(self, grid: Grid) -> bool:
        """Tell whether a grid's integers leave room to compute with them."""

    def named(self, grid: Grid) -> list[Grid]:
        """Return the grid of ranks by frequency, if a grid is one of ranks."""

    def head(self, values: int) -> list[Piece]:
        """Return pieces of about `values` values."""

    def cost(self, plan: Plan, grid: Grid | None, pieces: list[Piece]) -> float:
        """Return the bytes of pieces under a plan without networks, scaled to the array."""


class Plan(ABC):
    """How the chunks of an array become streams and come back; a frozen dataclass."""

    kinds: ClassVar[tuple[str, ...]]  # words in a header; one class may have several
    gridless: ClassVar[bool] = False  # bytes alone: no grid; special values are in its stream
    packed: ClassVar[bool] = False  # entropy-coded throughout: zstd has little left to do
    chunk: ClassVar[str] = PLAIN  # how large chunks are
    together: ClassVar[bool] = True  # trials on several threads at once are sooner done

    @classmethod
    @abstractmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a header's plan for arrays of `shape`.

        Raises
        ------
        CorruptFile, UnsupportedVersion
            If it is malformed, or of a later version.
        """

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the plan."""

    @abstractmethod
    def describe(self) -> str:
        """Return the plan in a few words."""

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams of a chunk."""
        return ("data",)

    @property
    def trained(self) -> bool:
        """Whether there is a stream `model`."""
        return False

    @property
    def by_columns(self) -> bool:
        """Whether networks, if there are any, predict one column each, beside other predictors."""
        return False

    @property
    def block(self) -> int:
        """Outer indices that stay together in a chunk."""
        return 1

    @classmethod
    def proposals(cls, sample: Sampled, best: Mapping[type[Plan], Any]) -> Iterable[tuple[Plan, Grid | None]]:
        """Yield plans without networks, each with its grid, that are worth measuring on a sample.

        `best` has the smallest choice so far (`plan`, `grid`, `size`) of the classes asked before.
        """
        return ()

    def trimmed(self, streams: Sequence[Mapping[str, bytes]], shape: tuple[int, ...]) -> Plan:
        """Return the plan without options that no chunk of `shape`, given as its streams, uses."""
        return self

    @property
    def scales(self) -> bool:
        """Whether the networks make sense on steps of any size: they see values in steps."""
        return False

    @property
    def any_extent(self) -> bool:
        """Whether its networks serve arrays of any length along all axes, not along the outer one only."""
        return False

    @property
    def companions(self) -> tuple[Any, ...]:
        """Arrays of the same file and shape that have to be decoded first (`Companion`)."""
        return ()

    @staticmethod
    def among(networks: Any, beside: Sequence[Array]) -> Any:
        """Return the networks for a chunk, given what the companions count there, each of its shape."""
        return networks

    def coarse(self, networks: Any, axes: int, stride: int) -> tuple[Any, tuple[slice, ...]] | None:
        """Return networks that decode some values of a chunk only, in less time, and the index of these; None: there are none."""
        return None

    def with_codes(self) -> Any:
        """Return the plan (a `AutoencoderPlan`) whose codes the chunks hold: itself, the one that a network refines, or None."""
        return None

    def memory(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Refuse chunks, or networks, that this machine cannot hold, before anything is allocated.

        Raises
        ------
        CorruptFile, UnsafeFile
            If it cannot, or no writer makes such.
        """
        limits.check_chunk(shape, itemsize)

    def networks(self, model: bytes, axes: int) -> Any:
        """Return what the stream `model` holds; None where there is none.

        Raises
        ------
        CorruptFile
            If it does not fit the plan.
        """
        return None

    @abstractmethod
    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        """Return the streams of a chunk of native plain values, with the encoder half where there are codes.

        They are the same on any number of threads (`workers`).
        """

    @abstractmethod
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
        """Return a chunk of `shape`, on `workers` threads where the plan allows; masked values are left to the caller.

        Raises
        ------
        CorruptFile
            If the streams do not make sense.
        """


class WholePlan(Plan):
    """A plan of whole numbers in one stream, without networks."""

    @abstractmethod
    def pack(self, grid: Grid, x: Array, masked: Mask | None) -> tuple[bytes, Array]:
        """Return the bytes of a chunk and the chunk as decoded."""

    @abstractmethod
    def unpack(self, grid: Grid, data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """Return the chunk of `shape`."""

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        """Return the stream of a chunk."""
        data, decoded = self.pack(_given(grid), x, masked)
        return Coded({"data": data}, decoded)

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
        return self.unpack(_given(grid), streams["data"], shape, dtype)


def _given(grid: Grid | None) -> Grid:
    """Return a grid that has to be there."""
    if grid is None:
        raise CorruptFile(MALFORMED)
    return grid
