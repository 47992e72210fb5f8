"""aezip: storage for numeric arrays by autoencoders, with a guaranteed error.

The public names are loaded when they are first used, so that reading a file never imports what training needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .archive.comparing import verify
    from .archive.models import Model
    from .archive.reading import Archive, decompress, open
    from .archive.report import Report
    from .archive.target import compress_to
    from .archive.train import train
    from .archive.writing import Codec, compress
    from .array.bounds import NRMSE, PSNR, Absolute, Bound, Lossless, PointRelative, RangeRelative
    from .core.errors import (
        AezipError,
        BoundViolated,
        CorruptFile,
        DamageWarning,
        FillWarning,
        InvalidInput,
        ModelMismatch,
        SlowWarning,
        UnsafeFile,
        UnsupportedVersion,
    )
    from .core.progress import ProgressEvent
    from .files.whole import compress_file, decompress_file, read_table
    from .tools.alike import compress_alike
    from .tools.suggesting import Suggestion, suggest

__version__ = "0.1.0"

_PLACES = {
    "archive.comparing": ("verify",),
    "archive.models": ("Model",),
    "archive.reading": ("Archive", "decompress", "open"),
    "archive.report": ("Report",),
    "archive.train": ("train",),
    "archive.target": ("compress_to",),
    "archive.writing": ("Codec", "compress"),
    "array.bounds": ("Absolute", "Bound", "Lossless", "NRMSE", "PSNR", "PointRelative", "RangeRelative"),
    "core.errors": (
        "AezipError",
        "BoundViolated",
        "CorruptFile",
        "DamageWarning",
        "FillWarning",
        "InvalidInput",
        "ModelMismatch",
        "SlowWarning",
        "UnsafeFile",
        "UnsupportedVersion",
    ),
    "core.progress": ("ProgressEvent",),
    "files.whole": ("compress_file", "decompress_file", "read_table"),
    "tools.alike": ("compress_alike",),
    "tools.suggesting": ("Suggestion", "suggest"),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "NRMSE",
    "PSNR",
    "Absolute",
    "AezipError",
    "Archive",
    "Bound",
    "BoundViolated",
    "Codec",
    "CorruptFile",
    "DamageWarning",
    "FillWarning",
    "InvalidInput",
    "Lossless",
    "Model",
    "ModelMismatch",
    "PointRelative",
    "ProgressEvent",
    "RangeRelative",
    "Report",
    "SlowWarning",
    "Suggestion",
    "UnsafeFile",
    "UnsupportedVersion",
    "__version__",
    "compress",
    "compress_alike",
    "compress_file",
    "compress_to",
    "decompress",
    "decompress_file",
    "open",
    "read_table",
    "suggest",
    "train",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
