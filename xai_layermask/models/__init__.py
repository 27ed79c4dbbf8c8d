"""Pretrained classifiers by name, with their preprocessing, class names and weights."""

from __future__ import annotations

from ..images import Prepared, Preprocess
from .checkpoints import fill, read_state
from .loading import Classifier, class_index, imagenet_labels, load

__all__ = ["Classifier", "Prepared", "Preprocess", "class_index", "fill", "imagenet_labels", "load", "read_state"]
