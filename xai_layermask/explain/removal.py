"""Occlusion and ablation: every window, or every segment, is removed once, and its score is what the prediction loses.

Occlusion: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (ECCV 2014), section 4.2. There is
no draw, so the scores are exact.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .sampling import Samples
from .surrogate import Fit

__all__ = ["ablation_samples", "fit_removal", "occlusion_samples"]

Floats = npt.NDArray[np.float64]
Coalitions = npt.NDArray[np.bool_]


def ablation_samples(n_segments: int) -> Samples:
    """The grand coalition, the empty one, and for each segment the grand one without it.

    Example:
        >>> ablation_samples(2).coalitions.astype(int)
        array([[1, 1],
               [0, 0],
               [0, 1],
               [1, 0]])
    """
    return _samples(~np.eye(n_segments, dtype=bool))


def occlusion_samples(centres: Floats, size: tuple[int, int], window: int) -> Samples:
    """The grand coalition, the empty one, and for each position of a sliding window the grand one without it.

    A window removes the segments whose centroids it covers: exactly its pixels if the segments are patches on which it
    ends. It moves by half of its side, and the last positions touch the border, so that every segment is covered.

    Args:
        centres: float64 `(K, 2)`, the centroids of the segments: row and column in pixels.
        size: Height and width of the picture in pixels.
        window: Side of the window in pixels.

    Example:
        >>> centres = np.stack(np.indices((1, 4)), axis=-1).reshape(-1, 2) + 0.0  # a row of 4 pixels
        >>> occlusion_samples(centres, (1, 4), 2).coalitions[2:].astype(int)
        array([[0, 0, 1, 1],
               [1, 0, 0, 1],
               [1, 1, 0, 0]])
    """
    covered = [_covered(centres[:, axis], size[axis], window) for axis in (0, 1)]
    inside = (covered[0][:, None] & covered[1][None]).reshape(-1, len(centres))
    return _samples(~np.unique(inside[inside.any(axis=1)], axis=0)[::-1])


def fit_removal(samples: Samples, predictions: Floats) -> Fit:
    """The score of a segment: the mean drop of the prediction over the coalitions that lack it.

    Args:
        samples: From [`ablation_samples`][] or [`occlusion_samples`][].
        predictions: float64 `(M, T)`.

    Returns:
        The scores, without standard errors; the intercept is the prediction without any segment. R2 is unknown, since
        nothing is fitted.

    Example:
        >>> samples = ablation_samples(2)
        >>> fit_removal(samples, samples.coalitions @ np.array([[0.5], [0.1]])).scores.round(6)
        array([[0.5, 0.1]])
    """
    removed = ~samples.coalitions[2:]
    drops = predictions[:1] - predictions[2:]
    scores = (removed.T.astype(np.float64) @ drops).T / removed.sum(axis=0)
    varies = np.ptp(scores, axis=1) > 0
    return Fit(scores, np.zeros_like(scores), varies.astype(np.float64), predictions[1].copy(),
               np.full(len(scores), np.nan))  # fmt: skip


def _samples(rows: Coalitions) -> Samples:
    ends = np.repeat([[True], [False]], rows.shape[1], axis=1)
    coalitions = np.concatenate([ends, rows])
    return Samples(coalitions, np.ones(len(coalitions)))


def _covered(places: Floats, length: int, window: int) -> Coalitions:
    """Which places each position of the window covers along one axis, bool `(positions, K)`."""
    last = max(0, length - window)
    starts = np.unique([*range(0, last, max(1, window // 2)), last])
    shifted = places[None] + 0.5 - starts[:, None]
    covered: Coalitions = (shifted > 0) & (shifted < window)
    return covered
