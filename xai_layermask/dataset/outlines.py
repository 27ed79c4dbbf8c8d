"""Object masks as outlines or run lengths, in COCO's format."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import read_file

__all__ = ["Outlines", "check_shape"]

_FARTHEST = 1e6  # pixels from the corner of a picture to a vertex


@dataclass(frozen=True)
class Outlines:
    """Segmentations in COCO's format.

    Attributes:
        shapes: The JSON of a list of segmentations: lists of polygons `[x, y, x, y, ...]` in pixels, or uncompressed
            run lengths `{"counts": [...], "size": [height, width]}`, column by column, starting with background.
    """

    shapes: str

    def read(self, height: int, width: int, read_file: Callable[[Path], bytes] = read_file) -> npt.NDArray[np.float64]:
        """Draw the mask: float64 `(height, width)`, 1 inside any of the shapes.

        Raises:
            InputError: If a shape is something else, or run lengths are those of a picture of another size.
        """
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (width, height))
        draw, runs = ImageDraw.Draw(canvas), np.zeros((height, width), bool)
        for shape in json.loads(self.shapes):
            check_shape(shape)
            if isinstance(shape, dict):
                runs |= _runs(shape["counts"], shape["size"], height, width)
            else:
                for polygon in shape:
                    draw.polygon(polygon, fill=1)
        return (runs | (np.asarray(canvas) > 0)).astype(np.float64)

    def fingerprint(self, read_file: Callable[[Path], bytes] = read_file) -> bytes:
        """Everything that determines the mask."""
        return self.shapes.encode()


def check_shape(shape: object) -> None:
    """Check a segmentation of an object.

    Raises:
        InputError: If it is neither a list of polygons nor uncompressed run lengths.

    Example:
        >>> check_shape([[0, 0, 3, 0, 3, 3]])
        >>> check_shape(None)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a list of polygons [x, y, x, y, x, y, ...] or uncompressed run \
lengths for segmentation, got something else: convert it to polygons
    """
    if isinstance(shape, dict):
        counts, size = shape.get("counts"), shape.get("size")
        valid = _naturals(counts) and isinstance(size, list) and _naturals(size) and len(size) == 2
    else:
        valid = isinstance(shape, list) and bool(shape) and all(map(_is_polygon, shape))
    if not valid:
        raise InputError.expected(
            "a list of polygons [x, y, x, y, x, y, ...] or uncompressed run lengths for segmentation",
            "compressed run lengths" if isinstance(shape, dict) and isinstance(shape.get("counts"), str)
            else "something else",
            "convert it to polygons",
        )  # fmt: skip


def _is_polygon(polygon: object) -> bool:
    if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
        return False
    return all(type(one) in (int, float) and abs(one) <= _FARTHEST and not math.isnan(one) for one in polygon)


def _naturals(numbers: Any) -> bool:
    return isinstance(numbers, list) and all(type(one) is int and one >= 0 for one in numbers)


def _runs(counts: list[int], size: list[int], height: int, width: int) -> npt.NDArray[np.bool_]:
    if size != [height, width] or sum(counts) != height * width:
        raise InputError.expected(
            f"uncompressed run lengths for a picture of {height} x {width} pixels", "others", "convert them to polygons"
        )
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(width, height).T
