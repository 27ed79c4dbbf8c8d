"""LIME under different maskings (section 4.4, tables 2 and 12)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...errors import InputError, choose
from ...explain.sampling import LIME_SCHEMES
from .protocol import Protocol, Row, defined, generator, labelled, mean

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Lime", "is_likely"]


@dataclass(frozen=True)
class Lime(Protocol):
    """The label of a picture is explained; do the scores find the object, and what the model relies on?

    One row for each picture:

    - kept: the label is among the model's `among` likeliest classes; if not, the columns after label, whole and
      probability are not there;
    - label; whole, the plain model's prediction; probability, that of the label;
    - alignment, and jaccard of the `k` best segments, with the object mask; None where not defined;
    - ablated: the prediction without the `k` best segments, removed by the `ablator`;
    - r2 of the surrogate; segments_count.

    The samples are the same for all maskings of a picture. The paper's published code draws 512 and cuts by quickshift
    (kernel size 2, maximal distance 200, ratio 0.2), 16 x 16 patches and SLIC with 250 segments; it keeps the pictures
    that are classified correctly, where the paper says the top 3.

    Attributes:
        samples: How many choices of segments the model answers.
        sampling: How they depend on each other: "plain" as in the paper, or another scheme of [`lime_samples`][].
        k: How many segments are the best.
        among: In how many of the likeliest classes the label must be.
        ablator: The masking that removes the best segments, grey in the paper whatever has made the scores.
    """

    name: ClassVar[str] = "lime"
    needs_masks: ClassVar[bool] = True
    segments: ClassVar[tuple[str, ...]] = ("patches:16", "slic:250", "quickshift")

    samples: int = 512
    sampling: str = "plain"
    k: int = 20
    among: int = 3
    ablator: str = "grey"

    def __post_init__(self) -> None:
        for name, least in (("samples", 2), ("k", 1), ("among", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but {getattr(self, name)!r} came: choose another.")
        choose(self.sampling, LIME_SCHEMES, "sampling")

    def passes(self, height: int, width: int, segments: str) -> int:
        return self.samples + 2

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        label, whole = labelled(subject, item), subject.view(item).whole
        known: Row = {"label": label, "whole": int(whole.argmax()), "probability": float(whole[label])}
        if not is_likely(whole, label, self.among):
            yield {"kept": False, **known}
            return
        mask, ids = subject.mask(item), subject.segments(item, segments)
        drawn = int(generator(seed, item.name, "lime").integers(2**31))
        explanation = subject.explain(item, masking, ids, label, self.samples, self.sampling, drawn)
        keep = np.ones((1, explanation.scores.shape[1]), bool)
        keep[0, explanation.top(self.k)] = False
        yield {
            "kept": True,
            **known,
            "alignment": defined(explanation.alignment(mask)),
            "jaccard": defined(explanation.jaccard(mask, self.k)),
            "ablated": int(subject.answers(item, self.ablator, ids, keep).argmax()),
            "r2": defined(explanation.r2[0]),
            "segments_count": keep.shape[1],
        }

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate the pictures that are kept.

        Args:
            rows: Rows of many pictures.

        Returns:
            One row with n, left_out (pictures that are not kept), the means of alignment, jaccard and r2 where they are
            defined, and ablation (the share that still gets its label without the best segments: low is good).

        Example:
            >>> row = {"kept": True, "label": 1, "alignment": 0.5, "jaccard": None, "ablated": 2, "r2": 0.9}
            >>> Lime.summarise([row, {"kept": False}])
            [{'n': 1, 'left_out': 1, 'alignment': 0.5, 'jaccard': None, 'r2': 0.9, 'ablation': 0.0}]
        """
        every = list(rows)
        kept = [row for row in every if row["kept"]]
        found: Row = {"n": len(kept), "left_out": len(every) - len(kept)}
        for column in ("alignment", "jaccard", "r2"):
            found[column] = mean(row[column] for row in kept)
        return [found | {"ablation": mean(row["ablated"] == row["label"] for row in kept)}]


def is_likely(probabilities: np.ndarray, label: int, among: int) -> bool:
    """Whether a class is among the likeliest.

    Args:
        probabilities: `(classes,)`.
        label: The class.
        among: How many classes are the likeliest.

    Returns:
        Whether fewer than so many classes are likelier.

    Example:
        >>> is_likely(np.array([0.5, 0.3, 0.2]), 2, 2)
        False
    """
    return int((probabilities > probabilities[label]).sum()) < among
