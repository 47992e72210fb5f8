"""The deep autoencoder as a PyTorch module: what is trained. Knows nothing of files.

    row (features,) -> encoder (2 hidden layers + linear skip) -> latent -> round -> code (width,)
    code, values already decoded -> decoder (2 hidden layers + linear skip) -> mean, in steps
                                                                            -> log2 scale, in steps

Features may come in groups, each with a decoder that also sees the values of the groups before it
(Germain et al., "MADE: masked autoencoder for distribution estimation", arXiv:1502.03509, has the same
factorization by masks).

The loss is a rate (bits), not a squared error: Balle et al., "End-to-end optimized image
compression", arXiv:1611.01704: uniform noise stands for the rounding of the latents, a learned
prior prices the codes. The residual is priced by a discretized logistic whose scale the decoder
predicts: Mentzer et al., "Practical full resolution learned lossless image compression",
arXiv:1811.12817. DecoderModule weights are rounded to int8 in training by the straight-through estimator:
Bengio et al., arXiv:1308.3432.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from aezip.core.fixed import LOG2_SCALE_MIN
from aezip.core.training.chance import Chance
from aezip.plans.autoencoder.networks import CODE_EXPONENT, Sizes
from aezip.plans.autoencoder.variants import CORRUPTED, PRETRAINED, winners

ACTIVATION_BITS = 10  # hidden activations are clipped to [0, 1) and held in 1/1024
LOG2_SCALE_MAX = 40.0


def power_of_two_exponent(weight: Tensor) -> Tensor:
    """Return, for each row, the largest exponent e with abs(weight) * 2**e <= 127."""
    if not weight.shape[1]:  # the first group may see nothing
        return weight.new_zeros(weight.shape[0])
    peak = weight.abs().amax(dim=1).clamp(min=2.0**-40)
    return torch.floor(torch.log2(127.0 / peak))


def _rounded(value: Tensor) -> Tensor:
    """Round, passing the gradient straight through."""
    return value + (torch.round(value) - value).detach()


def round_weight(weight: Tensor) -> Tensor:
    """Return `weight` (outputs, inputs) rounded to int8 times a power of two for each output."""
    unit = torch.exp2(-power_of_two_exponent(weight.detach()))[:, None]
    return _rounded(weight / unit) * unit


class DecoderModule(nn.Module):
    """Codes and values already decoded to mean and log2 scale of a group of features."""

    def __init__(self, inputs: int, hidden: int, features: int, seen: int, chance: Chance, *, spiked: bool = False) -> None:
        super().__init__()
        self.seen = seen
        self.first = chance.linear(inputs, hidden)
        self.second = chance.linear(hidden, hidden)
        self.mean = chance.linear(hidden, features)
        self.skip = chance.linear(inputs, features, bias=False)
        self.scale = chance.linear(seen, features)
        self.flag = chance.linear(seen, features) if spiked else None
        self.quantize = False
        for zero in (self.mean.weight, self.mean.bias, self.scale.weight, self.scale.bias, self.skip.weight):
            nn.init.zeros_(zero)
        if self.flag is not None:
            nn.init.zeros_(self.flag.weight)
        chance.uniform_(self.first.bias, 0.1, 0.5)
        chance.uniform_(self.second.bias, 0.1, 0.5)

    def _linear(self, layer: nn.Linear, value: Tensor) -> Tensor:
        weight = round_weight(layer.weight) if self.quantize else layer.weight
        return functional.linear(value, weight, layer.bias)

    def activate(self, value: Tensor) -> Tensor:
        """Clip to [0, 1), the range of the integer activations."""
        top = 1.0 - 2.0**-ACTIVATION_BITS
        value = value.clamp(0.0, top)
        if self.quantize:
            value = _rounded(value * 2.0**ACTIVATION_BITS) * 2.0**-ACTIVATION_BITS
        return value

    def forward(self, value: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Map inputs (rows, inputs) of order one to normalized mean, log2 scale and log-odds of the spikes (rows, features)."""
        hidden = self.activate(self._linear(self.first, value))  # (rows, hidden)
        hidden = self.activate(self._linear(self.second, hidden))
        mean = self._linear(self.mean, hidden) + self._linear(self.skip, value)
        scale = self._linear(self.scale, hidden[:, : self.seen])
        odds = None if self.flag is None else self._linear(self.flag, hidden[:, : self.seen])
        return mean, scale, odds  # each (rows, features)


class Autoencoder(nn.Module):
    """Encoder, prior of the codes, decoders of the groups; works on normalized rows.

    Parameters
    ----------
    sizes
        Groups of features, width, hidden units.
    spread
        Shape (features,): a power of two near the standard deviation of each feature, in steps.
    base_scale
        Shape (features,): log2 of the scale each feature starts from, in steps.
    variant
        Kind of autoencoder, of `variants.VARIANTS`.
    chance
        Draws starting values, and noise in training.
    """

    def __init__(self, sizes: Sizes, spread: Tensor, base_scale: Tensor, variant: str, chance: Chance) -> None:
        super().__init__()
        self.sizes = sizes
        self.chance = chance
        self.variant = variant
        features, width = sizes.features, sizes.width
        inner = min(256, max(32, 2 * sizes.hidden, features // 2))
        if variant in PRETRAINED:  # the decoder is the encoder unrolled
            inner = sizes.hidden
        self.corrupting = False
        self.distortion = 0.0  # bits for each squared step that a mean is off
        self.winners = winners(variant, width)
        self.prior_zero = nn.Parameter(torch.full((width if self.winners else 0,), 2.0))  # log odds of a code of zero
        self.hidden_layers = nn.ModuleList()
        if width:
            seen = features * sizes.near  # a convolution sees the blocks around a row
            self.hidden_layers.extend(chance.linear(*ends) for ends in ((seen, inner), (inner, inner), (inner, width)))
            self.encoder_skip = chance.linear(seen, width, bias=False)
        self.gain = nn.Parameter(torch.zeros(width))  # log of a factor of each latent
        self.prior_mean = nn.Parameter(torch.zeros(width))
        self.prior_scale = nn.Parameter(torch.full((width,), 1.5))
        self.decoders = nn.ModuleList(
            DecoderModule(sizes.inputs(g), sizes.hidden, len(group), sizes.scale_hidden, chance, spiked=sizes.spiked)
            for g, group in enumerate(sizes.groups)
        )
        self.order = [f for group in sizes.groups for f in group]
        self.register_buffer("spread", spread)
        self.register_buffer("base_scale", base_scale)

    spread: Tensor
    base_scale: Tensor

    def encoding(self) -> list[nn.Parameter]:
        """Return the parameters of the encoder."""
        if not self.sizes.width:
            return []
        return [*self.hidden_layers.parameters(), *self.encoder_skip.parameters(), self.gain]

    def set_quantize(self, on: bool) -> None:
        """Round the decoders' weights to int8, or stop doing so."""
        for decoder in self.decoders:
            decoder.quantize = on  # type: ignore[assignment]

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
        width, middle = self.sizes.width, self.sizes.near // 2
        own = slice(middle * self.sizes.features, (middle + 1) * self.sizes.features)
        nn.init.zeros_(self.encoder_skip.weight)
        self.encoder_skip.weight[:, own] = (basis * self.spread[:, None] / quantum).T
        last = cast("nn.Linear", self.hidden_layers[2])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        scale = quantum * 2.0**CODE_EXPONENT
        for features, module in zip(self.sizes.groups, self.decoders, strict=True):
            decoder = cast("DecoderModule", module)
            index = list(features)
            decoder.skip.weight[:, middle * width : (middle + 1) * width] = basis[index] * scale / self.spread[index, None]
            for near in range(self.sizes.near):
                first = decoder.first.weight[:, near * width : (near + 1) * width]
                size = 0.5 if near == middle else 0.15
                first.copy_(self.chance.randn_like(first) * 2.0**CODE_EXPONENT * size / deviation.clamp(min=0.5))
        self.prior_scale.copy_(torch.log2(deviation.clamp(min=0.3) * 0.55) * math.log(2.0))

    @torch.no_grad()
    def start_odds(self, odds: Tensor) -> None:
        """Start from the log-odds, in nats, that values of the features, shape (features,), are their spikes."""
        flag = cast("DecoderModule", self.decoders[0]).flag
        assert flag is not None
        flag.bias.copy_(odds)

    def latent(self, rows: Tensor) -> Tensor:
        """Return the latents (rows, width) of normalized rows (rows, features)."""
        value = rows
        for layer in self.hidden_layers[:2]:
            value = self._activate(layer(value))
        out: Tensor = (self.hidden_layers[2](value) + self.encoder_skip(rows)) * torch.exp(self.gain)
        return keep_largest(out, self.winners) if self.winners else out

    def _activate(self, value: Tensor) -> Tensor:
        """Return the activation of the encoder's hidden units: logistic where layers were trained one by one."""
        return torch.sigmoid(value) if self.variant in PRETRAINED else functional.gelu(value, approximate="tanh")

    def jacobian(self, rows: Tensor) -> Tensor:
        """Return the derivatives of the latents by the normalized inputs, exactly: (rows, width, features).

        The chain rule, layer by layer from the latents down, with the slopes of the hidden units at these rows.
        """
        layers = [cast("nn.Linear", layer) for layer in self.hidden_layers]
        value, slopes = rows, []
        for layer in layers[:2]:
            before = layer(value)
            if not before.requires_grad:
                before.requires_grad_()
            with torch.enable_grad():
                value = self._activate(before)
                slopes.append(torch.autograd.grad(value.sum(), before, create_graph=True)[0])
        out: Tensor = layers[2].weight * slopes[1][:, None, :]  # (rows, width, inner)
        out = (out @ layers[1].weight) * slopes[0][:, None, :]
        out = out @ layers[0].weight + self.encoder_skip.weight
        return out * torch.exp(self.gain)[:, None]

    def contraction(self, rows: Tensor) -> Tensor:
        """Return the mean over rows of the squared Frobenius norm of the encoder's Jacobian."""
        norm: Tensor = self.jacobian(rows).square().sum(dim=(1, 2)).mean()
        return norm

    def code_bits(self, code: Tensor) -> Tensor:
        """Return the bits of each code (rows, width) under the learned prior: a logistic, and the odds of zero if sparse."""
        bits = logistic_bits(code - self.prior_mean, self.prior_scale / math.log(2.0))
        if not self.winners:
            return bits
        odds = self.prior_zero
        zero, other = functional.softplus(-odds) / math.log(2.0), functional.softplus(odds) / math.log(2.0)
        return torch.where(code == 0, zero, other + bits)

    def predict(self, code: Tensor, known: Tensor, near: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return mean and log2 scale in steps and log-odds of the spikes, each (rows, features).

        Parameters
        ----------
        code
            Shape (rows, width).
        known
            Shape (rows, features): normalized values as decoded.
        near
            Shape (rows, neighbours): the rows whose codes each row's decoder sees; None: its own.
        """
        start = code * 2.0**-CODE_EXPONENT
        if near is not None:
            start = start[near].reshape(len(near), -1)
        every = torch.cat([start, known[:, self.order]], dim=1) if len(self.decoders) > 1 else start
        odds = None
        if len(self.decoders) == 1:
            mean, scale, odds = self.decoders[0](start)
        else:
            mean, scale = self._all_groups(every)
            back = torch.tensor(self.order, device=code.device).argsort()
            mean, scale = mean[:, back], scale[:, back]
        return mean * self.spread, (scale + self.base_scale).clamp(LOG2_SCALE_MIN, LOG2_SCALE_MAX), odds

    def _all_groups(self, every: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and scale of all groups, in the order of the groups; groups of one run as one batch."""
        decoders = [cast("DecoderModule", d) for d in self.decoders]
        if any(len(g) > 1 for g in self.sizes.groups):
            parts = [d(every[:, : self.sizes.inputs(g)]) for g, d in enumerate(decoders)]
            return torch.cat([m for m, _, _ in parts], dim=1), torch.cat([s for _, s, _ in parts], dim=1)
        count, hidden = len(decoders), self.sizes.hidden
        rounding = decoders[0].quantize
        inputs = every.shape[1]

        def stack(weights: list[Tensor], columns: int) -> Tensor:
            joined = torch.cat([functional.pad(w, (0, columns - w.shape[1])) for w in weights])
            return round_weight(joined) if rounding else joined

        first = stack([d.first.weight for d in decoders], inputs)  # (groups * hidden, inputs)
        second = stack([d.second.weight for d in decoders], hidden).reshape(count, hidden, hidden)
        value = decoders[0].activate(functional.linear(every, first, torch.cat([d.first.bias for d in decoders])))
        value = value.reshape(-1, count, hidden).transpose(0, 1)  # (groups, rows, hidden)
        bias = torch.stack([d.second.bias for d in decoders])[:, None]
        value = decoders[0].activate(torch.baddbmm(bias, value, second.transpose(1, 2)))
        mean = (value * stack([d.mean.weight for d in decoders], hidden)[:, None]).sum(dim=2).T
        mean = mean + torch.cat([d.mean.bias for d in decoders])
        mean = mean + functional.linear(every, stack([d.skip.weight for d in decoders], inputs))
        seen = self.sizes.scale_hidden
        scale = (value[:, :, :seen] * stack([d.scale.weight for d in decoders], seen)[:, None]).sum(dim=2).T
        return mean, scale + torch.cat([d.scale.bias for d in decoders])

    def forward(
        self,
        rows: Tensor,
        target: Tensor,
        *,
        hard: bool,
        spike: Tensor | None = None,
        asked: Tensor | None = None,
        near: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the bits of the codes (rows, width) and of the residual with its flags (rows, features).

        Parameters
        ----------
        rows, target
            Normalized values, and the same in steps; both (rows, features).
            Of a convolution the former are what the encoder sees.
        hard
            Round the latents instead of adding noise.
        spike, asked
            bool: which values are their feature's spike, (rows, features), and which features have one, (features,).
        near
            Of a convolution: the rows around each, see `predict`.
        """
        known = rows
        if len(self.decoders) > 1 and not self.sizes.whole:
            # what will be known is decoded: off by up to half a step
            known = rows + (self.chance.rand_like(rows) - 0.5) / self.spread
        if self.sizes.width:
            seen = rows
            if self.corrupting:
                seen = corrupt(rows, self.chance)
            latent = self.latent(seen)
            code = _rounded(latent) if hard else latent + self.chance.rand_like(latent) - 0.5
            if self.winners and not hard:
                code = torch.where(latent == 0, latent, code)
        else:
            code = rows[:, :0]
        mean, scale, odds = self.predict(code, known, near)
        price = logistic_bits if self.sizes.whole else residual_bits
        bits = price(target - mean, scale)
        if self.distortion:
            bits = bits + self.distortion * (target - mean).square()
        if odds is not None and spike is not None and asked is not None:
            flags = functional.binary_cross_entropy_with_logits(odds, spike.to(odds.dtype), reduction="none")
            bits = bits * ~spike + flags * asked / math.log(2.0)
        return self.code_bits(code), bits


def corrupt(rows: Tensor, chance: Chance) -> Tensor:
    """Return rows with a part of the inputs, chosen by chance, set to zero: the centre of their feature."""
    return rows * (chance.rand_like(rows) >= CORRUPTED)


def keep_largest(latent: Tensor, count: int) -> Tensor:
    """Return latents (rows, width) of which all but the `count` largest magnitudes of each row are zero."""
    index = latent.detach().abs().topk(count, dim=-1).indices
    return latent * torch.zeros_like(latent).scatter(-1, index, 1.0)


def logistic_bits(distance: Tensor, log2_scale: Tensor) -> Tensor:
    """Bits of a unit interval around `distance` under a logistic of scale 2**log2_scale.

    The mass sigma((d+1/2)/s) - sigma((d-1/2)/s) is written with softplus, so that it neither
    cancels nor underflows.
    """
    inverse = torch.exp2(-log2_scale)
    inside = functional.softplus((distance.abs() - 0.5) * inverse) + functional.softplus(-(distance.abs() + 0.5) * inverse)
    return (inside - torch.log(-torch.expm1(-inverse))) / math.log(2.0)


def residual_bits(distance: Tensor, log2_scale: Tensor) -> Tensor:
    """Bits of the residual: the mean learns from the distance, the scale from what is coded.

    What is coded is the rounded distance: within half a step of the mean it costs what a zero costs,
    however far off. The scale must price that; the mean still needs a gradient.
    """
    soft = logistic_bits(distance, log2_scale.detach())
    hard = logistic_bits(torch.round(distance.detach()), log2_scale)
    return hard + (soft - soft.detach())
