"""Pictures: read, resize and preprocess them."""

from __future__ import annotations

from .changes import change_preprocess
from .channels import wrong_channels
from .decode import FORMATS, loses_bits, open_picture, upright, upright_numbers
from .depth import Depth
from .frame import Frame
from .prepare import Prepared, Shown
from .preprocess import Preprocess
from .raster import read_raw
from .read import Picture, decode_image, read_file, read_image, sample_name, sample_photograph
from .resize import Size, framed, resized
from .transform import Transform, as_preprocess

__all__ = [
    "FORMATS",
    "Depth",
    "Frame",
    "Picture",
    "Prepared",
    "Preprocess",
    "Shown",
    "Size",
    "Transform",
    "as_preprocess",
    "change_preprocess",
    "decode_image",
    "framed",
    "loses_bits",
    "open_picture",
    "read_file",
    "read_image",
    "read_raw",
    "resized",
    "sample_name",
    "sample_photograph",
    "upright",
    "upright_numbers",
    "wrong_channels",
]
