"""`Look`: how a figure draws scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import numpy.typing as npt

from ..catalog import SCALES, SIGNS, STYLES
from ..errors import check_integer, check_number, choose
from .palette import colormap

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = ["Look", "LookOptions"]

Floats = npt.NDArray[np.float64]

_TOP = 20  # segments, as in the paper's figures


class LookOptions(TypedDict, total=False):
    """The options of [`Look`][], as keyword arguments."""

    style: str
    scale: str
    sign: str
    top: int | None
    vmax: float | None
    cmap: str | Colormap | None


@dataclass(frozen=True)
class Look:
    """How figures draw scores.

    Attributes:
        style: "overlay" colours the photograph, which is grey, and paler where the interval of a score contains 0.
            "heatmap" shows colours only, hatched where the interval contains 0. "outlines" draws the borders of the
            strongest segments on the photograph. "top" shows the strongest segments and fades all others.
        scale: "shared" for one colour scale for all panels of a figure, "own" for one for each panel.
        sign: "both", or only "positive" or "negative" scores.
        top: Draw only this many segments, those with the largest absolute scores of this sign. If None all; 20 for the
            styles "outlines" and "top".
        vmax: The score at which colours are strongest; the largest absolute score if None.
        cmap: A diverging colour map, or the name of one of matplotlib's; blue over white to orange if None.

    Raises:
        InputError: If an option is unknown or out of range.

    Example:
        >>> Look(sign="positive", top=2).shown(np.array([0.3, -0.9, 0.1, 0.2])).tolist()
        [0.3, 0.0, 0.0, 0.2]
        >>> Look(style="overlap")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of overlay, heatmap, outlines, top for style, got 'overlap': \
did you mean 'overlay'?
    """

    style: str = "overlay"
    scale: str = "shared"
    sign: str = "both"
    top: int | None = None
    vmax: float | None = None
    cmap: str | Colormap | None = None

    def __post_init__(self) -> None:
        choose(self.style, STYLES, "style")
        choose(self.scale, SCALES, "scale")
        choose(self.sign, SIGNS, "sign")
        if self.top is not None:
            check_integer(self.top, "top", 1)
        if self.vmax is not None:
            check_number(self.vmax, "vmax", above=0)
        colormap(self.cmap)

    @property
    def count(self) -> int | None:
        """How many segments are drawn; None for all."""
        return _TOP if self.top is None and self.style in ("outlines", "top") else self.top

    def shown(self, scores: Floats) -> Floats:
        """The scores `(K,)` that are drawn, and 0 for all others."""
        shown = scores.copy()
        if self.sign != "both":
            shown[(shown > 0) != (self.sign == "positive")] = 0.0
        if self.count is not None:
            shown[np.argsort(-np.abs(shown), kind="stable")[self.count :]] = 0.0
        return shown

    def limit(self, scores: Sequence[Floats]) -> float:
        """The score at which colours are strongest, for panels with these scores."""
        if self.vmax is not None:
            return float(self.vmax)
        return max((float(np.abs(self.shown(one)).max()) for one in scores), default=0.0) or 1.0
