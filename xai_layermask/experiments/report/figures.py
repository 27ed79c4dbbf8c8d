"""Building blocks of report figures: grids of panels, points with intervals, headings, legends and files.

Everything is drawn on `Figure` and `Axes` objects without pyplot. Fonts, sizes, grids and colour cycles come from the
style sheet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...catalog import title
from ...plots import (
    Style,
    dodged,
    error_lengths,
    escape_mathtext,
    new_figure,
    origin_metadata,
    single_axes,
    styles_of,
)
from ...stats import Estimate, Interval, joined
from .tables import FEW

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["add_frame", "add_legend", "dots", "drawable", "panels", "save", "scatter"]

_WIDTH, _HEIGHT = 2.6, 1.9  # inches of a panel


def panels(rows: int, columns: int, shared: bool = True) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a grid of panels.

    Args:
        rows: Number of rows.
        columns: Number of columns.
        shared: Whether the panels of a row share the y axis, and all panels the x axis.

    Returns:
        The figure and its axes, row by row.

    Example:
        >>> figure, grid = panels(2, 3)
        >>> len(grid), len(grid[0])
        (2, 3)
    """
    figure = new_figure(_WIDTH * max(columns, 1.6) + 0.4, _HEIGHT * max(rows, 1.4) + 0.6)
    grid = figure.subplots(rows, columns, sharex=shared, sharey="row" if shared else False, squeeze=False)
    return figure, [list(row) for row in grid]


def drawable(estimate: Estimate) -> Estimate:
    """Drop the intervals that rest on fewer than `FEW` pictures, as tables do.

    Example:
        >>> from xai_layermask.stats import Mean, estimate
        >>> drawable(estimate(Mean([0.0, 1.0, 1.0]))).low.tolist()
        [nan]
    """
    few = estimate.n < FEW
    low, high = (np.where(few, np.nan, ends) for ends in (estimate.low, estimate.high))
    return Estimate(estimate.value, low, high, estimate.n)


def dots(
    groups: Sequence[str],
    estimates: Mapping[str, Estimate],
    ax: Axes | None = None,
    styles: Mapping[str, Style] | None = None,
) -> Axes:
    """Draw points with horizontal intervals, one line for each group, the first group at the top.

    Args:
        groups: Names of the P groups.
        estimates: The P values of each series.
        ax: Where to draw; None for a new figure.
        styles: The style of each series; those of [`styles_of`][xai_layermask.plots.styles_of] if None.

    Returns:
        The axes.

    Example:
        >>> from xai_layermask.stats import Mean, estimate
        >>> ax = dots(["tabby", "fox"], {"grey": estimate(Mean([[0.0, 1.0], [1.0, 1.0]]))})
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['tabby', 'fox']
    """
    ax = single_axes(ax, 1.6 * _WIDTH, 0.7 + 0.25 * len(groups))
    styles = styles_of(estimates) if styles is None else styles
    for name, at, value, lengths in dodged(estimates, 0.6):
        ax.errorbar(
            value, at, xerr=lengths, linestyle="none", marker=styles[name].marker, color=styles[name].colour,
            markersize=4, linewidth=1.2, label=title(name),
        )  # fmt: skip
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    return ax


def scatter(
    points: Mapping[str, tuple[Interval, Interval]],
    ax: Axes | None = None,
    styles: Mapping[str, Style] | None = None,
) -> Axes:
    """Draw a point for each series, with the intervals of both coordinates as a cross.

    Args:
        points: The two coordinates of each series; a series that lacks one of them is left out.
        ax: Where to draw; None for a new figure.
        styles: The style of each series; those of [`styles_of`][xai_layermask.plots.styles_of] if None.

    Returns:
        The axes.

    Example:
        >>> ax = scatter({"grey": (Interval(0.5, 0.4, 0.6, 9), Interval(0.2, 0.1, 0.3, 9))})
        >>> ax.lines[0].get_xydata().tolist()
        [[0.5, 0.2]]
    """
    ax = single_axes(ax, 1.6 * _WIDTH, 1.6 * _HEIGHT)
    styles = styles_of(points) if styles is None else styles
    for name, (x, y) in points.items():
        if np.isfinite([x.value, y.value]).all():
            ax.errorbar(
                x.value, y.value, xerr=error_lengths(joined([x])), yerr=error_lengths(joined([y])), linestyle="none",
                marker=styles[name].marker, color=styles[name].colour, markersize=5, linewidth=1.2, label=title(name),
            )  # fmt: skip
    return ax


def add_frame(figure: Figure, heading: str) -> None:
    """Add a heading, and a legend that all panels share."""
    figure.suptitle(escape_mathtext(heading))
    add_legend(figure)


def add_legend(figure: Figure) -> None:
    """Add a legend below the panels, with one entry for each series in any of them."""
    from matplotlib.container import BarContainer, ErrorbarContainer

    entries: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle[0] if isinstance(handle, (BarContainer, ErrorbarContainer)) else handle)
    if entries:
        width = 0.65 + 0.09 * max(map(len, entries))  # approximate inches of the longest entry
        lines = math.ceil(len(entries) / max(1, int(figure.get_figwidth() / width)))
        figure.legend(
            list(entries.values()), list(entries), loc="outside lower center", frameon=False,
            ncols=math.ceil(len(entries) / lines),
        )  # fmt: skip


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG; `path` has no suffix. Equal figures give identical files."""
    import matplotlib as mpl

    engine = figure.get_layout_engine()
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=200, metadata=origin_metadata(".png"))
        figure.set_layout_engine("none")  # reuse the layout of the PNG: it takes half of the time to compute
        figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None, **origin_metadata(".svg")})
    figure.set_layout_engine(engine)
