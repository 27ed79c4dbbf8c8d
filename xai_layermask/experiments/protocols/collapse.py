"""Whether different pictures look alike to a model when little of them is there (appendix 7.2, figure 17)."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from .protocol import Protocol, Row, check_sizes, grouped, mean

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Collapse", "direction", "pair_cosines"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Collapse(Protocol):
    """Every picture is shrunk into a corner, the rest of the canvas is missing; how alike do different pictures become?

    The features of two different pictures have some cosine. Where the missing part has a say, all pictures come to look
    like it, and their cosines rise; without missingness bias they stay as they were for the whole pictures.

    The paper's text was not at hand. This follows the notebook "Measure Concordance" of its published code: the sides
    of the shrunk picture, the corner at the top left, the features before the last layer, the change of cosines between
    pictures. There layer masking gets the corner of the picture at full size instead of the shrunk picture; here all
    maskings get the same. There each picture is compared with one other at random; here with all others.

    One row for each size:

    - size: the side of the shrunk picture, for a canvas of 224 x 224 (others in proportion);
    - fraction: the share of the canvas that is missing;
    - picture: its name, which tells which rows belong together;
    - features: their direction, unit vectors in float16 as base64 ([`direction`][] reads it); None where they are zero;
    - norm: their length;
    - cosine_whole: the cosine with the features of the whole picture, None where one is zero.

    What is between pictures is for [`pair_cosines`][] (a number for each picture, for intervals over pictures) and
    `summarise` (the mean).

    Attributes:
        sizes: Sides of the shrunk picture, in pixels of a canvas of 224 x 224; the first should be 224, the whole.
    """

    name: ClassVar[str] = "collapse"

    sizes: tuple[int, ...] = (224, 200, 128, 64, 32)

    def __post_init__(self) -> None:
        check_sizes(self.sizes, 224)

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + len(self.sizes)

    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        view = subject.view(item)
        height, width = view.picture.shape[:2]
        whole = subject.features(view.image, masking, np.zeros((height, width), np.int64), None)[0]
        for size in self.sizes:
            inner = max(1, round(size * height / 224)), max(1, round(size * width / 224))
            ids = np.ones((height, width), np.int64)
            ids[: inner[0], : inner[1]] = 0
            keep = np.arange(int(ids.max()) + 1)[None] == 0
            image = subject.to_image(_shrunk(view.picture, *inner))
            found = subject.features(image, masking, ids, keep)[0]
            norm = float(np.linalg.norm(found))
            unit = found / norm if norm else found
            yield {
                "size": size,
                "fraction": 1 - inner[0] * inner[1] / (height * width),
                "picture": item.name,
                "features": base64.b64encode(unit.astype("<f2").tobytes()).decode() if norm else None,
                "norm": norm,
                "cosine_whole": float(unit @ whole / np.linalg.norm(whole)) if norm and whole.any() else None,
            }

    @classmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate.

        Args:
            rows: Rows of many pictures.

        Returns:
            A row for every size, with size, fraction, n (pictures), cosine (the mean over all pairs of pictures),
            change (the mean size of its difference from the same pair's cosine at the largest size), norm and
            cosine_whole (means).
        """
        found: list[Row] = []
        every = pair_cosines(rows)
        for (size,), group in grouped(every, "size").items():
            row: Row = {"size": size, "fraction": group[0]["fraction"], "n": len(group)}
            for column in ("cosine", "change", "norm", "cosine_whole"):
                row[column] = mean(one[column] for one in group)
            found.append(row)
        return found


def pair_cosines(rows: Iterable[Row]) -> list[Row]:
    """Compare the pictures with each other.

    Args:
        rows: Rows of many pictures for one model and masking.

    Returns:
        The same rows in the same order without their features, with cosine (the mean over all other pictures, at the
        same size) and change (the mean over them of the absolute difference from the cosine at the largest size); None
        where there is no other picture.

    Example:
        >>> row = {"size": 224, "picture": "a", "features": _packed([1, 0])}
        >>> [one["cosine"] for one in pair_cosines([row, row | {"picture": "b", "features": _packed([0.6, 0.8])}])]
        [0.6, 0.6]
    """
    every = list(rows)
    grids = {size: _cosines(group) for (size,), group in grouped(every, "size").items()}
    base = grids[max(grids, key=lambda size: float(size or 0))] if grids else {}
    found = []
    for row in every:
        own, before = grids[row["size"]].get(row["picture"], {}), base.get(row["picture"], {})
        changes = [abs(value - before[other]) for other, value in own.items() if other in before]
        rest = {key: value for key, value in row.items() if key != "features"}
        found.append(rest | {"cosine": _rounded(mean(own.values())), "change": _rounded(mean(changes))})
    return found


def direction(features: str) -> Floats:
    """Read the direction of features from a row.

    Args:
        features: What the column says.

    Returns:
        float64 `(D,)`, a unit vector up to the rounding of float16.

    Example:
        >>> direction(_packed([0.6, 0.8])).round(3)
        array([0.6, 0.8])
    """
    return np.frombuffer(base64.b64decode(features), "<f2").astype(np.float64)


def _packed(unit: Iterable[float]) -> str:
    return base64.b64encode(np.array(list(unit), "<f2").tobytes()).decode()


def _cosines(rows: list[Row]) -> dict[object, dict[object, float]]:
    """For each picture of one size its cosine with every other."""
    known = [(row["picture"], direction(str(row["features"]))) for row in rows if row["features"] is not None]
    if not known:
        return {}
    units = np.stack([unit / np.linalg.norm(unit) for _, unit in known])
    grid, names = units @ units.T, [name for name, _ in known]
    return {
        name: {other: float(grid[i, j]) for j, other in enumerate(names) if i != j} for i, name in enumerate(names)
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)  # float16 knows no more


def _shrunk(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The picture in the corner of a canvas of its own mean colour: nothing that a fill by the mean could notice."""
    from PIL import Image

    small = np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    canvas = np.empty_like(picture)
    canvas[:] = np.rint(small.mean(axis=(0, 1))).astype(np.uint8)
    canvas[:height, :width] = small
    return canvas
