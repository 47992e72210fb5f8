"""Numbers that the format fixes and that several packages, compiled loops among them, must agree on."""

from __future__ import annotations

import sys

FRACTION_BITS = 6  # means are integers in units of step / 2**6
HALF = 1 << (FRACTION_BITS - 1)
ACTIVATION_TOP = 1023  # of hidden units
FLAG_BINS = 32  # of the log-odds that a value is its feature's spike, half a nat each
LEVELS = 200  # of the scale, a quarter of an octave each: up to scales of 2**45 steps
LOG2_SCALE_MIN = -4.0  # of level 0, in steps
EXTRAS = 5  # inputs of a context network beside its slots: log of the spread, mean over spread, two errors nearby, a level
EMBEDDING = 4  # and of the kind of pass
MOST_CODES = 255  # of a row
MAX_AXES = 32
MAX_VALUES = 1 << 50
LARGEST_FLOAT = sys.float_info.max
