"""Adam gives the bits of PyTorch's, and training does not load PyTorch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from aezip.plans.autoencoder.training.adam import Adam


def trained(seed: int, *, own: bool) -> list[torch.Tensor]:
    torch.manual_seed(seed)
    net = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.GELU(), torch.nn.Linear(7, 2))
    unused = torch.nn.Linear(3, 3)
    x, y = torch.randn(100, 5), torch.randn(100, 2)
    parameters = [*net.parameters(), *unused.parameters()]
    mine, theirs = Adam(parameters), torch.optim.Adam(parameters)
    for step in range(50):
        rate = 1e-2 * (1.0 + step % 7)
        loss = (net(x) - y).square().mean() * (0.0 if step == 9 else 1e-3 ** (step % 3))
        theirs.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if own:
            mine.step(rate)
        else:
            theirs.param_groups[0]["lr"] = rate
            theirs.step()
    return [p.detach().clone() for p in parameters]


def test_steps_are_those_of_pytorch() -> None:
    for seed in range(3):
        own, theirs = trained(seed, own=True), trained(seed, own=False)
        assert all(torch.equal(a, b) for a, b in zip(own, theirs, strict=True))


@pytest.mark.process
def test_training_does_not_load_the_compiler() -> None:
    program = (
        "import sys, numpy as np, aezip\n"
        "x = np.random.default_rng(0).normal(size=(600, 12)).cumsum(axis=0)\n"
        "aezip.train(x, bound=aezip.RangeRelative(1e-3), preset='fast')\n"
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
