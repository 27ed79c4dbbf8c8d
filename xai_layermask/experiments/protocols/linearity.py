"""How nearly features add up over the parts of a picture (appendix 7.1, table 13 and figure 18)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import InputError, check_integer
from ...metrics import linearity
from .protocol import Protocol, Row, check_each, finite

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Linearity", "tiles"]


@dataclass(frozen=True)
class Linearity(Protocol):
    """The features of the whole picture against the sum of the features of its tiles, one tile present at a time.

    One row for each size of tile: size (in pixels of a picture of 224 x 224), tiles (their number), cosine of whole and
    sum (None if one is zero), norm_whole, norm_sum, norm_parts (mean over tiles), distance (of whole and sum, in units
    of norm_whole).

    Features are those before the model's last layer, as in the paper. The paper sums over all tiles. Its published code
    draws four of them and compares their sum with the features of the four together, which is not done here.

    Attributes:
        sizes: Sides of tiles in pixels of a picture of 224 x 224; other pictures have as many tiles.
    """

    name: ClassVar[str] = "linearity"

    sizes: tuple[int, ...] = (112, 56, 32, 16)

    def __post_init__(self) -> None:
        check_each(self.sizes, lambda size: check_integer(size, "sizes", least=1, most=112), "sizes")

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + sum(round(224 / size) ** 2 for size in self.sizes)

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        view = classifier.view(item)
        height, width = view.picture.shape[:2]
        whole = classifier.features(view.image, masking, tiles(height, width, 1), None)[0]
        for size in self.sizes:
            ids = tiles(height, width, round(224 / size))
            parts = classifier.features(view.image, masking, ids, np.eye(int(ids.max()) + 1, dtype=bool))
            total, norm = parts.sum(axis=0), float(np.linalg.norm(whole))
            yield {
                "size": size,
                "tiles": len(parts),
                "cosine": finite(linearity(whole, parts)),
                "norm_whole": norm,
                "norm_sum": float(np.linalg.norm(total)),
                "norm_parts": float(np.linalg.norm(parts, axis=1).mean()),
                "distance": float(np.linalg.norm(total - whole)) / norm if norm else None,
            }


def tiles(height: int, width: int, count: int) -> npt.NDArray[np.int64]:
    """Divide a picture into `count` x `count` tiles of sizes that differ by at most a pixel.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        count: Number of tiles along each side.

    Returns:
        int64 `(height, width)`, ids 0 to `count ** 2 - 1`, row by row.

    Raises:
        InputError: If there are more tiles than pixels.

    Example:
        >>> tiles(2, 4, 2)
        array([[0, 0, 1, 1],
               [2, 2, 3, 3]])
    """
    if count > min(height, width):
        raise InputError.expected(
            "tiles of at least one pixel", f"{count} along {min(height, width)} pixels", "use larger tiles"
        )
    row, column = np.arange(height) * count // height, np.arange(width) * count // width
    return (row[:, None] * count + column).astype(np.int64)
