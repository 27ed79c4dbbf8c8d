"""Pretrained classifiers by name, with their preprocessing, class names and weights."""

from __future__ import annotations

from ..images import Prepared, Preprocess
from .checkpoints import load_weights, read_state
from .labels import class_index, imagenet_labels
from .loading import Classifier, load

__all__ = [
    "Classifier",
    "Prepared",
    "Preprocess",
    "class_index",
    "imagenet_labels",
    "load",
    "load_weights",
    "read_state",
]
