"""The plan of an autoencoder: rows, the difference taken before, sizes of the network, its variant. Knows nothing of files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from aezip.array.layout import Layout
from aezip.core import memory as limits
from aezip.core.errors import CorruptFile, UnsupportedVersion
from aezip.core.types import Array, Int64, Mask
from aezip.plans.base import MALFORMED, ROWS, Coded, Plan
from aezip.quantize.grid import Grid

from . import chunk as coding
from .difference import Difference
from .networks import MAX_FEATURES, Networks, Sizes, from_bytes
from .sites import Sites, axes_from_json
from .variants import VARIANTS


@dataclass(frozen=True)
class AutoencoderPlan(Plan):
    """Layout, transform and sizes of the network; how it was trained, which decoding need not know."""

    layout: Layout
    difference: Difference | None
    sizes: Sizes
    variant: str = "deep"

    kinds: ClassVar[tuple[str, ...]] = ("autoencoder", "static")
    packed: ClassVar[bool] = True
    chunk: ClassVar[str] = ROWS

    @property
    def streams(self) -> tuple[str, ...]:
        """Names of the streams of a chunk."""
        return ("codes", "residual")

    @property
    def trained(self) -> bool:
        """Whether there is a stream `model`."""
        return True

    @property
    def block(self) -> int:
        """Outer indices that stay together in a chunk."""
        return self.layout.block[0]

    def with_codes(self) -> AutoencoderPlan | None:
        """Return itself, if it has codes."""
        return self if self.sizes.width else None

    def memory(self, shape: tuple[int, ...], itemsize: int) -> None:
        """Refuse chunks, or networks, that this machine cannot hold."""
        limits.check_chunk(shape, itemsize, self.layout, self.sizes.width, self.sizes.near)
        limits.check_model(self.sizes.weights, self.sizes.contexts + self.sizes.code_tables)

    def networks(self, model: bytes, axes: int) -> Networks:
        """Return what the stream `model` holds."""
        return from_bytes(model, self.sizes, axes)

    def encode(self, grid: Grid | None, networks: Any, encoder: Any, x: Array, masked: Mask | None, workers: int = 1) -> Coded:
        """Return the streams of a chunk."""
        assert grid is not None
        model: Networks = networks
        coded = coding.code(self, grid, model.decoders, model.norm, encoder, x, masked, model.spikes)
        streams, ideal = coding.written(model.residual_tables, model, coded)
        return Coded(streams, coded.decoded, ideal)

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
        return coding.decode(self, grid, networks, streams, shape, dtype, masked)

    @property
    def kind(self) -> str:
        """Name of the plan."""
        return "autoencoder" if self.sizes.width else "static"

    def sites(self, shape: tuple[int, ...]) -> Sites | None:
        """Return the grid of blocks of a chunk of `shape`, if it is convolved."""
        return Sites(self.layout.grid(shape), self.sizes.axes) if self.sizes.axes else None

    def row_layout(self, shape: tuple[int, ...]) -> Layout:
        """Return the layout whose rows have a code vector each: of a convolution an image with all its blocks."""
        axes = self.sizes.axes
        if not axes or 0 in axes:  # along the outer axis chunks end, and rows would differ in length
            return self.layout
        return Layout(tuple(shape[a] if a in axes else b for a, b in enumerate(self.layout.block)))

    def row_codes(self, codes: Int64, shape: tuple[int, ...]) -> Int64:
        """Return codes (blocks, width) by rows of `row_layout`: (rows, blocks of a row * width)."""
        grid, axes = self.layout.grid(shape), self.sizes.axes
        if self.row_layout(shape) == self.layout:
            return codes
        kept = [a for a in range(len(grid)) if a not in axes]
        moved = codes.reshape(*grid, -1).transpose(*kept, *axes, len(grid))
        return moved.reshape(math.prod(grid[a] for a in kept), -1)

    def to_json(self) -> dict[str, Any]:
        """Return the plan."""
        s = self.sizes
        return {
            "kind": self.kind,
            "layout": self.layout.to_json(),
            "difference": None if self.difference is None else self.difference.to_json(),
            "width": s.width,
            "hidden": s.hidden,
            "scale_hidden": s.scale_hidden,
            "groups": None if len(s.groups) == 1 else "columns",
            "by_feature": s.by_feature,
            **({"spiked": True} if s.spiked else {}),
            **({"convolution": list(s.axes)} if s.axes else {}),
            **({} if self.variant == "deep" else {"variant": self.variant}),
        }

    def describe(self) -> str:
        """Return the plan in a few words."""
        s = self.sizes
        name = f"autoencoder {s.width} codes, {s.hidden} hidden" if s.width else self.kind
        name += ", spikes" if s.spiked else ""
        name = f"convolutional {name}" if s.axes else name
        if self.variant != "deep":
            name = f"{self.variant} {name}"
        if len(s.groups) > 1:
            name += f", {len(s.groups)} groups"
        block = "x".join(map(str, self.layout.block))
        if self.difference is None:
            return f"{name}, block {block}"
        some = "" if self.difference.columns is None else " of some columns"
        return f"{name}, block {block}, difference {self.difference.axis}{some}"

    @classmethod
    def read(cls, said: Mapping[str, Any], shape: tuple[int, ...], grid: Grid | None) -> Self:
        """Read a plan for arrays of `shape`."""
        if grid is None:
            raise CorruptFile(MALFORMED)
        return cls.from_json(said, shape, whole=grid.whole)

    @classmethod
    def from_json(cls, value: Any, shape: tuple[int, ...], *, whole: bool) -> Self:
        """Read a plan for arrays of `shape`.

        Raises
        ------
        CorruptFile
            If it is malformed.
        """
        try:
            layout = Layout.from_json(value["layout"], len(shape))
            numbers = [value["width"], value["hidden"], value["scale_hidden"]]
            difference = Difference.from_json(value["difference"], shape)
            groups = _groups(value["groups"], layout.features)
            by_feature, spiked = value["by_feature"], value.get("spiked", False)
            variant, axes = value.get("variant", "deep"), value.get("convolution")
        except (KeyError, TypeError, AttributeError) as error:
            raise CorruptFile(MALFORMED) from error
        if not all(isinstance(n, int) for n in numbers) or (difference is not None and not whole):
            raise CorruptFile(MALFORMED)
        width, hidden, scale_hidden = numbers
        if by_feature not in (True, False) or spiked not in (True, False) or (spiked and difference is not None):
            raise CorruptFile(MALFORMED)
        if not isinstance(variant, str):
            raise CorruptFile(MALFORMED)
        if variant not in VARIANTS:
            raise UnsupportedVersion(f"the autoencoder variant {variant[:40]!r} is not known: update aezip")
        convolved = () if axes is None else axes_from_json(axes, len(shape))
        if convolved and variant != "deep":
            raise CorruptFile(MALFORMED)
        sizes = Sizes(groups, width, hidden, scale_hidden, whole, by_feature, spiked, convolved)
        sizes.check()
        if sizes.features != layout.features:
            raise CorruptFile("the groups of features do not fit the layout: the file is damaged")
        return cls(layout, difference, sizes, variant)


def _groups(value: Any, features: int) -> tuple[tuple[int, ...], ...]:
    """Read groups of features.

    Raises
    ------
    CorruptFile
        If they are neither one group nor the columns.
    """
    if features > MAX_FEATURES:
        raise CorruptFile("the layout is larger than any aezip writes: the file is damaged")
    if value is None:
        return (tuple(range(features)),)
    if value == "columns":
        return tuple((f,) for f in range(features))
    raise CorruptFile("the groups of features are malformed: the file is damaged")
