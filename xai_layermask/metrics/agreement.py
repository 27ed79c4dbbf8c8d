"""How far the scores of segments agree with a human mask of the object (section 4.4 of the paper)."""

from __future__ import annotations

import numpy as np

from ..errors import check_integer
from .inputs import Array, as_mask, is_constant, ranking, scored_segments

__all__ = ["alignment_score", "topk_jaccard"]


def alignment_score(scores: Array, segments: Array, mask: Array) -> float:
    r"""Cosine between the scores and how much more of the object than average each segment holds.

    With $m$ the mask, $\bar m$ its mean and $S_i$ the pixels of segment $i$,

    $$g_i = \sum_{p \in S_i} (m_p - \bar m), \qquad
    \text{alignment} = \frac{\sum_i s_i g_i}{\lVert s \rVert \, \lVert g \rVert}.$$

    1 is the best; scores that point away from the object are negative. Because the $g_i$ sum to 0, adding a
    number to all scores changes only $\lVert s \rVert$: how far the scores stand from 0 matters, their scale
    does not.

    The answer is nan where there is no direction to compare:

    - the mask is empty, full or constant, or the segments divide it evenly: every $g_i$ is 0;
    - the scores are constant, zero or not: they prefer no segment. (The formula says 0/0 for zeros, and 0 up
      to rounding for the rest.)

    Args:
        scores: One number per segment, `(K,)`.
        segments: The segment of every pixel, integers `(H, W)` that use each of 0..K-1.
        mask: Where the object is, `(H, W)`, bool or soft in [0, 1].

    Returns:
        A number in [-1, 1], or nan.

    Raises:
        InputError: If one of them is malformed, or they do not fit each other.

    Example:
        >>> segments = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
        >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 0]])
        >>> round(alignment_score([3, -1, -1, -1], segments, mask), 6)
        1.0
        >>> round(alignment_score([1.0, 0.0, 0.0, 0.0], segments, mask), 3)
        0.866
        >>> alignment_score([1, 0, 0, 0], segments, np.ones((2, 4)))
        nan
    """
    values, ids = scored_segments(scores, segments)
    human = as_mask(mask, ids.shape)
    if is_constant(values):
        return float("nan")
    gain = np.bincount(ids.ravel(), weights=(human - human.mean()).ravel(), minlength=values.size)
    # What a constant mask or an even division leaves is rounding: a few of the float's epsilons for each
    # pixel.
    if np.abs(gain).max() <= 4 * ids.size * np.finfo(np.float64).eps * human.max():
        return float("nan")
    # Dividing first keeps very small and very large scores from under- or overflowing.
    unit = values / np.abs(values).max()
    cosine = float(unit @ gain / (np.linalg.norm(unit) * np.linalg.norm(gain)))
    return min(1.0, max(-1.0, cosine))


def topk_jaccard(scores: Array, segments: Array, mask: Array, k: int = 20) -> float:
    r"""Overlap of the k highest-scoring segments with the object: intersection over union.

    With $T$ the pixels of these segments and $m$ the mask,

    $$J = \frac{\sum_{p \in T} m_p}{|T| + \sum_{p \notin T} m_p},$$

    which for a binary mask is the Jaccard index, and for a soft one the sum of minima over the sum of maxima.

    - Ties: of equal scores the lower id is taken first.
    - k at or above K takes every segment, whatever the scores: J is then the mean of the mask.
    - Constant scores with k below K: nan, because they do not say which segments are the highest.
    - An empty mask overlaps with nothing: 0. A full one: the area of the k segments.

    Args:
        scores: One number per segment, `(K,)`.
        segments: The segment of every pixel, integers `(H, W)` that use each of 0..K-1.
        mask: Where the object is, `(H, W)`, bool or soft in [0, 1].
        k: How many segments; the paper takes 20.

    Returns:
        A number in [0, 1], or nan.

    Raises:
        InputError: If one of them is malformed, or they do not fit each other.

    Example:
        >>> segments = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
        >>> mask = np.array([[1, 1, 1, 0], [0, 0, 0, 0]])
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, mask, k=1)
        0.6666666666666666
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, mask, k=2)
        0.75
    """
    values, ids = scored_segments(scores, segments)
    human = as_mask(mask, ids.shape)
    count = check_integer(k, "k", least=1)
    if count < values.size and is_constant(values):
        return float("nan")
    chosen = np.zeros(values.size, dtype=bool)
    chosen[ranking(values)[:count]] = True
    top = chosen[ids]
    return float(human[top].sum() / (top.sum() + human[~top].sum()))
