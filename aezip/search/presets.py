"""Effort: how long is trained and how many candidates are tried."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Effort: training steps, candidates, zstd level; the same for context networks; 0 steps: nothing is trained."""

    steps: int
    trial_steps: int
    trials: int
    zstd: int
    context_steps: int
    context_trial: int
    context_trials: int
    crop: int  # values that a trial of a context network looks at
    adapt_steps: int = 60  # of a built-in network that is trained on
    middle: int = 3 << 19  # values of the chunks on which built-in networks are compared that are close on the crop

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return self.steps > 0


PRESETS = {
    "instant": Preset(
        0, 0, 0, 9, context_steps=0, context_trial=0, context_trials=6, crop=1 << 17, adapt_steps=0, middle=1 << 20
    ),
    "fast": Preset(1200, 200, 4, 9, context_steps=500, context_trial=60, context_trials=6, crop=1 << 17, adapt_steps=400),
    "balanced": Preset(5000, 400, 8, 19, context_steps=2000, context_trial=120, context_trials=8, crop=1 << 18, adapt_steps=1500),
    "best": Preset(20000, 1200, 24, 22, context_steps=12000, context_trial=600, context_trials=8, crop=1 << 20, adapt_steps=8000),
}
