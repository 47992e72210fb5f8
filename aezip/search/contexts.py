"""Context plans: which way over the axes, on which grid, a frequent number apart or not; then training at full length."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from aezip.array.layout import Piece
from aezip.core.parallel import ordered
from aezip.plans.context import builtin as builtins
from aezip.plans.context.bisection import Order
from aezip.plans.context.channels import MOST_CHANNELS, Channels, Mixing
from aezip.plans.context.plan import way_name
from aezip.plans.context.raster import Axes, scans
from aezip.plans.context.signal import Signal, series_for
from aezip.quantize.grid import Grid

from . import context
from .below import WORTH, belows
from .channels import related
from .choice import Choice, ContextChoice, Found, Wish, smallest
from .context import Below
from .family import Family
from .sample import Part, Sample

CLOSE = 1.25  # of built-in networks: how much larger one may be on a small crop to be the best
CLOSE_UNTRAINED, FEW_UNTRAINED = 1.12, 3  # the same where nothing is trained, and how many are looked at then
FITTED, FITTED_UNTRAINED = 5, 3  # ways whose linear parts are fitted
CLOSER = 1.08  # how much larger one may be there to be compared with linear parts fitted, and after some training
CLOSER_UNTRAINED = 1.03  # the same where nothing is trained
RACE, RACERS = 1000, 3  # steps from which networks race after some training, and how many
STUCK, STUCK_SOON = 0.93, 0.97  # of the bytes of a network as it is, after training on, and after little of it
HOPEFUL = 0.9  # of the bytes of plans without a network: there is much to find
AS_IS = 1.05  # how much larger a network may be as it is, on a part, to be measured on all
GOES_ON = 0.7  # what part of the bytes that some training saved the rest will save
FEW, MANY = 256, 4096  # channels, and values of each, from which each may have a sum of its own
WORTH_TIME = 0.93  # of the bytes of others: where nothing is trained, channels take twice the time
TELLING = 0.1  # bits a value that one channel must tell of the next
LEAST = 600  # bytes that a plan takes for a built-in network to be looked at
CLOSE_PLAIN = 1.3  # how much larger than a plan without a network one may seem on a part of the sample to be tried on all
SMALL_NETWORK = 40_000  # bytes up to which a small network of its own may be better than a built-in one trained on
HIDDEN = ((15_000, 8), (200_000, 16), (4_000_000, 32))  # bytes up to which a context network has so many hidden units


class Way(NamedTuple):
    """How a context network goes over an array: groups of axes bisected, or axes scanned; neither: along a signal.

    `beside`: columns of the signal are side by side, and none sees another. `channels`: an axis whose entries are decoded one
    after the other, `alike` if one sum serves all; order and scan are of the other axes. `companions`: arrays that are known
    are seen.
    """

    order: Order
    scan: Axes = ()
    beside: bool = False
    channels: int | None = None
    alike: bool = False
    companions: bool = False

    def series(self, shape: tuple[int, ...]) -> Signal | None:
        """Return the signal of chunks of `shape`; None if it is none."""
        if self.order or self.scan:
            return None
        found = series_for(shape)[0]
        return replace(found, columns=None) if self.beside else found

    @property
    def name(self) -> str:
        """Return a short name."""
        name = way_name(self.order, self.scan) or f"along a signal{', columns apart' * self.beside}"
        name += "" if self.channels is None else f" of channels along {self.channels}{', alike' * self.alike}"
        return name + ", beside others" * self.companions


class Contexts(Family):
    """Context plans, with built-in networks and with trained ones, above an autoencoder or without."""

    name = "context networks"

    def built_in(self, sample: Sample, found: Found) -> Sequence[ContextChoice]:
        """Return the best built-in network."""
        if found.plain.size < LEAST:
            return []
        untrained = sample.untrained()
        best = look(untrained)
        if best is None or best.size > found.plain.size * CLOSE_PLAIN:
            return []
        whole = best.plan.channels is not None and sample.part(Part.MIDDLE)[0] is not sample.context_pieces
        part = Part.ALL if whole else Part.MIDDLE  # sums are fitted to all that is sampled
        made = as_it_is(untrained, best.placed, way_of(best), part, fit=True)
        return [] if made is None else [made]

    def short(self, sample: Sample, found: Found, wish: Wish) -> None:
        """Find the way over the axes."""
        found.context = look(sample)

    def full(self, sample: Sample, found: Found, wish: Wish) -> Sequence[ContextChoice]:
        """Train the way that was found, and what refines the best autoencoder."""
        if found.context is None:
            return []
        options = found.trained if wish.learned_only else [found.plain, *found.trained]
        least = min((c.size for c in options), default=math.inf)
        return fitted_at_length(sample, found.context, smallest(found.trained, default=found.plain), least)


def way_of(choice: ContextChoice) -> Way:
    """Return how a context network goes over an array."""
    sizes, series = choice.plan.sizes, choice.plan.series
    found = choice.plan.channels
    along = (None, False) if found is None else (found.axis, found.alike)
    return Way(sizes.order, sizes.scan, series is not None and series.columns is None, *along, bool(choice.plan.companions))


def look(sample: Sample) -> ContextChoice | None:
    """Return the best context plan on a part of the sample: with built-in networks, or after a short training."""
    if sample.crop.masked is not None and sample.crop.masked.all():
        return None  # nothing to learn from
    grids = sample.grids
    ways = _ways(sample)
    _side_by_side(sample, [(grids[0], way) for way in ways], Part.CROP, fit=False)
    done = _made(_looked_at(sample, grids[0], way) for way in ways)
    if len(grids) > 1 and done:
        ranked = [way_of(r) for r in sorted(done, key=lambda r: r.size)]
        again = ranked[:1] if ranked[0].scan else [*ranked[:1], *[way for way in ranked if way.scan][:1]]
        done += _made(_looked_at(sample, grids[1], way) for way in again)  # scans are better on whole numbers
    best = _sure(sample, done)
    if best is None or not sample.preset.trains:
        return best
    return _spiked(sample, best, grids[-1]) or best


def _ways(sample: Sample) -> list[Way]:
    """Return the ways worth trying: bisections, then scans, then signals."""
    ways = [Way(order) for order in context.orders(sample.context_pieces[0].x.shape)[: sample.preset.context_trials]]
    ways += [Way((), scan) for scan in scans(sample.crop.x.shape)]
    signals = series_for(sample.crop.x.shape)
    ways += _by_channels(sample)
    return ways + [Way((), (), beside) for s in signals for beside in ((False, True) if s.columns is not None else (True,))]


def _by_channels(sample: Sample) -> list[Way]:
    """Return ways over channels: arrays that are known beside the array, and the axis whose entries tell most of each other."""
    piece, out = sample.crop, list[Way]()
    shape = piece.x.shape
    if sample.any_extent:
        return out
    if sample.companions:
        out += [Way(order, companions=True) for order in context.orders(shape)[: 1 + sample.preset.trains]]
        out += [Way((), scan, companions=True) for scan in scans(shape)[:1]]
    whole = sample.context_pieces[0].x
    few = [axis for axis, count in enumerate(whole.shape) if 2 <= count <= MOST_CHANNELS and shape[axis] >= 2]
    tells = {axis: related(sample.grids[0], piece, axis) for axis in few}
    axis = max(tells, key=tells.__getitem__, default=0)
    if tells.get(axis, 0.0) <= TELLING:
        return out
    rest = (*shape[:axis], *shape[axis + 1 :])
    each = (
        whole.shape[axis] <= FEW and whole.size >= MANY * whole.shape[axis] and (axis > 0 or whole.size == round(sample.values))
    )
    kinds = [True, False] if each else [True]
    for alike, companions in itertools.product(kinds, (False, True)[: 1 + bool(sample.companions)]):
        out += [Way(order, (), False, axis, alike, companions) for order in context.orders(rest)[: 1 + sample.preset.trains]]
        out += [Way((), scan, False, axis, alike, companions) for scan in scans(rest)[:1]]
    return out


def _sure(sample: Sample, done: list[ContextChoice]) -> ContextChoice | None:
    """Return the best context plan; where built-in networks are close, step by step by what is nearer to the end.

    On a small crop, on the middle of a chunk, with linear parts fitted, and, if there is time, after some training on.
    """
    ranked = sorted(done, key=lambda r: r.size)
    trains = sample.preset.trains
    factor, most = (CLOSE, sample.preset.context_trials) if trains else (CLOSE_UNTRAINED, FEW_UNTRAINED)
    if not trains:
        ranked = sorted(_worth_time(ranked), key=lambda r: r.size)
    close = [r for r in ranked if r.plan.builtin and r.size < factor * ranked[0].size][:most]
    if len(close) < 2 or close[0] is not ranked[0]:
        return ranked[0] if ranked else None
    as_is = _compared(sample, close, fit=False)
    fitted = _compared(sample, _within(as_is, *((CLOSER, FITTED) if trains else (CLOSER_UNTRAINED, FITTED_UNTRAINED))), fit=True)
    race = _within(fitted, CLOSER, RACERS if sample.preset.adapt_steps >= RACE else 1)
    if len(race) < 2:
        return race[0] if race else ranked[0]
    racers = [(made, r) for made, r in fitted if any(r is one for one in race)]
    return min(_raced(sample, racers), key=lambda pair: pair[0])[1]


def _worth_time(ranked: list[ContextChoice]) -> list[ContextChoice]:
    """Return plans without those of channels, slow as they are, unless the best of them is much smaller than others."""
    others = [r for r in ranked if way_of(r).channels is None]
    with_channels = [r for r in ranked if way_of(r).channels is not None]
    if not others or (with_channels and with_channels[0].size < WORTH_TIME * others[0].size):
        return [*_first(with_channels, scan=False), *_first(with_channels, scan=True)] or others
    return others


def _first(ranked: list[ContextChoice], *, scan: bool) -> list[ContextChoice]:
    return [r for r in ranked if bool(way_of(r).scan) == scan][:1]


def _compared(sample: Sample, close: list[ContextChoice], *, fit: bool) -> list[tuple[ContextChoice, ContextChoice]]:
    """Return what built-in networks make of the middle of a chunk, each with what it was on the crop."""
    _side_by_side(sample, [(r.placed, way_of(r)) for r in close], Part.MIDDLE, fit=fit)
    made = ((as_it_is(sample, r.placed, way_of(r), Part.MIDDLE, fit=fit), r) for r in close)
    return [(one, r) for one, r in made if one is not None]


def _within(made: list[tuple[ContextChoice, ContextChoice]], factor: float, most: int) -> list[ContextChoice]:
    """Return the best, and what is not much larger."""
    ranked = sorted(made, key=lambda pair: pair[0].size)
    return [r for one, r in ranked if one.size <= factor * ranked[0][0].size][:most]


def _raced(sample: Sample, racers: list[tuple[ContextChoice, ContextChoice]]) -> list[tuple[float, ContextChoice]]:
    """Return the bytes to be expected of networks that are trained on, by those after an eighth of the steps."""
    out = []
    for fitted, racer in racers:
        way, steps = way_of(racer), sample.steps(sample.preset.adapt_steps // 8)
        made = train(sample, racer.placed, way, builtins.HIDDEN, steps, final=True, builtin=racer.plan.builtin)
        size = fitted.size if made is None else made.size
        out.append((size - GOES_ON * max(0.0, fitted.size - size), racer))
    return out


def _looked_at(sample: Sample, grid: Grid, way: Way) -> ContextChoice | None:
    """Return a context plan on the part for trials: with a built-in network, where there is none after a short training."""
    made = as_it_is(sample, grid, way, Part.CROP)
    if made is None and sample.preset.trains:
        made = train(sample, grid, way, 16, sample.preset.context_trial)
    return made


def as_it_is(sample: Sample, grid: Grid, way: Way, part: Part, *, fit: bool = False) -> ContextChoice | None:
    """Code a part of the sample with a built-in network; None where there is none, or it fails."""
    part = _narrowed(sample, way, part)
    if fit and way.channels is None and not way.companions:
        found = as_it_is(sample, grid, way, part)
        if found is None or found.size < context.WORTH_FITTING:
            return found
    key = "built in", id(grid), way, part, fit

    def make() -> ContextChoice | None:
        used = sample.memo.pop(("begun", *key), None) or _used(sample, grid, way, part, fit, sample.threads)
        if isinstance(used, Exception):
            raise used
        return used if used is None else sample.note(used)

    if key not in sample.memo:
        sample.memo[key] = sample.attempt(f"context {way.name}, built in", make, None)
    made: ContextChoice | None = sample.memo[key]
    return made


def _narrowed(sample: Sample, way: Way, part: Part) -> Part:
    """Return the crop where it is all there is: nothing is tried twice; but sums of channels are fitted better on the rest."""
    alone = way.channels is None and not way.companions and len(sample.context_pieces) == 1
    return Part.CROP if alone and sample.crop.x.shape == sample.context_pieces[0].x.shape else part


def _used(sample: Sample, grid: Grid, way: Way, part: Part, fit: bool, threads: int) -> ContextChoice | None:
    pieces, share = sample.part(part)
    series = way.series(pieces[0].x.shape)
    mixing = _mixed(sample, grid, way, part)
    kept = part is Part.MIDDLE and not sample.preset.trains  # otherwise too many at once
    begun: list[context.Begun] = sample.memo.setdefault(("decoded", id(grid), way), []) if kept else []
    return context.use(
        grid, pieces, share, way.order, series=series, scan=way.scan, mixing=mixing, fit=fit, threads=threads, begun=begun
    )


def _mixed(sample: Sample, grid: Grid, way: Way, part: Part) -> Mixing | None:
    """Return the sums of channels, fitted to a part of the sample; None where the way has no channels."""
    if way.channels is None and not way.companions:
        return None
    key = "mixed", id(grid), way.channels, way.alike, way.companions, bool(way.scan), part
    if key not in sample.memo:
        pieces, share = sample.part(part)
        count = 1 if way.channels is None else pieces[0].x.shape[way.channels]
        channels = Channels(way.channels, count, True, way.alike, sample.companions if way.companions else ())
        effort = 0 if part is Part.CROP else 1 + (part is Part.ALL and sample.preset.trains)
        sample.memo[key] = context.mixed(grid, pieces, share, channels, scan=bool(way.scan), seed=sample.seed, effort=effort)
    found: Mixing = sample.memo[key]
    return found


def _side_by_side(sample: Sample, asked: list[tuple[Grid, Way]], part: Part, *, fit: bool) -> None:
    """Code with several built-in networks at once; `as_it_is` tells of each, and of what failed, in its turn."""
    wanted = [one for one in asked if ("built in", id(one[0]), one[1], _narrowed(sample, one[1], part), fit) not in sample.memo]
    wanted = [one for one in wanted if not (fit and _narrowed(sample, one[1], part) is Part.CROP)]  # mostly the same without
    if sample.side_by_side < 2 or len(wanted) < 2:
        return

    def used(one: tuple[Grid, Way]) -> ContextChoice | Exception | None:
        try:
            return _used(sample, *one, part, fit, 1)
        except Exception as error:
            return error

    sample.part(part)  # makes the crop, once
    for grid, way in wanted:
        sample.attempt(f"channels, {way.name}", partial(_mixed, sample, grid, way, part), None)  # and what several ways share
    for (grid, way), made in zip(wanted, ordered(used, wanted, min(sample.threads, len(wanted))), strict=True):
        sample.memo["begun", "built in", id(grid), way, _narrowed(sample, way, part), fit] = made


def _spiked(sample: Sample, best: ContextChoice, grid: Grid) -> ContextChoice | None:
    """Return a context plan with the most frequent number apart, where it is better after training than without."""
    spike = context.find_spike(grid, sample.crop)
    if spike is None:
        return None
    way, steps = way_of(best), 4 * sample.preset.context_trial
    without, apart = (train(sample, grid, way, 16, steps, spike=s, longer=True) for s in (None, spike))
    return apart if apart is not None and (without is None or apart.size < min(without.size, best.size)) else None


def train(
    sample: Sample,
    grid: Grid,
    way: Way,
    hidden: int,
    steps: int,
    *,
    below: Below | None = None,
    spike: int | None = None,
    final: bool = False,
    longer: bool = False,
    builtin: int = 0,
) -> ContextChoice | None:
    """Train a context network, code the sample (`final`) or the part for trials, count bytes; None if that fails."""

    def make() -> ContextChoice:
        part = Part.ALL if final else Part.CROP
        pieces, share = sample.part(part)
        made = context.train(
            grid, pieces, share, way.order, hidden, steps, sample.seed, below=below, series=way.series(pieces[0].x.shape),
            scan=way.scan, mixing=_mixed(sample, grid, way, part), spike=spike, final=final or longer, builtin=builtin,
            threads=sample.threads, report=reporter(sample, pieces[0], final=final, name=way.name),
        )  # fmt: skip
        return sample.note(made)

    return sample.attempt(f"context {way.name}, hidden {hidden}", make, None)


def reporter(sample: Sample, piece: Piece, *, final: bool, name: str) -> Callable[[int, int, int, float], None]:
    """Return what tells the caller how far a training is."""
    raw = 8.0 * piece.x.dtype.itemsize

    def report(step: int, of: int, epoch: int, rate: float) -> None:
        stage = "train" if final else "select"
        sample.progress(stage, step, of, raw / max(rate, 1e-9), "" if final else f"trying context {name}")

    return report


def fitted_at_length(sample: Sample, best: ContextChoice, learned: Choice[Any], least: float) -> list[ContextChoice]:
    """Train the best context plan at full length, with and without an autoencoder, where it may win against `least` bytes."""
    spike, grid, way = best.plan.sizes.spike, best.placed, way_of(best)

    def full(size: float, below: Below | None) -> list[ContextChoice]:
        if below is None and best.plan.builtin:
            return adapted(sample, best, least)
        hidden = next((units for most, units in HIDDEN if size < most), 64)
        return _made([train(sample, grid, way, hidden, sample.preset.context_steps, below=below, spike=spike, final=True)])

    few = partial(train, sample, grid, way, 16, 3 * sample.preset.context_trial, spike=spike, final=True)
    lower = belows(sample, learned, best) if best.plan.series is None and best.plan.channels is None else []
    trials = [(trial, below) for trial, below in ((few(below=below), below) for below in lower) if trial is not None]
    out: list[ContextChoice] = []
    with_codes, chosen = min(trials, key=lambda t: t[0].size, default=(None, None))
    if with_codes is not None and with_codes.size < best.size * 1.05:
        out += full(with_codes.size, chosen)
    if (with_codes is None or with_codes.size > best.size * 0.9) and best.size < least * WORTH:
        out += full(best.size, None)
    return out


def adapted(sample: Sample, best: ContextChoice, plain: float) -> list[ContextChoice]:
    """Return a built-in network as it is, and trained on; where little is left, or it stays as it is, one of its own too.

    What stays as it is though there is much to find, against `plain` bytes, does not suit: then ways are compared once more,
    with networks of their own.
    """
    grid, way, preset = best.placed, way_of(best), sample.preset
    steps = sample.steps(preset.adapt_steps)
    made = [train(sample, grid, way, builtins.HIDDEN, steps, final=True, builtin=best.plan.builtin)]
    if best.size < SMALL_NETWORK:
        made.append(train(sample, grid, way, HIDDEN[0][1], preset.context_steps, final=True))
    least = min((one.size for one in made if one is not None), default=0.0)  # 0: nothing can be trained, as without PyTorch
    as_is = as_it_is(sample, grid, way, Part.MIDDLE, fit=not least)
    if as_is is not None and as_is.size < AS_IS * least:
        as_is = as_it_is(sample, grid, way, Part.ALL)
    stuck = STUCK if preset.adapt_steps >= RACE else STUCK_SOON
    if as_is is not None and stuck * as_is.size < least < HOPEFUL * plain:
        made.append(_own(sample))
    return _made([as_is, *made])


def _own(sample: Sample) -> ContextChoice | None:
    """Return a network of its own, over the way that is best after a short training."""
    tried = _made(train(sample, sample.grids[0], way, 16, sample.preset.context_trial) for way in _ways(sample))
    if not tried:
        return None
    best = smallest(tried)
    hidden = next((units for most, units in HIDDEN if best.size < most), 64)
    return train(sample, best.placed, way_of(best), hidden, sample.preset.context_steps, final=True)


def _made(tried: Iterable[ContextChoice | None]) -> list[ContextChoice]:
    """Return those that did not drop out."""
    return [one for one in tried if one is not None]
