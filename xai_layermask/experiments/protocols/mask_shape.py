"""What the shape of a mask reveals (section 4.2, figures 6, 7, 10 and 11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .protocol import Protocol, Row, require_label

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["MaskShape", "broken"]


@dataclass(frozen=True)
class MaskShape(Protocol):
    """The object is removed, and then the same area with a mask that has lost the object's shape.

    If the model still names the removed object, it has read the shape of the hole (or the background). If it fails with
    the broken mask, which leaves much of the object, the hole has misled it. A masking without bias has low accuracy
    for the first and high accuracy for the second.

    One row for each picture:

    - label; name, that of its class, if the model has names; whole, the model's prediction for the whole picture;
    - kept: whether the whole picture is classified correctly, and its object covers part of it;
    - object_out: the prediction without the object; broken_out: the prediction without the area of the broken mask;
    - object_share: the fraction of pixels that the object covers.

    The object is where the mask is at least 0.5.
    """

    name: ClassVar[str] = "mask-shape"
    needs_masks: ClassVar[bool] = True

    def passes(self, height: int, width: int, segments: str) -> int:
        return 3

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        label, whole = require_label(classifier, item), int(classifier.view(item).whole.argmax())
        object_ = classifier.mask(item) >= 0.5
        # Up to four regions: inside or outside the object, inside or outside the broken mask.
        regions, ids = np.unique(object_ + 2 * broken(object_), return_inverse=True)
        coalitions = np.stack([regions % 2 == 0, regions < 2])
        segmentation = ids.reshape(object_.shape).astype(np.int64)
        predictions = classifier.predictions(item, masking, segmentation, coalitions).argmax(axis=1)
        share = float(object_.mean())
        yield {
            "label": label,
            "name": classifier.labels[label] if classifier.labels else None,
            "whole": whole,
            "kept": whole == label and 0 < share < 1,
            "object_out": int(predictions[0]),
            "broken_out": int(predictions[1]),
            "object_share": share,
        }


def broken(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Break a mask into four quarters and move each to the opposite corner.

    Args:
        mask: `(h, w)`.

    Returns:
        `(h, w)`, with the same values; if a side is odd, its halves differ by a pixel.

    Example:
        >>> broken(np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
        array([[0, 0, 0, 0],
               [0, 0, 0, 0],
               [0, 0, 1, 0],
               [0, 0, 0, 0]])
    """
    return np.roll(mask, (mask.shape[0] // 2, mask.shape[1] // 2), axis=(0, 1))
