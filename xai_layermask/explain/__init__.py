"""Explanations: which segments of a picture count for a prediction, and how far the scores can be trusted."""

from __future__ import annotations

from .agreement import Agreement, agreement
from .channels import ChannelScores
from .convergence import RELIABLE, ROUNDS, has_converged
from .explainer import LayerMaskExplainer
from .explanation import Explanation
from .loaded import LoadedModel, load_model
from .many import Explained
from .origin import is_replaceable
from .predictor import Predictor
from .quality import can_remove, removals
from .rendering import encode
from .sampling import LIME_SCHEMES, Coalitions, Samples, cosine_kernel, lime_samples, shap_samples
from .settings import Settings
from .spatial import Strength, kernels
from .surrogate import METHODS, Fit, fit

__all__ = [
    "LIME_SCHEMES",
    "METHODS",
    "RELIABLE",
    "ROUNDS",
    "Agreement",
    "ChannelScores",
    "Coalitions",
    "Explained",
    "Explanation",
    "Fit",
    "LayerMaskExplainer",
    "LoadedModel",
    "Predictor",
    "Samples",
    "Settings",
    "Strength",
    "agreement",
    "can_remove",
    "cosine_kernel",
    "encode",
    "fit",
    "has_converged",
    "is_replaceable",
    "kernels",
    "lime_samples",
    "load_model",
    "removals",
    "shap_samples",
]
