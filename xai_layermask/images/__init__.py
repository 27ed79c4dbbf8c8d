"""Pictures: read, resize and preprocess them."""

from __future__ import annotations

from .changes import change_preprocess
from .decode import FORMATS, open_picture, upright
from .preprocess import Prepared, Preprocess
from .read import Picture, decode_image, read_file, read_image, sample_name, sample_photograph
from .resize import Size, framed, resized

__all__ = [
    "FORMATS",
    "Picture",
    "Prepared",
    "Preprocess",
    "Size",
    "change_preprocess",
    "decode_image",
    "framed",
    "open_picture",
    "read_file",
    "read_image",
    "resized",
    "sample_name",
    "sample_photograph",
    "upright",
]
