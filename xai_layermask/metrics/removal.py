"""The effect of removing segments in the order of their scores on one prediction."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .ablation import Ablation, ablation
from .ablator import Ablator
from .curves import Curve, deletion_curve, insertion_curve
from .inputs import Array

__all__ = ["Removal", "removal"]


@dataclass(frozen=True)
class Removal:
    """The curves and the ablation for one target of one explanation.

    Attributes:
        deletion: The target's probability while segments are removed, the highest scores first.
        insertion: The same while they are inserted into an empty picture.
        ablation: The prediction without the k highest-scoring segments, and whether it is still the target; None if the
            target is not predicted for the whole picture either.
    """

    deletion: Curve
    insertion: Curve
    ablation: Ablation | None


def removal(
    masking: Ablator,
    image: Tensor,
    scores: Array,
    segments: Array,
    target: int,
    k: int = 20,
    steps: int | None = 20,
    batch_size: int = 32,
) -> Removal:
    """Deletion curve, insertion curve and top-k ablation of scores for one target.

    To compare scores of several maskings, remove segments in the same way for all of them. The paper removes them by
    grey-out. Arguments and errors are those of [`deletion_curve`][] and [`topk_ablation`][].

    Example:
        >>> import torch
        >>> class Bright:  # class 0 as bright as the picture
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         return (image * presence).mean((1, 2, 3))[:, None] * torch.tensor([1.0, -1.0])
        >>> found = removal(Bright(), torch.ones(1, 3, 2, 2), [0.9, 0.2], [[0, 1]] * 2, target=0, k=1)
        >>> found.deletion.auc == found.insertion.auc, found.ablation.unchanged
        (True, (True,))
    """
    found = ablation(masking, image, scores, segments, k, None, batch_size)
    return Removal(
        deletion_curve(masking, image, scores, segments, target, steps=steps, batch_size=batch_size),
        insertion_curve(masking, image, scores, segments, target, steps=steps, batch_size=batch_size),
        found if found is not None and found.targets == (target,) else None,
    )
