"""Evaluations: a protocol with many pictures, models and maskings, run by several workers, into a store."""

from __future__ import annotations

from .duration import estimate_duration
from .evaluation import Progress, Summary, evaluate
from .model_spec import ModelSpec, model_digest
from .plan import PlannedTrial, WorkPlan, select_items, work_plan
from .pool import WorkerPool

__all__ = [
    "ModelSpec",
    "PlannedTrial",
    "Progress",
    "Summary",
    "WorkPlan",
    "WorkerPool",
    "estimate_duration",
    "evaluate",
    "model_digest",
    "select_items",
    "work_plan",
]
