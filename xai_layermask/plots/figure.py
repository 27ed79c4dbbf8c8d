"""Figures and axes to draw on, without pyplot: no display, no global state, and the current style sheet applies."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ..catalog import SIGNATURE
from ..errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "MINUS",
    "PANEL",
    "axes_grid",
    "checkerboard",
    "escape_mathtext",
    "figure_bytes",
    "hide_ticks",
    "new_figure",
    "origin_metadata",
    "single_axes",
]

MINUS = "\N{MINUS SIGN}"
PANEL = 2.6  # inches

_SQUARES = 28  # along the longer side, so that the cells of common activation sizes are whole numbers of squares
_TONES = (0.80, 0.95)
_MAX_COLUMNS = 5


def new_figure(width: float, height: float, layout: Literal["constrained", "compressed"] = "constrained") -> Figure:
    """A new figure of this size in inches; the layout "compressed" leaves no gaps between pictures."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout=layout)


def single_axes(ax: Axes | None, width: float, height: float) -> Axes:
    """The axes that the caller passed, or those of a new figure of this size in inches.

    Raises:
        InputError: If `ax` is anything else.

    Example:
        >>> single_axes([1, 2], 3, 3)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected matplotlib Axes for ax, got list: pass for example figure.subplots()
    """
    from matplotlib.axes import Axes

    if ax is None:
        return new_figure(width, height).subplots()
    if not isinstance(ax, Axes):
        raise InputError.expected("matplotlib Axes for ax", type(ax).__name__, "pass for example figure.subplots()")
    return ax


def axes_grid(axes: Any, count: int, height: float = PANEL, shape: tuple[int, int] | None = None) -> npt.NDArray[Any]:
    """The axes that the caller passed, or those of a new figure, one for each panel.

    Args:
        axes: Axes in any nesting, such as `figure.subplots(2, 3)`; a new figure if None. Surplus axes are turned off.
        count: Number of panels.
        height: Height of a panel in a new figure, in inches.
        shape: Required rows and columns; if None any, and at most five columns in a new figure.

    Returns:
        Axes, `(count,)`, row by row; or `shape`.

    Raises:
        InputError: If there are too few, of another shape, or anything else.

    Example:
        >>> len(axes_grid(None, 3))
        3
        >>> axes_grid(axes_grid(None, 2), 3)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected 3 or more matplotlib Axes for axes, got 2: \
make them with figure.subplots(1, 3)
    """
    from matplotlib.axes import Axes

    rows, columns = shape or (-(-count // _MAX_COLUMNS), min(count, _MAX_COLUMNS))
    if axes is None:
        grid = new_figure(PANEL * columns, height * rows).subplots(rows, columns, squeeze=False)
    else:
        grid = np.array(axes, dtype=object)
    others = [ax for ax in grid.flat if not isinstance(ax, Axes)]
    if others or grid.size < count or (shape and grid.shape != shape):
        raise InputError.expected(
            f"{'x'.join(map(str, shape)) if shape else f'{count} or more'} matplotlib Axes for axes",
            type(others[0]).__name__ if others else "x".join(map(str, grid.shape)),
            f"make them with figure.subplots({rows}, {columns})",
        )
    if shape:
        return grid
    for ax in grid.flat[count:]:
        ax.set_axis_off()
    return grid.ravel()[:count]


def hide_ticks(ax: Axes) -> None:
    """Remove ticks and frame."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def checkerboard(ax: Axes, height: int, width: int) -> None:
    """Draw the checkerboard that marks absent cells below a map of this size."""
    side = max(height, width) / _SQUARES
    rows, columns = np.ogrid[: max(1, round(height / side)), : max(1, round(width / side))]
    tones = np.where((rows + columns) % 2, *_TONES)
    ax.imshow(
        np.repeat(tones[..., None], 3, axis=2),
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
        zorder=-1,
    )


def escape_mathtext(text: str) -> str:
    r"""Escape dollar signs, between which matplotlib would set mathematics.

    Example:
        >>> print(escape_mathtext("from $1_a to $2_b"))
        from \$1_a to \$2_b
    """
    return text.replace("$", r"\$")


def figure_bytes(figure: Figure, suffix: str, dpi: int = 150) -> bytes:
    """Encode a figure as ".png", ".svg" or ".pdf"; the last two keep text and lines as vectors."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix.lstrip("."), dpi=dpi, metadata=origin_metadata(suffix))
    return buffer.getvalue()


def origin_metadata(suffix: str) -> dict[str, str]:
    """Metadata for a figure's file: the program that wrote it, and its version.

    Example:
        >>> origin_metadata(".png")
        {'Software': 'xai-layermask 0.1.0'}
    """
    return {"Software" if suffix == ".png" else "Creator": SIGNATURE}
