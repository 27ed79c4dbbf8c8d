"""Robustness to the removal of segments (section 4.1, tables 1 and 4 to 11)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import InputError, choose
from .protocol import Protocol, Row
from .removal import FRACTIONS, ORDERS, check_fractions, removal_rows, removal_summary

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Robustness"]


@dataclass(frozen=True)
class Robustness(Protocol):
    """Segments are removed in three orders; how far does the model still know the picture?

    Rows, one for each order and fraction: see [`removal_rows`][]. Pictures need no label for what depends on none, and
    no mask for the random order.

    The paper takes Salient ImageNet's core masks for saliency. Its published code calls SLIC with scikit-image's own
    settings (about 100 segments) and quickshift with kernel size 4, and leaves out pictures with more than 200
    segments; here SLIC is "slic:100", with this package's compactness, quickshift has kernel size 2, and no picture is
    left out.

    Attributes:
        orders: Of "random", "salient" and "least".
        fractions: The shares of segments that are removed.
    """

    name: ClassVar[str] = "robustness"
    segments: ClassVar[tuple[str, ...]] = ("patches:16", "slic:100", "quickshift")

    orders: tuple[str, ...] = ORDERS
    fractions: tuple[float, ...] = FRACTIONS

    def __post_init__(self) -> None:
        for order in self.orders:
            choose(order, ORDERS, "orders")
        if not self.orders or len(set(self.orders)) < len(self.orders):
            raise InputError(
                f"orders must be different ones, but {', '.join(self.orders) or 'nothing'} came: name each once."
            )
        check_fractions(self.fractions, "fractions")

    def passes(self, height: int, width: int, segments: str) -> int:
        ends = sum(fraction in (0, 1) for fraction in self.fractions)
        return 1 + ends + len(self.orders) * (len(self.fractions) - ends)

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        yield from removal_rows(subject, item, masking, segments, self.orders, self.fractions, seed)

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate: see [`removal_summary`][]."""
        return removal_summary(rows)
