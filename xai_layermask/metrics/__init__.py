"""The metrics of the layer masking paper, and related ones.

Every metric is a pure function of numpy arrays or torch tensors that returns a float or a small frozen result. The
classes in `streams` apply the same functions to pictures one after another.

An undefined number, such as the alignment with an empty mask, is nan, without an exception or a warning. "The paper" is
Balasubramanian & Feizi, "Towards Improved Input Masking for Convolutional Neural Networks", ICCV 2023 (arXiv
2211.14646).
"""

from __future__ import annotations

from .ablation import Ablation, topk_ablation
from .ablator import Ablator
from .agreement import alignment_score, topk_jaccard
from .curves import Curve, auc, deletion_curve, insertion_curve, symmetric_relevance_gain
from .per_segment import per_segment
from .predictions import class_entropy, linearity, unchanged_predictions
from .removal import Removal, removal
from .streams import (
    AlignmentScore,
    ClassEntropy,
    Linearity,
    SymmetricRelevanceGain,
    TopKAblation,
    TopKJaccard,
    UnchangedPredictions,
    WordNetSimilarity,
)
from .wordnet import wordnet_matrix, wordnet_similarity

__all__ = [
    "Ablation",
    "Ablator",
    "AlignmentScore",
    "ClassEntropy",
    "Curve",
    "Linearity",
    "Removal",
    "SymmetricRelevanceGain",
    "TopKAblation",
    "TopKJaccard",
    "UnchangedPredictions",
    "WordNetSimilarity",
    "alignment_score",
    "auc",
    "class_entropy",
    "deletion_curve",
    "insertion_curve",
    "linearity",
    "per_segment",
    "removal",
    "symmetric_relevance_gain",
    "topk_ablation",
    "topk_jaccard",
    "unchanged_predictions",
    "wordnet_matrix",
    "wordnet_similarity",
]
