"""How nearly a masked model adds up its parts (appendix 7.1, table 13 and figure 18)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...metrics import linearity
from .protocol import Protocol, Row, check_sizes, defined, grouped, mean

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Linearity", "tiles"]


@dataclass(frozen=True)
class Linearity(Protocol):
    """The features of the whole picture against the sum of those of its tiles, one at a time.

    One row for each size of tile: size (in pixels of a picture of 224 x 224), tiles (their number), cosine of the two
    (None where one is zero), norm_whole and norm_sum, norm_parts (the mean over single tiles), distance (of the two, in
    units of norm_whole).

    Features are those before the model's last layer, as in the paper. The paper sums over all tiles; the code published
    with it draws four of them and compares their sum with the features of the four together, which is not done here.

    Attributes:
        sizes: Sides of tiles in pixels, for a picture of 224 x 224; others are divided into as many tiles.
    """

    name: ClassVar[str] = "linearity"

    sizes: tuple[int, ...] = (112, 56, 32, 16)

    def __post_init__(self) -> None:
        check_sizes(self.sizes, 112)

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + sum(round(224 / size) ** 2 for size in self.sizes)

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        view = subject.view(item)
        height, width = view.picture.shape[:2]
        whole = subject.features(view.image, masking, tiles(height, width, 1), None)[0]
        for size in self.sizes:
            ids = tiles(height, width, round(224 / size))
            parts = subject.features(view.image, masking, ids, np.eye(int(ids.max()) + 1, dtype=bool))
            total, norm = parts.sum(axis=0), float(np.linalg.norm(whole))
            yield {
                "size": size,
                "tiles": len(parts),
                "cosine": defined(linearity(whole, parts)),
                "norm_whole": norm,
                "norm_sum": float(np.linalg.norm(total)),
                "norm_parts": float(np.linalg.norm(parts, axis=1).mean()),
                "distance": float(np.linalg.norm(total - whole)) / norm if norm else None,
            }

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate.

        Args:
            rows: Rows of many pictures.

        Returns:
            A row for every size, with size, tiles, n, and the means of cosine, norm_whole, norm_sum, norm_parts and
            distance.

        Example:
            >>> row = {"size": 16, "tiles": 196, "cosine": 1.0} | dict.fromkeys(_MEANS[1:], 2.0)
            >>> Linearity.summarise([row, row | {"cosine": 0.5}])[0]["cosine"]
            0.75
        """
        return [
            {"size": size, "tiles": count, "n": len(group)}
            | {column: mean(row[column] for row in group) for column in _MEANS}
            for (size, count), group in grouped(rows, "size", "tiles").items()
        ]


_MEANS = ("cosine", "norm_whole", "norm_sum", "norm_parts", "distance")


def tiles(height: int, width: int, count: int) -> npt.NDArray[np.int64]:
    """Divide a picture into equal tiles, as nearly as its size allows.

    Args:
        height: In pixels.
        width: In pixels.
        count: How many tiles along each side.

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
        raise InputError(
            f"tiles must have at least a pixel, but {count} along {min(height, width)} pixels came: take larger ones."
        )
    row, column = np.arange(height) * count // height, np.arange(width) * count // width
    return (row[:, None] * count + column).astype(np.int64)
