"""Context networks to train on, from frozen ones: the inverse of freezing, up to the rounding of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from aezip.core.fixed import LOG2_SCALE_MIN
from aezip.entropy.residual import LEVELS_PER_OCTAVE
from aezip.plans.autoencoder.training.module import ACTIVATION_BITS
from aezip.plans.autoencoder.training.resume import fill, fill_layer, fill_odds, real
from aezip.plans.context.net import BITS, ContextNet

if TYPE_CHECKING:
    from .fit import ContextModule


@torch.no_grad()
def resume_context(module: ContextModule, net: ContextNet) -> None:
    """Set a context network."""
    fill_layer(module.first, *real(net.first, BITS, ACTIVATION_BITS))
    fill_layer(module.second, *real(net.second, ACTIVATION_BITS, ACTIVATION_BITS))
    fill_layer(module.mean, *real(net.mean, ACTIVATION_BITS, 0))
    weight, bias = real(net.scale, ACTIVATION_BITS, 0)
    fill_layer(module.scale, weight / LEVELS_PER_OCTAVE, bias / LEVELS_PER_OCTAVE + LOG2_SCALE_MIN)
    fill(module.skip, np.ldexp(net.skip.astype(np.float64), -net.skip_exponent.astype(np.int64)[:, None]))
    fill(module.embedding, net.embedding / 128.0)
    fill_odds(module.flag, net.flag)
