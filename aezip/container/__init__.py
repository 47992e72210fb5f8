"""The file: HDF5, header, digests. No arithmetic."""
