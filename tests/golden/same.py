"""Tell whether files are still written alike: ``python -m tests.golden.same --record FILE``, then ``--check FILE``.

Digests hold for one machine and one environment alone, as training is the same only there: record them before a change that is
to leave files as they are, check them after it. Each plan is written once, with quick settings; what is chosen freely, models,
codes and kinds of autoencoders come on top. ``--only WORD`` takes the cases whose names have a word in them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# as in `conftest.py`: before torch is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

import aezip
from tests.golden import make

IMAGE = aezip.RangeRelative(1e-2)


def model() -> bytes:
    """Return a model, then one that is trained on from it."""
    first = aezip.train(make.waves((300, 30)), bound=aezip.Absolute(0.5), preset="fast", variant="sparse")
    second = aezip.train(make.waves((200, 30)), bound=aezip.Absolute(0.5), preset="fast", init_from=first)
    by_it = aezip.compress(make.waves((60, 30)) + 0.1, bound=aezip.Absolute(0.5), model=second, embed_model=False)[0]
    return first.data + second.data + by_it


def free(variant: str = "deep", codes: bool | int = False) -> bytes:
    """Return a file whose plan is chosen freely, or with codes, or with an autoencoder of one kind."""
    return bytes(aezip.compress(make.waves((300, 30)), bound=IMAGE, preset="fast", variant=variant, codes=codes)[0])


def several() -> bytes:
    """Return a file of arrays of several types and shapes, with special values."""
    arrays = {
        "field": make.waves((24, 28, 30)),
        "table": make.with_holes(make.TABLE),
        "signal": make.waves((9001,)),
        "log": make.LOG,
        "flags": make.RAIN > 0,
    }
    return bytes(aezip.compress(arrays, bound=aezip.RangeRelative(1e-3), preset="fast")[0])


def chosen() -> dict[str, Callable[[], bytes]]:
    """Return what is written with the searches and presets of the package, by name."""
    kinds = ("sparse", "denoising", "contractive", "stacked", "rbm")
    return {
        "model": model,
        "free": free,
        "several": several,
        "codes": lambda: free(codes=True),
        "codes_wide": lambda: free(codes=8),
        **{f"variant_{kind}": lambda kind=kind: free(kind) for kind in kinds},
    }


def digests(word: str = "") -> dict[str, str]:
    """Return the sha256 of each file whose case has a word in its name."""
    # cases of the golden files change presets and searches for good, therefore they come last
    cases = chosen() | {case: lambda case=case: make.made(case)[0] for case in make.CASES}
    found = {}
    for name, written in cases.items():
        if word in name:
            start = time.perf_counter()
            found[name] = hashlib.sha256(written()).hexdigest()
            print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return found


def main() -> int:
    """Record digests, or compare with those recorded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    task = parser.add_mutually_exclusive_group(required=True)
    task.add_argument("--record", type=Path, metavar="FILE")
    task.add_argument("--check", type=Path, metavar="FILE")
    parser.add_argument("--only", default="", metavar="WORD")
    asked = parser.parse_args()
    found = digests(asked.only)
    if asked.record:
        asked.record.write_text(json.dumps(found, indent=1) + "\n")
        return 0
    known = json.loads(asked.check.read_text())
    other = [name for name, digest in found.items() if known.get(name) != digest]
    print(f"{len(found)} files written, {len(other)} with other bytes: {', '.join(other) or 'none'}")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
