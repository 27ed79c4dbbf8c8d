"""Drawings of estimates with their intervals, on matplotlib axes.

Everything is drawn on `Figure` and `Axes` objects without pyplot. Fonts, sizes and grids are the style sheet's, and so
are colours where it has a cycle of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..maskings import title
from .intervals import Estimate, Interval
from .looks import Look, looks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["bars", "curves", "dots", "legend", "new", "panels", "save", "scatter"]

_WIDTH, _HEIGHT = 2.6, 1.9  # inches of a panel
_BAND = 0.16  # opacity


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


def panels(rows: int, columns: int, shared: bool = True) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a grid of panels.

    Args:
        rows: How many.
        columns: How many.
        shared: Whether those of a row share the vertical axis, and all of them the horizontal one.

    Returns:
        The figure and its axes, row by row.

    Example:
        >>> figure, grid = panels(2, 3)
        >>> len(grid), len(grid[0])
        (2, 3)
    """
    figure = new(_WIDTH * max(columns, 1.6) + 0.4, _HEIGHT * max(rows, 1.4) + 0.6)
    grid = figure.subplots(rows, columns, sharex=shared, sharey="row" if shared else False, squeeze=False)
    return figure, [list(row) for row in grid]


def curves(
    x: Sequence[float], estimates: Mapping[str, Estimate], ax: Axes | None = None,
    look: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw a line for each series, and its intervals as a band; a single point has its interval as a line.

    Args:
        x: Where the points are, `(P,)`.
        estimates: The P numbers of each series, under its name.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.report.looks.looks] says.

    Returns:
        The axes; `ax.figure` is the figure.

    Example:
        >>> from .intervals import estimate
        >>> from .statistic import Mean
        >>> ax = curves([0.0, 1.0], {"grey": estimate(Mean([[1.0, 0.0], [1.0, 1.0]]))})
        >>> ax.lines[0].get_ydata().tolist()
        [1.0, 0.5]
    """
    ax = new(1.6 * _WIDTH, 1.6 * _HEIGHT).subplots() if ax is None else ax
    look = looks(estimates) if look is None else look
    for name, found in estimates.items():
        mine = look[name]
        front = 3 if name == "layer" else 2
        if len(x) > 1:
            ax.fill_between(x, found.low, found.high, color=mine.colour, alpha=_BAND, linewidth=0, zorder=front - 1)
        else:
            ax.vlines(x, found.low, found.high, color=mine.colour, alpha=0.5, zorder=front - 1)
        ax.plot(
            x, found.value, color=mine.colour, marker=mine.marker, markersize=3.5, linestyle=mine.line,
            label=title(name), zorder=front,
        )
    return ax


def bars(
    groups: Sequence[str], estimates: Mapping[str, Estimate], ax: Axes | None = None,
    look: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw groups of bars with their intervals; a bar without a number is left out.

    Args:
        groups: The names below the groups, `(P,)`.
        estimates: The P numbers of each series, under its name.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.report.looks.looks] says.

    Returns:
        The axes.

    Example:
        >>> from .intervals import estimate
        >>> from .statistic import Mean
        >>> ax = bars(["slic"], {"grey": estimate(Mean([0.0, 1.0])), "layer": estimate(Mean([1.0, 1.0]))})
        >>> [float(bar.get_height()) for bar in ax.patches]
        [0.5, 1.0]
    """
    ax = new(1.6 * _WIDTH, 1.6 * _HEIGHT).subplots() if ax is None else ax
    look = looks(estimates) if look is None else look
    width = 0.8 / max(1, len(estimates))
    for number, (name, found) in enumerate(estimates.items()):
        at = np.arange(len(groups)) + (number - (len(estimates) - 1) / 2) * width
        known = np.isfinite(found.value)
        if not known.any():
            continue  # an empty series would have a line in the legend, and nothing to show there
        ax.bar(at[known], found.value[known], 0.92 * width, color=look[name].colour, label=title(name))
        ax.errorbar(
            at[known], found.value[known], yerr=_ends(found)[:, known], fmt="none", capsize=2, linewidth=1,
            ecolor=_ink(ax), zorder=3,
        )
    ax.set_xticks(range(len(groups)), groups)
    return ax


def dots(
    groups: Sequence[str], estimates: Mapping[str, Estimate], ax: Axes | None = None,
    look: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw points with horizontal intervals, a line of the figure for each group, the first one at the top.

    Args:
        groups: The names beside the lines, `(P,)`.
        estimates: The P numbers of each series, under its name.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.report.looks.looks] says.

    Returns:
        The axes.

    Example:
        >>> from .intervals import estimate
        >>> from .statistic import Mean
        >>> ax = dots(["tabby", "fox"], {"grey": estimate(Mean([[0.0, 1.0], [1.0, 1.0]]))})
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['tabby', 'fox']
    """
    ax = new(1.6 * _WIDTH, 0.7 + 0.25 * len(groups)).subplots() if ax is None else ax
    look = looks(estimates) if look is None else look
    for number, (name, found) in enumerate(estimates.items()):
        at = np.arange(len(groups)) + (number - (len(estimates) - 1) / 2) * 0.6 / max(1, len(estimates))
        known = np.isfinite(found.value)
        if not known.any():
            continue
        ax.errorbar(
            found.value[known], at[known], xerr=_ends(found)[:, known], linestyle="none", marker=look[name].marker,
            color=look[name].colour, markersize=4, linewidth=1.2, label=title(name),
        )
    ax.set_yticks(range(len(groups)), groups)
    ax.set_ylim(len(groups) - 0.5, -0.5)
    return ax


def scatter(
    points: Mapping[str, tuple[Interval, Interval]], ax: Axes | None = None, look: Mapping[str, Look] | None = None
) -> Axes:
    """Draw a point for each series, with the intervals of both coordinates as a cross.

    Args:
        points: Both coordinates, under the name of the series; points without one are left out.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.report.looks.looks] says.

    Returns:
        The axes.

    Example:
        >>> ax = scatter({"grey": (Interval(0.5, 0.4, 0.6, 9), Interval(0.2, 0.1, 0.3, 9))})
        >>> ax.lines[0].get_xydata().tolist()
        [[0.5, 0.2]]
    """
    ax = new(1.6 * _WIDTH, 1.6 * _HEIGHT).subplots() if ax is None else ax
    look = looks(points) if look is None else look
    for name, (across, up) in points.items():
        if np.isfinite([across.value, up.value]).all():
            ax.errorbar(
                across.value, up.value, xerr=_arms(across), yerr=_arms(up), linestyle="none", marker=look[name].marker,
                color=look[name].colour, markersize=5, linewidth=1.2, label=title(name),
            )
    return ax


def legend(figure: Figure) -> None:
    """Give a figure one legend below its panels, for all series in them.

    Args:
        figure: With axes on which something is drawn.
    """
    from matplotlib.container import BarContainer, ErrorbarContainer

    entries: dict[str, Artist] = {}
    for ax in figure.axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle[0] if isinstance(handle, (BarContainer, ErrorbarContainer)) else handle)
    if entries:
        width = 0.65 + 0.09 * max(map(len, entries))  # inches of the longest entry, about
        lines = math.ceil(len(entries) / max(1, int(figure.get_figwidth() / width)))
        figure.legend(
            list(entries.values()), list(entries), loc="outside lower center", frameon=False,
            ncols=math.ceil(len(entries) / lines),
        )


def save(figure: Figure, path: Path) -> None:
    """Write a figure as `path` with the endings .png and .svg; the same figure gives the same bytes.

    Args:
        figure: The figure.
        path: Where, without an ending.
    """
    import matplotlib as mpl

    engine = figure.get_layout_engine()
    with mpl.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(path.with_name(f"{path.name}.png"), dpi=200)
        figure.set_layout_engine("none")  # everything has its place now, and to find it takes half of the time
        figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
    figure.set_layout_engine(engine)


def _ink(ax: Axes) -> str:
    """What lines are drawn in on this background."""
    import matplotlib as mpl

    return str(mpl.rcParams["axes.edgecolor"]) if ax.patch.get_visible() else "black"


def _ends(found: Estimate) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """How far the ends are from the values, `(2, P)`, as `errorbar` wants it; a missing interval has no length."""
    lengths = np.stack([found.value - found.low, found.high - found.value])
    # A percentile interval of few pictures may just miss its own value.
    return np.maximum(np.nan_to_num(lengths, nan=0.0), 0.0)


def _arms(one: Interval) -> list[list[float]]:
    lengths = np.maximum(np.nan_to_num([one.value - one.low, one.high - one.value], nan=0.0), 0.0)
    return [[float(length)] for length in lengths]
