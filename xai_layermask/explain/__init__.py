"""Explanations: which segments of a picture count for a prediction, and how far the scores can be trusted."""

from __future__ import annotations

from .convergence import ROUNDS, has_converged, standard_errors
from .explainer import LayerMaskExplainer
from .explanation import Explanation
from .html import render
from .predictor import LoadedModel, Predictor, load_model
from .sampling import LIME_SCHEMES, Coalitions, Samples, cosine_kernel, lime_samples, shap_samples
from .settings import Settings
from .surrogate import METHODS, kernel_shap, ridge

__all__ = [
    "LIME_SCHEMES",
    "METHODS",
    "ROUNDS",
    "Coalitions",
    "Explanation",
    "LayerMaskExplainer",
    "LoadedModel",
    "Predictor",
    "Samples",
    "Settings",
    "cosine_kernel",
    "has_converged",
    "kernel_shap",
    "lime_samples",
    "load_model",
    "render",
    "ridge",
    "shap_samples",
    "standard_errors",
]
