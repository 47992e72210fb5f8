"""Effort: how long is trained and how many candidates are tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Effort: training steps, candidates, zstd level; the same for context networks."""

    steps: int
    trial_steps: int
    trials: int
    zstd: int
    context_steps: int
    context_trial: int
    context_trials: int
    crop: int  # values that a trial of a context network looks at


PRESETS = {
    "fast": Preset(1200, 200, 4, 9, context_steps=500, context_trial=60, context_trials=3, crop=1 << 17),
    "balanced": Preset(5000, 400, 8, 19, context_steps=2000, context_trial=120, context_trials=6, crop=1 << 18),
    "best": Preset(20000, 1200, 24, 22, context_steps=12000, context_trial=600, context_trials=8, crop=1 << 20),
}
