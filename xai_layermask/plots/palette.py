"""The colours of scores: blue against a prediction, orange for it, nearly white at 0."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = ["NEUTRAL", "STOPS", "colormap", "signed_colour"]

#: The colour of a score of 0.
NEUTRAL = "#f7f7f7"

# Straight lines in CIELAB from the neutral colour to two ends of similar lightness (47 and 55). The ends stay at least
# 50 apart in CIEDE2000 for protanopes, deuteranopes and tritanopes.
_AGAINST = ("#1f70c1", "#6a8fcf", "#9cb0dc", "#cad3ea")
_FOR = ("#fad0bb", "#f7a981", "#ec8249", "#dd5a00")
#: Equidistant colours from the most negative to the most positive score; straight lines in sRGB between them.
STOPS = (*_AGAINST, NEUTRAL, *_FOR)


def colormap(cmap: str | Colormap | None = None) -> Colormap:
    """The diverging colour map of scores: the package's own if None, else one of matplotlib's, or the map itself.

    Raises:
        InputError: If there is no such colour map.

    Example:
        >>> from matplotlib.colors import to_hex
        >>> [to_hex(colormap()(strength)) for strength in (0.0, 0.5, 1.0)]
        ['#1f70c1', '#f7f7f7', '#dd5a00']
        >>> colormap("PuOr").name
        'PuOr'
    """
    if cmap is None:
        return _blue_to_orange()
    from matplotlib import colormaps
    from matplotlib.colors import Colormap

    if isinstance(cmap, Colormap):
        return cmap
    if not isinstance(cmap, str) or cmap not in colormaps:
        raise InputError.expected("a colour map of matplotlib for cmap", repr(cmap), "for example 'PuOr'")
    return colormaps[cmap]


def signed_colour(score: float, cmap: str | Colormap | None = None) -> tuple[float, float, float, float]:
    """The colour of strong scores with the sign of this one, RGBA from 0 to 1."""
    red, green, blue, alpha = colormap(cmap)(1.0 if score > 0 else 0.0)
    return red, green, blue, alpha


@cache
def _blue_to_orange() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("blue to orange", STOPS, N=255)
