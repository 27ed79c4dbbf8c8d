"""Figures: explanations, curves and bars with intervals, and a look at what a masked network sees.

Each function draws on the axes that it is given, or on a figure of its own, and returns them; `ax.figure` is the
figure. Nothing touches pyplot or matplotlib's settings: whatever style sheet is in force is obeyed, and only pictures
and maps are pixels in a vector file.
"""

from __future__ import annotations

from .activations import activations
from .bars import mask_shape_bars
from .curves import curve
from .explanations import comparison, draw, overview
from .padding import rings
from .panel import figure_bytes
from .pictures import masked_picture

__all__ = [
    "activations",
    "comparison",
    "curve",
    "draw",
    "figure_bytes",
    "mask_shape_bars",
    "masked_picture",
    "overview",
    "rings",
]
