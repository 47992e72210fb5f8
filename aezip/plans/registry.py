"""Every kind of plan; a reader finds the class by the word in a header."""

from __future__ import annotations

from typing import Any

from aezip.core.errors import UnsupportedVersion
from aezip.plans.autoencoder.plan import AutoencoderPlan
from aezip.plans.columns.plan import ColumnPlan
from aezip.plans.context.plan import ContextPlan

from .base import Plan
from .buckets import BucketPlan
from .bytes import BytesPlan
from .delta import DeltaPlan

PLANS: tuple[type[Plan], ...] = (BytesPlan, DeltaPlan, BucketPlan, ColumnPlan, AutoencoderPlan, ContextPlan)


def plan_class(kind: Any) -> type[Plan]:
    """Return the class of a kind of plan.

    Raises
    ------
    UnsupportedVersion
        If there is none.
    """
    for plan in PLANS:
        if kind in plan.kinds:
            return plan
    raise UnsupportedVersion(f"the plan {str(kind)[:40]!r} is not known: update aezip")
