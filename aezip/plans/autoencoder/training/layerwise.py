"""Layers trained one by one, each on what the one below makes of the data; then unrolled into an autoencoder.

    rows -> layer 1 -> hidden -> layer 2 -> hidden -> layer 3 -> latents         up:   sigmoid(W v + b), the last one W v + b
    rows <- layer 1 <- hidden <- layer 2 <- hidden <- layer 3 <- latents         down: sigmoid(W' h + c), the first one W' h + c

stacked: each layer is an autoencoder of its own with tied weights: Bengio, Lamblin, Popovici & Larochelle, "Greedy
layer-wise training of deep networks", NIPS 2007. rbm: each layer is a restricted Boltzmann machine, trained by one step of
contrastive divergence: Hinton & Salakhutdinov, "Reducing the dimensionality of data with neural networks", Science 313
(2006), with linear visible units for the data and linear hidden units for the code, as there. Fine-tuning is `fit`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from aezip.plans.autoencoder.networks import CODE_EXPONENT, Sizes

from .adam import Adam

if TYPE_CHECKING:
    from .module import Autoencoder, DecoderModule

SHARE = 0.25  # steps of each layer, of those of the whole
BATCH = 128
WATCHED = 2048  # rows whose reconstruction error is recorded
RECORDS = 8  # times that it is, beside the start
REACH = 8.0  # normalized values are cut here: a layer is not to learn outliers
RATE_BINARY, RATE_LINEAR = 0.05, 0.005  # of contrastive divergence; linear units need a smaller one
DECAY = 2e-4


@dataclass(frozen=True)
class Layer:
    """A trained layer.

    Parameters
    ----------
    weight
        Shape (outputs, inputs); its transpose leads back.
    hidden, visible
        Biases, shapes (outputs,) and (inputs,).
    linear_hidden, linear_visible
        Units that are linear instead of logistic.
    errors
        Mean squared reconstruction error of its inputs before training and at even distances in it.
    """

    weight: Tensor
    hidden: Tensor
    visible: Tensor
    linear_hidden: bool
    linear_visible: bool
    errors: tuple[float, ...] = ()

    def up(self, value: Tensor) -> Tensor:
        """Return the hidden units (rows, outputs) of inputs (rows, inputs)."""
        out = functional.linear(value, self.weight, self.hidden)
        return out if self.linear_hidden else torch.sigmoid(out)

    def down(self, value: Tensor) -> Tensor:
        """Return the inputs (rows, inputs) that hidden units (rows, outputs) stand for."""
        out = functional.linear(value, self.weight.T, self.visible)
        return out if self.linear_visible else torch.sigmoid(out)

    @torch.no_grad()
    def error(self, value: Tensor) -> float:
        """Return the mean squared reconstruction error of inputs (rows, inputs)."""
        return float((self.down(self.up(value)) - value).square().mean())


def pretrain(rows: Tensor, sizes: Sizes, variant: str, steps: int, seed: int) -> tuple[Layer, ...]:
    """Train three layers, from the data to the latents, each before the next.

    Parameters
    ----------
    rows
        Normalized, shape (rows, features).
    variant
        "stacked" or "rbm".
    steps
        Of the whole training; a layer takes a quarter of them.
    """
    generator = torch.Generator().manual_seed(seed)
    value = rows.clamp(-REACH, REACH)
    widths = (sizes.hidden, sizes.hidden, sizes.width)
    layers: list[Layer] = []
    count = max(RECORDS, int(steps * SHARE))
    for number, outputs in enumerate(widths):
        start = _start(value, outputs, first=number == 0, last=number == len(widths) - 1, generator=generator)
        fit = _fit_autoencoder if variant == "stacked" else _fit_machine
        layers.append(fit(start, value, count, generator))
        with torch.no_grad():
            value = layers[-1].up(value)
    return tuple(layers)


def _start(value: Tensor, outputs: int, *, first: bool, last: bool, generator: torch.Generator) -> Layer:
    inputs = value.shape[1]
    weight = (torch.randn(outputs, inputs, generator=generator) / math.sqrt(inputs)).to(value)
    middle = value.mean(dim=0)
    visible = middle if first else torch.logit(middle.clamp(1e-3, 1 - 1e-3))
    return Layer(weight, weight.new_zeros(outputs), visible, last, first)


def _batch(value: Tensor, generator: torch.Generator) -> Tensor:
    index = torch.randint(0, len(value), (min(BATCH, len(value)),), generator=generator)
    return value[index.to(value.device)]


def _fit_autoencoder(start: Layer, value: Tensor, steps: int, generator: torch.Generator) -> Layer:
    """Train a layer to give its inputs back: squared error for linear units, cross-entropy for logistic ones."""
    parameters = [t.clone().requires_grad_() for t in (start.weight, start.hidden, start.visible)]
    layer = replace(start, weight=parameters[0], hidden=parameters[1], visible=parameters[2])
    optimizer = Adam(parameters)
    errors = [layer.error(value[:WATCHED])]
    for step in range(steps):
        batch = _batch(value, generator)
        out = functional.linear(layer.up(batch), layer.weight.T, layer.visible)
        if start.linear_visible:
            loss = (out - batch).square().sum(dim=1).mean() / 2.0
        else:
            loss = functional.binary_cross_entropy_with_logits(out, batch, reduction="none").sum(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step(3e-3)
        _record(errors, layer, value, step, steps)
    weight, hidden, visible = (p.detach() for p in parameters)
    return replace(start, weight=weight, hidden=hidden, visible=visible, errors=tuple(errors))


@torch.no_grad()
def _fit_machine(start: Layer, value: Tensor, steps: int, generator: torch.Generator) -> Layer:
    """Train a restricted Boltzmann machine by CD-1, with momentum and weight decay.

    Hidden states are sampled when driven by the data, probabilities are used for the reconstruction and what it drives:
    Hinton, "A practical guide to training restricted Boltzmann machines" (2010), section 3.
    """
    parameters = [t.clone() for t in (start.weight, start.hidden, start.visible)]
    layer = replace(start, weight=parameters[0], hidden=parameters[1], visible=parameters[2])
    rate = RATE_LINEAR if start.linear_hidden or start.linear_visible else RATE_BINARY
    speed = [torch.zeros_like(p) for p in parameters]
    errors = [layer.error(value[:WATCHED])]
    for step in range(steps):
        batch = _batch(value, generator)
        chance = layer.up(batch)  # (batch, outputs)
        noise = torch.randn if start.linear_hidden else torch.rand
        drawn = noise(chance.shape, generator=generator).to(chance)
        state = chance + drawn if start.linear_hidden else (drawn < chance).to(chance)
        again = layer.down(state)
        echo = layer.up(again)
        slopes = [
            (chance.T @ batch - echo.T @ again) / len(batch) - DECAY * layer.weight,
            (chance - echo).mean(dim=0),
            (batch - again).mean(dim=0),
        ]
        momentum = 0.5 if step < steps // 8 else 0.9
        for parameter, velocity, slope in zip(parameters, speed, slopes, strict=True):
            velocity.mul_(momentum).add_(rate * (1.0 - 0.9 * step / steps) * slope)
            parameter.add_(velocity)
        _record(errors, layer, value, step, steps)
    return replace(layer, errors=tuple(errors))


def _record(errors: list[float], layer: Layer, value: Tensor, step: int, steps: int) -> None:
    if (step + 1) * RECORDS // steps > step * RECORDS // steps:
        errors.append(layer.error(value[:WATCHED]))


@torch.no_grad()
def unroll(network: Autoencoder, layers: tuple[Layer, ...], target: Tensor) -> Tensor:
    """Start encoder and decoder from layers; return what they miss of rows in steps, shape (rows, features).

    The decoder's hidden units are clipped to [0, 1): sigmoid(a) becomes the line through its middle, a / 4 + 1 / 2. The linear
    path of the decoder starts from least squares on what the layers miss, that of the encoder from nothing.
    """
    features, width = target.shape[1], network.sizes.width
    for module, layer in zip(network.hidden_layers, layers, strict=True):
        linear = cast("nn.Linear", module)
        linear.weight.copy_(layer.weight)
        linear.bias.copy_(layer.hidden)
    nn.init.zeros_(network.encoder_skip.weight)
    # codes are as fine as principal components would be: see Autoencoder.start_linear
    quantum = max(1.0, 0.25 * math.sqrt(features))
    wanted = (target.var(dim=0).sum() / width).sqrt() / quantum
    latent = network.latent(target / network.spread)
    network.gain.copy_(torch.log(wanted.clamp(2.0, 2.0**12) / latent.std(dim=0).clamp(min=1e-6)))
    codes = torch.round(network.latent(target / network.spread))
    network.prior_mean.copy_(codes.mean(dim=0))
    network.prior_scale.copy_(torch.log(codes.std(dim=0).clamp(min=0.3) * 0.55))
    decoder = cast("DecoderModule", network.decoders[0])
    first, second, last = layers[2], layers[1], layers[0]
    decoder.first.weight.copy_(first.weight.T * 0.25 * 2.0**CODE_EXPONENT / torch.exp(network.gain))
    decoder.first.bias.copy_(first.visible * 0.25 + 0.5)
    decoder.second.weight.copy_(second.weight.T * 0.25)
    decoder.second.bias.copy_(second.visible * 0.25 + 0.5)
    decoder.mean.weight.copy_(last.weight.T)
    decoder.mean.bias.copy_(last.visible)
    left = target - network.predict(codes, codes[:, :0])[0]
    inputs = (codes - codes.mean(dim=0)).double() * 2.0**-CODE_EXPONENT
    square = inputs.T @ inputs + 1e-3 * len(inputs) * torch.eye(width, dtype=torch.float64, device=inputs.device)
    middle = left.mean(dim=0)
    slope = torch.linalg.solve(square, inputs.T @ (left - middle).double())  # (width, features)
    decoder.skip.weight.copy_((slope / network.spread).T)
    shift = (codes.mean(dim=0).double() * 2.0**-CODE_EXPONENT) @ slope
    decoder.mean.bias.add_(((middle - shift) / network.spread).to(middle))
    return target - network.predict(codes, codes[:, :0])[0]
