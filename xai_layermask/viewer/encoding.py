"""Pictures and maps of segments as text inside a page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import SIGNATURE
from ..plots.palette import NEUTRAL, STOPS

if TYPE_CHECKING:
    from .protocol import Viewable

__all__ = ["encode_map", "png_bytes", "png_url", "still", "thumbnail"]

Picture = npt.NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_OPACITY, _PALE = 0.75, 0.25
_SMALL = 1 << 18  # numbers of a picture that is compressed as far as possible, which is slow


def png_bytes(picture: Picture) -> bytes:
    """Encode a picture, uint8 `(H, W, 3)`, as PNG.

    Example:
        >>> png_bytes(np.zeros((2, 2, 3), np.uint8))[1:4]
        b'PNG'
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    buffer, about = io.BytesIO(), PngInfo()
    about.add_text("Software", SIGNATURE)
    Image.fromarray(picture).save(buffer, "PNG", optimize=True, pnginfo=about)
    return buffer.getvalue()


def png_url(png: bytes) -> str:
    """Encode a PNG as a data URL, for `<img src=...>`.

    Example:
        >>> png_url(b"PNG")
        'data:image/png;base64,UE5H'
    """
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def encode_map(segments: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Run lengths of a map of segments: pairs of id and length as base-128 numbers, in base64.

    Example:
        >>> encode_map(np.array([[0, 0, 1], [1, 1, 1]]))
        {'width': 3, 'height': 2, 'runs': 'AAIBBA=='}
    """
    flat = segments.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=flat[0] - 1))
    lengths = np.diff(starts, append=flat.size)
    encoded = bytearray()
    for number in np.stack([flat[starts], lengths], axis=1).ravel().tolist():
        while number > 127:
            encoded.append(number & 127 | 128)
            number >>= 7
        encoded.append(number)
    height, width = segments.shape
    return {"width": width, "height": height, "runs": base64.b64encode(encoded).decode("ascii")}


def still(explanation: Viewable, row: int = 0) -> Picture:
    """The picture below the colours of one target's scores, uint8 `(H, W, 3)`, where no script can draw it.

    Args:
        explanation: The explanation.
        row: The row of its scores.
    """
    scores, errors = explanation.scores[row], explanation.standard_errors[row]
    places = scores / (np.abs(scores).max() or 1.0)
    stops = np.array([_rgb(stop) for stop in STOPS])
    at = np.linspace(-1, 1, len(stops))
    colours = np.stack([np.interp(places, at, channel) for channel in stops.T], axis=1)
    pale = np.abs(scores) < 1.96 * np.nan_to_num(errors)
    colours[pale] = _PALE * colours[pale] + (1 - _PALE) * np.array(_rgb(NEUTRAL))
    mixed = _OPACITY * colours[explanation.segments] + (1 - _OPACITY) * (explanation.picture @ _LUMA)[..., None]
    picture: Picture = mixed.round().astype(np.uint8)
    return picture


def thumbnail(picture: Picture, side: int = 240) -> str:
    """A picture as the data URL of a small JPEG."""
    from PIL import Image

    image = Image.fromarray(picture)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
