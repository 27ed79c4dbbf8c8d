"""Segments removed step by step: what several protocols have in common (section 4.1 of the paper)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...errors import InputError, choose
from ...metrics import auc, class_entropy, unchanged_predictions, wordnet_similarity
from .protocol import Row, Value, generator, grouped, mean

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["FRACTIONS", "ORDERS", "check_fractions", "removal_order", "removal_rows", "removal_summary"]

#: The fractions of segments that the paper removes.
FRACTIONS: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
#: At random, the most salient first, the least salient first.
ORDERS: tuple[str, ...] = ("random", "salient", "least")

_MEASURES = ("accuracy", "entropy", "wordnet", "unchanged", "probability")
_IMAGENET = 1000


def removal_order(
    order: str, segments: npt.NDArray[np.int64], mask: npt.NDArray[np.float64] | None, draw: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Which segment goes first, second and so on.

    The saliency of a segment is the sum of the mask over its pixels. Equally salient segments, as all that lie beside
    the object are, go in random order: by number they would go row by row.

    Args:
        order: "random", "salient" (the most salient first) or "least" (the least salient first).
        segments: int64 `(h, w)`, ids 0..K-1.
        mask: float64 `(h, w)`; not needed for "random".
        draw: Where the randomness comes from.

    Returns:
        int64 `(K,)`: the segments in the order of their removal.

    Raises:
        InputError: If there is no such order, or no mask for it.

    Example:
        >>> halves, mask = np.array([[0, 0, 1, 1]]), np.array([[0.0, 0.0, 0.0, 1.0]])
        >>> removal_order("salient", halves, mask, np.random.default_rng(0))
        array([1, 0])
    """
    choose(order, ORDERS, "order")
    count = int(segments.max()) + 1
    shuffled: npt.NDArray[np.int64] = draw.permutation(count)
    if order == "random":
        return shuffled
    if mask is None:
        raise InputError(f"order {order!r} needs an object mask, but there is none: choose 'random'.")
    salience = np.bincount(segments.ravel(), weights=mask.ravel(), minlength=count)[shuffled]
    found: npt.NDArray[np.int64] = shuffled[np.argsort(-salience if order == "salient" else salience, kind="stable")]
    return found


def removal_rows(
    subject: Asker,
    item: Item,
    masking: str,
    segments: str,
    orders: Sequence[str],
    fractions: Sequence[float],
    seed: int,
) -> Iterator[Row]:
    """Remove segments of a picture step by step.

    Args:
        subject: The model to ask.
        item: The picture. Without an object mask only "random" is measured, of the orders that are asked for.
        masking: The name of the masking.
        segments: The name of the segmentation.
        orders: Of `ORDERS`.
        fractions: Shares of the segments, 0 to 1; of K segments `round(fraction * K)` go. The paper's code rounds down.
        seed: What random orders are drawn from, together with the picture and the segmentation: the same for all
            maskings and models.

    Yields:
        For every order and fraction: order, fraction, segments_count, label, prediction, whole (the plain model's
        prediction for the whole picture), probability (of the label, or of `whole` where there is none).

    Raises:
        InputError: If the picture cannot be read, or no order is left for a picture without mask.
    """
    view, label, ids = subject.view(item), subject.label(item), subject.segments(item, segments)
    chosen = [order for order in orders if order == "random" or item.source is not None]
    mask = subject.mask(item) if chosen != ["random"] else None  # an error where none is left
    count, whole = int(ids.max()) + 1, int(view.whole.argmax())
    places, keep = [], []
    for order in chosen:
        gone = removal_order(order, ids, mask, generator(seed, item.name, segments))
        for fraction in fractions:
            row = np.ones(count, bool)
            row[gone[: round(fraction * count)]] = False
            places.append((order, fraction))
            keep.append(row)
    # Nothing or everything removed is the same in every order: asked once.
    once, where = np.unique(np.array(keep), axis=0, return_inverse=True)
    answers = subject.answers(item, masking, ids, once)[where.ravel()]
    for (order, fraction), answer in zip(places, answers, strict=True):
        yield {
            "order": order,
            "fraction": fraction,
            "segments_count": count,
            "label": label,
            "prediction": int(answer.argmax()),
            "whole": whole,
            "probability": float(answer[whole if label is None else label]),
        }


def removal_summary(rows: Iterable[Row]) -> list[Row]:
    """Curves of what becomes of predictions, and the areas under them.

    Args:
        rows: Rows of [`removal_rows`][] for many pictures.

    Returns:
        A row for every order and fraction, with order, fraction, n, accuracy (of the n pictures, those that have a
        label), entropy (of predicted classes, in nats), wordnet (similarity of prediction and label; None unless all of
        them are ImageNet classes), unchanged (share that keeps the plain model's prediction), probability; and then for
        every order a row whose fraction is None, with the area under each curve.

    Example:
        >>> row = {"order": "random", "label": 1, "prediction": 1, "whole": 1, "probability": 0.5}
        >>> found = removal_summary([row | {"fraction": 0.0}, row | {"fraction": 1.0, "prediction": 2}])
        >>> [(row["fraction"], row["accuracy"]) for row in found]
        [(0.0, 1.0), (1.0, 0.0), (None, 0.5)]
    """
    found: list[Row] = []
    for (order,), of_order in grouped(rows, "order").items():
        points = sorted(grouped(of_order, "fraction").items(), key=lambda pair: _number(pair[0][0]))
        curve: list[Row] = [{"order": order, "fraction": fraction, **_point(group)} for (fraction,), group in points]
        found.extend(curve)
        area: Row = {"order": order, "fraction": None, "n": min(int(_number(row["n"])) for row in curve)}
        for measure in _MEASURES:
            whole = len(curve) > 1 and all(row[measure] is not None for row in curve)
            heights = [_number(row[measure]) for row in curve] if whole else []
            area[measure] = auc([_number(row["fraction"]) for row in curve], heights) if whole else None
        found.append(area)
    return found


def check_fractions(fractions: Sequence[float], what: str) -> None:
    """Check shares that are settings.

    Args:
        fractions: Each from 0 to 1, all different.
        what: The setting's name.

    Raises:
        InputError: If they are not.

    Example:
        >>> check_fractions((0.0, 2.0), "fractions")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: fractions must be different numbers from 0 to 1, but 0.0, 2.0 came: mend them.
    """
    if not fractions or len(set(fractions)) < len(fractions) or not all(0 <= one <= 1 for one in fractions):
        raise InputError(
            f"{what} must be different numbers from 0 to 1, but {', '.join(map(str, fractions)) or 'nothing'} came: "
            "mend them."
        )


def _point(rows: list[Row]) -> Row:
    predictions, wholes = [_class(row["prediction"]) for row in rows], [_class(row["whole"]) for row in rows]
    pairs = [(_class(row["prediction"]), _class(row["label"])) for row in rows if row["label"] is not None]
    known = bool(pairs) and max(map(max, pairs)) < _IMAGENET
    return {
        "n": len(rows),
        "accuracy": mean(prediction == label for prediction, label in pairs),
        "entropy": class_entropy(predictions),
        "wordnet": wordnet_similarity(*map(list, zip(*pairs, strict=True))) if known else None,
        "unchanged": unchanged_predictions(wholes, predictions),
        "probability": mean(row["probability"] for row in rows),
    }


def _class(value: Value) -> int:
    return int(_number(value))


def _number(value: Value) -> float:
    return float(value) if value is not None else float("nan")
