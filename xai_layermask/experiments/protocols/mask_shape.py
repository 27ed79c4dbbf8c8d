"""What the shape of a mask gives away (section 4.2, figures 6, 7, 10 and 11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from .protocol import Protocol, Row, grouped, labelled, mean

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["MaskShape", "broken"]


@dataclass(frozen=True)
class MaskShape(Protocol):
    """The object is removed, and once more a mask of the same size that has lost its shape.

    Where the model still names the object that is gone, it has read the shape of the hole (or the background); where
    it fails with the broken mask, which leaves much of the object, the hole has misled it. A masking without bias has a
    low accuracy for the first and a high one for the second.

    One row for each picture:

    - label; whole, the plain model's prediction;
    - kept: the picture is classified correctly, and its object covers some of what the model sees, but not all;
    - object_out: the prediction without the object; broken_out: the prediction without what the broken mask covers;
    - object_share: the share of pixels that the object covers.

    Pixels where the mask is at least one half are the object.
    """

    name: ClassVar[str] = "mask-shape"
    needs_masks: ClassVar[bool] = True

    def passes(self, height: int, width: int, segments: str) -> int:
        return 3

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        label, whole = labelled(subject, item), int(subject.view(item).whole.argmax())
        gone = subject.mask(item) >= 0.5
        # Four regions (in the object or not, in the broken mask or not), and which of them stay.
        numbers = gone + 2 * broken(gone)
        found, ids = np.unique(numbers, return_inverse=True)
        keep = np.stack([found % 2 == 0, found < 2])
        answers = subject.answers(item, masking, ids.reshape(gone.shape).astype(np.int64), keep).argmax(axis=1)
        share = float(gone.mean())
        yield {
            "label": label,
            "whole": whole,
            "kept": whole == label and 0 < share < 1,
            "object_out": int(answers[0]),
            "broken_out": int(answers[1]),
            "object_share": share,
        }

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate the pictures that are kept.

        Args:
            rows: Rows of many pictures.

        Returns:
            A row for every class, with label, n, object_out and broken_out (accuracies), difference (broken_out -
            object_out).
            Then a row whose label is None over all n pictures, with classes (their number) and class_object_out,
            class_broken_out, class_difference, the means over classes. Nothing where no picture is kept.

        Example:
            >>> row = {"kept": True, "label": 1, "whole": 1, "object_out": 1, "broken_out": 1}
            >>> MaskShape.summarise([row, row | {"object_out": 5}])[0]
            {'label': 1, 'n': 2, 'object_out': 0.5, 'broken_out': 1.0, 'difference': 0.5}
        """
        kept = [row for row in rows if row["kept"]]
        if not kept:
            return []
        found = [{"label": label} | _accuracies(group) for (label,), group in grouped(kept, "label").items()]
        measures = ("object_out", "broken_out", "difference")
        classes: Row = {f"class_{measure}": mean(row[measure] for row in found) for measure in measures}
        return [*found, {"label": None} | _accuracies(kept) | {"classes": len(found)} | classes]


def broken(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Break a mask into four quarters, and send each to the opposite corner.

    Args:
        mask: `(h, w)`.

    Returns:
        `(h, w)`, as much of it set as before; where a side is odd, its halves differ by a pixel.

    Example:
        >>> broken(np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]))
        array([[0, 0, 0, 0],
               [0, 0, 0, 0],
               [0, 0, 1, 0],
               [0, 0, 0, 0]])
    """
    return np.roll(mask, (mask.shape[0] // 2, mask.shape[1] // 2), axis=(0, 1))


def _accuracies(rows: list[Row]) -> Row:
    parts = [mean(row[column] == row["label"] for row in rows) or 0.0 for column in ("object_out", "broken_out")]
    return {"n": len(rows), "object_out": parts[0], "broken_out": parts[1], "difference": parts[1] - parts[0]}
