"""Top-k ablation: whether a prediction survives the loss of its highest-scoring segments (section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError, check_integer
from ..maskings import as_image
from ..segments import presence_of
from .ablator import Ablator, as_ablator, as_picture, probabilities
from .inputs import (
    Array,
    as_classes,
    ranking,
    scored_segments,
)

__all__ = ["Ablation", "topk_ablation"]


@dataclass(frozen=True)
class Ablation:
    """What a model says of pictures that have lost their k highest-scoring segments.

    Attributes:
        masking: The name of the masking that removed them.
        k: How many segments were removed from each picture, at most.
        targets: The class that each picture is expected to keep.
        predictions: The class that each picture is given without these segments.

    Example:
        >>> result = Ablation("grey", 20, targets=(7, 7), predictions=(7, 3))
        >>> result.unchanged, result.accuracy
        ((True, False), 0.5)
    """

    masking: str
    k: int
    targets: tuple[int, ...]
    predictions: tuple[int, ...]

    @property
    def unchanged(self) -> tuple[bool, ...]:
        """Whether each picture is still given its target."""
        return tuple(one == other for one, other in zip(self.targets, self.predictions, strict=True))

    @property
    def accuracy(self) -> float:
        """The share of pictures that are still given their target, in [0, 1]; low is good for the scores."""
        return sum(self.unchanged) / len(self.unchanged)

    def __float__(self) -> float:
        """Return the accuracy."""
        return self.accuracy


def topk_ablation(
    masking: Ablator,
    image: Tensor,
    scores: Array | Sequence[Array],
    segments: Array | Sequence[Array],
    k: int = 20,
    targets: Array | None = None,
    batch_size: int = 32,
) -> Ablation:
    r"""Remove the k highest-scoring segments of every picture and see what is predicted.

    With $T_k(s)$ the k highest-scoring segments and $f_m$ the model under the masking,

    $$\text{accuracy} = \frac{1}{N} \sum_n
    \mathbb{1}\left[\arg\max f_m(x_n, \text{all but } T_k(s_n)) = y_n\right].$$

    The lower the accuracy, the better the scores found what the model relies on. The masking that removes the
    segments need not be the one that made the scores (the paper ablates with grey), and the result carries
    its name: a change of the ablator changes the number.

    Of equal scores the lower id is removed first, so constant scores ablate by id. k at or above K removes
    everything.

    Args:
        masking: The ablator: a `LayerMask`, a `Fill`, or any callable of image and presence with a `name`.
        image: `(N, 3, H, W)`, normalised as the model wants it.
        scores: `(K,)` for a single picture; a sequence of N vectors for a set, K may differ.
        segments: Integers `(H, W)`; for a set a sequence of N of them, or one for all.
        k: How many segments to remove; the paper removes 20.
        targets: N classes to keep, or one for a single picture; by default what the masking predicts for the
            whole pictures, which costs one more pass.
        batch_size: How many pictures go into one call.

    Returns:
        The result, with `.accuracy` over the set and `.unchanged` per picture.

    Raises:
        InputError: If one of the inputs is malformed, or they do not fit each other.

    Example:
        >>> class Halves:  # class 0 where the left half is brighter, class 1 where the right half is
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         left, right = (image * presence).chunk(2, dim=-1)
        ...         return torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], dim=1)
        >>> image = torch.ones(1, 3, 2, 4) * torch.tensor([5.0, 1.0, 1.0, 1.0])
        >>> columns = np.array([[0, 1, 2, 3]] * 2)
        >>> topk_ablation(Halves(), image, [0.9, 0.2, 0.1, 0.0], columns, k=1)
        Ablation(masking='zero', k=1, targets=(0,), predictions=(1,))
    """
    ablator, count = as_ablator(masking), check_integer(k, "k", least=1)
    step = check_integer(batch_size, "batch_size", least=1)
    as_image(image)
    rows = _rows(scores, 1)
    layouts = _rows(segments, 2)
    if len(layouts) == 1:
        layouts = layouts * len(rows)
    if len(layouts) != len(rows):
        raise InputError(
            f"scores and segments must come for the same pictures, but {len(rows)} and {len(layouts)} came: "
            "give one of each per picture, or one segmentation for all."
        )
    presence = []
    for row, layout in zip(rows, layouts, strict=True):
        values, ids = scored_segments(row, layout)
        as_picture(image, ids.shape)
        keep = np.ones((1, values.size), dtype=bool)
        keep[0, ranking(values)[:count]] = False
        presence.append(presence_of(ids, keep))
    if image.shape[0] != len(presence):
        raise InputError(
            f"scores must come for each of the {image.shape[0]} pictures, but {len(presence)} came: "
            "give a sequence with one vector per picture."
        )
    ablated = probabilities(ablator, image, torch.cat(presence), step)
    if targets is None:
        whole = torch.ones(len(presence), 1, *image.shape[2:], dtype=torch.bool)
        expected = probabilities(ablator, image, whole, step).argmax(axis=1)
    else:
        expected = as_classes(targets, "targets", classes=ablated.shape[1])
        if expected.size != len(presence):
            raise InputError(
                f"targets must hold one class for each of the {len(presence)} pictures, but {expected.size} "
                "came: give the class that each picture should keep."
            )
    return Ablation(
        masking=ablator.name,
        k=count,
        targets=tuple(map(int, expected)),
        predictions=tuple(map(int, ablated.argmax(axis=1))),
    )


def _rows(value: Array | Sequence[Array], dims: int) -> list[Any]:
    """Put the array of a single picture into a list; those of a set, which may differ in size, become one."""
    many: Any = value
    return list(many) if _depth(many) == dims + 1 else [many]


def _depth(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return 1 + (_depth(value[0]) if value else 0)
    return int(getattr(value, "ndim", 0))
