"""Explanations: which segments of a picture speak for a prediction."""

from __future__ import annotations

from .explainer import LayerMaskExplainer
from .explanation import Explanation

__all__ = ["Explanation", "LayerMaskExplainer"]
