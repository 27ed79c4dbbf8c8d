"""Pictures: read, resize and preprocess them."""

from __future__ import annotations

from .preprocess import Prepared, Preprocess
from .read import Picture, decode_image, read_file, read_image, sample_name, sample_photograph
from .resize import Size, framed, resized

__all__ = [
    "Picture",
    "Prepared",
    "Preprocess",
    "Size",
    "decode_image",
    "framed",
    "read_file",
    "read_image",
    "resized",
    "sample_name",
    "sample_photograph",
]
