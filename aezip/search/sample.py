"""The sampled chunks of an array on which candidates are tried, and what came of each. Knows no plan in particular."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property, partial
from typing import Any, TypeVar

from aezip.array.layout import Piece, activity, central, crop
from aezip.core.errors import InvalidInput, ModelMismatch
from aezip.core.progress import Progress
from aezip.entropy.frames import pack
from aezip.plans.base import Plan
from aezip.quantize.grid import Grid, HiddenGrid
from aezip.quantize.ranks import Ranks

from .choice import Choice
from .presets import PRESETS, Preset

Made = TypeVar("Made")
AnyChoice = TypeVar("AnyChoice", bound=Choice[Any])
LARGE, MANY = 1 << 20, 1000  # values of an array that is worth all steps of a preset; steps: time is no object
SMALL = 1 << 15  # values of an array that is searched on one thread, and whose streams are kept
FEWEST = 256  # values: an array smaller than this has no use for a network
WIDEST = 1 << 50  # integers beyond this are left to plans without a network


class Part(Enum):
    """What networks are tried on: where much happens in a chunk, the middle of it, the sampled chunks."""

    CROP, MIDDLE, ALL = range(3)


@dataclass
class Sample:
    """Sampled chunks, the grids that suit them, and the bytes of what was tried on them.

    Parameters
    ----------
    pieces
        Sampled runs of the outer axis.
    share
        Values of the array over values sampled in `pieces`.
    context_pieces
        Sampled chunks of context plans, or the middle of them.
    fine, wholes
        Grids: the fine one of a lossy bound, or None; whole ones, the preferred first.
    tried
        Names and bytes; infinite: dropped out, and why is in the name.
    threads
        On which a trained network codes the sample: the bytes do not depend on them.
    faithful
        Codes are wanted as features.
    companions
        Arrays that are known (`Companion`).
    any_extent
        The networks are to serve other arrays too, of any extent.
    """

    pieces: list[Piece]
    share: float
    context_pieces: list[Piece]
    fine: Grid | None
    wholes: list[Grid]
    preset: Preset
    seed: int
    device: str
    progress: Progress
    tried: list[tuple[str, float]] = field(default_factory=list)
    threads: int = 1
    faithful: bool = False
    companions: tuple[Any, ...] = ()  # whose values lie beside those of the pieces
    any_extent: bool = False
    memo: dict[Any, Any] = field(default_factory=dict)  # what was measured before

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of a sampled chunk."""
        return self.pieces[0].x.shape

    @property
    def values(self) -> float:
        """Values of the whole array."""
        return self.share * sum(p.x.size for p in self.pieces)

    def steps(self, most: int) -> int:
        """Return how many steps of training an array of this size is worth: half of `most` at least, three quarters of many."""
        return round(most * min(1.0, max(0.5 if most < MANY else 0.75, math.sqrt(self.values / LARGE))))

    @property
    def side_by_side(self) -> int:
        """On how many threads candidates are tried at once."""
        return self.threads if self.pieces[0].x.size > SMALL else 1

    @property
    def known(self) -> int:
        """Values sampled that are not masked."""
        return sum(p.x.size if p.masked is None else int((~p.masked).sum()) for p in self.pieces)

    @property
    def raw(self) -> float:
        """Bytes of the whole array."""
        return self.values * self.pieces[0].x.dtype.itemsize

    @property
    def grids(self) -> list[Grid]:
        """The fine grid, if there is one, and the preferred whole one."""
        return [g for g in (self.fine, *self.wholes[:1]) if g is not None]

    def fits(self, grid: Grid) -> bool:
        """Tell whether a grid's integers leave networks room for 1/64 steps."""
        for piece in self.pieces:
            k = grid.at(piece.start).integers(piece.x)
            kept = k if piece.masked is None else k[~piece.masked]
            if kept.size and (int(kept.max()) >= WIDEST or int(kept.min()) <= -WIDEST):
                return False
        return True

    def drop_wide(self) -> None:
        """Leave out whole grids on which networks cannot compute."""
        self.wholes = [grid for grid in self.wholes if self.attempt("a grid", partial(self.fits, grid), False)]

    def named(self, grid: Grid) -> list[Grid]:
        """Return the grid of ranks by frequency, if a grid is one of ranks."""
        if not isinstance(grid, HiddenGrid) or not isinstance(grid.lattice, Ranks):
            return []
        return [HiddenGrid(grid.lattice.by_frequency((p.start, p.x, p.masked) for p in self.pieces))]

    def note(self, choice: AnyChoice) -> AnyChoice:
        """Remember what was tried."""
        self.tried.append((called(choice.plan, choice.grid), choice.size))
        return choice

    def attempt(self, name: str, make: Callable[[], Made], otherwise: Made) -> Made:
        """Return what is made, or something else where that fails: no candidate ends a command.

        What the caller's callback raises, and what asks to stop, goes on.
        """
        try:
            return make()
        except (InvalidInput, ModelMismatch):  # an option that cannot be met, an installation that lacks a network
            raise
        except Exception as error:
            if error is self.progress.raised:
                raise
            self.tried.append(dropped_out(name, error))
            return otherwise

    def head(self, values: int) -> list[Piece]:
        """Return pieces of about `values` values, cut short along the outer axis if need be."""
        each = max(1, values // len(self.pieces))
        out = []
        for piece in self.pieces:
            inner = max(1, piece.x.size // piece.x.shape[0])
            stop = max(1, min(piece.x.shape[0], each // inner))
            out.append(piece.part((slice(0, stop),), piece.start))
        return out

    def reduced(self, values: int) -> Sample:
        """Return a sample of about `values` values of this one, with the effort of the preset `fast`."""
        pieces = self.head(values)
        share = self.values / sum(p.x.size for p in pieces)
        return replace(self, pieces=pieces, share=share, preset=PRESETS["fast"], memo={})

    def untrained(self) -> Sample:
        """Return the sample with the effort of a preset that trains nothing."""
        if not self.preset.trains:
            return self
        looked_at = {"crop": self.preset.crop, "middle": self.preset.middle}  # what is measured there counts for all presets
        return replace(self, preset=replace(PRESETS["instant"], **looked_at))

    def streams(self, plan: Plan, grid: Grid | None, pieces: list[Piece]) -> list[Mapping[str, bytes]]:
        """Return the streams of pieces under a plan without networks."""
        size = sum(p.x.size for p in pieces)
        key = "streams", plan, id(grid), size
        if key in self.memo:
            return list(self.memo[key])
        on = ((None if grid is None else grid.at(p.start), p) for p in pieces)
        made: list[Mapping[str, bytes]] = [plan.encode(at, None, None, p.x, p.masked).streams for at, p in on]
        if size <= SMALL:
            self.memo[key] = made
        return made

    def scaled(self, streams: list[Mapping[str, bytes]], pieces: list[Piece]) -> float:
        """Return the bytes of the array, given the streams of pieces of it."""
        packed = sum(len(pack(data, self.preset.zstd)) for parts in streams for data in parts.values())
        return packed * self.values / max(1, sum(p.x.size for p in pieces))

    def cost(self, plan: Plan, grid: Grid | None, pieces: list[Piece]) -> float:
        """Return the bytes of pieces under a plan without networks, scaled to the array."""
        key = plan, id(grid), sum(p.x.size for p in pieces)
        if key not in self.memo:  # the grid is kept, and with it its id
            self.memo[key] = self.scaled(self.streams(plan, grid, pieces), pieces), grid
        return float(self.memo[key][0])

    @cached_property
    def crop(self) -> Piece:
        """A part of a chunk on which trials of context networks are made."""
        return crop(self.context_pieces[0], self.preset.crop)

    @cached_property
    def crop_share(self) -> float:
        """What part of the chunks the crop is."""
        return self._share(self.crop)

    @cached_property
    def _middle(self) -> tuple[Piece, float]:
        """A larger part of a chunk, and what part of the chunks it is."""
        piece = central(self.context_pieces[0], self.preset.middle)
        return piece, self._share(piece)

    def _share(self, part: Piece) -> float:
        """Return what part of all changes in the chunks is there (lossless: what part it is, as noise is everywhere)."""
        size = part.x.size / sum(p.x.size for p in self.context_pieces)
        if self.fine is None:
            return size
        whole = self._activity
        return max(size, activity(part.x, part.masked) / whole) if whole > 0.0 else size

    @cached_property
    def _activity(self) -> float:
        return sum(activity(p.x, p.masked) for p in self.context_pieces)

    def part(self, part: Part) -> tuple[list[Piece], float]:
        """Return the sampled chunks or a part of them, and values of the array over values there."""
        whole = sum(p.x.size for p in self.context_pieces)
        if part is Part.CROP:
            return [self.crop], self.values / (whole * self.crop_share)
        if part is Part.ALL or whole <= self.preset.middle:
            return self.context_pieces, self.values / whole
        piece, share = self._middle
        return [piece], self.values / (whole * share)


def dropped_out(name: str, error: BaseException) -> tuple[str, float]:
    """Return how a candidate that failed is listed among those tried."""
    reason = " ".join(str(error).split())[:100] or "nothing was said"
    return f"{name} dropped out, {type(error).__name__}, {reason}", math.inf


def called(plan: Plan, grid: Grid | None) -> str:
    """Return what a candidate is called."""
    return f"{plan.describe()}{', fine' if grid is not None and not grid.whole else ''}"
