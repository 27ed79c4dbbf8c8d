"""Pictures whose absent pixels are shown as transparent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..errors import InputError
from ..images import read_image
from .figure import PANEL, checkerboard, hide_ticks, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["as_mask", "as_numpy", "masked_picture", "transparent"]


def masked_picture(picture: Any, presence: Any, ax: Axes | None = None) -> Axes:
    """Draw a picture with a checkerboard where its pixels are absent.

    Args:
        picture: Anything that [`read_image`][xai_layermask.images.read_image] takes.
        presence: Bool or 0/1, `(H, W)` or with leading dimensions of one, of the picture's size.
        ax: Where to draw; a new figure if None.

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
    ax = single_axes(ax, 1.4 * PANEL, 1.4 * PANEL)
    checkerboard(ax, *mask.shape)
    ax.imshow(transparent(colours, mask))
    hide_ticks(ax)
    return ax


def transparent(picture: npt.NDArray[np.uint8], mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Add an alpha channel, uint8 `(H, W, 4)`: absent pixels are transparent, and their colours are erased."""
    present = mask[..., None]
    return np.concatenate([np.where(present, picture, 128), np.where(present, 255, 0)], axis=2).astype(np.uint8)


def as_mask(presence: Any, size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Check the presence of one picture, and make it bool `(H, W)`.

    Args:
        presence: Array or tensor of bool or 0/1, `(H, W)` or with leading dimensions of one.
        size: The required (H, W).

    Raises:
        InputError: If the size is another, or a value is neither 0 nor 1.

    Example:
        >>> as_mask(np.ones((1, 1, 2, 3)), (2, 4))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected presence of the picture's size (2, 4), got (1, 1, 2, 3)
    """
    mask = as_numpy(presence)
    if mask.ndim < 2 or mask.shape[-2:] != tuple(size) or any(side != 1 for side in mask.shape[:-2]):
        raise InputError.expected(f"presence of the picture's size {tuple(size)}", str(mask.shape))
    if mask.dtype != np.bool_ and not np.isin(mask, (0, 1)).all():
        raise InputError.expected("only 0 and 1 in presence", "other values", "threshold it, as in presence > 0.5")
    return mask.reshape(size).astype(np.bool_)


def as_numpy(values: Any) -> npt.NDArray[Any]:
    """A tensor of any type and device, or anything array-like, as an array; numpy has no bfloat16."""
    if not isinstance(values, Tensor):
        return np.asarray(values)
    numbers = values.detach().cpu()
    return (numbers.double() if numbers.is_floating_point() else numbers).numpy()
