"""TIFF files that Pillow does not read, or not with all of their bits."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from .decode import ORIENTATION

__all__ = ["tiff_numbers"]

# Numbers in a file of bands; a small compressed file may claim any size.
_LARGEST = 1 << 28
# What samples mean, and which extra ones are alpha, in TIFF's numbers.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ALPHA = {1, 2}


def tiff_numbers(content: bytes, bands: bool) -> npt.NDArray[Any] | None:
    """The numbers of a TIFF, turned as its orientation says, by tifffile.

    Args:
        content: The bytes of the file.
        bands: Whether its pages are bands of a raster, of which all are read; otherwise only the first one is.

    Returns:
        The samples of a pixel are the last axis; of a picture, colours and alpha alone. None if tifffile cannot read
        it, or it is no picture of greys or of red, green and blue.
    """
    try:
        import tifffile  # comes with scikit-image

        with tifffile.TiffFile(io.BytesIO(content)) as file:
            page: Any = file.pages.first
            source = file.series[0] if bands else page
            if source.size > _LARGEST or not (bands or page.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)):
                return None
            turn = page.tags.get(ORIENTATION)
            array = _turned(np.asarray(source.asarray()), source.axes, 1 if turn is None else int(turn.value))
            if page.photometric == _WHITE_IS_ZERO and array.dtype.kind == "u":
                array = np.iinfo(array.dtype).max - array
            if page.photometric == _RGB and not bands and not set(page.extrasamples[:1]) & _ALPHA:
                array = array[..., :3]
            return array
    except Exception:  # a decoder may raise anything; the caller reports what Pillow said
        return None


def _turned(array: npt.NDArray[Any], axes: str, orientation: int) -> npt.NDArray[Any]:
    """Turn an array whose axes are named Y, X, S for samples, and other letters for pages; samples become the last."""
    y, x = axes.index("Y"), axes.index("X")
    if 5 <= orientation <= 8:
        array = array.swapaxes(y, x)
    array = np.flip(array, {2: (x,), 3: (y, x), 4: (y,), 6: (x,), 7: (y, x), 8: (y,)}.get(orientation, ()))
    return np.ascontiguousarray(np.moveaxis(array, axes.index("S"), -1) if "S" in axes else array)
