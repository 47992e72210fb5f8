"""Write a file as a simulation does: ``python -m benchmarks.simulate OUT.h5``. Needs py-pde (https://py-pde.readthedocs.io).

A Brusselator (Prigogine and Lefever 1968) on a square, two fields over time, by `pde.FileStorage`: an HDF5 file that grows
frame by frame. A larger grid and more frames make a benchmark of it; the defaults made `tests/files/data/brusselator.h5`.
"""

from __future__ import annotations

import argparse
import sys


def simulate(path: str, points: int, frames: int) -> None:
    """Run the simulation.

    Parameters
    ----------
    path
        Of the file to write.
    points
        Along each of the two axes.
    frames
        That are written, one a unit of time.
    """
    import numpy as np
    import pde

    grid = pde.UnitGrid([points, points], periodic=True)
    noise = np.random.default_rng(0)
    start = [1.0 + 0.1 * noise.random((points, points)), 3.0 + 0.1 * noise.random((points, points))]
    state = pde.FieldCollection([pde.ScalarField(grid, values) for values in start], labels=["u", "v"])
    equations = {"u": "laplace(u) + 1 - 4 * u + u**2 * v", "v": "0.1 * laplace(v) + 3 * u - u**2 * v"}
    storage = pde.FileStorage(path, write_mode="truncate")
    pde.PDE(equations).solve(state, t_range=frames - 1, dt=1e-2, tracker=storage.tracker(1), backend="numpy")
    storage.close()


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--points", type=int, default=24)
    parser.add_argument("--frames", type=int, default=8)
    told = parser.parse_args()
    try:
        simulate(told.out, told.points, told.frames)
    except ImportError:
        print("py-pde is not installed: pip install py-pde h5py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
