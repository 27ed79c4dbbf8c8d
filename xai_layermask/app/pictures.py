"""Photographs of the playground: uploads within limits, and examples that show the effect of a masking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..images import Picture, decode_image, open_picture
from ..segments import patches

__all__ = ["EXAMPLES", "Example", "Limits", "read_upload"]

Presence = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """What the server accepts.

    Attributes:
        bytes: Size of an upload.
        pixels: Pixels of an uploaded picture, checked before it is decoded.
        sessions: Users at the same time; the one that has been idle longest is closed.
        idle: Seconds until an unused session is forgotten.
        kept: Bytes of the uploads of all sessions together.
        waiting: Explanations that may wait.
        questions: Requests for predictions, pictures or segments that may wait.
    """

    bytes: int = 16_000_000
    pixels: int = 40_000_000
    sessions: int = 64
    idle: float = 1800.0
    kept: int = 256_000_000
    waiting: int = 8
    questions: int = 64


def read_upload(content: bytes, name: str, limits: Limits) -> Picture:
    """Decode an uploaded picture.

    Args:
        content: The bytes of the file.
        name: Its name, for error messages.
        limits: The limit of pixels.

    Returns:
        uint8 `(H, W, 3)`, RGB.

    Raises:
        InputError: If the bytes are not a picture, or its header states more pixels than the limit.
    """
    with open_picture(content, name) as image:
        width, height = image.size
    if width * height > limits.pixels:
        raise InputError.expected(
            f"a picture of at most {limits.pixels / 1e6:g} million pixels", f"{width} x {height} in the file {name!r}",
            "make it smaller",
        )  # fmt: skip
    return decode_image(content, name)


@dataclass(frozen=True)
class Example:
    """A photograph of scikit-image, with a part of it to remove.

    Attributes:
        title: What the page calls it.
        story: What to look at.
        read: Returns the photograph, uint8 `(H, W, 3)`.
        gone: Maps a picture of the network's input size to the part that is removed at first, bool `(H, W)`.
    """

    title: str
    story: str
    read: Callable[[], Picture]
    gone: Callable[[Picture], Presence]


def _coffee() -> Picture:
    import skimage.data

    return skimage.data.coffee()  # type: ignore[no-any-return, no-untyped-call]


def _motorcycle() -> Picture:
    import skimage.data

    return skimage.data.stereo_motorcycle()[0]  # type: ignore[no-any-return, no-untyped-call]


def _rocket() -> Picture:
    import skimage.data

    return skimage.data.rocket()  # type: ignore[no-any-return, no-untyped-call]


def _cat() -> Picture:
    import skimage.data

    return skimage.data.chelsea()  # type: ignore[no-any-return, no-untyped-call]


def _half(seed: int) -> Callable[[Picture], Presence]:
    """Half of 8 x 8 patches, drawn at random."""

    def gone(picture: Picture) -> Presence:
        squares = patches(picture, max(1, round(min(picture.shape[:2]) / 8)))
        count = int(squares.max()) + 1
        removed = np.random.default_rng(seed).permutation(count)[count // 2 :]
        return np.isin(squares, removed)

    return gone


def _grid(picture: Picture) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows and columns of pixels, from 0 to 1."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width]
    return rows / height, columns / width


def _ellipse(picture: Picture) -> Presence:
    y, x = _grid(picture)
    return ((x - 0.5) / 0.38) ** 2 + ((y - 0.536) / 0.3125) ** 2 <= 1


def _all_but_a_strip(picture: Picture) -> Presence:
    y, x = _grid(picture)
    return (np.abs(x - 0.5) >= 0.0625) | (y <= 0.09) | (y >= 0.848)


#: In the order of the page, which opens on the first. `docs/app.md` says how they were chosen.
EXAMPLES = {
    "coffee": Example("Coffee", "Half of the patches are gone: an espresso, or a toilet seat?", _coffee, _half(5)),
    "motorcycle": Example("Motorcycle", "The disc that covers the engine looks like a drum.", _motorcycle, _ellipse),
    "rocket": Example("Rocket", "A rocket between two areas of paint looks like a ballpoint pen.", _rocket,
                      _all_but_a_strip),
    "cat": Example("Cat", "The eyes of a cat between painted squares.", _cat, _half(8)),
}  # fmt: skip
