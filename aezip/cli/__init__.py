"""The command line, the only place that knows of terminals."""

from __future__ import annotations

from .commands import cli, main, run

__all__ = ["cli", "main", "run"]
