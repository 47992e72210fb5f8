"""Readers and writers of the files that arrays come in: .npy, .npz, raw binary, data sets of HDF5 files.

`read` gives named arrays, memory-mapped where the format allows; `write` streams decoded arrays into a temporary
file that takes the name at the end.
"""

from __future__ import annotations

from .reading import Inputs, described, file_format, read
from .writing import Source, check_output, output_name, takes_arrays, write

__all__ = ["Inputs", "Source", "check_output", "described", "file_format", "output_name", "read", "takes_arrays", "write"]
