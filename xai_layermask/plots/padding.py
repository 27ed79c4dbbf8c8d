"""Neighbour padding, round by round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.padding import fill_rings, ring_geometry
from ..errors import InputError, check_integer
from ..images import read_image
from .figure import axes_grid, checkerboard, hide_ticks
from .outlines import outline
from .pictures import as_mask, as_numpy, transparent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["rings"]

_NUMBERED = 10  # cells along the longer side up to which values are written
#: Font sizes, and how many characters of each fit into a row of cells in a panel of the usual width.
_SIZES = {"small": 32, "x-small": 39, "xx-small": 47}
_LINES = (1.5, 0.7)  # points, in small maps and in large ones
_LARGE = 32  # cells along the longer side
_RING = "#D55E00"

Mask = npt.NDArray[np.bool_]


def rings(x: Any, presence: Any, rounds: int | Sequence[int], axes: Any = None) -> npt.NDArray[Any]:
    """Draw how neighbour padding fills absent cells: the present ones, then the map after each round.

    The cells filled since the previous panel are outlined. Maps of at most 10 x 10 cells show their values.

    Args:
        x: One channel, `(H, W)`, numbers; or a picture `(H, W, 3)` or `(3, H, W)` as
            [`read_image`][xai_layermask.images.read_image] takes it. Values of absent cells are not used.
        presence: Bool or 0/1, `(H, W)` or with leading dimensions of one.
        rounds: Number of rounds; or, for large maps, the rounds to draw, such as (2, 8, 32).
        axes: One more than rounds to draw; a new figure if None.

    Returns:
        The axes, `(1 + rounds,)`.

    Raises:
        InputError: If the map, its presence, the rounds or the axes do not fit.

    Example:
        >>> panels = rings([[4.0, 0.0, 0.0], [8.0, 0.0, 0.0]], [[1, 0, 0], [1, 0, 0]], rounds=2)
        >>> [ax.get_title() for ax in panels]
        ['present', 'round 1', 'round 2']
        >>> [text.get_text() for text in panels[1].texts]
        ['4', '6', '8', '6']
    """
    values = _as_values(x)
    mask = as_mask(presence, tuple(values.shape[-2:]))
    drawn = _as_rounds(rounds)
    panels = axes_grid(axes, 1 + len(drawn))
    limits, numbers = _limits(values, mask), _number_format(values, mask, drawn[-1])
    before = mask
    for ax, count in zip(panels, (0, *drawn), strict=True):
        filled, known = _filled(values, mask, count)
        _draw(ax, filled, known, limits, numbers)
        if count:
            outline(ax, np.where(known & ~before, 0, -1), _RING, _LINES[max(known.shape) > _LARGE])
        ax.set_title("present" if not count else f"round {count}")
        before = known
    return panels


def _filled(values: Tensor, mask: Mask, rounds: int) -> tuple[npt.NDArray[Any], Mask]:
    """The map after some rounds, `(h, w)` or `(h, w, 3)`, and which of its cells are present or filled."""
    present = torch.from_numpy(mask)[None, None]
    geometry = ring_geometry(present, rounds=rounds)
    filled = fill_rings(torch.where(present, values[None], 0.0), geometry)[0]
    known = mask.copy()
    for ring in geometry:
        known.flat[ring.cells.numpy()] = True
    return (filled[0] if len(filled) == 1 else filled.permute(1, 2, 0)).numpy(), known


def _number_format(values: Tensor, mask: Mask, rounds: int) -> tuple[str, str] | None:
    """Format and font size of values that fit into their cells; None to leave them out."""
    if len(values) > 1 or max(mask.shape) > _NUMBERED:
        return None
    filled, known = _filled(values, mask, rounds)
    largest = max(np.abs(filled[known]), default=0.0)
    formats = (".3g", ".2g", ".1g") if largest < 9.5 else (".3g", ".0f") if largest < 999.5 else (".0f",)
    for chosen in formats:
        width = max((len(f"{one:{chosen}}") for one in filled[known]), default=0) * mask.shape[1]
        if width <= _SIZES["xx-small"]:
            break
    return chosen, next((size for size, most in _SIZES.items() if width <= most), "xx-small")


def _draw(
    ax: Axes, filled: npt.NDArray[Any], known: Mask, limits: tuple[float, float], numbers: tuple[str, str] | None
) -> None:
    height, width = known.shape
    checkerboard(ax, height, width)
    hide_ticks(ax)
    if filled.ndim == 3:
        ax.imshow(transparent(filled.round().clip(0, 255).astype(np.uint8), known))
        return
    shown = ax.imshow(np.ma.array(filled, mask=~known), vmin=limits[0], vmax=limits[1], interpolation="nearest")
    if numbers:
        chosen, size = numbers
        for row, column in np.argwhere(known):
            number = filled[row, column]
            red, green, blue, _ = shown.cmap(shown.norm(number))
            ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            ax.text(column, row, f"{number:{chosen}}", ha="center", va="center", fontsize=size, color=ink)


def _limits(values: Tensor, mask: Mask) -> tuple[float, float]:
    """The colour scale; filled values are means of present ones, and lie within."""
    present = values[:, torch.from_numpy(mask)]
    if not torch.isfinite(present).all():
        raise InputError.expected("finite numbers in the present cells of x", "NaN or infinity", "mark them absent")
    return (float(present.min()), float(present.max())) if present.numel() else (0.0, 1.0)


def _as_values(x: Any) -> Tensor:
    """The map as numbers, `(1, H, W)`, or a picture's colours from 0 to 255, `(3, H, W)`."""
    array = as_numpy(x)
    if array.ndim == 3:
        return torch.from_numpy(read_image(x).transpose(2, 0, 1).astype(np.float64))
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiub":
        raise InputError.expected(
            "one channel (H, W) or a picture (H, W, 3) for x",
            f"{array.dtype} {array.shape}",
            "choose a channel, as in x[0, 0]",
        )
    return torch.from_numpy(array.astype(np.float64))[None]


def _as_rounds(rounds: int | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(rounds, Sequence):
        return tuple(range(1, check_integer(rounds, "rounds", 1, otherwise="an increasing sequence") + 1))
    drawn = tuple(check_integer(count, "rounds", 1) for count in rounds)
    if not drawn or list(drawn) != sorted(set(drawn)):
        raise InputError.expected("an increasing sequence of integers for rounds", repr(rounds), "as in (2, 8, 32)")
    return drawn
