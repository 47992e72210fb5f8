"""Fits an autoencoder to rows and freezes it.

    rows in steps -> normalize -> Adam on bits of codes + bits of residual -> int8 weights in the last part
                  -> hard rounding of the codes at the end -> FloatEncoder, IntegerDecoder

One row in ten is held out: the rate on rows that were not trained on is reported. Same rows, seed and
number of steps give the same network on one machine: steps are counted, never timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from aezip.core.errors import InvalidInput
from aezip.core.fixed import FRACTION_BITS, LEVELS, LOG2_SCALE_MIN
from aezip.core.training.chance import Chance, trains
from aezip.core.types import Float32, Float64
from aezip.entropy.residual import LEVELS_PER_OCTAVE
from aezip.plans.autoencoder.decoder import IntegerDecoder
from aezip.plans.autoencoder.encoder import FloatEncoder
from aezip.plans.autoencoder.networks import CODE_EXPONENT, MAX_TOP, NARROW_BITS, NARROW_TOP, WIDE_BITS, Norm, Sizes
from aezip.plans.autoencoder.rows import Rows, statistics
from aezip.plans.autoencoder.static import log_odds
from aezip.plans.autoencoder.variants import CONTRACTION, PRETRAINED, winners
from aezip.plans.integer import quantize_odds, quantize_rows

from .adam import Adam
from .crops import crops
from .layerwise import Layer, pretrain, unroll
from .module import ACTIVATION_BITS, Autoencoder, DecoderModule
from .resume import resume_decoder, resume_encoder

VALUES_PER_STEP = 40_000
VALUES_PER_STEP_GROUPS = 12_000  # each value has hidden units of its own there
QUANTIZE_FROM = 0.6  # part of the steps after which weights are rounded
HARD_FROM = 0.9  # and codes
CORRUPT_UNTIL = 0.5  # part of the steps that train a denoising autoencoder on corrupted rows; then it is fine-tuned on clean ones
HELD_OUT = 10  # one row in so many
RESUMED = 1 << 14  # rows whose codes tell the prior of a network that is trained on
COARSE = 3.0  # unit of a convolution's code, in what its component leaves of a value on average
FAITHFUL = 12.0  # weight of the squared error, as bits of a Gaussian of the components' error, if codes are to be features
FAITHFUL_RATE, FAITHFUL_QUANTUM = 0.1, 0.5  # how fast their encoder leaves the components, and how much finer they are
CONTRACTED = 32  # rows of a batch whose Jacobians are penalized


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; `faithful`: codes are to tell rows apart as their distances do, not to save bits alone."""

    steps: int
    seed: int
    learning_rate: float = 2e-3
    device: str = "cpu"
    variant: str = "deep"
    faithful: bool = False


@dataclass(frozen=True)
class Start:
    """Frozen networks to train on; None for a group that had none."""

    encoder: FloatEncoder | None
    decoders: Sequence[IntegerDecoder | None]
    norm: Norm


@dataclass(frozen=True)
class Fitted:
    """A trained network and its rates in bits a value; the layers if they were trained one by one."""

    encoder: FloatEncoder | None
    decoders: list[IntegerDecoder]
    norm: Norm
    rate: float
    rate_held_out: float
    rate_float: float  # of the held-out rows before rounding weights to int8
    layers: tuple[Layer, ...] = ()


def device_for(name: str) -> torch.device:
    """Return the device of `name`: auto is a GPU where there is one.

    Raises
    ------
    InvalidInput
        If cuda is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InvalidInput("no CUDA device is available: use --device auto or cpu")
    return torch.device("cuda" if available and name in ("auto", "cuda") else "cpu")


@trains
def fit(
    rows: Rows,
    sizes: Sizes,
    schedule: Schedule,
    progress: Callable[[int, int, int, float], None] | None = None,
    start: Start | None = None,
) -> Fitted:
    """Train and freeze an autoencoder.

    Parameters
    ----------
    rows
        What to train on.
    sizes
        The sizes of the network.
    schedule
        Steps, seed, learning rate, device.
    progress
        Called with step, steps, epoch and bits a value.
    start
        Train these on.
    """
    device = device_for(schedule.device)
    centre, spread, scale = statistics(rows)
    if start is not None and start.encoder is not None:
        centre, spread = start.encoder.centre, start.encoder.spread
    elif start is not None and len(sizes.groups) > 1:
        centre = np.asarray(start.norm.centre * 2.0**-FRACTION_BITS, np.float64)
        spread = np.exp2((start.norm.exponent - FRACTION_BITS).astype(np.float32))
    chance = Chance(schedule.seed)
    network = Autoencoder(sizes, torch.from_numpy(spread * 1.0), torch.from_numpy(scale * 1.0), schedule.variant, chance)
    network.to(device)
    data = _Data(rows, centre, spread, device)
    layers: tuple[Layer, ...] = ()
    if start is None:
        layers = _start(network, data, schedule)
    else:
        _resume(network, start, rows, centre)
    if rows.flagged is not None and start is None:
        network.start_odds(torch.from_numpy(log_odds(rows.flagged)))
    _optimize(network, data, schedule, progress)
    network.set_quantize(False)
    rate_float = data.rate(network, data.held_out)
    network.set_quantize(True)
    rate, held_out = data.rate(network, data.trained), data.rate(network, data.held_out)
    encoder = freeze_encoder(network, centre, spread) if sizes.width else None
    norm = normalization(sizes, centre, spread)
    decoders = [freeze_decoder(network, group, centre, spread, norm) for group in range(len(sizes.groups))]
    return Fitted(encoder, decoders, norm, rate, held_out, rate_float, layers)


def _resume(network: Autoencoder, start: Start, rows: Rows, centre: Float64) -> None:
    if start.encoder is not None:
        near = crops(rows.sites, rows.target.shape[1]).near if rows.sites else None
        target = rows.target[:RESUMED] if near is None else rows.target
        codes = start.encoder.codes(target, None, None if near is None else lambda a, b: near[a:b])
        resume_encoder(network, start.encoder, codes)
    for group, decoder in enumerate(start.decoders):
        if decoder is not None:
            resume_decoder(network, group, decoder, centre, start.norm)


class _Data:
    """Normalized rows on the device."""

    def __init__(self, rows: Rows, centre: Float64, spread: Float32, device: torch.device) -> None:
        target = (rows.target - centre).astype(np.float32)
        if rows.ignore is not None:
            target = np.where(rows.ignore, np.float32(0), target)
        self.target = torch.from_numpy(np.ascontiguousarray(target)).to(device)
        self.spread = torch.from_numpy(spread).to(device)
        self.keep = None
        if rows.ignore is not None:
            self.keep = torch.from_numpy(~rows.ignore).to(device)
        self.features = self.unit = target.shape[1]  # unit: values that an index stands for
        self.crops = None
        index = torch.arange(len(target), device=device)
        self.some = index
        if rows.sites:  # an index is the first site of a crop
            cut = crops(rows.sites, self.features)
            self.crops = tuple(torch.from_numpy(part).to(device) for part in (cut.near, cut.offsets, cut.local))
            index = torch.from_numpy(cut.corners).to(device)
            self.unit *= len(cut.offsets)
        self.spike = self.asked = None
        if rows.spikes is not None:
            self.spike = torch.from_numpy(rows.flagged).to(device)
            self.asked = torch.from_numpy(rows.spikes.has).to(device)
        count = torch.arange(len(index), device=device)
        every = HELD_OUT if len(index) >= 4 * HELD_OUT else len(index) + 1
        self.trained = index[count % every != every - 1]
        self.held_out = index[count % every == every - 1] if every <= len(index) else index
        self.values = max(1, target.size if self.keep is None else int(self.keep.sum()))
        if not rows.sites:
            self.some = self.trained

    def bits(self, network: Autoencoder, index: torch.Tensor, *, hard: bool) -> tuple[torch.Tensor, float]:
        """Return the bits of the rows, or crops, and the number of values they code."""
        if self.crops is not None:
            return self._cropped_bits(network, index, hard=hard)
        target = self.target[index]
        spike = None if self.spike is None else self.spike[index]
        code_bits, residual_bits = network(target / self.spread, target, hard=hard, spike=spike, asked=self.asked)
        count = float(target.numel())
        if self.keep is not None:
            keep = self.keep[index]
            residual_bits = residual_bits * keep
            count = max(1.0, float(keep.sum()))
        return code_bits.sum() + residual_bits.sum(), count

    def _cropped_bits(self, network: Autoencoder, corners: torch.Tensor, *, hard: bool) -> tuple[torch.Tensor, float]:
        assert self.crops is not None
        near, offsets, local = self.crops
        sites = corners[:, None] + offsets  # (crops, box)
        inside = (near[sites] == sites[:, local]).all(dim=2).reshape(-1, 1)  # all neighbours are in the crop, or at the edge
        first = torch.arange(len(corners), device=local.device) * len(offsets)
        around = (first[:, None, None] + local).reshape(-1, local.shape[1])
        flat = sites.reshape(-1)
        seen = self.target[near[flat]] / self.spread  # (sites, neighbours, features)
        spike = None if self.spike is None else self.spike[flat]
        code_bits, bits = network(
            seen.reshape(len(flat), -1), self.target[flat], hard=hard, spike=spike, asked=self.asked, near=around
        )
        keep = inside.expand(bits.shape) if self.keep is None else inside & self.keep[flat]
        return code_bits.sum() * inside.float().mean() + (bits * keep).sum(), max(1.0, float(keep.sum()))

    @torch.no_grad()
    def rate(self, network: Autoencoder, index: torch.Tensor) -> float:
        """Return bits a value with rounded codes, over at most 2**20 values."""
        index = index[: max(1, (1 << 20) // self.unit)]
        bits, values = 0.0, 0.0
        for part in torch.split(index, max(1, (1 << 17) // self.unit)):
            total, count = self.bits(network, part, hard=True)
            bits, values = bits + float(total), values + count
        return bits / max(1.0, values)


@torch.no_grad()
def _start(network: Autoencoder, data: _Data, schedule: Schedule) -> tuple[Layer, ...]:
    """Start from what linear algebra knows: principal components, least squares, and scales that suit the rest.

    Where the variant says so, from layers trained one by one instead, which are returned.
    """
    sizes, features = network.sizes, data.features
    target = data.target[data.some[: max(2, (1 << 21) // features)]]
    left = target
    known = target / data.spread
    codes = target[:, :0]
    layers: tuple[Layer, ...] = ()
    if sizes.width and network.variant in PRETRAINED:
        with torch.enable_grad():
            layers = pretrain(known, sizes, network.variant, schedule.steps, schedule.seed)
        left = unroll(network, layers, target)
    elif sizes.width:
        rank = min(sizes.width, len(target), features)
        middle = target.mean(dim=0)
        _, basis = network.chance.principal(target - middle, min(rank + 4, features, len(target)))
        if network.winners:
            basis = _widened(basis[:, :rank], target - middle, sizes.width)
        basis = torch.nn.functional.pad(basis[:, : sizes.width], (0, max(0, sizes.width - basis.shape[1])))
        # a code's rounding error is shared by all features: long rows afford coarse codes
        quantum = max(1.0, 0.25 * math.sqrt(features)) * (FAITHFUL_QUANTUM if schedule.faithful else 1.0)
        if data.crops is not None:  # nor is a code of a small block worth more than what is left of the block
            quantum = max(quantum, COARSE * float((target - target @ basis @ basis.T).abs().mean()))
        codes = torch.round(target @ basis / quantum)
        network.start_linear(basis, quantum, codes.std(dim=0, correction=min(1, len(codes) - 1)))
        left = target - codes * quantum @ basis.T
    if len(sizes.groups) > 1:
        left = _start_groups(network, known, codes * 2.0**-CODE_EXPONENT, target)
    if schedule.faithful:  # the rate alone weighs quiet features as much as those that distances are made of
        network.distortion = FAITHFUL * 0.5 / math.log(2.0) / max(float(left.square().mean()), 1.0 / 12.0)
    left = left.abs()
    if not sizes.whole:
        left = torch.where(left < 0.5, left * 0.25, left)  # most of it costs nothing
    mean = left.mean(dim=0)
    if data.spike is not None:  # the scale is that of what is not told by a flag
        coded = ~data.spike[data.some[: len(left)]]
        mean = (left * coded).sum(dim=0) / coded.sum(dim=0).clamp(min=1)
    network.base_scale.copy_(torch.log2(mean / 1.386 + 2.0**LOG2_SCALE_MIN))
    return layers


def _widened(basis: torch.Tensor, rows: torch.Tensor, width: int) -> torch.Tensor:
    """Return a basis (features, width): beyond the principal components, directions of rows of the data.

    Atoms taken from the data are where dictionary learning starts: Aharon et al., "K-SVD" (2006). They are scaled down, so
    that components come first.
    """
    more = width - basis.shape[1]  # where there are too few rows for all components, no frame can be made
    if more <= 0 or basis.shape[1] < rows.shape[1]:
        return basis
    chosen = rows[torch.linspace(0, len(rows) - 1, more).long()]
    atoms = chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-9)
    # the whole must still give the row back: the components make room for what the atoms take over
    share = 0.5 / max(1.0, float(torch.linalg.matrix_norm(atoms, 2)) ** 2)
    atoms = atoms * share**0.5
    values, vectors = torch.linalg.eigh(torch.eye(rows.shape[1]).to(atoms) - atoms.T @ atoms)
    room = (vectors * values.clamp(min=0.0).sqrt()) @ vectors.T @ basis
    return torch.cat([room, atoms.T], dim=1)


def _start_groups(network: Autoencoder, known: torch.Tensor, codes: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Set the linear part of each group by robust least squares; return what is left of the target, in steps."""
    every = torch.cat([codes, known[:, network.order]], dim=1).double()
    left = target.clone()
    for group, features in enumerate(network.sizes.groups):
        index = list(features)
        count = network.sizes.inputs(group)
        if not count:
            continue
        inputs, wanted = every[:, :count], known[:, index].double()
        weight = torch.zeros(count, len(index), dtype=torch.float64, device=inputs.device)
        share = torch.ones(len(inputs), 1, dtype=torch.float64, device=inputs.device)
        for _ in range(6):  # reweighted towards least absolute deviations: exact relations survive outliers
            square = inputs.T @ (inputs * share)
            square += 1e-6 * len(inputs) * torch.eye(count, dtype=torch.float64, device=inputs.device)
            weight = torch.linalg.solve(square, inputs.T @ (wanted * share))
            distance = (wanted - inputs @ weight).abs().mean(dim=1, keepdim=True)
            share = 1.0 / distance.clamp(min=float(distance.mean()) * 0.01 + 1e-9)
            share = share / share.mean()
        decoder = cast("DecoderModule", network.decoders[group])
        decoder.skip.weight.copy_(weight.T)
        left[:, index] = ((wanted - inputs @ weight) * network.spread[index]).float()
    return left


def _optimize(
    network: Autoencoder,
    data: _Data,
    schedule: Schedule,
    progress: Callable[[int, int, int, float], None] | None,
) -> None:
    slow = network.encoding() if schedule.faithful else []
    others = [p for p in network.parameters() if all(p is not q for q in slow)]
    optimizers = (Adam(others), 1.0), (Adam(slow), FAITHFUL_RATE)
    generator = torch.Generator().manual_seed(schedule.seed)
    values = VALUES_PER_STEP if len(network.decoders) == 1 else VALUES_PER_STEP_GROUPS
    least = 32 if data.crops is None else 4
    batch = min(max(values // data.unit, least), 4096, len(data.trained))
    smooth = math.nan
    weight = 0.0  # of the contractive penalty
    for step in range(schedule.steps):
        part = step / schedule.steps
        network.set_quantize(part >= QUANTIZE_FROM)
        network.corrupting = network.variant == "denoising" and part < CORRUPT_UNTIL
        rate = schedule.learning_rate * min(1.0, (step + 1) / 50) * (0.495 * (1 + math.cos(math.pi * part)) + 0.01)
        chosen = torch.randint(0, len(data.trained), (batch,), generator=generator)
        index = data.trained[chosen.to(data.trained.device)]
        total, count = data.bits(network, index, hard=part >= HARD_FROM)
        loss = total / count
        if network.variant == "contractive":
            norm = network.contraction(data.target[index[:CONTRACTED]] / data.spread)
            weight = weight or CONTRACTION / max(float(norm.detach()), 1e-9)
            loss = loss + weight * norm
        for optimizer, _ in optimizers:
            optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer, share in optimizers:
            optimizer.step(rate * share)
        if progress is not None and step % 20 == 0:
            value = float(loss.detach())
            smooth = value if math.isnan(smooth) else 0.8 * smooth + 0.2 * value
            progress(step, schedule.steps, step * batch // max(1, len(data.trained)), smooth)
    network.distortion = 0.0  # rates are bits from here on


def _array(value: torch.Tensor) -> npt.NDArray[np.float64]:
    return value.detach().cpu().double().numpy()


def freeze_encoder(network: Autoencoder, centre: Float64, spread: Float32) -> FloatEncoder:
    """Return the encoder as NumPy arrays."""
    layers = [cast("torch.nn.Linear", layer) for layer in network.hidden_layers]
    gain = _array(torch.exp(network.gain))
    weights = [_array(layer.weight).T for layer in layers]
    biases = [_array(layer.bias) for layer in layers]
    skip = _array(network.encoder_skip.weight).T * gain
    weights[2] = weights[2] * gain
    biases[2] = biases[2] * gain
    return FloatEncoder(
        [w.astype(np.float32) for w in weights],
        [b.astype(np.float32) for b in biases],
        skip.astype(np.float32),
        centre,
        spread,
        logistic=network.variant in PRETRAINED,
        winners=winners(network.variant, network.sizes.width),
    )


def normalization(sizes: Sizes, centre: Float64, spread: Float32) -> Norm:
    """Return how decoded values become inputs."""
    exponent = np.rint(np.log2(spread)).astype(np.int64) + FRACTION_BITS
    whole = np.rint(centre * 2.0**FRACTION_BITS).astype(np.int64)
    if len(sizes.groups) == 1:
        return Norm(whole * 0, exponent * 0, NARROW_BITS)
    return Norm(whole, exponent, int(np.clip(exponent.max(), NARROW_BITS, MAX_TOP)))


def freeze_decoder(network: Autoencoder, group: int, centre: Float64, spread: Float32, norm: Norm) -> IntegerDecoder:
    """Return the decoder of a group with integer weights."""
    decoder = cast("DecoderModule", network.decoders[group])
    index = list(network.sizes.groups[group])
    wide = spread[index].astype(np.float64) * 2.0**FRACTION_BITS  # normalized -> 1/64 step
    none = np.zeros(len(index))
    base = _array(network.base_scale)[index]
    bias = (_array(decoder.scale.bias) + base - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE
    offset = _array(decoder.mean.bias) * wide + centre[index] * 2.0**FRACTION_BITS
    flag = decoder.flag
    return IntegerDecoder(
        first=quantize_rows(_array(decoder.first.weight), _array(decoder.first.bias), NARROW_BITS, ACTIVATION_BITS),
        second=quantize_rows(_array(decoder.second.weight), _array(decoder.second.bias), ACTIVATION_BITS, ACTIVATION_BITS),
        mean=quantize_rows(_array(decoder.mean.weight) * wide[:, None], none, ACTIVATION_BITS, 0),
        skip=quantize_rows(_array(decoder.skip.weight) * wide[:, None], none, norm.top, 0),
        scale=quantize_rows(_array(decoder.scale.weight) * LEVELS_PER_OCTAVE, bias, ACTIVATION_BITS, 0),
        offset=np.rint(offset).astype(np.int64),
        narrow_top=NARROW_TOP,
        wide_top=1 << (norm.top + WIDE_BITS),
        levels=LEVELS,
        flag=None if flag is None else quantize_odds(_array(flag.weight), _array(flag.bias), ACTIVATION_BITS),
    )
