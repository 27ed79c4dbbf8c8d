"""LIME under different maskings (section 4.4, tables 2 and 12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ...catalog import METHODS
from ...errors import check_integer, choose
from ...explain.sampling import Samples, lime_samples
from ...explain.surrogate import Fit, fit
from ...maskings.registry import pin
from ...metrics import alignment_score, topk_jaccard
from .protocol import Protocol, Row, finite, random_generator, require_label

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Lime", "check_counts", "fit_lime", "is_likely", "lime_scores"]


@dataclass(frozen=True)
class Lime(Protocol):
    """The label of a picture is explained: do the scores find the object, and what the model relies on?

    One row for each picture:

    - kept: the label is among the model's `among` likeliest classes; if not, only the columns up to probability exist;
    - label; whole, the model's prediction for the whole picture; probability, that of the label;
    - alignment, and jaccard of the `k` best segments, with the object mask; None if undefined;
    - ablated: the prediction without the `k` best segments, removed by the `ablator`;
    - r2, leave-one-out, of the surrogate; reliability of its scores; segments_count.

    All maskings of a picture have the same samples. Samples, segmentations, `k` and `among` are those of section 4.4
    and appendix 1 of the paper.

    Attributes:
        samples: Number of samples.
        sampling: Sampling scheme: "plain" as in the paper, or another one of [`lime_samples`][].
        k: Number of best segments.
        among: Rank that the label must reach in the model's prediction.
        ablator: Masking that removes the best segments; grey in the paper, whatever the scores are from.
    """

    name: ClassVar[str] = "lime"
    needs_masks: ClassVar[bool] = True
    segments: ClassVar[tuple[str, ...]] = ("patches:16", "slic:196", "quickshift")

    samples: int = 500
    sampling: str = "plain"
    k: int = 20
    among: int = 3
    ablator: str = "grey"

    def __post_init__(self) -> None:
        check_counts(self.samples, self.k, self.among)
        choose(self.sampling, METHODS["lime"].samplings, "sampling")
        object.__setattr__(self, "ablator", pin(self.ablator))

    def passes(self, height: int, width: int, segments: str) -> int:
        return self.samples + 2

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        label, whole = require_label(classifier, item), classifier.view(item).whole
        known: Row = {"label": label, "whole": int(whole.argmax()), "probability": float(whole[label])}
        if not is_likely(whole, label, self.among):
            yield {"kept": False, **known}
            return
        mask, ids = classifier.mask(item), classifier.segments(item, segments)
        count = int(ids.max()) + 1
        drawn = np.random.default_rng(int(random_generator(seed, item.name, "lime").integers(2**31)))
        found = fit_lime(classifier, item, masking, ids, label, lime_samples(count, self.samples, drawn, self.sampling))
        rest = np.ones((1, count), bool)
        rest[0, np.argsort(-found.scores[0], kind="stable")[: self.k]] = False
        yield {
            "kept": True,
            **known,
            **lime_scores(found, ids, mask, self.k),
            "ablated": int(classifier.predictions(item, self.ablator, ids, rest).argmax()),
            "segments_count": count,
        }


def check_counts(samples: int, k: int, among: int) -> None:
    """Check the settings that protocols with LIME share."""
    check_integer(samples, "samples", least=2)
    check_integer(k, "k", least=1)
    check_integer(among, "among", least=1)


def is_likely(probabilities: npt.NDArray[np.float64], label: int, among: int) -> bool:
    """Whether a class is among the `among` likeliest.

    Example:
        >>> is_likely(np.array([0.5, 0.3, 0.2]), label=2, among=2)
        False
    """
    return int((probabilities > probabilities[label]).sum()) < among


def fit_lime(
    classifier: MaskedClassifier,
    item: Item,
    masking: str,
    segments: npt.NDArray[np.int64],
    label: int,
    samples: Samples,
) -> Fit:
    """Fit LIME's surrogate of a class. The first sample, with all segments, is the whole picture."""
    predictions = classifier.predictions(item, masking, segments, samples.coalitions[1:])[:, [label]]
    return fit("lime", samples, np.concatenate([classifier.view(item).whole[None, [label]], predictions]))


def lime_scores(found: Fit, segments: npt.NDArray[np.int64], mask: npt.NDArray[np.float64], k: int) -> Row:
    """Alignment and overlap of LIME's scores with the object mask, and the fit of the surrogate."""
    return {
        "alignment": finite(alignment_score(found.scores[0], segments, mask)),
        "jaccard": finite(topk_jaccard(found.scores[0], segments, mask, k)),
        "r2": finite(found.r2[0]),
        "reliability": float(found.reliability[0]),
    }
