"""Scores of segments from the attributions of pixels, so that every metric judges any method."""

from __future__ import annotations

import numpy as np

from ..errors import InputError, choose
from ..segments import check_segments
from .inputs import Array, Floats, as_array, shape_of

__all__ = ["per_segment"]


def per_segment(attribution: Array, segments: Array, reduce: str = "sum") -> Floats:
    """Scores of segments from an attribution of pixels, such as gradients, Grad-CAM or integrated gradients.

    Args:
        attribution: `(H, W)`, or with channels, which are added up, `(C, H, W)` or `(1, C, H, W)`; finite.
        segments: Integers `(H, W)`; scores come in the order of their ids.
        reduce: "sum" of the pixels, the contribution of the whole segment, as the scores of LIME and SHAP are; or their
            "mean", which does not favour large segments.

    Returns:
        float64 `(K,)`.

    Raises:
        InputError: If an argument is invalid, or the two are of different sizes.

    Example:
        >>> per_segment([[1.0, 2.0, 5.0]], [[0, 0, 1]])
        array([3., 5.])
        >>> per_segment([[1.0, 2.0, 5.0]], [[0, 0, 1]], reduce="mean")
        array([1.5, 5. ])
    """
    values = as_array(attribution, "attribution")
    shape = values.shape
    if values.ndim == 4 and shape[0] == 1:
        values = values[0]
    if values.ndim == 3:
        values = values.sum(axis=0)
    if values.ndim != 2 or values.size == 0 or values.dtype.kind not in "biuf":
        raise InputError.expected(
            "numbers (H, W), (C, H, W) or (1, C, H, W) for attribution", f"{values.dtype} {shape_of(np.empty(shape))}"
        )
    if not np.isfinite(values).all():
        raise InputError.expected("finite numbers in attribution", "NaN or infinity")
    ids = check_segments(segments, (values.shape[0], values.shape[1]))
    scores: Floats = np.bincount(ids.ravel(), weights=values.ravel().astype(np.float64)).astype(np.float64)
    if choose(reduce, ("sum", "mean"), "reduce") == "mean":
        scores = scores / np.bincount(ids.ravel())
    return scores
