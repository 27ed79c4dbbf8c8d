"""Neighbour padding, ring by ring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.padding import fill_rings, ring_geometry
from ..errors import InputError
from ..images.read import read_image
from .panel import bare, board, many
from .pictures import as_mask, transparent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["rings"]

_WITH_NUMBERS = 10  # cells along the longer side
#: Sizes of letters, and how many characters of each a row of cells has room for in a panel of the usual width.
_SIZES = {"small": 32, "x-small": 39, "xx-small": 47}
_LINES = (1.5, 0.7)  # points, in small maps and in large ones
_LARGE = 32  # cells along the longer side

Cells = npt.NDArray[np.bool_]


def rings(x: Any, presence: Any, rounds: int | Sequence[int], axes: Any = None) -> npt.NDArray[Any]:
    """Draw how neighbour padding fills absent cells: what is present, and then the map after every round.

    The cells that came in since the panel before are outlined. Maps of at most 10 x 10 cells have their numbers in the
    cells.

    Args:
        x: One channel, `(H, W)`, numbers; or a picture `(H, W, 3)` or `(3, H, W)` as
            [`read_image`][xai_layermask.images.read_image] takes it. What stands at absent cells is never read.
        presence: Bool or 0/1, `(H, W)` or with leading dimensions of one.
        rounds: How many rounds to draw; or, for large maps, after which rounds to draw, such as (2, 8, 32).
        axes: Where to draw, one more than there are rounds to draw; a figure of its own if None.

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
    values = _values(x)
    mask = as_mask(presence, tuple(values.shape[-2:]))
    after = _rounds(rounds)
    panels = many(axes, 1 + len(after))
    limits, numbers = _limits(values, mask), _numbers(values, mask, after[-1])
    before = mask
    for ax, count in zip(panels, (0, *after), strict=True):
        filled, known = _filled(values, mask, count)
        _draw(ax, filled, known, limits, numbers)
        if count:
            _outline(ax, known & ~before)
        ax.set_title("present" if not count else f"round {count}")
        before = known
    return panels


def _filled(values: Tensor, mask: Cells, count: int) -> tuple[npt.NDArray[Any], Cells]:
    """The map after some rounds, `(h, w)` or `(h, w, 3)`, and which of its cells are known."""
    present = torch.from_numpy(mask)[None, None]
    found = ring_geometry(present, rounds=count)
    filled = fill_rings(torch.where(present, values[None], 0.0), found)[0]
    known = mask.copy()
    for ring in found:
        known.flat[ring.cells.numpy()] = True
    return (filled[0] if len(filled) == 1 else filled.permute(1, 2, 0)).numpy(), known


def _numbers(values: Tensor, mask: Cells, rounds: int) -> tuple[str, str] | None:
    """How numbers are written so that they fit into their cells: format and size; None for none."""
    if len(values) > 1 or max(mask.shape) > _WITH_NUMBERS:
        return None
    filled, known = _filled(values, mask, rounds)
    largest = max(np.abs(filled[known]), default=0.0)
    styles = (".3g", ".2g", ".1g") if largest < 9.5 else (".3g", ".0f") if largest < 999.5 else (".0f",)
    for style in styles:
        width = max((len(f"{one:{style}}") for one in filled[known]), default=0) * mask.shape[1]
        if width <= _SIZES["xx-small"]:
            break
    return style, next((size for size, most in _SIZES.items() if width <= most), "xx-small")


def _draw(
    ax: Axes, filled: npt.NDArray[Any], known: Cells, limits: tuple[float, float], numbers: tuple[str, str] | None
) -> None:
    height, width = known.shape
    board(ax, height, width)
    bare(ax)
    if filled.ndim == 3:
        ax.imshow(transparent(filled.round().clip(0, 255).astype(np.uint8), known))
        return
    shown = ax.imshow(np.ma.array(filled, mask=~known), vmin=limits[0], vmax=limits[1], interpolation="nearest")
    if numbers:
        style, size = numbers
        for row, column in np.argwhere(known):
            number = filled[row, column]
            red, green, blue, _ = shown.cmap(shown.norm(number))
            ink = "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "white"
            ax.text(column, row, f"{number:{style}}", ha="center", va="center", fontsize=size, color=ink)


def _outline(ax: Axes, cells: Cells) -> None:
    """Draw a line along the border of some cells."""
    from matplotlib.collections import LineCollection

    wide = np.pad(cells, 1).astype(np.int8)
    lines = [((a, y), (b, y)) for y, a, b in _runs(np.diff(wide, axis=0)[:, 1:-1])]
    lines += [((x, a), (x, b)) for x, a, b in _runs(np.diff(wide, axis=1)[1:-1].T)]
    width = _LINES[max(cells.shape) > _LARGE]
    for colour, broad in (("white", 1.8), ("#D55E00", 1.0)):  # on any ground one of the two is seen
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=broad * width, capstyle="projecting"))


def _runs(edges: npt.NDArray[np.int8]) -> list[tuple[float, float, float]]:
    """Straight pieces of border: which line, where it begins and where it ends, in cells."""
    found = []
    for line, row in enumerate(edges):
        steps = np.diff(np.pad(row != 0, 1).astype(np.int8))
        found += [
            (line - 0.5, float(start) - 0.5, float(stop) - 0.5)
            for start, stop in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
        ]
    return found


def _limits(values: Tensor, mask: Cells) -> tuple[float, float]:
    """The scale of colours: means lie between the numbers that are present."""
    present = values[:, torch.from_numpy(mask)]
    if not torch.isfinite(present).all():
        raise InputError("x must be finite wherever it is present, but NaN or infinity came: mark such cells absent.")
    return (float(present.min()), float(present.max())) if present.numel() else (0.0, 1.0)


def _values(x: Any) -> Tensor:
    """The map as numbers, `(1, H, W)`, or a picture's colours from 0 to 255, `(3, H, W)`."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim == 3:
        return torch.from_numpy(read_image(x).transpose(2, 0, 1).astype(np.float64))
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiub":
        raise InputError(
            f"x must be one channel (H, W) or a picture (H, W, 3), but {array.dtype} {array.shape} came: choose a "
            "channel, as in x[0, 0]."
        )
    return torch.from_numpy(array.astype(np.float64))[None]


def _rounds(rounds: int | Sequence[int]) -> tuple[int, ...]:
    single = isinstance(rounds, int | np.integer) and not isinstance(rounds, bool)
    after = range(1, int(rounds) + 1) if single else rounds  # type: ignore[arg-type]
    whole = isinstance(after, Sequence) and all(
        isinstance(count, int | np.integer) and not isinstance(count, bool) for count in after
    )
    if not whole or not after or list(after) != sorted({0, *after})[1:]:  # type: ignore[arg-type, misc]
        raise InputError(
            f"rounds must be a whole number of at least 1, or increasing ones, but {rounds!r} came: give for example 3 "
            "or (2, 8, 32)."
        )
    return tuple(after)  # type: ignore[arg-type]
