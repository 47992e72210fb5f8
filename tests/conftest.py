"""Options and profiles of the tests."""

from __future__ import annotations

import os

# small networks train faster on one thread, and tests must not depend on what else the machine does
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import HealthCheck, settings

from aezip.search.presets import PRESETS, Preset

# a quarter of the preset: what tests are about does not depend on how good a network is
BRIEF = Preset(300, 60, 4, 9, context_steps=120, context_trial=30, context_trials=6, crop=1 << 15, adapt_steps=80)

settings.register_profile("default", max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("long", max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--run-long", action="store_true", help="also run tests that take minutes")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("long" if config.getoption("--run-long") else "default")
    PRESETS["fast"] = BRIEF


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--run-long"):
        return
    for item in items:
        if "long" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="long: run with --run-long"))
