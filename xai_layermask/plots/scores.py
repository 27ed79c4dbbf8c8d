"""One panel of scores, in each style, and its colour bar."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .figure import MINUS
from .outlines import draw_borders, outline
from .palette import colormap, signed_colour
from .shading import faded, shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .look import Look

__all__ = ["NOTES", "add_colorbar", "draw_scores"]

Floats = npt.NDArray[np.float64]

#: How each style shows that the interval of a score contains 0.
NOTES = MappingProxyType(
    {
        "overlay": "pale: the 95 % interval contains 0",
        "heatmap": "hatched: the 95 % interval contains 0",
    }
)
_PALE = 0.25  # opacity
_WIDTH = 1.4  # points


def draw_scores(
    ax: Axes,
    picture: npt.NDArray[np.uint8],
    segments: npt.NDArray[np.int64],
    scores: Floats,
    uncertain: npt.NDArray[np.bool_] | None,
    look: Look,
    limit: float,
) -> None:
    """Draw the scores of the segments of a picture.

    Args:
        ax: Where to draw.
        picture: uint8 `(H, W, 3)`.
        segments: Ids `(H, W)`, 0..K-1.
        scores: `(K,)`; 0 is not drawn.
        uncertain: Scores whose interval contains 0, `(K,)`; None if unknown.
        look: The style and its options.
        limit: The score at which colours are strongest.
    """
    if look.style in ("outlines", "top"):
        chosen = scores != 0
        ax.imshow(np.where(chosen[segments][..., None] | (look.style == "outlines"), picture, faded(picture)))
        for sign in (-1.0, 1.0):
            outline(ax, np.where((scores * sign > 0)[segments], segments, -1), signed_colour(sign, look.cmap), _WIDTH)
        return
    height, width = segments.shape
    ax.imshow([[colormap(look.cmap)(0.5)]], extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    opacity = np.ones_like(scores)
    if uncertain is not None and look.style == "overlay":
        opacity[uncertain] = _PALE
    ax.imshow(
        scores[segments],
        cmap=colormap(look.cmap),
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
        alpha=opacity[segments],
    )
    if look.style == "overlay":
        shade(ax, picture)
        return
    draw_borders(ax, segments, "0.75", 0.4)
    if uncertain is not None and (hatched := (uncertain & (scores != 0))[segments]).any():
        ax.contourf(hatched, levels=[0.5, 1.5], colors="none", hatches=["/////"])


def add_colorbar(axes: Sequence[Axes], look: Look, limit: float, scores: Sequence[Floats]) -> None:
    """Add one bar with numbers below the axes; below styles that draw lines, what the two colours mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    ends = (0.0 if look.sign == "positive" else -limit, 0.0 if look.sign == "negative" else limit)
    lines = look.style in ("outlines", "top")
    colours = ListedColormap([signed_colour(sign, look.cmap) for sign in (-1.0, 1.0)])
    every = np.concatenate([look.shown(one) for one in scores])
    beyond = (not lines and every.min() < -limit) + 2 * (not lines and every.max() > limit)
    bar = axes[0].figure.colorbar(
        ScalarMappable(Normalize(-limit, limit), colours if lines else colormap(look.cmap)), ax=list(axes),
        location="bottom", fraction=0.06, pad=0.06, aspect=24, shrink=0.9 if len(axes) == 1 else 0.5,
        extend=("neither", "min", "max", "both")[beyond],
    )  # fmt: skip
    bar.ax.set_xlim(*ends)
    ticks = [] if lines else sorted({*ends, 0.0})
    bar.set_ticks(ticks, labels=[f"{tick:.2g}".replace("-", MINUS) for tick in ticks])
    bar.set_label(
        {"both": "against  ←  score  →  for", "positive": "score  →  for", "negative": "against  ←  score"}[look.sign]
    )
