"""Columns with networks: each column by its network where that saves more than its weights take, else by another predictor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from aezip.array.layout import Piece
from aezip.core.types import Float64
from aezip.entropy import residual
from aezip.entropy.codebook import CodeBook
from aezip.entropy.frames import pack
from aezip.plans.autoencoder.decoder import IntegerDecoder
from aezip.plans.autoencoder.difference import Difference
from aezip.plans.autoencoder.networks import Networks, Norm, Sizes, from_bytes, to_bytes
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.columns.chunk import Chunk
from aezip.plans.columns.plan import ColumnPlan
from aezip.plans.columns.table import is_table

from .autoencoder import train
from .choice import AutoencoderChoice, Choice, smallest
from .sample import Sample
from .static import columns_layout

REORDERED = 0.95  # what part of the bytes of columns as they stand another order must get by with for networks to see it


def order_of(sample: Sample, best: Choice[ColumnPlan] | None) -> tuple[int, ...]:
    """Return the order in which networks had best see columns: another one than that in which they stand if it saves enough."""
    if best is None or not best.plan.order:
        return ()
    return best.plan.order if best.size < REORDERED * sample.cost(ColumnPlan(), best.grid, sample.pieces) else ()


def by_column(plan: AutoencoderPlan) -> bool:
    """Tell whether an autoencoder without codes predicts the columns of a table one by one."""
    block = plan.layout.block
    return len(block) == 2 and is_table(block) and len(plan.sizes.groups) > 1 and getattr(plan.difference, "axis", 0) == 0


def with_networks(sample: Sample, learned: AutoencoderChoice, best: Choice[ColumnPlan] | None) -> Choice[ColumnPlan]:
    """Return the smallest plan by columns with networks; of infinite size if none pays.

    Parameters
    ----------
    learned
        An autoencoder without codes whose groups are the columns, in the order in which they are to be coded: the networks
        to choose from, on its grid.
    best
        The best without networks.
    """
    order = tuple(f for (f,) in learned.plan.sizes.groups)
    plan = ColumnPlan(() if order == tuple(range(len(order))) else order)
    plans = [plan] if best is None or best.plan.order != plan.order else list(dict.fromkeys((plan, best.plan)))
    return smallest(Mixture(sample, learned, one).chosen() for one in plans)


def resumed(sample: Sample, start: Choice[Any]) -> Choice[ColumnPlan]:
    """Train the networks of a plan by columns on, at full length; the same columns keep a network."""
    plan: ColumnPlan = start.plan
    assert plan.sizes is not None
    count = plan.sizes.features
    order = list(plan.order) or list(range(count))
    back = np.argsort(order)
    difference = Difference(0, tuple(plan.differenced[at] for at in back)) if any(plan.differenced) else None
    sizes = replace(plan.sizes, groups=tuple((f,) for f in order), networks=None, by_feature=False)
    rows = AutoencoderPlan(columns_layout(sample.shape), difference, sizes)
    known = dict(zip(plan.sizes.networked, start.model.decoders, strict=True))
    norm = Norm(start.model.norm.centre[back], start.model.norm.exponent[back], start.model.norm.top)
    model = replace(start.model, decoders=[known.get(place) for place in range(count)], norm=norm)
    trained = train(sample, rows, start.placed, sample.preset.steps, final=True, start=replace(start, model=model))
    mixture = Mixture(sample, trained, ColumnPlan(plan.order, plan.keys))
    forms, own = mixture.forms()
    return mixture.measured(forms[plan.sizes.by_feature], list(plan.sizes.networked), own)


@dataclass(frozen=True)
class Left:
    """What networks leave of the columns of the sample: its tables by feature or not."""

    sizes: Sizes
    parts: list[list[residual.Split]]  # by column, one for each piece

    def bytes_of(self, share: float) -> Float64:
        """Return about how many bytes each column takes, the array's share of the model included."""
        everything = residual.TableCounts(self.sizes.contexts)
        for part in (one for column in self.parts for one in column):
            everything.add(part.symbols, part.contexts)
        tables = residual.tables_from_bytes(everything.to_bytes(), self.sizes.contexts)[0]
        bits = np.array([residual.ideal_bits(tables, column) for column in self.parts])
        weights = np.array([sum(a * b for a, b in self.sizes.layers(c)) for c in range(len(self.parts))])
        own = int((everything.counts > 0).sum()) / len(self.parts) if self.sizes.by_feature else 0.0
        return np.asarray(bits / 8.0 * share + weights + own)


class Mixture:
    """Networks beside other predictors, column by column."""

    def __init__(self, sample: Sample, learned: AutoencoderChoice, plan: ColumnPlan) -> None:
        self.sample, self.grid, self.plan = sample, learned.placed, plan
        count, old = len(learned.plan.sizes.groups), learned.plan.sizes
        order = list(plan.order) or list(range(count))
        sizes = Sizes(tuple((c,) for c in range(count)), 0, old.hidden, old.scale_hidden, old.whole)
        difference = learned.plan.difference
        differenced = difference is not None and (difference.columns is None or np.array(difference.columns)[order])
        self.full = replace(plan, sizes=sizes, differenced=tuple(np.broadcast_to(differenced, count).tolist()))
        norm = learned.model.norm
        self.norm = Norm(norm.centre[order], norm.exponent[order], norm.top)
        self.decoders: list[IntegerDecoder] = learned.model.decoders
        self.model: Networks = replace(learned.model, norm=self.norm)

    def chosen(self) -> Choice[ColumnPlan]:
        """Return the plan with those networks that pay."""
        failed: Choice[ColumnPlan] = Choice(self.full, self.grid, float("inf"))
        return self.sample.attempt("networks of columns", lambda: self.sample.note(self._chosen(failed)), failed)

    def _chosen(self, failed: Choice[ColumnPlan]) -> Choice[ColumnPlan]:
        forms, own = self.forms()
        form, predicted = min(((f, f.bytes_of(self.sample.share)) for f in forms), key=lambda one: np.minimum(one[1], own).sum())
        networked = np.flatnonzero(predicted < own)
        return self.measured(form, networked.tolist(), own) if len(networked) else failed

    def forms(self) -> tuple[list[Left], Float64]:
        """Return what networks leave, tables shared and by feature, and the bytes of the array's columns without networks."""
        own = np.zeros(len(self.decoders))
        forms = [Left(self._sizes(by_feature), [[] for _ in own]) for by_feature in (False, True)]
        for piece in self.sample.pieces:
            grid = self.grid.at(piece.start)
            own += self._chunk(forms[0].sizes, piece).sizes_alone(grid, piece.x, self.sample.threads)
            for form in forms:
                for place, part in enumerate(self._chunk(form.sizes, piece).left_by_networks(grid, piece.x)):
                    form.parts[place].append(part)
        return forms, own * self.sample.share

    def _sizes(self, by_feature: bool) -> Sizes:
        assert self.full.sizes is not None
        return replace(self.full.sizes, by_feature=by_feature)

    def _chunk(self, sizes: Sizes, piece: Piece) -> Chunk:
        return Chunk(replace(self.full, sizes=sizes), self.model, piece.x.shape, piece.masked)

    def measured(self, form: Left, networked: list[int], own: Float64) -> Choice[ColumnPlan]:
        """Return the plan with networks of some columns, with tables that suit these."""
        sizes = replace(form.sizes, networks=tuple(networked))
        counts, book = residual.TableCounts(sizes.contexts), CodeBook([], [])
        kept = [form.parts[place] for place in networked]
        for part in (one for column in kept for one in column):
            counts.add(part.symbols, part.contexts)
        decoders = [self.decoders[place] for place in networked]
        data = to_bytes(sizes, decoders, self.norm, book, residual.TableCounts(sizes.code_tables), counts)
        model = from_bytes(data, sizes, len(self.sample.shape))
        plan = replace(self.full, sizes=sizes)
        size = (
            np.delete(own, networked).sum()
            + sum(len(residual.encode(model.residual_tables, [column[i] for column in kept])) for i in range(len(kept[0])))
            * self.sample.share
        )
        return Choice(plan, self.grid, float(size) + len(pack(data, 19)), model, data)
