"""Top-k ablation: whether a prediction survives the loss of its highest-scoring segments (section 4.4 of the paper)."""

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
from .inputs import Array, as_classes, ranking, scored_segments

__all__ = ["Ablation", "ablation", "topk_ablation"]


@dataclass(frozen=True)
class Ablation:
    """Predictions for pictures without their k highest-scoring segments.

    Attributes:
        masking: The name of the masking that removed them.
        k: The maximum number of segments removed from each picture.
        targets: The class that each picture is expected to keep.
        predictions: The class predicted without these segments.

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
        """Whether each picture keeps its target."""
        return tuple(one == other for one, other in zip(self.targets, self.predictions, strict=True))

    @property
    def accuracy(self) -> float:
        """The share of pictures that keep their target, in [0, 1]; good scores have a low accuracy."""
        return sum(self.unchanged) / len(self.unchanged)

    def __float__(self) -> float:
        """The accuracy."""
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
    r"""Remove the k highest-scoring segments of each picture, and predict its class again.

    With $T_k(s)$ the k highest-scoring segments and $f_m$ the model under the masking,

    $$\text{accuracy} = \frac{1}{N} \sum_n
    \mathbb{1}\left[\arg\max f_m(x_n, \text{all but } T_k(s_n)) = y_n\right].$$

    The lower the accuracy, the better the scores found what the model relies on. The masking that removes the
    segments need not be the one behind the scores (the paper ablates with grey). The result carries its name, since
    another masking gives another number.

    Of equal scores the lower id is removed first. k >= K removes everything.

    Args:
        masking: A `LayerMask`, a `Fill`, or any callable of image and presence with a `name`.
        image: `(N, 3, H, W)`, normalised for the model.
        scores: `(K,)` for a single picture; a sequence of N vectors for several, whose K may differ.
        segments: Integers `(H, W)`; for several pictures a sequence of N, or one for all.
        k: Number of segments to remove; 20 in the paper.
        targets: N classes to keep; by default the predictions for the whole pictures, which takes one more pass.
        batch_size: Pictures per forward pass.

    Returns:
        The result, with the `accuracy` over all pictures and `unchanged` for each.

    Raises:
        InputError: If an argument is invalid, two do not fit each other, or the model has a single output.

    Example:
        >>> class Halves:  # class 0 if the left half is brighter, class 1 if the right half is
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         left, right = (image * presence).chunk(2, dim=-1)
        ...         return torch.stack([left.mean((1, 2, 3)), right.mean((1, 2, 3))], dim=1)
        >>> image = torch.ones(1, 3, 2, 4) * torch.tensor([5.0, 1.0, 1.0, 1.0])
        >>> columns = np.array([[0, 1, 2, 3]] * 2)
        >>> topk_ablation(Halves(), image, [0.9, 0.2, 0.1, 0.0], columns, k=1)
        Ablation(masking='zero', k=1, targets=(0,), predictions=(1,))
    """
    found = ablation(masking, image, scores, segments, k, targets, batch_size)
    if found is None:
        raise InputError.expected("a model of at least two classes", "one output", "use a deletion curve")
    return found


def ablation(
    masking: Ablator,
    image: Tensor,
    scores: Array | Sequence[Array],
    segments: Array | Sequence[Array],
    k: int,
    targets: Array | None,
    batch_size: int,
) -> Ablation | None:
    """[`topk_ablation`][]; None for a model with one output, which has no other class to change to."""
    ablator, count = as_ablator(masking), check_integer(k, "k", least=1)
    batch_size = check_integer(batch_size, "batch_size", least=1)
    as_image(image)
    vectors, maps = _by_picture(scores, 1), _by_picture(segments, 2)
    maps = maps * len(vectors) if len(maps) == 1 else maps
    if len(maps) != len(vectors):
        raise InputError.expected(
            "scores and segments of the same pictures",
            f"{len(vectors)} and {len(maps)}",
            "pass one of each per picture, or one segmentation for all",
        )
    masks = []
    for vector, ids in zip(vectors, maps, strict=True):
        values, ids = scored_segments(vector, ids)
        as_picture(image, ids.shape)
        coalition = np.ones((1, values.size), dtype=bool)
        coalition[0, ranking(values)[:count]] = False
        masks.append(presence_of(ids, coalition))
    if image.shape[0] != len(masks):
        raise InputError.expected(f"scores of each of {image.shape[0]} pictures", str(len(masks)))
    presence = torch.cat(masks)
    ablated = probabilities(ablator, image, lambda places: presence[places], len(masks), batch_size)
    if ablated.shape[1] == 1:
        return None
    if targets is None:
        whole = torch.ones_like(presence)
        expected = probabilities(ablator, image, lambda places: whole[places], len(masks), batch_size).argmax(axis=1)
    else:
        expected = as_classes(targets, "targets", classes=ablated.shape[1])
        if expected.size != len(masks):
            raise InputError.expected(f"one class for each of {len(masks)} pictures for targets", str(expected.size))
    return Ablation(
        masking=ablator.name,
        k=count,
        targets=tuple(map(int, expected)),
        predictions=tuple(map(int, ablated.argmax(axis=1))),
    )


def _by_picture(value: Array | Sequence[Array], dims: int) -> list[Any]:
    """The arrays of each picture, which may differ in size; a single array is that of a single picture."""
    many: Any = value
    return list(many) if _depth(many) == dims + 1 else [many]


def _depth(value: Any) -> int:
    if isinstance(value, (list, tuple)):
        return 1 + (_depth(value[0]) if value else 0)
    return int(getattr(value, "ndim", 0))
