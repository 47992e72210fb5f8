"""Decode files in several ways within one process and print the digest of each way: see `test_same_bits`.

    python tests/decode.py WAY FILE...

WAY: `plain`, `compiled` (compiled loops for arrays of any size), `torch` (imported before), `blocked` (torch cannot be imported).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path


def main() -> None:
    way, files = sys.argv[1], sys.argv[2:]
    if way == "blocked":
        sys.modules["torch"] = None  # type: ignore[assignment]
    if way == "torch":
        import torch

        torch.set_num_threads(2)
        assert float(torch.ones(64, 64).matmul(torch.ones(64, 64)).sum()) == 64.0**3
    import aezip
    from aezip.core import native as kernels
    from aezip.plans.autoencoder import decoder as integer

    if way == "compiled":
        kernels.ENOUGH = 0
        assert kernels.available(1)
    data = {name: Path(name).read_bytes() for name in files}
    for threads, tile in ((1, integer.TILE), (2, 1), (8, 7 * 64), (1, 1 << 40)):  # values that a network predicts together
        integer.TILE = tile
        whole = hashlib.sha256()
        for raw in data.values():
            whole.update(aezip.decompress(raw, threads=threads).tobytes())
        print(whole.hexdigest())
    assert way != "blocked" or sys.modules["torch"] is None


if __name__ == "__main__":
    main()
