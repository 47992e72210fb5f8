"""Adam (Kingma & Ba, "Adam: a method for stochastic optimization", ICLR 2015), the same bits as PyTorch's on a CPU.

PyTorch's optimizers import its compiler when the first of them is made: 1.6 seconds and 80 MB in each process that trains.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

FIRST, SECOND = 0.9, 0.999  # of the moments stays at each step
SMALL = 1e-8


class Adam:
    """Moments of the gradients of some parameters."""

    def __init__(self, parameters: Iterable[Tensor]) -> None:
        self.parameters = list(parameters)
        self._first = [torch.zeros_like(p) for p in self.parameters]
        self._second = [torch.zeros_like(p) for p in self.parameters]
        self._steps = [0] * len(self.parameters)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Move parameters that have gradients, by a learning rate."""
        for i, parameter in enumerate(self.parameters):
            gradient = parameter.grad
            if gradient is None:
                continue
            self._steps[i] += 1
            first = self._first[i].lerp_(gradient, 1.0 - FIRST)
            second = self._second[i].mul_(SECOND).addcmul_(gradient, gradient, value=1.0 - SECOND)
            size = rate / (1.0 - FIRST ** self._steps[i])
            below = (second.sqrt() / math.sqrt(1.0 - SECOND ** self._steps[i])).add_(SMALL)
            parameter.addcdiv_(first, below, value=-size)
