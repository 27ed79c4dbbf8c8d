"""Figures: explanations, curves and bars with intervals, and what a masked network sees.

Each function draws on the axes that it is given, or on a new figure, and returns them; `ax.figure` is the figure.
pyplot and matplotlib's settings are left alone and the current style sheet applies. In vector formats only pictures and
maps are pixels.
"""

from __future__ import annotations

from .activations import activations
from .bars import bars, dodged, error_lengths, mask_shape_bars
from .caption import HasMethod
from .curves import curve, curves
from .explanations import SegmentScores, comparison, draw, overview
from .figure import escape_mathtext, figure_bytes, new_figure, origin_metadata, single_axes
from .look import Look, LookOptions
from .padding import rings
from .palette import colormap
from .pictures import masked_picture
from .style import Style, styles_of

__all__ = [
    "HasMethod",
    "Look",
    "LookOptions",
    "SegmentScores",
    "Style",
    "activations",
    "bars",
    "colormap",
    "comparison",
    "curve",
    "curves",
    "dodged",
    "draw",
    "error_lengths",
    "escape_mathtext",
    "figure_bytes",
    "mask_shape_bars",
    "masked_picture",
    "new_figure",
    "origin_metadata",
    "overview",
    "rings",
    "single_axes",
    "styles_of",
]
