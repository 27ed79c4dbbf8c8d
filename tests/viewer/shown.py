"""Explanations for tests of pages."""

from __future__ import annotations

import dataclasses

import numpy as np
from explained import SETTINGS, explanation

#: Of 4 x 4 patches over 64 x 64 pixels.
SIDE, PATCH = 64, 16
SEGMENTS = np.arange(SIDE)[:, None] // PATCH * 4 + np.arange(SIDE) // PATCH
SCORES = np.array([0.1 * (segment - 5) for segment in range(16)])


def patches(masking="layer", **changes):
    """Two targets; the scores of the first one rise from -0.5 to 1.0, those of the second fall."""
    parts = {
        "picture": np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        "segments": SEGMENTS,
        "scores": np.stack([SCORES, -0.5 * SCORES]),
        "standard_errors": np.full((2, 16), 0.08),
        "reliability": np.array([0.93, 0.91]),
        "labels": ("tabby", "cock"),
        "r2": np.array([0.5, 0.4]),
        "settings": dataclasses.replace(SETTINGS, masking=masking, segments="patches:16"),
    }
    return explanation(**(parts | changes))
