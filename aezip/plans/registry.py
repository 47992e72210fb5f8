"""Every kind of plan."""

from __future__ import annotations

from aezip.plans.autoencoder.plan import NetworkPlan
from aezip.plans.columns.plan import RecallPlan
from aezip.plans.context.plan import ContextPlan

from .buckets import BucketPlan
from .bytes import BytesPlan
from .delta import DifferencePlan

Whole = DifferencePlan | RecallPlan | BucketPlan  # plans of whole numbers in one stream, without a model
Plan = NetworkPlan | ContextPlan | BytesPlan | Whole
