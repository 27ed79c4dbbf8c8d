"""Pretrained classifiers by name, with their preprocessing, class names and weights."""

from __future__ import annotations

from ..images import Prepared, Preprocess
from .checkpoints import load_weights, read_state
from .ending import Ending
from .labels import as_labels, class_index, imagenet_labels, read_labels
from .loading import Classifier, known_labels, load
from .outputs import Output, as_output
from .scale import Scale, check_finite
from .targets import Target, as_targets, count_classes, has_vectors

__all__ = [
    "Classifier",
    "Ending",
    "Output",
    "Prepared",
    "Preprocess",
    "Scale",
    "Target",
    "as_labels",
    "as_output",
    "as_targets",
    "check_finite",
    "class_index",
    "count_classes",
    "has_vectors",
    "imagenet_labels",
    "known_labels",
    "load",
    "load_weights",
    "read_labels",
    "read_state",
]
