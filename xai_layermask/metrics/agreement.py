"""Agreement of the scores of segments with a human mask of the object (section 4.4 of the paper)."""

from __future__ import annotations

import numpy as np

from ..errors import check_integer, choose
from .inputs import Array, as_mask, is_constant, ranking, scored_segments

__all__ = ["alignment_score", "topk_jaccard"]


def alignment_score(scores: Array, segments: Array, mask: Array) -> float:
    r"""Cosine between the scores and the excess of the object in each segment over the average.

    With $m$ the mask, $\bar m$ its mean and $S_i$ the pixels of segment $i$,

    $$g_i = \sum_{p \in S_i} (m_p - \bar m), \qquad
    \text{alignment} = \frac{\sum_i s_i g_i}{\lVert s \rVert \, \lVert g \rVert}.$$

    1 is the best; scores that point away from the object are negative. Because the $g_i$ sum to 0, adding a number to
    all scores changes only $\lVert s \rVert$: the distance of the scores from 0 matters, their scale does not.

    The alignment is nan if there is no direction to compare:

    - The mask is empty, full or constant, or evenly divided by the segments: every $g_i$ is 0.
    - The scores are constant, and prefer no segment. (The formula gives 0/0 for zeros, and 0 up to rounding otherwise.)

    Args:
        scores: One number for each segment, `(K,)`.
        segments: Integers `(H, W)` with ids 0..K-1.
        mask: The object, `(H, W)`, bool or soft in [0, 1].

    Returns:
        A number in [-1, 1], or nan.

    Raises:
        InputError: If an argument is invalid, or two do not fit each other.

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
    # A constant mask or an even division leaves rounding errors: a few epsilons for each pixel.
    if np.abs(gain).max() <= 4 * ids.size * np.finfo(np.float64).eps * human.max():
        return float("nan")
    # Scaled first, so that very small and very large scores neither under- nor overflow.
    unit = values / np.abs(values).max()
    cosine = float(unit @ gain / (np.linalg.norm(unit) * np.linalg.norm(gain)))
    return min(1.0, max(-1.0, cosine))


def topk_jaccard(scores: Array, segments: Array, mask: Array, k: int = 20, union: str = "any") -> float:
    r"""Intersection over union of the k highest-scoring segments and the object.

    With $T$ the pixels of these segments and $m$ the mask,

    $$J = \frac{\sum_{p \in T} m_p}{|T| + \sum_{p \notin T} u(m_p)},$$

    which is the Jaccard index for a binary mask. For a soft one, $u(m_p)$ is 1 wherever $m_p > 0$, as in appendix 6.2
    of the paper, or $m_p$ itself, which gives the sum of minima over the sum of maxima.

    - Of equal scores the lower id is taken first.
    - k >= K takes every segment, whatever the scores: J is the mean of the mask.
    - Constant scores with k < K give nan, since they do not say which segments are the highest.
    - An empty mask gives 0, a full one the area of the k segments.

    Args:
        scores: As in [`alignment_score`][].
        segments: As in [`alignment_score`][].
        mask: As in [`alignment_score`][].
        k: Number of segments; 20 in the paper.
        union: What a pixel outside of them adds to the denominator: "any", 1 if it has any of the object, as in the
            paper; or "max", the mask. They differ for soft masks only.

    Returns:
        A number in [0, 1], or nan.

    Raises:
        InputError: If an argument is invalid, or two do not fit each other.

    Example:
        >>> segments = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
        >>> mask = np.array([[1, 1, 1, 0], [0, 0, 0, 0]])
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, mask, k=1)
        0.6666666666666666
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, mask, k=2)
        0.75
        >>> soft = mask / 2
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, soft, k=1)
        0.3333333333333333
        >>> topk_jaccard([0.9, 0.4, 0.1, 0.0], segments, soft, k=1, union="max")
        0.4
    """
    choose(union, ("any", "max"), "union")
    values, ids = scored_segments(scores, segments)
    human = as_mask(mask, ids.shape)
    count = check_integer(k, "k", least=1)
    if count < values.size and is_constant(values):
        return float("nan")
    chosen = np.zeros(values.size, dtype=bool)
    chosen[ranking(values)[:count]] = True
    top = chosen[ids]
    outside = human[~top]
    return float(human[top].sum() / (top.sum() + (outside.sum() if union == "max" else np.count_nonzero(outside))))
