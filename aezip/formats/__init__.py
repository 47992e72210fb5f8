"""Readers and writers of the files that arrays come in: .npy, .npz, raw binary, data sets of HDF5 files.

`read` gives named arrays, memory-mapped where the format allows; `Output` writes decoded arrays atomically.
"""

from __future__ import annotations

from .reading import Inputs, read
from .writing import output_name, write

__all__ = ["Inputs", "output_name", "read", "write"]
