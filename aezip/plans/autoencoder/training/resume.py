"""Networks to train on, from frozen ones: the inverse of freezing, up to the rounding of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aezip.core.fixed import FLAG_BINS, FRACTION_BITS, LOG2_SCALE_MIN
from aezip.core.types import Float64
from aezip.entropy.residual import LEVELS_PER_OCTAVE
from aezip.plans.autoencoder.decoder import IntegerDecoder, Linear
from aezip.plans.autoencoder.networks import NARROW_BITS, Norm
from aezip.plans.context.net import BITS, ContextNet

from .module import ACTIVATION_BITS

if TYPE_CHECKING:
    from aezip.plans.autoencoder.encoder import FloatEncoder
    from aezip.plans.context.training.fit import ContextModule

    from .module import Autoencoder, Decoder


def real(layer: Linear, input_exponent: int, output_exponent: int) -> tuple[Float64, Float64]:
    """Return weight and bias of an integer layer in real units: the inverse of `quantize_rows`."""
    exponent = layer.exponent.astype(np.int64) - input_exponent + output_exponent
    weight = np.ldexp(layer.weight.astype(np.float64), -exponent[:, None])
    return weight, np.ldexp(layer.bias.astype(np.float64), -(exponent + input_exponent))


def _set(parameter: Any, value: npt.NDArray[Any]) -> None:
    cast("Tensor", parameter).copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(parameter.shape))


def _set_layer(module: Any, weight: Float64, bias: Float64) -> None:
    _set(cast("nn.Linear", module).weight, weight)
    _set(cast("nn.Linear", module).bias, bias)


def _set_odds(module: Any, frozen: Linear | None) -> None:
    """Set the layer of the log-odds of spikes, if there is one: the inverse of `quantize_odds`."""
    if module is not None and frozen is not None:
        weight, bias = real(frozen, ACTIVATION_BITS, 0)
        _set_layer(module, weight / 2.0, (bias - FLAG_BINS / 2) / 2.0)


@torch.no_grad()
def resume_encoder(network: Autoencoder, encoder: FloatEncoder, codes: npt.NDArray[np.int32]) -> None:
    """Set the encoder, and the prior from the codes of the rows, shape (rows, width)."""
    for module, weight, bias in zip(network.hidden_layers, encoder.weights, encoder.biases, strict=True):
        _set_layer(module, weight.T.astype(np.float64), bias.astype(np.float64))
    _set(network.encoder_skip.weight, encoder.skip.T)
    nn.init.zeros_(network.gain)  # it is in the weights
    used = codes.astype(np.float64)
    _set(network.prior_mean, used.mean(axis=0))
    _set(network.prior_scale, np.log(np.maximum(used.std(axis=0), 0.3) * 0.55))


@torch.no_grad()
def resume_decoder(network: Autoencoder, group: int, frozen: IntegerDecoder, centre: Float64, norm: Norm) -> None:
    """Set the decoder of a group; what the scale starts from goes into its bias."""
    decoder = cast("Decoder", network.decoders[group])
    index = list(network.sizes.groups[group])
    wide = network.spread[index].double().cpu().numpy() * 2.0**FRACTION_BITS
    _set_layer(decoder.first, *real(frozen.first, NARROW_BITS, ACTIVATION_BITS))
    _set_layer(decoder.second, *real(frozen.second, ACTIVATION_BITS, ACTIVATION_BITS))
    _set(decoder.mean.weight, real(frozen.mean, ACTIVATION_BITS, 0)[0] / wide[:, None])
    _set(decoder.mean.bias, (frozen.offset - centre[index] * 2.0**FRACTION_BITS) / wide)
    _set(decoder.skip.weight, real(frozen.skip, norm.top, 0)[0] / wide[:, None])
    weight, bias = real(frozen.scale, ACTIVATION_BITS, 0)
    network.base_scale[index] = LOG2_SCALE_MIN
    _set_layer(decoder.scale, weight / LEVELS_PER_OCTAVE, bias / LEVELS_PER_OCTAVE)
    _set_odds(decoder.flag, frozen.flag)


@torch.no_grad()
def resume_context(module: ContextModule, net: ContextNet) -> None:
    """Set a context network."""
    _set_layer(module.first, *real(net.first, BITS, ACTIVATION_BITS))
    _set_layer(module.second, *real(net.second, ACTIVATION_BITS, ACTIVATION_BITS))
    _set_layer(module.mean, *real(net.mean, ACTIVATION_BITS, 0))
    weight, bias = real(net.scale, ACTIVATION_BITS, 0)
    _set_layer(module.scale, weight / LEVELS_PER_OCTAVE, bias / LEVELS_PER_OCTAVE + LOG2_SCALE_MIN)
    _set(module.skip, np.ldexp(net.skip.astype(np.float64), -net.skip_exponent.astype(np.int64)[:, None]))
    _set(module.embedding, net.embedding / 128.0)
    _set_odds(module.flag, net.flag)
