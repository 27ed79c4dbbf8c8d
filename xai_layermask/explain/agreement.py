"""Agreement of two explanations, beside the agreement that their noise allows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .explanation import Explanation

__all__ = ["Agreement", "agreement"]


class Agreement(NamedTuple):
    """How far the scores of two explanations agree.

    Attributes:
        correlation: Pearson's correlation of the scores.
        ceiling: What to expect, at least, if the two agreed entirely and only the draw of samples differed: the product
            of their reliabilities (Spearman's correction for attenuation, 1904). With the spatial estimator the errors
            of both are partly the same, since both smooth in the same way. The correlation may then be higher, and the
            more so the less reliable the scores are.
    """

    correlation: float
    ceiling: float


def agreement(one: Explanation, other: Explanation, target: int | str | None = None) -> Agreement:
    """Correlate the scores of two explanations of one picture.

    Explanations from the same samples share their noise, which looks like agreement. So the two must be drawn with
    different seeds.

    Args:
        one: An explanation.
        other: Another one of the same segments, with another seed.
        target: The target; the first one of `one` if None.

    Raises:
        InputError: If the segments differ, or the seeds are equal.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 8, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=100, preprocess=Preprocess(32, 32), progress=False)
        >>> picture = torch.rand(3, 32, 32)
        >>> one, other = (
        ...     LayerMaskExplainer(model, masking=name, seed=seed, **options).explain(picture, 0)
        ...     for seed, name in enumerate(["black", "layer"])
        ... )
        >>> found = agreement(one, other)
        >>> 0 < found.ceiling <= 1
        True
    """
    if not np.array_equal(one.segments, other.segments):
        raise InputError.expected("explanations of the same segments", "different segments")
    if one.settings.seed == other.settings.seed:
        raise InputError.expected(
            "explanations with different seeds",
            f"seed {one.settings.seed} twice",
            "their samples share noise, which looks like agreement: explain again with another seed",
        )
    first = one.row(target)
    second = other.row(one.key(first))
    played = one.played & other.played
    scores = one.scores[first, played], other.scores[second, played]
    varies = all(np.ptp(part) > 0 for part in scores)
    correlation = float(np.corrcoef(*scores)[0, 1]) if varies else float("nan")
    return Agreement(correlation, float(one.reliability[first] * other.reliability[second]))
