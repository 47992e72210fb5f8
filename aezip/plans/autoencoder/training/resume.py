"""Autoencoders to train on, from frozen ones: the inverse of freezing, up to the rounding of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from aezip.core.fixed import FLAG_BINS, FRACTION_BITS, LOG2_SCALE_MIN
from aezip.core.types import Float64
from aezip.entropy.residual import LEVELS_PER_OCTAVE
from aezip.plans.autoencoder.decoder import IntegerDecoder
from aezip.plans.autoencoder.networks import NARROW_BITS, Norm
from aezip.plans.integer import IntegerLayer

from .module import ACTIVATION_BITS

if TYPE_CHECKING:
    from aezip.plans.autoencoder.encoder import FloatEncoder

    from .module import Autoencoder, DecoderModule


def real(layer: IntegerLayer, input_exponent: int, output_exponent: int) -> tuple[Float64, Float64]:
    """Return weight and bias of an integer layer in real units: the inverse of `quantize_rows`."""
    exponent = layer.exponent.astype(np.int64) - input_exponent + output_exponent
    weight = np.ldexp(layer.weight.astype(np.float64), -exponent[:, None])
    return weight, np.ldexp(layer.bias.astype(np.float64), -(exponent + input_exponent))


def fill(parameter: Any, value: npt.NDArray[Any]) -> None:
    """Set a parameter of any shape."""
    cast("Tensor", parameter).copy_(torch.from_numpy(np.ascontiguousarray(value)).reshape(parameter.shape))


def fill_layer(module: Any, weight: Float64, bias: Float64) -> None:
    """Set weight and bias of a layer."""
    fill(cast("nn.Linear", module).weight, weight)
    fill(cast("nn.Linear", module).bias, bias)


def fill_odds(module: Any, frozen: IntegerLayer | None) -> None:
    """Set the layer of the log-odds of spikes, if there is one: the inverse of `quantize_odds`."""
    if module is not None and frozen is not None:
        weight, bias = real(frozen, ACTIVATION_BITS, 0)
        fill_layer(module, weight / 2.0, (bias - FLAG_BINS / 2) / 2.0)


@torch.no_grad()
def resume_encoder(network: Autoencoder, encoder: FloatEncoder, codes: npt.NDArray[np.int32]) -> None:
    """Set the encoder, and the prior from the codes of the rows, shape (rows, width)."""
    for module, weight, bias in zip(network.hidden_layers, encoder.weights, encoder.biases, strict=True):
        fill_layer(module, weight.T.astype(np.float64), bias.astype(np.float64))
    fill(network.encoder_skip.weight, encoder.skip.T)
    nn.init.zeros_(network.gain)  # it is in the weights
    used = codes.astype(np.float64)
    fill(network.prior_mean, used.mean(axis=0))
    fill(network.prior_scale, np.log(np.maximum(used.std(axis=0), 0.3) * 0.55))


@torch.no_grad()
def resume_decoder(network: Autoencoder, group: int, frozen: IntegerDecoder, centre: Float64, norm: Norm) -> None:
    """Set the decoder of a group; what the scale starts from goes into its bias."""
    decoder = cast("DecoderModule", network.decoders[group])
    index = list(network.sizes.groups[group])
    wide = network.spread[index].double().cpu().numpy() * 2.0**FRACTION_BITS
    fill_layer(decoder.first, *real(frozen.first, NARROW_BITS, ACTIVATION_BITS))
    fill_layer(decoder.second, *real(frozen.second, ACTIVATION_BITS, ACTIVATION_BITS))
    fill(decoder.mean.weight, real(frozen.mean, ACTIVATION_BITS, 0)[0] / wide[:, None])
    fill(decoder.mean.bias, (frozen.offset - centre[index] * 2.0**FRACTION_BITS) / wide)
    fill(decoder.skip.weight, real(frozen.skip, norm.top, 0)[0] / wide[:, None])
    weight, bias = real(frozen.scale, ACTIVATION_BITS, 0)
    network.base_scale[index] = LOG2_SCALE_MIN
    fill_layer(decoder.scale, weight / LEVELS_PER_OCTAVE, bias / LEVELS_PER_OCTAVE)
    fill_odds(decoder.flag, frozen.flag)
