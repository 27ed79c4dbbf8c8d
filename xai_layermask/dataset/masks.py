"""Object masks that are painted as pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..catalog import MASKS
from ..errors import InputError, choose
from ..images import decode_image, loses_bits, open_picture, read_file, upright, upright_numbers

__all__ = ["Painted", "ReadFile", "Squares"]

Floats = npt.NDArray[np.float64]
#: Reads the content of a file; a reader that remembers files opens each once.
ReadFile = Callable[[Path], bytes]

_KINDS = (*MASKS, "any", "trimap")
_WHITE = ({0, 1}, {0, 255}, {0, 65535})  # the values of masks that need no explanation
_COLOURED = 32  # levels between the channels of a pixel; JPEG artefacts of a grey picture are smaller
_DARK = 16 / 255  # the mask holds numbers, such as 0 and 1, instead of greys
_LISTED = 3  # values in a message


@dataclass(frozen=True)
class Painted:
    """A mask painted as a picture of the same size.

    Attributes:
        path: The file.
        kind: The meaning of its values: "binary" (0 is not the object; 1, or 255, or 65535 in 16 bits, is), "soft"
            (greys from black to white are shares of the object), "any" (all pixels that are not black are the object),
            or "trimap" (1 is the object, 2 is not, 3 is its edge, which counts as the object, so that a removed object
            leaves no outline behind).
    """

    path: Path
    kind: str = "binary"

    def __post_init__(self) -> None:
        choose(self.kind, _KINDS, "kind")

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> Floats:
        """Read the mask: float64, of the size of its file.

        Raises:
            InputError: If the file cannot be decoded, or is not a mask of this kind.
        """
        content, name = read_file(self.path), self.path.name
        if self.kind == "trimap":
            return _trimap(content, name)
        values = _values(content, name)
        if self.kind == "any":
            return np.asarray(values.reshape(*values.shape[:2], -1).any(axis=2), np.float64)
        return _soft(values, name) if self.kind == "soft" else _binary(values, name)

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        # A file that is valid as binary and as soft is the same mask.
        kind = "grey" if self.kind in MASKS else self.kind
        return kind.encode() + read_file(self.path)


@dataclass(frozen=True)
class Squares:
    """The maximum of soft masks of the square at the picture's centre, as in Salient ImageNet.

    Attributes:
        paths: The files.
    """

    paths: tuple[Path, ...]

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> Floats:
        """Read the mask: float64 `(height, width)`, 0 outside the square.

        Raises:
            InputError: If a file cannot be decoded, or their sizes differ.
        """
        from PIL import Image

        levels = [decode_image(read_file(path), path.name)[..., 0] for path in self.paths]
        sizes = {one.shape for one in levels}
        if len(sizes) > 1:
            raise InputError.expected(f"masks of one size beside {self.paths[0].name!r}", f"{len(sizes)} sizes")
        side = min(height, width)
        found = np.zeros((height, width))
        top, left = (height - side) // 2, (width - side) // 2
        square = Image.fromarray(np.maximum.reduce(levels)).resize((side, side), Image.Resampling.BILINEAR)
        found[top : top + side, left : left + side] = np.asarray(square) / 255
        return found

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        return b"".join(read_file(path) for path in self.paths)


def _values(content: bytes, name: str) -> npt.NDArray[Any]:
    """The stored values, `(H, W)` or `(H, W, 3)`, without a conversion that could lose some."""
    with open_picture(content, name) as image:
        if loses_bits(image):  # a class such as 20 would become 0
            raise _refused(name, "one of 16-bit colours")
        if image.mode == "F" or image.mode.startswith("I"):
            return upright_numbers(image)
        image = upright(image)
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < 255:
            raise _refused(name, "one that is transparent in places")
        if image.mode == "1":
            image = image.convert("L")
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _binary(values: npt.NDArray[Any], name: str) -> Floats:
    """The object where the values are 1, 255 or 65535, all of them the same; 0 elsewhere."""
    if _is_coloured(values):
        raise _refused(name, "one that is coloured")
    found = np.unique(values).tolist()
    if not any(set(found) <= known for known in _WHITE):
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        raise _refused(name, f"the values {', '.join(f'{one:g}' for one in found[:_LISTED])}{more}")
    object_: Floats = (values.reshape(*values.shape[:2], -1)[..., 0] > 0).astype(np.float64)
    return object_


def _soft(values: npt.NDArray[Any], name: str) -> Floats:
    if _is_coloured(values):
        raise _refused(name, "one that is coloured")
    white = 1.0 if values.dtype.kind == "f" else 65535.0 if values.dtype.itemsize > 1 and values.max() > 255 else 255.0
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:  # of either byte order
        white = 65535.0
    greys: Floats = values.reshape(*values.shape[:2], -1).mean(axis=2, dtype=np.float64) / white
    if not ((greys >= 0) & (greys <= 1)).all():  # the negated form also catches NaN
        raise _refused(name, "values below black or above white")
    if 0 < greys.max() < _DARK:
        raise _refused(name, f"one that is nowhere brighter than {greys.max():.1%} of white")
    return greys


def _is_coloured(values: npt.NDArray[Any]) -> bool:
    return values.ndim == 3 and int(np.ptp(values, axis=2).max()) > _COLOURED


def _refused(name: str, got: str) -> InputError:
    return InputError.expected(
        f"a mask of 0 and 255, or of 0 and 1, in {name!r}", got,
        "paint the object 255 and the rest 0, or choose soft masks for greys",
    )  # fmt: skip


def _trimap(content: bytes, name: str) -> Floats:
    with open_picture(content, name) as image:
        values = np.asarray(image)
    if values.ndim != 2 or not np.isin(values, (1, 2, 3)).all():
        raise InputError.expected("only 1, 2 and 3 in trimap", f"other values in {name!r}")
    found: Floats = (values != 2).astype(np.float64)
    return found
