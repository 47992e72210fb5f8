"""The only optimizer: fits an autoencoder to rows and freezes it.

    rows in steps -> normalize -> Adam on bits of codes + bits of residual -> int8 weights in the last part
                  -> hard rounding of the codes at the end -> FloatEncoder, IntegerDecoder

One row in ten is held out: the rate on rows that were not trained on is reported. Same rows, seed and
number of steps give the same network on one machine: steps are counted, never timed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch

from .autoencoder import ACTIVATION_BITS, Autoencoder, Decoder
from .encoder import FloatEncoder
from .errors import InvalidInput
from .integer import FRACTION_BITS, IntegerDecoder, Linear, quantize_rows
from .model import CODE_EXPONENT, MAX_TOP, NARROW_BITS, NARROW_TOP, WIDE_BITS, Norm, Sizes
from .network import Prepared
from .residual import LEVELS, LEVELS_PER_OCTAVE, LOG2_SCALE_MIN

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

VALUES_PER_STEP = 40_000
VALUES_PER_STEP_GROUPS = 12_000  # each value has hidden units of its own there
QUANTIZE_FROM = 0.6  # part of the steps after which weights are rounded
HARD_FROM = 0.9  # and codes
HELD_OUT = 10  # one row in so many


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    steps: int
    seed: int
    learning_rate: float = 2e-3
    device: str = "cpu"


@dataclass(frozen=True)
class Fitted:
    """A trained network and its rates in bits a value."""

    encoder: FloatEncoder | None
    decoders: list[IntegerDecoder]
    norm: Norm
    rate: float
    rate_held_out: float
    rate_float: float  # of the held-out rows before rounding weights to int8


@dataclass(frozen=True)
class Rows:
    """Training rows.

    Parameters
    ----------
    target
        float64, shape (rows, features), in steps.
    ignore
        Values that are not coded (masked or padding), or None.
    whole
        Targets are whole numbers coded without loss.
    """

    target: Float64
    ignore: Mask | None
    whole: bool


def statistics(rows: Rows) -> tuple[Float64, Float32, Float32]:
    """Return centre, spread (a power of two) and log2 scale of each feature, shape (features,)."""
    target = rows.target
    if rows.ignore is None:
        centre = np.median(target, axis=0)
        distance = np.abs(target - centre)
        deviation = np.sqrt(np.square(target - target.mean(axis=0)).mean(axis=0))
        mean = distance.mean(axis=0)
    else:
        kept = np.where(rows.ignore, np.nan, target)
        empty = rows.ignore.all(axis=0)
        kept[0, empty] = 0.0
        centre = np.nanmedian(kept, axis=0)
        mean = np.nanmean(np.abs(kept - centre), axis=0)
        deviation = np.nanstd(kept, axis=0)
    spread = np.exp2(np.rint(np.log2(np.maximum(deviation, 2.0**-6))))
    scale = np.log2(np.maximum(mean / 1.386, 2.0**LOG2_SCALE_MIN))
    return centre.astype(np.float64), spread.astype(np.float32), scale.astype(np.float32)


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


def fit(
    rows: Rows,
    sizes: Sizes,
    schedule: Schedule,
    progress: Callable[[int, int, int, float], None] | None = None,
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
    """
    torch.manual_seed(schedule.seed)
    # these networks are too small to gain from threads, which on a busy machine wait for each other
    torch.set_num_threads(1)
    device = device_for(schedule.device)
    centre, spread, scale = statistics(rows)
    network = Autoencoder(sizes, torch.from_numpy(spread * 1.0), torch.from_numpy(scale * 1.0)).to(device)
    data = _Data(rows, centre, spread, device)
    _start(network, data)
    _optimize(network, data, schedule, progress)
    network.set_quantize(False)
    rate_float = data.rate(network, data.held_out)
    network.set_quantize(True)
    rate, held_out = data.rate(network, data.trained), data.rate(network, data.held_out)
    encoder = freeze_encoder(network, centre, spread) if sizes.width else None
    norm = normalization(sizes, centre, spread)
    decoders = [freeze_decoder(network, group, centre, spread, norm) for group in range(len(sizes.groups))]
    return Fitted(encoder, decoders, norm, rate, held_out, rate_float)


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
        index = torch.arange(len(target), device=device)
        every = HELD_OUT if len(target) >= 4 * HELD_OUT else len(target) + 1
        self.trained = index[index % every != every - 1]
        self.held_out = index[index % every == every - 1] if every <= len(target) else index
        self.values = max(1, target.size if self.keep is None else int(self.keep.sum()))
        self.features = target.shape[1]

    def bits(self, network: Autoencoder, index: torch.Tensor, *, hard: bool) -> tuple[torch.Tensor, float]:
        """Return the bits of the rows and the number of values they code."""
        target = self.target[index]
        code_bits, residual_bits = network(target / self.spread, target, hard=hard)
        count = float(target.numel())
        if self.keep is not None:
            keep = self.keep[index]
            residual_bits = residual_bits * keep
            count = max(1.0, float(keep.sum()))
        return code_bits.sum() + residual_bits.sum(), count

    @torch.no_grad()
    def rate(self, network: Autoencoder, index: torch.Tensor) -> float:
        """Return bits a value with rounded codes, over at most 2**20 values."""
        index = index[: max(1, (1 << 20) // self.features)]
        bits, values = 0.0, 0.0
        for part in torch.split(index, max(1, (1 << 17) // self.features)):
            total, count = self.bits(network, part, hard=True)
            bits, values = bits + float(total), values + count
        return bits / max(1.0, values)


@torch.no_grad()
def _start(network: Autoencoder, data: _Data) -> None:
    """Start from what linear algebra knows: principal components, least squares, and scales that suit the rest."""
    sizes, features = network.sizes, data.features
    target = data.target[data.trained[: max(2, (1 << 21) // features)]]
    left = target
    known = target / data.spread
    codes = target[:, :0]
    if sizes.width:
        rank = min(sizes.width, len(target), features)
        middle = target.mean(dim=0)
        _, _, basis = torch.svd_lowrank(target - middle, q=min(rank + 4, features, len(target)), niter=3)
        basis = torch.nn.functional.pad(basis[:, :rank], (0, sizes.width - rank))
        # a code's rounding error is shared by all features: long rows afford coarse codes
        quantum = max(1.0, 0.25 * math.sqrt(features))
        codes = torch.round(target @ basis / quantum)
        network.start_linear(basis, quantum, codes.std(dim=0, correction=min(1, len(codes) - 1)))
        left = target - codes * quantum @ basis.T
    if len(sizes.groups) > 1:
        left = _start_groups(network, known, codes * 2.0**-CODE_EXPONENT, target)
    left = left.abs()
    if not sizes.whole:
        left = torch.where(left < 0.5, left * 0.25, left)  # most of it costs nothing
    network.base_scale.copy_(torch.log2(left.mean(dim=0) / 1.386 + 2.0**LOG2_SCALE_MIN))


def _start_groups(
    network: Autoencoder, known: torch.Tensor, codes: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
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
        decoder = cast("Decoder", network.decoders[group])
        decoder.skip.weight.copy_(weight.T)
        left[:, index] = ((wanted - inputs @ weight) * network.spread[index]).float()
    return left


def _optimize(
    network: Autoencoder,
    data: _Data,
    schedule: Schedule,
    progress: Callable[[int, int, int, float], None] | None,
) -> None:
    optimizer = torch.optim.Adam(network.parameters(), lr=schedule.learning_rate)
    generator = torch.Generator().manual_seed(schedule.seed)
    values = VALUES_PER_STEP if len(network.decoders) == 1 else VALUES_PER_STEP_GROUPS
    batch = min(max(values // data.features, 32), 4096, len(data.trained))
    smooth = math.nan
    for step in range(schedule.steps):
        part = step / schedule.steps
        network.set_quantize(part >= QUANTIZE_FROM)
        rate = schedule.learning_rate * min(1.0, (step + 1) / 50) * (0.495 * (1 + math.cos(math.pi * part)) + 0.01)
        for group in optimizer.param_groups:
            group["lr"] = rate
        chosen = torch.randint(0, len(data.trained), (batch,), generator=generator)
        index = data.trained[chosen.to(data.trained.device)]
        total, count = data.bits(network, index, hard=part >= HARD_FROM)
        loss = total / count
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if progress is not None and step % 20 == 0:
            value = float(loss.detach())
            smooth = value if math.isnan(smooth) else 0.8 * smooth + 0.2 * value
            progress(step, schedule.steps, step * batch // max(1, len(data.trained)), smooth)


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
    )


def normalization(sizes: Sizes, centre: Float64, spread: Float32) -> Norm:
    """Return how decoded values become inputs."""
    exponent = np.rint(np.log2(spread)).astype(np.int64) + FRACTION_BITS
    whole = np.rint(centre * 2.0**FRACTION_BITS).astype(np.int64)
    if len(sizes.groups) == 1:
        return Norm(whole * 0, exponent * 0, NARROW_BITS)
    return Norm(whole, exponent, int(np.clip(exponent.max(), NARROW_BITS, MAX_TOP)))


def freeze_decoder(
    network: Autoencoder, group: int, centre: Float64, spread: Float32, norm: Norm
) -> IntegerDecoder:
    """Return the decoder of a group with integer weights."""
    decoder = cast("Decoder", network.decoders[group])
    index = list(network.sizes.groups[group])
    wide = spread[index].astype(np.float64) * 2.0**FRACTION_BITS  # normalized -> 1/64 step
    none = np.zeros(len(index))
    base = _array(network.base_scale)[index]
    bias = (_array(decoder.scale.bias) + base - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE
    offset = _array(decoder.mean.bias) * wide + centre[index] * 2.0**FRACTION_BITS
    return IntegerDecoder(
        first=quantize_rows(_array(decoder.first.weight), _array(decoder.first.bias), NARROW_BITS, ACTIVATION_BITS),
        second=quantize_rows(
            _array(decoder.second.weight), _array(decoder.second.bias), ACTIVATION_BITS, ACTIVATION_BITS
        ),
        mean=quantize_rows(_array(decoder.mean.weight) * wide[:, None], none, ACTIVATION_BITS, 0),
        skip=quantize_rows(_array(decoder.skip.weight) * wide[:, None], none, norm.top, 0),
        scale=quantize_rows(_array(decoder.scale.weight) * LEVELS_PER_OCTAVE, bias, ACTIVATION_BITS, 0),
        offset=np.rint(offset).astype(np.int64),
        narrow_top=NARROW_TOP,
        wide_top=1 << (norm.top + WIDE_BITS),
        levels=LEVELS,
    )


def join(prepared: list[Prepared], *, whole: bool) -> Rows:
    """Return the rows of several chunks as one set, at most about 8 million values of them."""
    target = np.concatenate([p.target for p in prepared])
    ignore = None
    if any(p.ignore is not None for p in prepared):
        ignore = np.concatenate(
            [np.zeros(p.target.shape, np.bool_) if p.ignore is None else p.ignore for p in prepared]
        )
    return Rows(target, ignore, whole)


def static_decoders(rows: Rows, sizes: Sizes) -> list[IntegerDecoder]:
    """Return decoders without a network: a mean and a level for each feature."""
    centre, _, scale = statistics(rows)
    level = np.rint((scale.astype(np.float64) - LOG2_SCALE_MIN) * LEVELS_PER_OCTAVE)
    return [
        constant_decoder(sizes, group, centre[list(features)], level[list(features)])
        for group, features in enumerate(sizes.groups)
    ]


def constant_decoder(sizes: Sizes, group: int, centre: Float64, level: Float64) -> IntegerDecoder:
    """Return the decoder of a group whose means, in steps, and levels do not change."""
    shapes = sizes.layers(group)
    zero = [
        Linear(np.zeros(shape, np.int8), np.zeros(shape[0], np.int8), np.zeros(shape[0], np.int32)) for shape in shapes
    ]
    scale = Linear(zero[4].weight, zero[4].exponent, level.astype(np.int32))
    offset = np.rint(centre * 2.0**FRACTION_BITS).astype(np.int64)
    first, second, mean, skip = zero[:4]
    return IntegerDecoder(first, second, mean, skip, scale, offset, NARROW_TOP, 1 << (NARROW_BITS + WIDE_BITS), LEVELS)
