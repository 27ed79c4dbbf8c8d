"""Evaluations: a protocol with many pictures, models and maskings, run by several workers, into a store."""

from __future__ import annotations

from .duration import estimate_duration
from .evaluation import Progress, Summary, evaluate
from .model_spec import ModelSpec, forget_models, load_model, model_digest, take_same_model
from .plan import PlannedTrial, WorkPlan, select_items, work_plan
from .pool import WorkerPool
from .worker import LostTask, start_worker

__all__ = [
    "LostTask",
    "ModelSpec",
    "PlannedTrial",
    "Progress",
    "Summary",
    "WorkPlan",
    "WorkerPool",
    "estimate_duration",
    "evaluate",
    "forget_models",
    "load_model",
    "model_digest",
    "select_items",
    "start_worker",
    "take_same_model",
    "work_plan",
]
