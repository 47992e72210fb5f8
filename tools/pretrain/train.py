"""Train the built-in context networks: ``python -m tools.pretrain.train FOLDER [NAME...]``; about two hours on two cores.

Every network is trained on synthetic arrays (`pool`) alone, first on fine grids; that for whole numbers goes on from there.
Seeds are fixed: one machine makes the same bytes again. What is written belongs to the format: see docs/builtin.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import time
from pathlib import Path

import numpy as np

from aezip.core.fixed import FRACTION_BITS
from aezip.plans.context import rows
from aezip.plans.context.net import BITS, ContextNet, ContextSizes, net_to_bytes
from aezip.plans.context.rows import ContextSample
from aezip.plans.context.training.fit import fit

from .pool import array

HIDDEN = 32
STEPS, STEPS_WHOLE = 8000, 3000
VALUES = 8_000_000  # of the pool
REFRESHES = (0.1, 0.25, 0.4, 0.55, 0.7, 0.85)
ROWS = 1_600_000

# by name: groups of axes bisected, number of axes scanned, columns of a signal
STRUCTURES: dict[str, tuple[tuple[tuple[int, ...], ...], int, int]] = {
    "1-2": (((0,), (1, 2)), 0, 0),
    "2": (((0, 1),), 0, 0),
    "scan-3": ((), 3, 0),
    "1-1": (((0,), (1,)), 0, 0),
    "scan-2": ((), 2, 0),
    "3": (((0, 1, 2),), 0, 0),
    "signal-1": ((), 0, 1),
    "1": (((0,),), 0, 0),
    "1-1-1": (((0,), (1,), (2,)), 0, 0),
    "1-3": (((0,), (1, 2, 3)), 0, 0),
    "scan-4": ((), 4, 0),
    "1-1-2": (((0,), (1,), (2, 3)), 0, 0),
    "4": (((0, 1, 2, 3),), 0, 0),
}


def sizes_of(name: str) -> ContextSizes:
    """Return the sizes of a network by its name."""
    order, scan, columns = STRUCTURES[name]
    return ContextSizes(order, HIDDEN, BITS, columns, None, tuple(range(scan)))


def samples(name: str, *, whole: bool) -> list[ContextSample]:
    """Return the pool of a network, arrays in steps."""
    order, scan, columns = STRUCTURES[name]
    axes = scan or max((a + 1 for group in order for a in group), default=1)
    r = np.random.default_rng([17, len(name), *name.encode(), whole])
    found: list[ContextSample] = []
    total = 0
    while total < VALUES:
        # axes that have no order stand beside
        beside = axes + 1 if axes < 3 and not scan and not columns and r.random() < 0.3 else axes
        x, is_whole = array(r, beside)
        if is_whole != whole:
            if whole:
                x = np.rint(x)
            else:
                continue
        if beside > axes:
            x = np.ascontiguousarray(np.moveaxis(x, int(r.integers(beside)), -1))
        if columns:
            length = 512
            x = np.ascontiguousarray(x[: len(x) // length * length].reshape(-1, length).T)[:, :, None]
        origin = round(float(x.min() + x.max()) / 2 * 2.0**FRACTION_BITS)
        found.append(ContextSample(x, x.astype(np.int64) if whole else None, None, origin))
        total += x.size
    return found


def make(name: str, folder: Path) -> None:
    """Train both networks of a structure and write them."""
    rows.ROWS = ROWS
    sizes = sizes_of(name)
    net: ContextNet | None = None
    for whole, steps in ((False, STEPS), (True, STEPS_WHOLE)):
        began = time.perf_counter()
        pool = samples(name, whole=whole)
        rate = 4e-3 if net is None else 2e-3
        fitted = fit(sizes, pool, steps, 1, rate, REFRESHES, resumed=net, threads=2)
        net = fitted.net
        path = folder / f"{name}-{'whole' if whole else 'fine'}.net"
        path.write_bytes(net_to_bytes(net))
        print(f"{path.name}: {path.stat().st_size} bytes, {fitted.rate:.3f} bits a value, "
              f"{len(pool)} arrays, {time.perf_counter() - began:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    """Train what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STRUCTURES))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names or STRUCTURES:
        make(name, options.folder)


if __name__ == "__main__":
    main()
