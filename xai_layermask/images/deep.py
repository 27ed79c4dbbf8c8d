"""PNG files of 16-bit colours, of which Pillow reads the upper 8 bits alone."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

__all__ = ["deep_png"]


def deep_png(content: bytes) -> npt.NDArray[Any] | None:
    """The pixels of a PNG of 16-bit colours, turned as its EXIF orientation says, by torchvision.

    Args:
        content: The bytes of a file that Pillow can read.

    Returns:
        uint16 `(H, W, C)`, the fourth channel alpha; None if torchvision is not installed or cannot read it.
    """
    try:
        from torchvision.io import ImageReadMode, decode_png

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            pixels = decode_png(data, ImageReadMode.UNCHANGED, apply_exif_orientation=True)
    except (ImportError, AttributeError, RuntimeError, TypeError, ValueError):
        return None
    found = pixels.permute(1, 2, 0).numpy()
    return found if found.dtype == np.uint16 else None
