"""The colour of the fill (section 8, figure 19)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import check_integer
from .protocol import Protocol, Row
from .removal import FRACTIONS, check_fractions, removal_rows

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Colours"]


@dataclass(frozen=True)
class Colours(Protocol):
    """Square patches are removed at random and filled with one colour or another.

    One row for each fraction, see [`removal_rows`][], with the masking's name as colour. The paper compares red, green,
    blue and the picture's mean colour with grey. White is our addition.

    Attributes:
        patch: Side of a patch in pixels.
        fractions: The fractions of patches that are removed.
    """

    name: ClassVar[str] = "colours"
    maskings: ClassVar[tuple[str, ...]] = ("black", "grey", "mean", "red", "green", "blue", "white", "layer")

    patch: int = 16
    fractions: tuple[float, ...] = FRACTIONS

    def __post_init__(self) -> None:
        check_integer(self.patch, "patch", least=1)
        check_fractions(self.fractions, "fractions")

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + len(self.fractions)

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        patches = f"patches:{self.patch}"
        for row in removal_rows(classifier, item, masking, patches, ("random",), self.fractions, seed):
            yield {"colour": masking, **row}
