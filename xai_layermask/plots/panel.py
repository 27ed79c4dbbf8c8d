"""Figures and axes to draw on, and what shows that something is missing.

Everything is drawn on `Figure` and `Axes` objects without pyplot, so that it works without a display, leaves no global
state behind, and follows whatever style sheet is in force.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PANEL", "bare", "board", "figure_bytes", "many", "new", "one", "plain"]

PANEL = 2.6  # inches

_SQUARES = 28  # along the longer side: cells of usual maps are whole numbers of squares
_TONES = (0.80, 0.95)
_ROW = 5  # panels


def new(width: float, height: float) -> Figure:
    """A figure without pyplot.

    Args:
        width: In inches.
        height: In inches.

    Returns:
        The figure, which finds room for what is drawn.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def one(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes that were given, or new ones.

    Args:
        ax: What the caller gave; None for a figure of its own.
        width: Of the figure, in inches.
        height: Likewise.

    Returns:
        The axes.

    Raises:
        InputError: If it is something else.

    Example:
        >>> one([1, 2], 3, 3)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: ax must be one of matplotlib's Axes, but list came: \
give for example figure.subplots().
    """
    from matplotlib.axes import Axes

    if ax is None:
        return new(width, height).subplots()
    if not isinstance(ax, Axes):
        raise InputError(
            f"ax must be one of matplotlib's Axes, but {type(ax).__name__} came: give for example figure.subplots()."
        )
    return ax


def many(axes: Any, count: int, height: float = PANEL, shape: tuple[int, int] | None = None) -> npt.NDArray[Any]:
    """The axes that were given, or new ones, as many as there are panels.

    Args:
        axes: What the caller gave: axes in any nesting, such as `figure.subplots(2, 3)`; None for a figure of its own.
            Those beyond the panels are turned off.
        count: How many panels there are.
        height: Of a panel in a new figure, in inches.
        shape: Rows and columns that are needed; any if None, and at most five columns in a new figure.

    Returns:
        Axes, `(count,)`, row by row; or `shape`.

    Raises:
        InputError: If there are fewer, or of another shape, or something else.

    Example:
        >>> len(many(None, 3))
        3
        >>> many(many(None, 2), 3)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: axes must be 3 or more of matplotlib's Axes, but 2 came: \
make them with figure.subplots(1, 3).
    """
    from matplotlib.axes import Axes

    rows, columns = shape or (-(-count // _ROW), min(count, _ROW))
    if axes is None:
        found = new(PANEL * columns, height * rows).subplots(rows, columns, squeeze=False)
    else:
        found = np.array(axes, dtype=object)
    strange = [one for one in found.flat if not isinstance(one, Axes)]
    if strange or found.size < count or (shape and found.shape != shape):
        came = type(strange[0]).__name__ if strange else "x".join(map(str, found.shape))
        raise InputError(
            f"axes must be {'x'.join(map(str, shape)) if shape else f'{count} or more'} of matplotlib's Axes, but "
            f"{came} came: make them with figure.subplots({rows}, {columns})."
        )
    if shape:
        return found
    for ax in found.flat[count:]:
        ax.set_axis_off()
    return found.ravel()[:count]


def bare(ax: Axes) -> None:
    """Take ticks and frame away, as pictures want it.

    Args:
        ax: The axes.
    """
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def board(ax: Axes, height: int, width: int) -> None:
    """Lay the checkerboard that stands for nothing, as behind transparent pictures, below a map.

    Args:
        ax: The axes.
        height: Of the map, in cells.
        width: Likewise.
    """
    side = max(height, width) / _SQUARES
    rows, columns = np.ogrid[: max(1, round(height / side)), : max(1, round(width / side))]
    tones = np.where((rows + columns) % 2, *_TONES)
    ax.imshow(
        np.repeat(tones[..., None], 3, axis=2), extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="nearest",
        zorder=-1,
    )


def plain(text: str) -> str:
    r"""A name as matplotlib shows it letter by letter: between two dollar signs it would set mathematics.

    Args:
        text: With the name of a class, a module or a model, for a title or a label.

    Returns:
        The text to give to matplotlib.

    Example:
        >>> print(plain("from $1_a to $2_b"))
        from \$1_a to \$2_b
    """
    return text.replace("$", r"\$")


def figure_bytes(figure: Figure, suffix: str) -> bytes:
    """Write a figure as a file.

    Args:
        figure: The figure.
        suffix: ".png", ".svg" or ".pdf"; the last two keep text and lines as such.

    Returns:
        The content of the file.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix.lstrip("."), dpi=150)
    return buffer.getvalue()
