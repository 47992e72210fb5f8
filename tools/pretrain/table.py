"""Print what the package says of its networks: ``python -m tools.pretrain.table FOLDER``; see CONTRIBUTING.md.

Networks that are listed already keep their numbers; new ones come after them.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from aezip.plans.context.builtin import BUILTINS

from .train import STRUCTURES


def main() -> None:
    """Print the lines for `plans/context/builtin.py`, then those for `docs/builtin.md`."""
    folder = Path(sys.argv[1])
    names = [b.name for b in BUILTINS]
    made = (f"{structure}-{kind}" for structure in STRUCTURES for kind in ("fine", "whole"))
    names += [name for name in made if name not in names and (folder / f"{name}.net").exists()]
    files = {name: (folder / f"{name}.net").read_bytes() for name in names}
    for name, data in files.items():
        print(f'    Builtin("{name}", "{hashlib.sha256(data).hexdigest()}"),')
    for number, (name, data) in enumerate(files.items(), start=1):
        print(f"| {number} | `{name}.net` | {len(data)} | `{hashlib.sha256(data).hexdigest()}` |")


if __name__ == "__main__":
    main()
