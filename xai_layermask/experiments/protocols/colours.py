"""The colour of the fill (section 8, figure 19)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ...errors import InputError
from .protocol import Protocol, Row
from .removal import FRACTIONS, check_fractions, removal_rows, removal_summary

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Colours"]


@dataclass(frozen=True)
class Colours(Protocol):
    """Square patches are removed at random and filled with one colour or another.

    Rows, one for each fraction: see [`removal_rows`][], with the masking's name as colour. The paper's text was not at
    hand; its published code lists red, green, blue and the picture's mean beside grey in the experiment with random
    16 x 16 patches. White is ours.

    Attributes:
        patch: The side of a patch in pixels.
        fractions: The shares of patches that are removed.
    """

    name: ClassVar[str] = "colours"
    maskings: ClassVar[tuple[str, ...]] = ("black", "grey", "mean", "red", "green", "blue", "white", "layer")

    patch: int = 16
    fractions: tuple[float, ...] = FRACTIONS

    def __post_init__(self) -> None:
        if self.patch < 1:
            raise InputError(f"patch must be a number of pixels, but {self.patch!r} came: give for example 16.")
        check_fractions(self.fractions, "fractions")

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + len(self.fractions)

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        for row in removal_rows(subject, item, masking, f"patches:{self.patch}", ("random",), self.fractions, seed):
            yield {"colour": masking, **row}

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate: see [`removal_summary`][]."""
        return removal_summary(rows)
