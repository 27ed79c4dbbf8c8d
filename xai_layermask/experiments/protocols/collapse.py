"""Whether different pictures look alike to a model when little of them is present (appendix 7.2, figure 17)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from ...errors import check_integer
from .protocol import Protocol, Row, check_each

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Collapse", "direction"]


@dataclass(frozen=True)
class Collapse(Protocol):
    """Every picture is shrunk into a corner, with the rest of the canvas missing: how alike do pictures become?

    The features of two different pictures have some cosine. If the missing part influences the model, all pictures come
    to look like it, and their cosines rise. Without missingness bias they stay those of the whole pictures.

    Sides, the top left corner and the features before the last layer are those of the paper's published notebook
    "Measure Concordance". There, layer masking sees the corner of the picture at full size instead of the shrunk
    picture that the paper describes, and each picture is compared with one other at random. Here all maskings see the
    shrunk picture, and all pictures are compared. The paper's text averages the change of the cosine, the notebook its
    absolute value; the report has both.

    One row for each size:

    - size: side of the shrunk picture, for a canvas of 224 x 224 (others in proportion);
    - fraction: the fraction of the canvas that is missing;
    - picture: its name;
    - features: their direction, a unit vector in float16 as base64 ([`direction`][] decodes it); None if they are zero;
    - norm: their length;
    - cosine_whole: their cosine with the features of the whole picture; None if one is zero.

    Attributes:
        sizes: Sides of the shrunk picture, in pixels of a canvas of 224 x 224; the first should be 224, the whole.
    """

    name: ClassVar[str] = "collapse"

    sizes: tuple[int, ...] = (224, 200, 128, 64, 32)

    def __post_init__(self) -> None:
        check_each(self.sizes, lambda size: check_integer(size, "sizes", least=1, most=224), "sizes")

    def passes(self, height: int, width: int, segments: str) -> int:
        return 1 + len(self.sizes)

    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        view = classifier.view(item)
        height, width = view.picture.shape[:2]
        whole = classifier.features(view.image, masking, np.zeros((height, width), np.int64), None)[0]
        for size in self.sizes:
            inner = max(1, round(size * height / 224)), max(1, round(size * width / 224))
            ids = np.ones((height, width), np.int64)
            ids[: inner[0], : inner[1]] = 0
            corner = np.arange(int(ids.max()) + 1)[None] == 0
            image = classifier.to_image(_shrink(view.picture, *inner))
            features = classifier.features(image, masking, ids, corner)[0]
            norm = float(np.linalg.norm(features))
            unit = features / norm if norm else features
            yield {
                "size": size,
                "fraction": 1 - inner[0] * inner[1] / (height * width),
                "picture": item.name,
                "features": base64.b64encode(unit.astype("<f2").tobytes()).decode() if norm else None,
                "norm": norm,
                "cosine_whole": float(unit @ whole / np.linalg.norm(whole)) if norm and whole.any() else None,
            }


def direction(features: str) -> npt.NDArray[np.float64]:
    """Decode the column features of a row: float64 `(D,)`, a unit vector up to the rounding of float16.

    Example:
        >>> direction(base64.b64encode(np.array([0.6, 0.8], "<f2").tobytes()).decode()).round(3)
        array([0.6, 0.8])
    """
    return np.frombuffer(base64.b64decode(features), "<f2").astype(np.float64)


def _shrink(picture: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """The picture in the corner of a canvas of its mean colour, so that a fill by the mean stays the same."""
    from PIL import Image

    small = np.array(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))
    canvas = np.empty_like(picture)
    canvas[:] = np.rint(small.mean(axis=(0, 1))).astype(np.uint8)
    canvas[:height, :width] = small
    return canvas
