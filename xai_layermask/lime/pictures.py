"""Pictures and segments as stock `lime` takes them: missing pixels are transparent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, refuse_masked
from ..images import Preprocess
from ..maskings import as_pictures
from ..segments import Segments, segment

__all__ = ["How", "Picture", "as_rgba", "segmentation", "shown_raster", "split_alpha"]

Picture = npt.NDArray[Any]
How = str | npt.ArrayLike | Callable[[npt.NDArray[np.uint8]], object]


def as_rgba(picture: Picture, presence: npt.ArrayLike | None = None) -> Picture:
    """Add an alpha channel to a picture, so that stock `lime` can hide segments by making them transparent.

    Args:
        picture: `(H, W)`, `(H, W, 3)` or `(H, W, 4)`, uint8 or floats from 0 to 1.
        presence: `(H, W)`, which pixels are present; all if None.

    Returns:
        `(H, W, 4)` of the same type.

    Raises:
        InputError: If it is not such a picture, or presence has another shape.

    Example:
        >>> as_rgba(np.zeros((2, 2, 3), np.uint8))[0, 0]
        array([  0,   0,   0, 255], dtype=uint8)
    """
    colours, present = split_alpha(picture)
    if presence is not None:
        extra = np.asarray(presence)
        if extra.shape != present.shape:
            raise InputError.expected(f"presence of the picture's size {present.shape}", str(extra.shape))
        present = present & (extra != 0)
    opaque = 255 if colours.dtype == np.uint8 else 1
    return np.concatenate([colours, (present * opaque).astype(colours.dtype)[..., None]], axis=2)


def segmentation(how: How = "quickshift") -> Callable[[Picture], Segments]:
    """A `segmentation_fn` for stock `lime` that takes RGB and RGBA, with ids 0..n-1.

    Args:
        how: As `xai_layermask.segments.segment` takes it: a name such as "slic:100", a map, or a function of an RGB
            picture.

    Returns:
        A function from a picture `(H, W, 3)` or `(H, W, 4)` to int64 `(H, W)`.

    Example:
        >>> segmentation("patches:2")(np.zeros((2, 4, 4), np.uint8))
        array([[0, 0, 1, 1],
               [0, 0, 1, 1]])
    """

    def segments_of(picture: Picture) -> Segments:
        return segment(as_pictures(split_alpha(picture)[0][None])[0][0], how)

    return segments_of


def shown_raster(image: Any, preprocess: Preprocess) -> tuple[Picture, npt.NDArray[np.bool_]]:
    """The picture of a raster of the model's size, uint8 `(H, W, 3)`, and its presence `(H, W)`."""
    shown = replace(preprocess, resize=None, crop=None).prepare(image)
    present = np.ones(shown.picture.shape[:2], bool) if shown.present is None else shown.present
    return shown.picture, present


def split_alpha(picture: Picture) -> tuple[Picture, npt.NDArray[np.bool_]]:
    """Colours `(H, W, 3)` in their own type, and presence `(H, W)`."""
    refuse_masked(picture, "image")
    array = np.asarray(picture)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise InputError.expected("a picture (H, W, 3), (H, W, 4) or (H, W) for image", f"{array.dtype} {array.shape}")
    present = as_pictures(array[None])[1]  # also checks type and range
    return array[..., :3], present[0, 0].numpy()
