"""Curves of the target's probability while segments are removed or put back, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..errors import InputError, check_integer, choose
from ..segments import presence_of
from .ablator import Ablator, as_ablator, as_picture, probabilities
from .inputs import (
    Array,
    Floats,
    Integers,
    as_classes,
    as_vector,
    is_constant,
    ranking,
    scored_segments,
)

__all__ = ["Curve", "auc", "deletion_curve", "insertion_curve", "symmetric_relevance_gain"]


def auc(x: Array, y: Array) -> float:
    r"""Area under the straight lines through the points of a curve (the trapezoidal rule).

    $$\sum_j \tfrac12 (x_{j+1} - x_j)(y_{j+1} + y_j)$$

    Over fractions from 0 to 1 this is the curve's mean height. The area is not divided by the width of x.

    Args:
        x: Abscissae `(P,)`, P >= 2, never decreasing.
        y: Ordinates `(P,)`.

    Returns:
        The area.

    Raises:
        InputError: If there are fewer than two points, not equally many x and y, or x decreases.

    Example:
        >>> auc([0.0, 0.5, 1.0], [1.0, 0.5, 0.5])
        0.625
    """
    across, height = as_vector(x, "x"), as_vector(y, "y")
    if across.size != height.size or across.size < 2:
        raise InputError(
            f"x and y must be equally many and at least 2, but {across.size} and {height.size} came: "
            "give the coordinates of every point."
        )
    widths = np.diff(across)
    if (widths < 0).any():
        raise InputError("x must never decrease, but it does: sort the points by x first.")
    return float((widths * (height[1:] + height[:-1]) / 2).sum())


@dataclass(frozen=True, eq=False)
class Curve:
    """The target's probability while the presence of an image changes.

    Attributes:
        masking: The name of the masking that removed the segments.
        target: The class whose probability is followed.
        fractions: Share of the pixels that were removed (deletion) or put back (insertion), from 0 to 1,
            `(P,)`.
        values: Probability of the target there, `(P,)`.

    Example:
        >>> Curve("grey", 7, np.array([0.0, 1.0]), np.array([0.9, 0.1])).auc
        0.5
    """

    masking: str
    target: int
    fractions: Floats
    values: Floats

    @property
    def auc(self) -> float:
        """The area under the curve, in [0, 1]."""
        return auc(self.fractions, self.values)


def deletion_curve(
    masking: Ablator,
    image: Tensor,
    scores: Array,
    segments: Array,
    target: int | None = None,
    first: str = "most",
    steps: int | None = None,
    batch_size: int = 32,
) -> Curve:
    """Follow the target's probability while segments are removed, most or least influential first.

    With `first="most"` (deletion, MIF) a low area speaks for the scores, with `first="least"` (LIF) a high
    one. One order is the reverse of the other: of equal scores the lower id counts as more influential, so
    constant scores remove by id.

    Args:
        masking: What removes segments: a `LayerMask`, a `Fill`, or any callable of image and presence with a
            `name`.
        image: `(1, 3, H, W)`, normalised as the model wants it.
        scores: One number per segment, `(K,)`.
        segments: Integers `(H, W)` that use each of 0..K-1.
        target: The class to follow; by default what the masking predicts for the whole image.
        first: "most" or "least" influential segments first.
        steps: Into how many steps, as equal as can be in segments, to cut the way; by default, and at most,
            K.
        batch_size: How many presences go into one call.

    Returns:
        The curve, from nothing removed to everything removed.

    Raises:
        InputError: If one of the inputs is malformed, or they do not fit each other.

    Example:
        >>> import torch
        >>> class Left:  # class 0 as bright as column 0
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         seen = (image * presence)[:, 0, 0]
        ...         return torch.stack([seen[:, 0], torch.zeros(len(seen))], dim=1)
        >>> columns = np.array([[0, 1, 2, 3]] * 2)
        >>> curve = deletion_curve(Left(), torch.ones(1, 3, 2, 4), [0.9, 0.2, 0.1, 0.0], columns)
        >>> curve.fractions.tolist(), curve.values.round(3).tolist()
        ([0.0, 0.25, 0.5, 0.75, 1.0], [0.731, 0.5, 0.5, 0.5, 0.5])
    """
    values, ids = scored_segments(scores, segments)
    order = ranking(values)
    if choose(first, ("most", "least"), "first") == "least":
        order = order[::-1]
    return _follow(masking, image, order, ids, target, steps, batch_size, removed=True)


def insertion_curve(
    masking: Ablator,
    image: Tensor,
    scores: Array,
    segments: Array,
    target: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
) -> Curve:
    """Follow the target's probability while segments are put back, most influential first.

    The image starts empty, and a high area speaks for the scores. Putting back the most influential first
    passes the same images, backwards, as removing the least influential first.

    Args:
        masking: What removes segments: a `LayerMask`, a `Fill`, or any callable of image and presence with a
            `name`.
        image: `(1, 3, H, W)`, normalised as the model wants it.
        scores: One number per segment, `(K,)`; of equal ones the lower id is put back first.
        segments: Integers `(H, W)` that use each of 0..K-1.
        target: The class to follow; by default what the masking predicts for the whole image.
        steps: Into how many steps, as equal as can be in segments, to cut the way; by default, and at most,
            K.
        batch_size: How many presences go into one call.

    Returns:
        The curve, from nothing present to everything present.

    Raises:
        InputError: If one of the inputs is malformed, or they do not fit each other.

    Example:
        >>> import torch
        >>> class Left:  # class 0 as bright as column 0
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         seen = (image * presence)[:, 0, 0]
        ...         return torch.stack([seen[:, 0], torch.zeros(len(seen))], dim=1)
        >>> columns = np.array([[0, 1, 2, 3]] * 2)
        >>> curve = insertion_curve(Left(), torch.ones(1, 3, 2, 4), [0.9, 0.2, 0.1, 0.0], columns)
        >>> curve.values.round(3).tolist()
        [0.5, 0.731, 0.731, 0.731, 0.731]
    """
    values, ids = scored_segments(scores, segments)
    return _follow(masking, image, ranking(values), ids, target, steps, batch_size, removed=False)


def symmetric_relevance_gain(
    masking: Ablator,
    image: Tensor,
    scores: Array,
    segments: Array,
    target: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
) -> float:
    r"""Area between removing the least influential first (LIF) and the most influential first (MIF).

    $$\text{SRG} = \int_0^1 \left(p_{\text{LIF}}(t) - p_{\text{MIF}}(t)\right) dt$$

    with $p(t)$ the target's probability once the share t of the pixels is removed. Bluecher, Vielhaben &
    Strodthoff, "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI Benchmarks" (TMLR 2024),
    propose it because its rankings hardly depend on how pixels are removed: the gain over a random order in
    one direction is added to that in the other, and the random order cancels. High is good, random scores
    have 0 in expectation, and turning the order round turns the sign. Constant scores give no order: nan.

    Args:
        masking: What removes segments: a `LayerMask`, a `Fill`, or any callable of image and presence with a
            `name`.
        image: `(1, 3, H, W)`, normalised as the model wants it.
        scores: One number per segment, `(K,)`; of equal ones the lower id counts as more influential.
        segments: Integers `(H, W)` that use each of 0..K-1.
        target: The class to follow; by default what the masking predicts for the whole image.
        steps: Into how many steps, as equal as can be in segments, to cut the way; by default, and at most,
            K.
        batch_size: How many presences go into one call.

    Returns:
        A number in [-1, 1], or nan.

    Raises:
        InputError: If one of the inputs is malformed, or they do not fit each other.

    Example:
        >>> import torch
        >>> class Left:  # class 0 as bright as column 0
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         seen = (image * presence)[:, 0, 0]
        ...         return torch.stack([seen[:, 0], torch.zeros(len(seen))], dim=1)
        >>> columns = np.array([[0, 1, 2, 3]] * 2)
        >>> round(symmetric_relevance_gain(Left(), torch.ones(1, 3, 2, 4), [0.9, 0.2, 0.1, 0.0], columns), 3)
        0.173
    """
    values, ids = scored_segments(scores, segments)
    order = ranking(values)
    most = _follow(masking, image, order, ids, target, steps, batch_size, removed=True)
    least = _follow(masking, image, order[::-1], ids, most.target, steps, batch_size, removed=True)
    # The inputs are checked either way; only then may a missing order have its say.
    return float("nan") if is_constant(values) else least.auc - most.auc


def _follow(
    masking: Ablator,
    image: Tensor,
    order: Integers,
    ids: Integers,
    target: int | None,
    steps: int | None,
    batch_size: int,
    removed: bool,
) -> Curve:
    """Change the presence of segments in this order and follow the target."""
    ablator, size = as_ablator(masking), check_integer(batch_size, "batch_size", least=1)
    if as_picture(image, ids.shape).shape[0] != 1:
        raise InputError(
            f"image must be a single picture (1, 3, H, W), but a batch of {image.shape[0]} came: "
            "call once per picture."
        )
    cuts = order.size if steps is None else min(check_integer(steps, "steps", least=1), order.size)
    counts = np.round(np.linspace(0, order.size, cuts + 1)).astype(np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    keep = (place[None] < counts[:, None]) != removed
    # Presence goes out in batches, too: for thousands of segments it would not fit into memory.
    batches = (keep[first : first + size] for first in range(0, len(keep), size))
    chances = np.concatenate(
        [probabilities(ablator, image, presence_of(ids, part), size) for part in batches]
    )
    classes = chances[0 if removed else -1].argmax() if target is None else target
    followed, *more = map(int, as_classes(classes, "target", classes=chances.shape[1]))
    if more:
        raise InputError(f"target must be a single class, but {len(more) + 1} came: call once per class.")
    pixels = np.bincount(ids.ravel(), minlength=order.size)[order]
    fractions = np.concatenate([[0], np.cumsum(pixels)])[counts] / ids.size
    return Curve(ablator.name, followed, fractions, chances[:, followed])
