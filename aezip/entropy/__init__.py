"""Integers to bytes and back: range coding, residuals, code books, zstd frames."""
