"""Object masks in the formats of datasets."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, choose
from ..images import decode_image, read_file

__all__ = ["Outlines", "Painted", "ReadFile", "Squares"]

Floats = npt.NDArray[np.float64]
#: Reads the content of a file; a reader that remembers files opens each once.
ReadFile = Callable[[Path], bytes]

_KINDS = ("grey", "any", "trimap")
_COLOURED = 32  # levels between the channels of a pixel; JPEG artefacts of a grey picture are smaller
_DARK = 16  # levels: the mask holds numbers, such as 0 and 1, instead of greys


@dataclass(frozen=True)
class Painted:
    """A mask painted as a picture of the same size.

    Attributes:
        path: The file.
        kind: The meaning of its values: "grey" (white is the object, greys are soft), "any" (all pixels that are not
            black are the object), or "trimap" (1 is the object, 2 is not, 3 is its edge, which counts as the object,
            so that a removed object leaves no outline behind).
    """

    path: Path
    kind: str = "grey"

    def __post_init__(self) -> None:
        choose(self.kind, _KINDS, "kind")

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> Floats:
        """Read the mask: float64, of the size of its file.

        Raises:
            InputError: If the file cannot be decoded, or is not a mask of this kind.
        """
        content = read_file(self.path)
        if self.kind == "trimap":
            return _trimap(content, self.path.name)
        if self.kind == "any":
            return np.where(decode_image(content, self.path.name).any(axis=2), 1.0, 0.0)
        return _white_on_black(content, self.path.name)

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        return self.kind.encode() + read_file(self.path)


@dataclass(frozen=True)
class Squares:
    """The maximum of soft masks of the square at the picture's centre, as in Salient ImageNet.

    Attributes:
        paths: The files.
    """

    paths: tuple[Path, ...]

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> Floats:
        """Read the mask: float64 `(height, width)`, 0 outside the square."""
        from PIL import Image

        highest = np.maximum.reduce([decode_image(read_file(path), path.name)[..., 0] for path in self.paths])
        side = min(height, width)
        found = np.zeros((height, width))
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(highest).resize((side, side), Image.Resampling.BILINEAR)
        found[top : top + side, left : left + side] = np.asarray(square) / 255
        return found

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        return b"".join(read_file(path) for path in self.paths)


@dataclass(frozen=True)
class Outlines:
    """Segmentations in COCO's format.

    Attributes:
        shapes: The JSON of a list of segmentations: lists of polygons `[x, y, x, y, ...]` in pixels, or uncompressed
            run lengths `{"counts": [...], "size": [height, width]}`, column by column, starting with background.
    """

    shapes: str

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> Floats:
        """Draw the mask: float64 `(height, width)`, 1 inside any of the shapes."""
        from PIL import Image, ImageDraw

        canvas = Image.new("L", (width, height))
        draw, runs = ImageDraw.Draw(canvas), np.zeros((height, width), bool)
        for shape in json.loads(self.shapes):
            if isinstance(shape, dict):
                runs |= _runs(shape, height, width)
            else:
                for polygon in shape:
                    draw.polygon(polygon, fill=1)
        return (runs | (np.asarray(canvas) > 0)).astype(np.float64)

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        return self.shapes.encode()


def _white_on_black(content: bytes, name: str) -> Floats:
    """Read a mask of greys. Other kinds of masks are refused, since almost none or all of them would be object."""
    from PIL import Image

    values = decode_image(content, name)
    with Image.open(io.BytesIO(content)) as image:
        clear = image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255
    wrong = {
        "transparent in places": clear,
        "coloured": int(np.ptp(values, axis=2).max()) > _COLOURED,
        f"nowhere brighter than {values.max()} of 255": 0 < values.max() < _DARK,
    }
    found = next((what for what, is_so in wrong.items() if is_so), None)
    if found:
        raise InputError.expected(
            f"a mask that is white on black in {name!r}", f"one that is {found}", "paint the object 255, the rest 0"
        )
    greys: Floats = values.mean(axis=2) / 255
    return greys


def _runs(shape: dict[str, Any], height: int, width: int) -> npt.NDArray[np.bool_]:
    counts, size = shape.get("counts"), shape.get("size")
    if not isinstance(counts, list) or size != [height, width] or sum(counts) != height * width:
        raise InputError.expected(
            f"uncompressed run lengths for a picture of {height} x {width} pixels", "others", "convert them to polygons"
        )
    values = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return values.reshape(width, height).T


def _trimap(content: bytes, name: str) -> Floats:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(content)) as image:
            values = np.asarray(image)
    except (OSError, UnidentifiedImageError) as error:
        raise InputError.expected("a picture for trimap", f"{name!r}, which is none") from error
    if values.ndim != 2 or not np.isin(values, (1, 2, 3)).all():
        raise InputError.expected("only 1, 2 and 3 in trimap", f"other values in {name!r}")
    found: Floats = (values != 2).astype(np.float64)
    return found
