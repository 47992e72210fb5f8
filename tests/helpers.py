"""What tests of several parts share: folders, the quick preset, arrays, comparisons."""

from __future__ import annotations

from pathlib import Path

from aezip.search.presets import Preset

TESTS = Path(__file__).parent
ROOT = TESTS.parent
NOT_BUILT = "the extension was not built: no compiler was at hand"
GOLDEN = TESTS / "golden"
FLOATS = ["f2", "f4", "f8"]
INTEGERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"]
# trains for a moment: what is promised does not depend on how good a network is
QUICK = Preset(30, 10, 2, 3, context_steps=30, context_trial=10, context_trials=2, crop=1 << 14)
