"""A small explanation for tests."""

from __future__ import annotations

import numpy as np

from xai_layermask.explain.explanation import Explanation
from xai_layermask.explain.settings import Settings
from xai_layermask.images import Preprocess

SETTINGS = Settings(
    model="lite0",
    method="lime",
    masking="layer",
    segments="patches:8",
    n_samples=50,
    seed=3,
    batch_size=16,
    precision="float32",
    device="cpu",
    preprocess=Preprocess(resize=(20, 30), crop=16, channels="BGR", scale=255),
    versions="xai-layermask 0, torch 0",
)


def explanation(seed=0, **changes):
    generator = np.random.default_rng(seed)
    parts = {
        "picture": generator.integers(0, 256, (16, 16, 3), dtype=np.uint8),
        "segments": np.arange(16)[:, None] // 8 * 2 + np.arange(16) // 8,
        "scores": generator.normal(size=(2, 4)) * 1e-3,
        "standard_errors": np.full((2, 4), np.nan),
        "reliability": np.full(2, np.nan),
        "targets": (281, 7),
        "labels": ("tabby & co <b>", "cock"),
        "output": "probability (softmax of the outputs)",
        "predictions": np.array([0.75, 0.125]),
        "probabilities": np.array([0.75, 0.125]),
        "intercept": generator.normal(size=2),
        "r2": np.array([0.5, np.nan]),
        "prior": np.array([[0.1, 0.9, 0.5], [np.nan] * 3]),
        "settings": SETTINGS,
    }
    return Explanation(**(parts | changes))
