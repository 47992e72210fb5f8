"""The deep autoencoder as a PyTorch module: what is trained. Knows nothing of files.

    row (features,) -> encoder (2 hidden layers + linear skip) -> latent -> round -> code (width,)
    code -> decoder (2 hidden layers + linear skip) -> mean (features,), in steps
                                                    -> log2 scale (features,), in steps

The loss is a rate (bits), not a squared error: Balle et al., "End-to-end optimized image
compression", arXiv:1611.01704: uniform noise stands for the rounding of the latents, a learned
prior prices the codes. The residual is priced by a discretized logistic whose scale the decoder
predicts: Mentzer et al., "Practical full resolution learned lossless image compression",
arXiv:1811.12817. Decoder weights are rounded to int8 in training by the straight-through estimator:
Bengio et al., arXiv:1308.3432.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

CODE_EXPONENT = 3  # the decoder sees code / 2**3
ACTIVATION_BITS = 10  # hidden activations are clipped to [0, 1) and held in 1/1024
LOG2_SCALE_MIN = -4.0
LOG2_SCALE_MAX = 40.0


@dataclass(frozen=True)
class Shape:
    """Sizes of an autoencoder."""

    features: int
    width: int  # of the bottleneck
    hidden: int
    encoder_hidden: int
    scale_hidden: int  # hidden units the scale head sees


def power_of_two_exponent(weight: Tensor) -> Tensor:
    """Return, for each row, the largest exponent e with abs(weight) * 2**e <= 127."""
    peak = weight.abs().amax(dim=1).clamp(min=2.0**-40)
    return torch.floor(torch.log2(127.0 / peak))


def _rounded(value: Tensor) -> Tensor:
    """Round, passing the gradient straight through."""
    return value + (torch.round(value) - value).detach()


def round_weight(weight: Tensor) -> Tensor:
    """Return `weight` (outputs, inputs) rounded to int8 times a power of two for each output."""
    unit = torch.exp2(-power_of_two_exponent(weight.detach()))[:, None]
    return _rounded(weight / unit) * unit


class Decoder(nn.Module):
    """Code to mean and log2 scale, both in steps."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.first = nn.Linear(shape.width, shape.hidden)
        self.second = nn.Linear(shape.hidden, shape.hidden)
        self.mean = nn.Linear(shape.hidden, shape.features)
        self.skip = nn.Linear(shape.width, shape.features, bias=False)
        self.scale = nn.Linear(shape.scale_hidden, shape.features)
        self.quantize = False
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.mean.bias)
        nn.init.zeros_(self.scale.weight)
        nn.init.zeros_(self.scale.bias)
        nn.init.normal_(self.skip.weight, std=0.02)
        nn.init.uniform_(self.first.bias, 0.1, 0.5)
        nn.init.uniform_(self.second.bias, 0.1, 0.5)

    def _linear(self, layer: nn.Linear, value: Tensor) -> Tensor:
        weight = round_weight(layer.weight) if self.quantize else layer.weight
        return functional.linear(value, weight, layer.bias)

    def _activate(self, value: Tensor) -> Tensor:
        top = 1.0 - 2.0**-ACTIVATION_BITS
        value = value.clamp(0.0, top)
        if self.quantize:
            value = _rounded(value * 2.0**ACTIVATION_BITS) * 2.0**-ACTIVATION_BITS
        return value

    def forward(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Map codes (rows, width), integers or noisy, to normalized mean and log2 scale."""
        value = code * 2.0**-CODE_EXPONENT
        hidden = self._activate(self._linear(self.first, value))  # (rows, hidden)
        hidden = self._activate(self._linear(self.second, hidden))
        mean = self._linear(self.mean, hidden) + self._linear(self.skip, value)
        scale = self._linear(self.scale, hidden[:, : self.shape.scale_hidden])
        return mean, scale  # both (rows, features)


class Autoencoder(nn.Module):
    """Encoder, prior of the codes, decoder; works on normalized rows.

    Parameters
    ----------
    shape
        The sizes.
    spread
        Shape (features,): a power of two near the standard deviation of each feature, in steps.
    base_scale
        Shape (features,): log2 of the scale each feature starts from, in steps.
    whole
        Values are whole numbers of steps: the residual is what is left after rounding the mean.
    """

    def __init__(self, shape: Shape, spread: Tensor, base_scale: Tensor, *, whole: bool) -> None:
        super().__init__()
        self.shape = shape
        self.whole = whole
        inner = shape.encoder_hidden
        self.encoder = nn.Sequential(
            nn.Linear(shape.features, inner),
            nn.GELU(approximate="tanh"),
            nn.Linear(inner, inner),
            nn.GELU(approximate="tanh"),
            nn.Linear(inner, shape.width),
        )
        self.encoder_skip = nn.Linear(shape.features, shape.width, bias=False)
        self.gain = nn.Parameter(torch.zeros(shape.width))  # log of a factor of each latent
        self.prior_mean = nn.Parameter(torch.zeros(shape.width))
        self.prior_scale = nn.Parameter(torch.full((shape.width,), 1.5))
        self.decoder = Decoder(shape)
        self.register_buffer("spread", spread)
        self.register_buffer("base_scale", base_scale)

    spread: Tensor
    base_scale: Tensor

    @torch.no_grad()
    def start_linear(self, basis: Tensor, quantum: float, deviation: Tensor) -> None:
        """Start as the linear autoencoder of the principal components; training bends it.

        Baldi & Hornik, "Neural networks and principal component analysis" (1989): they are what a linear
        autoencoder converges to.

        Parameters
        ----------
        basis
            Shape (features, width): orthonormal, for rows in steps.
        quantum
            Length of a code's unit along its component, in steps.
        deviation
            Shape (width,): standard deviation of the codes.
        """
        self.encoder_skip.weight.copy_((basis * self.spread[:, None] / quantum).T)
        nn.init.zeros_(self.encoder[4].weight)
        nn.init.zeros_(self.encoder[4].bias)
        scale = quantum * 2.0**CODE_EXPONENT
        self.decoder.skip.weight.copy_(basis * scale / self.spread[:, None])
        first = self.decoder.first.weight
        first.copy_(torch.randn_like(first) * 2.0**CODE_EXPONENT * 0.5 / deviation.clamp(min=0.5))
        self.prior_scale.copy_(torch.log2(deviation.clamp(min=0.3) * 0.55) * math.log(2.0))

    def latent(self, rows: Tensor) -> Tensor:
        """Return the latents (rows, width) of normalized rows (rows, features)."""
        return (self.encoder(rows) + self.encoder_skip(rows)) * torch.exp(self.gain)

    def code_bits(self, code: Tensor) -> Tensor:
        """Return the bits of each code (rows, width) under the learned prior."""
        return logistic_bits(code - self.prior_mean, self.prior_scale / math.log(2.0))

    def predict(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (rows, features) in steps and log2 scale in steps."""
        mean, scale = self.decoder(code)
        return mean * self.spread, (scale + self.base_scale).clamp(LOG2_SCALE_MIN, LOG2_SCALE_MAX)

    def forward(
        self, rows: Tensor, target: Tensor, *, hard: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the bits of the codes (rows, width) and of the residual (rows, features).

        Parameters
        ----------
        rows, target
            Normalized values, and the same in steps; both (rows, features).
        hard
            Round the latents instead of adding noise.
        """
        latent = self.latent(rows)
        code = _rounded(latent) if hard else latent + torch.rand_like(latent) - 0.5
        mean, scale = self.predict(code)
        price = logistic_bits if self.whole else residual_bits
        return self.code_bits(code), price(target - mean, scale)


def logistic_bits(distance: Tensor, log2_scale: Tensor) -> Tensor:
    """Bits of a unit interval around `distance` under a logistic of scale 2**log2_scale.

    The mass sigma((d+1/2)/s) - sigma((d-1/2)/s) is written with softplus, so that it neither
    cancels nor underflows.
    """
    inverse = torch.exp2(-log2_scale)
    inside = functional.softplus((distance.abs() - 0.5) * inverse) + functional.softplus(
        -(distance.abs() + 0.5) * inverse
    )
    return (inside - torch.log(-torch.expm1(-inverse))) / math.log(2.0)


def residual_bits(distance: Tensor, log2_scale: Tensor) -> Tensor:
    """Bits of the residual: the mean learns from the distance, the scale from what is coded.

    What is coded is the rounded distance: within half a step of the mean it costs what a zero costs,
    however far off. The scale must price that; the mean still needs a gradient.
    """
    soft = logistic_bits(distance, log2_scale.detach())
    hard = logistic_bits(torch.round(distance.detach()), log2_scale)
    return hard + (soft - soft.detach())
