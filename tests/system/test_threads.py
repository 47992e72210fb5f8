"""What is written does not depend on how many threads choose and encode."""

from __future__ import annotations

import numpy as np
import pytest

import aezip
from aezip.codec import encoder as codec


@pytest.mark.train
def test_the_file_does_not_depend_on_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "CHUNK_VALUES_CONTEXT", 1 << 15)  # several chunks, of which two are the sample
    t = np.linspace(0, 20, 400)[:, None, None]
    x = (np.sin(t + np.linspace(0, 6, 12)[:, None]) * np.cos(0.3 * t + np.linspace(0, 3, 16))).astype("f4")
    files = [aezip.compress(x, bound=aezip.RangeRelative(1e-3), preset="fast", threads=threads)[0] for threads in (1, 2)]
    assert len(set(files)) == 1
