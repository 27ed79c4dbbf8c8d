"""Robustness to the removal of segments (section 4.1, tables 1 and 4 to 11)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import choose
from .protocol import Protocol, Row, check_each
from .removal import FRACTIONS, ORDERS, check_fractions, removal_rows

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Robustness"]


@dataclass(frozen=True)
class Robustness(Protocol):
    """Segments are removed in three orders: how long does the model still recognise the picture?

    One row for each order and fraction, see [`removal_rows`][]. Labels are needed only for measures of accuracy, masks
    only for the orders by saliency.

    The segmentations are those of appendix 1 of the paper, which takes Salient ImageNet's saliency maps for the orders.
    Here saliency is the object mask, and SLIC has this package's compactness.

    Attributes:
        orders: Some of "random", "salient" and "least".
        fractions: The fractions of segments that are removed.
    """

    name: ClassVar[str] = "robustness"
    segments: ClassVar[tuple[str, ...]] = ("patches:16", "slic:196", "quickshift")

    orders: tuple[str, ...] = ORDERS
    fractions: tuple[float, ...] = FRACTIONS

    def __post_init__(self) -> None:
        check_each(self.orders, lambda order: choose(order, ORDERS, "orders"), "orders")
        check_fractions(self.fractions, "fractions")

    def passes(self, height: int, width: int, segments: str) -> int:
        ends = sum(fraction in (0, 1) for fraction in self.fractions)
        return 1 + ends + len(self.orders) * (len(self.fractions) - ends)

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        yield from removal_rows(classifier, item, masking, segments, self.orders, self.fractions, seed)
