"""What training leaves to chance, and the state of PyTorch that it needs: none of it is the caller's.

A `Chance` draws what PyTorch's global generator would draw after the same seed. `own_torch` sets threads, types and modes
for the time of a training and puts them back; trainings of one process take turns, as the number of threads is global.
"""

from __future__ import annotations

import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from aezip.core.surroundings import restored

P = ParamSpec("P")
R = TypeVar("R")
_turn = threading.RLock()


def _renew() -> None:
    """Give a forked process a lock of its own: nobody may be left to release the one it has."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def own_torch() -> Iterator[None]:
    """Train on one thread, in float32 and with gradients, one training at a time; put back what the caller had."""
    with _turn, restored():
        threads, kind = torch.get_num_threads(), torch.get_default_dtype()
        # these networks are too small to gain from threads, which on a busy machine wait for each other
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float32)
        try:
            with torch.inference_mode(False), torch.enable_grad(), torch.device("cpu"):
                yield
        finally:
            torch.set_default_dtype(kind)
            torch.set_num_threads(threads)


def trains(function: Callable[P, R]) -> Callable[P, R]:
    """Return a function that runs in `own_torch`."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with own_torch():
            return function(*args, **kwargs)

    return run


class Chance:
    """Random numbers of one training, by device."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device | str = "cpu") -> torch.Generator:
        """Return the generator of a device."""
        device = torch.device(device)
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self._seed)
        return self._generators[device]

    def rand_like(self, value: Tensor) -> Tensor:
        """Return uniform numbers in [0, 1) of the shape, type and device of `value`."""
        return torch.rand(value.shape, generator=self.generator(value.device), dtype=value.dtype, device=value.device)

    def randn_like(self, value: Tensor) -> Tensor:
        """Return normal numbers of the shape, type and device of `value`."""
        return torch.randn(value.shape, generator=self.generator(value.device), dtype=value.dtype, device=value.device)

    def rand(self, *shape: int) -> Tensor:
        """Return uniform numbers in [0, 1)."""
        return torch.rand(shape, generator=self.generator())

    def randn(self, *shape: int) -> Tensor:
        """Return normal numbers."""
        return torch.randn(shape, generator=self.generator())

    def permutation(self, count: int) -> Tensor:
        """Return the whole numbers below `count` in any order."""
        return torch.randperm(count, generator=self.generator())

    def uniform_(self, value: Tensor, low: float, high: float) -> None:
        """Fill with uniform numbers."""
        with torch.no_grad():
            value.uniform_(low, high, generator=self.generator(value.device))

    def dropped(self, value: Tensor, share: float) -> Tensor:
        """Return values of which a share is set to zero, the others made larger for it (dropout)."""
        noise = torch.empty_like(value).bernoulli_(1.0 - share, generator=self.generator(value.device))
        return value * noise.div_(1.0 - share)

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
        """Return a linear layer that starts as PyTorch's do: He et al., arXiv:1502.01852, with a slope of sqrt(5)."""
        layer = _Linear(inputs, outputs, bias=bias)
        if inputs:
            gain = math.sqrt(2.0 / (1 + math.sqrt(5) ** 2))
            bound = math.sqrt(3.0) * (gain / math.sqrt(inputs))
            self.uniform_(layer.weight, -bound, bound)
        if bias:
            bound = 1 / math.sqrt(inputs) if inputs else 0.0
            self.uniform_(layer.bias, -bound, bound)
        return layer

    def principal(self, rows: Tensor, rank: int) -> tuple[Tensor, Tensor]:
        """Return the largest singular values (rank,) of rows and the right singular vectors (features, rank), randomized.

        Halko, Martinsson & Tropp, "Finding structure with randomness", arXiv:0909.4061, algorithms 4.4 and 5.1.
        """
        tall = rows if rows.shape[0] >= rows.shape[1] else rows.mH
        noise = torch.randn(tall.shape[1], rank, generator=self.generator(rows.device), dtype=rows.dtype, device=rows.device)
        basis = torch.linalg.qr(tall @ noise).Q
        for _ in range(3):
            basis = torch.linalg.qr(tall.mH @ basis).Q
            basis = torch.linalg.qr(tall @ basis).Q
        left, values, right = torch.linalg.svd(basis.mH @ tall, full_matrices=False)
        return values, right.mH if tall is rows else basis @ left


class _Linear(nn.Linear):
    """A layer whose starting values are drawn by a `Chance`."""

    def reset_parameters(self) -> None:
        """Draw nothing from the global generator."""
