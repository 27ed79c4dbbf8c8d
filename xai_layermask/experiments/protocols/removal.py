"""Segments removed step by step: what several protocols share (section 4.1 of the paper)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...errors import InputError, check_number, choose
from .protocol import Row, check_each, random_generator

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["FRACTIONS", "ORDERS", "check_fractions", "removal_order", "removal_rows"]

#: The fractions of segments that the paper removes.
FRACTIONS: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: At random, the most salient first, the least salient first.
ORDERS: tuple[str, ...] = ("random", "salient", "least")


def removal_order(
    order: str, segments: npt.NDArray[np.int64], mask: npt.NDArray[np.float64] | None, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The order in which segments are removed.

    The saliency of a segment is the sum of the mask over its pixels. Segments of equal saliency, such as all that lie
    beside the object, are shuffled: their ids go row by row.

    Args:
        order: "random", "salient" (the most salient first) or "least" (the least salient first).
        segments: int64 `(h, w)`, ids 0..K-1.
        mask: float64 `(h, w)`; may be None for "random".
        generator: Source of randomness.

    Returns:
        int64 `(K,)`: segment ids, the first to be removed first.

    Raises:
        InputError: If the order is unknown, or it needs a mask.

    Example:
        >>> halves, mask = np.array([[0, 0, 1, 1]]), np.array([[0.0, 0.0, 0.0, 1.0]])
        >>> removal_order("salient", halves, mask, np.random.default_rng(0))
        array([1, 0])
    """
    choose(order, ORDERS, "order")
    count = int(segments.max()) + 1
    shuffled: npt.NDArray[np.int64] = generator.permutation(count)
    if order == "random":
        return shuffled
    if mask is None:
        raise InputError.expected(f"an object mask for order {order!r}", "none", "use 'random'")
    saliency = np.bincount(segments.ravel(), weights=mask.ravel(), minlength=count)[shuffled]
    found: npt.NDArray[np.int64] = shuffled[np.argsort(-saliency if order == "salient" else saliency, kind="stable")]
    return found


def removal_rows(
    classifier: MaskedClassifier,
    item: Item,
    masking: str,
    segments: str,
    orders: Sequence[str],
    fractions: Sequence[float],
    seed: int,
) -> Iterator[Row]:
    """Remove segments of a picture step by step.

    Args:
        classifier: The model.
        item: The picture. Without an object mask only "random" is measured.
        masking: Name of the masking.
        segments: Name of the segmentation.
        orders: Some of `ORDERS`.
        fractions: From 0 to 1. Of K segments, `round(fraction * K)` are removed; the paper's code rounds down.
        seed: Seed of random orders, which also depend on the picture and the segmentation.

    Yields:
        For every order and fraction: order, fraction, segments_count, label, prediction, whole (the model's prediction
        for the whole picture), probability (of the label; of `whole` if there is none).

    Raises:
        InputError: If the picture cannot be read, or every order needs a mask and it has none.
    """
    view, label, ids = classifier.view(item), classifier.label(item), classifier.segments(item, segments)
    chosen = [order for order in orders if order == "random" or item.source is not None]
    mask = classifier.mask(item) if chosen != ["random"] else None  # raises if no order is left
    count, whole = int(ids.max()) + 1, int(view.whole.argmax())
    steps, coalitions = [], []
    for order in chosen:
        removed = removal_order(order, ids, mask, random_generator(seed, item.name, segments))
        for fraction in fractions:
            present = np.ones(count, bool)
            present[removed[: round(fraction * count)]] = False
            steps.append((order, fraction))
            coalitions.append(present)
    # All orders share the coalitions with everything and nothing: predicted once.
    distinct, where = np.unique(np.array(coalitions), axis=0, return_inverse=True)
    predictions = classifier.predictions(item, masking, ids, distinct)[where.ravel()]
    for (order, fraction), probabilities in zip(steps, predictions, strict=True):
        yield {
            "order": order,
            "fraction": fraction,
            "segments_count": count,
            "label": label,
            "prediction": int(probabilities.argmax()),
            "whole": whole,
            "probability": float(probabilities[whole if label is None else label]),
        }


def check_fractions(fractions: Sequence[float], what: str) -> None:
    """Check a setting that holds fractions.

    Example:
        >>> check_fractions((0.0, 2.0), "fractions")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a number from 0 to 1 for fractions, got 2.0
    """
    check_each(fractions, lambda one: check_number(one, what, least=0, most=1), what)
