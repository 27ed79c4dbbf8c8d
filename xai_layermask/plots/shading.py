"""A photograph as shades of grey below colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["faded", "shade"]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_REACH = 8  # detail is what differs from the mean over about this part of the picture's side
_BASE, _GAIN, _DARKEST = 0.94, 0.45, 0.6


def shade(ax: Axes, picture: npt.NDArray[np.uint8]) -> None:
    """Darken what is drawn on the axes by the detail of the photograph `(H, W, 3)`.

    Only local contrast remains, as in the shaded relief of a map. So a colour looks the same on dark and on bright
    parts, and like in its colour bar.
    """
    from scipy.ndimage import gaussian_filter

    grey = picture @ _LUMA / 255
    detail = grey - gaussian_filter(grey, max(picture.shape[:2]) / _REACH)
    layer = np.zeros((*grey.shape, 4))
    layer[..., 3] = 1 - np.clip(_BASE + _GAIN * detail, _DARKEST, 1)
    ax.imshow(layer)


def faded(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in light grey, uint8 `(H, W, 3)`."""
    grey = picture @ _LUMA
    return np.repeat((150 + grey[..., None] * 0.4).round().astype(np.uint8), 3, axis=2)
