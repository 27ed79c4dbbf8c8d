"""Maskings: ways to remove segments from a picture."""

from __future__ import annotations

from .base import Masking
from .bound import Bound, as_extras
from .calibrated import Calibrated
from .fill import COLOURS, Fill
from .imputers import inpaint, road
from .layer import LayerMask
from .predict import as_pictures
from .presence import as_image, as_presence, present_part, split_presence, with_presence
from .reference import Reference
from .registry import NAMES, make

__all__ = [
    "COLOURS",
    "NAMES",
    "Bound",
    "Calibrated",
    "Fill",
    "LayerMask",
    "Masking",
    "Reference",
    "as_extras",
    "as_image",
    "as_pictures",
    "as_presence",
    "inpaint",
    "make",
    "present_part",
    "road",
    "split_presence",
    "with_presence",
]
