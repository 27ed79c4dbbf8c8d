"""What layer masking is made of (table 3, figure 9), and how many cells a window needs (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...errors import InputError
from ...explain.sampling import Samples, cosine_kernel
from ...explain.surrogate import ridge
from ...metrics import alignment_score, topk_jaccard
from .lime import is_likely
from .protocol import Protocol, Row, defined, generator, grouped, mean
from .removal import FRACTIONS, check_fractions, removal_rows, removal_summary

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Ablation"]


@dataclass(frozen=True)
class Ablation(Protocol):
    """Variants of layer masking: robustness to random removal, and LIME that removes more or fewer segments.

    The paper varies the padding ("layer-zero" is its "no padding", "partial" is partial convolution) and how deep
    masking goes ("first convolution layer", "first two resnet blocks"). Depth needs names of the model's own modules,
    for a ResNet "layer-until:conv1" and "layer-until:layer2": ask for them as maskings. Beyond the paper are thresholds
    ("layer-threshold:0.3"), and LIME with different shares of segments removed: a prediction that survives removal
    moves less for each segment, so that robustness may cost alignment.

    Rows have variant (the masking's name) and part:

    - "robustness", one for each fraction: see [`removal_rows`][];
    - "lime", one for each share in `removals`: removed_at, kept (the label is among the `among` likeliest classes, and
      there are a label and a mask; if not, this is the only such row and has only kept, label and whole), label, whole,
      alignment, jaccard, r2. Samples are those that remove each segment with this chance, the same for all variants.

    Attributes:
        fractions: The shares of segments that are removed.
        removals: The chances with which LIME removes each segment; none leaves LIME out.
        samples: How many choices of segments LIME asks for.
        k: How many segments are the best, for jaccard.
        among: In how many of the likeliest classes the label must be for LIME.
    """

    name: ClassVar[str] = "ablation"
    maskings: ClassVar[tuple[str, ...]] = (
        "layer", "layer-zero", "partial", "layer-threshold:0.1", "layer-threshold:0.2", "layer-threshold:0.3"
    )  # fmt: skip
    segments: ClassVar[tuple[str, ...]] = ("patches:16",)

    fractions: tuple[float, ...] = FRACTIONS
    removals: tuple[float, ...] = (0.3, 0.5, 0.7)
    samples: int = 512
    k: int = 20
    among: int = 3

    def __post_init__(self) -> None:
        check_fractions(self.fractions, "fractions")
        if self.removals:
            check_fractions(self.removals, "removals")
        for name, least in (("samples", 2), ("k", 1), ("among", 1)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be at least {least}, but {getattr(self, name)!r} came: choose another.")

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + len(self.fractions) + len(self.removals) * (self.samples - 1)

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        for row in removal_rows(subject, item, masking, segments, ("random",), self.fractions, seed):
            yield {"part": "robustness", "variant": masking, **row}
        if self.removals:
            for row in self._lime(subject, item, masking, segments, seed):
                yield {"part": "lime", "variant": masking, **row}

    def _lime(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        label, whole = subject.label(item), subject.view(item).whole
        known: Row = {"label": label, "whole": int(whole.argmax())}
        if label is None or item.source is None or not is_likely(whole, label, self.among):
            yield {"kept": False, **known}
            return
        mask, ids = subject.mask(item), subject.segments(item, segments)
        chances = generator(seed, item.name, "lime").random((self.samples, int(ids.max()) + 1))
        for removed in self.removals:
            keep = chances >= removed
            keep[0] = True
            answers = subject.answers(item, masking, ids, keep[1:])[:, [label]]
            fit = ridge(Samples(keep, cosine_kernel(keep)), np.concatenate([whole[None, [label]], answers]))
            yield {
                "kept": True,
                "removed_at": removed,
                **known,
                "alignment": defined(alignment_score(fit.scores[0], ids, mask)),
                "jaccard": defined(topk_jaccard(fit.scores[0], ids, mask, self.k)),
                "r2": defined(fit.r2[0]),
            }

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate.

        Args:
            rows: Rows of many pictures.

        Returns:
            Rows of [`removal_summary`][] with part "robustness"; and for every removed_at a row with part "lime",
            removed_at, n, and the means of alignment, jaccard and r2.
        """
        parts = {part: group for (part,), group in grouped(rows, "part").items()}
        found: list[Row] = [{"part": "robustness", **row} for row in removal_summary(parts.get("robustness", []))]
        kept = [row for row in parts.get("lime", []) if row["kept"]]
        for (removed,), group in grouped(kept, "removed_at").items():
            means = {column: mean(row[column] for row in group) for column in ("alignment", "jaccard", "r2")}
            found.append({"part": "lime", "removed_at": removed, "n": len(group), **means})
        return found
