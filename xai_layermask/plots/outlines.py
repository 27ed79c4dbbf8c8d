"""Lines along the borders of cells and segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_borders", "outline"]

Lines = list[tuple[tuple[float, float], tuple[float, float]]]


def outline(ax: Axes, regions: npt.NDArray[np.integer[Any]], colour: Any, width: float) -> None:
    """Draw a line along the border of each region of a map `(H, W)`, in which -1 is none.

    The line has a white rim, so that it shows on any background.
    """
    lines = _lines(np.pad(regions, 1, constant_values=-1))
    for ink, factor in (("white", 1.8), (colour, 1.0)):
        _add(ax, lines, ink, factor * width)


def draw_borders(ax: Axes, segments: npt.NDArray[np.integer[Any]], colour: Any, width: float) -> None:
    """Draw a line between every two segments of a map `(H, W)`."""
    _add(ax, _lines(np.pad(segments, 1, mode="edge")), colour, width)


def _add(ax: Axes, lines: Lines, colour: Any, width: float) -> None:
    from matplotlib.collections import LineCollection

    ax.add_collection(LineCollection(lines, colors=[colour], linewidths=width, capstyle="projecting"))


def _lines(padded: npt.NDArray[Any]) -> Lines:
    """The borders between different values of a map with a margin of one cell, in the map's own coordinates."""
    lines: Lines = [((a, y), (b, y)) for y, a, b in _runs((padded[1:] != padded[:-1])[:, 1:-1])]
    lines += [((x, a), (x, b)) for x, a, b in _runs((padded[:, 1:] != padded[:, :-1])[1:-1].T)]
    return lines


def _runs(edges: npt.NDArray[np.bool_]) -> list[tuple[float, float, float]]:
    """Straight pieces of border: the line, its start and its end, in cells."""
    runs = []
    for line, row in enumerate(edges):
        steps = np.diff(np.pad(row, 1).astype(np.int8))
        runs += [
            (line - 0.5, float(start) - 0.5, float(stop) - 0.5)
            for start, stop in zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
        ]
    return runs
