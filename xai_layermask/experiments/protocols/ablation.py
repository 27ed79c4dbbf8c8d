"""Variants of layer masking (appendices 2 and 3, table 3, figure 9), and how many cells a window needs (ours)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import choose
from ...explain.sampling import Samples, cosine_kernel
from .lime import check_counts, fit_lime, is_likely, lime_scores
from .protocol import Protocol, Row, check_each, random_generator
from .removal import FRACTIONS, ORDERS, check_fractions, removal_rows

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Ablation"]


@dataclass(frozen=True)
class Ablation(Protocol):
    """Variants of layer masking: robustness to removal, and LIME that removes more or fewer segments.

    The paper varies the padding ("layer-zero" is zero padding, "partial" is partial convolution) and how deep masking
    goes. Depth needs names of the model's own modules: in torchvision's ResNet, "layer-until:relu" masks the first
    convolution, BatchNorm and ReLU, and "layer-until:layer2" the first two residual blocks. ("layer-until:conv1" zeroes
    absent cells before the norm, whose bias then fills them.) Table 3 averages over segmentations and orders:
    `xai-layermask evaluate paper --table 3`. Beyond the paper are thresholds ("layer-threshold:0.3"), and LIME with
    different fractions of segments removed: a prediction that survives removal changes less with each segment, so that
    robustness may cost alignment.

    Rows have variant (the masking's name) and part:

    - "robustness", one for each fraction: see [`removal_rows`][];
    - "lime", one for each of `removals`: removed_at, kept (the label is among the `among` likeliest classes, and there
      are a label and a mask; if not, there is one row with only kept, label and whole), label, whole, alignment,
      jaccard, r2. Each sample removes each segment with this probability; all variants have the same samples.

    Attributes:
        orders: Orders of removal, some of "random", "salient" and "least"; all three for table 3.
        fractions: The fractions of segments that are removed for robustness.
        removals: The probabilities with which LIME removes each segment; none leaves LIME out.
        samples: Number of LIME's samples.
        k: Number of best segments, for jaccard.
        among: Rank that the label must reach in the model's prediction, for LIME.
    """

    name: ClassVar[str] = "ablation"
    maskings: ClassVar[tuple[str, ...]] = (
        "layer", "layer-zero", "partial", "layer-threshold:0.1", "layer-threshold:0.2", "layer-threshold:0.3"
    )  # fmt: skip
    segments: ClassVar[tuple[str, ...]] = ("patches:16",)

    orders: tuple[str, ...] = ("random",)
    fractions: tuple[float, ...] = FRACTIONS
    removals: tuple[float, ...] = (0.3, 0.5, 0.7)
    samples: int = 500
    k: int = 20
    among: int = 3

    def __post_init__(self) -> None:
        check_each(self.orders, lambda order: choose(order, ORDERS, "orders"), "orders")
        check_fractions(self.fractions, "fractions")
        if self.removals:
            check_fractions(self.removals, "removals")
        check_counts(self.samples, self.k, self.among)

    def passes(self, height: int, width: int, segments: str) -> int:
        ends = sum(fraction in (0, 1) for fraction in self.fractions)
        robustness = ends + len(self.orders) * (len(self.fractions) - ends)
        return 1 + robustness + len(self.removals) * (self.samples - 1)

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        for row in removal_rows(classifier, item, masking, segments, self.orders, self.fractions, seed):
            yield {"part": "robustness", "variant": masking, **row}
        if self.removals:
            for row in self._lime(classifier, item, masking, segments, seed):
                yield {"part": "lime", "variant": masking, **row}

    def _lime(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        label, whole = classifier.label(item), classifier.view(item).whole
        known: Row = {"label": label, "whole": int(whole.argmax())}
        if label is None or item.source is None or not is_likely(whole, label, self.among):
            yield {"kept": False, **known}
            return
        mask, ids = classifier.mask(item), classifier.segments(item, segments)
        uniform = random_generator(seed, item.name, "lime").random((self.samples, int(ids.max()) + 1))
        for removed in self.removals:
            coalitions = uniform >= removed
            coalitions[0] = True
            samples = Samples(coalitions, cosine_kernel(coalitions))
            fit = fit_lime(classifier, item, masking, ids, label, samples)
            yield {"kept": True, "removed_at": removed, **known, **lime_scores(fit, ids, mask, self.k)}
