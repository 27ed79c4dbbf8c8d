"""Pictures of which a part is missing, and seen to be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..errors import InputError
from ..images.read import read_image
from .panel import PANEL, bare, board, one

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["as_mask", "masked_picture", "transparent"]


def masked_picture(picture: Any, presence: Any, ax: Axes | None = None) -> Axes:
    """Draw a picture, and a checkerboard where its pixels are absent, as transparency is shown.

    Args:
        picture: Whatever holds one, as [`read_image`][xai_layermask.images.read_image] takes it.
        presence: Bool or 0/1, `(H, W)` or with leading dimensions of one, of the picture's size.
        ax: Where to draw; a figure of its own if None.

    Returns:
        The axes.

    Raises:
        InputError: If the picture cannot be read, or presence is of another size or not binary.

    Example:
        >>> picture = np.full((8, 8, 3), 200, np.uint8)
        >>> ax = masked_picture(picture, np.eye(8))
        >>> ax.images[-1].get_array()[0, :2, 3].tolist()
        [255, 0]
    """
    colours = read_image(picture)
    mask = as_mask(presence, colours.shape[:2])
    ax = one(ax, 1.4 * PANEL, 1.4 * PANEL)
    board(ax, *mask.shape)
    ax.imshow(transparent(colours, mask))
    bare(ax)
    return ax


def transparent(picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Put nothing where a picture is absent.

    Args:
        picture: uint8 `(H, W, 3)`.
        mask: Bool `(H, W)`, True where it is present.

    Returns:
        uint8 `(H, W, 4)`; what stood at an absent pixel is gone, so that it cannot shine through.
    """
    shown = mask[..., None]
    return np.concatenate([np.where(shown, picture, 128), np.where(shown, 255, 0)], axis=2).astype(np.uint8)


def as_mask(presence: Any, size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Check presence for one picture.

    Args:
        presence: Bool or 0/1, `(H, W)` or with leading dimensions of one; an array or a tensor.
        size: The H and W that it must have.

    Returns:
        Bool `(H, W)`.

    Raises:
        InputError: If it is of another size, or a value is neither 0 nor 1.

    Example:
        >>> as_mask(np.ones((1, 1, 2, 3)), (2, 4))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: presence must be of the picture's size (2, 4), but (1, 1, 2, 3) came: \
give one value for each pixel.
    """
    mask = presence.detach().cpu().numpy() if isinstance(presence, Tensor) else np.asarray(presence)
    if mask.ndim < 2 or mask.shape[-2:] != tuple(size) or any(side != 1 for side in mask.shape[:-2]):
        raise InputError(
            f"presence must be of the picture's size {tuple(size)}, but {mask.shape} came: give one value for each "
            "pixel."
        )
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise InputError(
            "presence must hold only 0 and 1, but other values came: threshold it first, for example presence > 0.5."
        )
    return mask.reshape(size).astype(np.bool_)
