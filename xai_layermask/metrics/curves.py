"""Curves of the target's probability while segments are removed or inserted, and the areas under them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ..errors import InputError, check_integer, choose
from ..segments import presence_of
from .ablator import Ablator, as_ablator, as_picture, probabilities
from .inputs import Array, Floats, Integers, as_classes, as_vector, is_constant, ranking, scored_segments

__all__ = ["Curve", "auc", "deletion_curve", "insertion_curve", "symmetric_relevance_gain"]


def auc(x: Array, y: Array, rule: str = "trapezoid") -> float:
    r"""Area under a curve, by the trapezoidal rule or by the paper's.

    $$\text{trapezoid: } \sum_j \tfrac12 (x_{j+1} - x_j)(y_{j+1} + y_j), \qquad
    \text{mean: } \frac{x_P - x_1}{P} \sum_j y_j$$

    Over fractions from 0 to 1 both are a mean height of the curve. The area is not divided by the range of x.

    Args:
        x: Abscissae `(P,)`, P >= 2, not decreasing.
        y: Ordinates `(P,)`.
        rule: "trapezoid", which depends on the distances of the points; or "mean", the plain mean of the ordinates
            times the range of x. The paper's tables are means over the eleven fractions 0, 0.1, ... 1: its published
            arrays reproduce tables 4 and 5 with this rule only.

    Raises:
        InputError: If there are fewer than two points, x and y differ in length, x decreases, or the rule is unknown.

    Example:
        >>> auc([0.0, 0.5, 1.0], [1.0, 0.5, 0.5])
        0.625
        >>> round(auc([0.0, 0.5, 1.0], [1.0, 0.5, 0.5], rule="mean"), 3)
        0.667
    """
    choose(rule, ("trapezoid", "mean"), "rule")
    across, height = as_vector(x, "x"), as_vector(y, "y")
    if across.size != height.size or across.size < 2:
        raise InputError.expected("x and y of the same length, at least 2", f"{across.size} and {height.size}")
    widths = np.diff(across)
    if (widths < 0).any():
        raise InputError.expected("sorted numbers for x", "decreasing ones", "sort the points by x first")
    if rule == "mean":
        return float((across[-1] - across[0]) * height.mean())
    return float((widths * (height[1:] + height[:-1]) / 2).sum())


@dataclass(frozen=True, eq=False)
class Curve:
    """The target's probability along a sequence of presence masks.

    Attributes:
        masking: The name of the masking.
        target: The class.
        fractions: Share of the pixels removed (deletion) or inserted (insertion), from 0 to 1, `(P,)`.
        values: Probability of the target, `(P,)`.

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
        """The area under the curve by the trapezoidal rule, in [0, 1]."""
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
    """Probability of the target while segments are removed, most or least influential first.

    Good scores have a small area with `first="most"` (deletion, MIF), and a large one with `first="least"` (LIF).
    One order is the reverse of the other: of equal scores the lower id counts as more influential.

    Args:
        masking: A `LayerMask`, a `Fill`, or any callable of image and presence with a `name`.
        image: `(1, 3, H, W)`, normalised for the model.
        scores: One number for each segment, `(K,)`.
        segments: Integers `(H, W)` with ids 0..K-1.
        target: The class; by default the prediction for the whole image.
        first: "most" or "least" influential segments first.
        steps: Number of steps, with numbers of segments as equal as possible; by default and at most K.
        batch_size: Presence masks per forward pass.

    Returns:
        The curve, from nothing removed to everything removed.

    Raises:
        InputError: If an argument is invalid, or two do not fit each other.

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
    return _follow(masking, image, order, ids, target, steps, batch_size, removing=True)


def insertion_curve(
    masking: Ablator,
    image: Tensor,
    scores: Array,
    segments: Array,
    target: int | None = None,
    steps: int | None = None,
    batch_size: int = 32,
) -> Curve:
    """Probability of the target while segments are inserted into an empty image, most influential first.

    Good scores have a large area. The images are those of removing the least influential segments first, in
    reverse order. Arguments and errors are those of [`deletion_curve`][].

    Returns:
        The curve, from nothing present to everything present.

    Example:
        >>> import torch
        >>> class Bright:  # class 0 as bright as the picture
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         return (image * presence).mean((1, 2, 3))[:, None] * torch.tensor([1.0, 0.0])
        >>> insertion_curve(Bright(), torch.ones(1, 3, 2, 2), [0.9, 0.2], [[0, 1]] * 2).values.round(3).tolist()
        [0.5, 0.622, 0.731]
    """
    values, ids = scored_segments(scores, segments)
    return _follow(masking, image, ranking(values), ids, target, steps, batch_size, removing=False)


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

    with $p(t)$ the target's probability once the share t of the pixels is removed. Bluecher, Vielhaben & Strodthoff,
    "Decoupling Pixel Flipping and Occlusion Strategy for Consistent XAI Benchmarks" (TMLR 2024), propose it because
    its rankings hardly depend on how pixels are removed: the gains over a random order in both directions add up, and
    the random order cancels. Arguments and errors are those of [`deletion_curve`][].

    Returns:
        A number in [-1, 1]. High is good, random scores have 0 in expectation, and reversed scores have the opposite
        sign. nan for constant scores, which give no order.

    Example:
        >>> import torch
        >>> class Rows:  # class 0 as bright as the upper row
        ...     name = "zero"
        ...     def __call__(self, image, presence):
        ...         return (image * presence).mean(-1)[:, 0]
        >>> round(symmetric_relevance_gain(Rows(), torch.ones(1, 3, 2, 2), [0.9, 0.2], [[0] * 2, [1] * 2], target=0), 3)
        0.231
    """
    values, ids = scored_segments(scores, segments)
    order = ranking(values)
    most = _follow(masking, image, order, ids, target, steps, batch_size, removing=True)
    least = _follow(masking, image, order[::-1], ids, most.target, steps, batch_size, removing=True)
    # Only after all arguments have been checked.
    return float("nan") if is_constant(values) else least.auc - most.auc


def _follow(
    masking: Ablator,
    image: Tensor,
    order: Integers,
    ids: Integers,
    target: int | None,
    steps: int | None,
    batch_size: int,
    removing: bool,
) -> Curve:
    """Remove or insert segments in this order."""
    ablator, batch_size = as_ablator(masking), check_integer(batch_size, "batch_size", least=1)
    if as_picture(image, ids.shape).shape[0] != 1:
        raise InputError.expected("one image (1, 3, H, W)", f"a batch of {image.shape[0]}", "call once per picture")
    cuts = order.size if steps is None else min(check_integer(steps, "steps", least=1), order.size)
    counts = np.round(np.linspace(0, order.size, cuts + 1)).astype(np.int64)
    place = np.empty_like(order)
    place[order] = np.arange(order.size)
    coalitions = (place[None] < counts[:, None]) != removing
    chances = probabilities(
        ablator, image, lambda rows: presence_of(ids, coalitions[rows]), len(coalitions), batch_size
    )
    classes = chances[0 if removing else -1].argmax() if target is None else target
    followed, *more = map(int, as_classes(classes, "target", classes=chances.shape[1]))
    if more:
        raise InputError.expected("a single class for target", str(len(more) + 1), "call once per class")
    pixels = np.bincount(ids.ravel(), minlength=order.size)[order]
    fractions = np.concatenate([[0], np.cumsum(pixels)])[counts] / ids.size
    return Curve(ablator.name, followed, fractions, chances[:, followed])
