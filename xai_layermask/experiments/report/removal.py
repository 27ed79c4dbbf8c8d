"""What becomes of predictions while segments are removed: the curves of section 4.1, and the areas under them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...metrics import wordnet_matrix
from ...plots import styles_of
from ...stats.intervals import estimate
from ...stats.statistic import Area, Entropy, Floats, Mean, Statistic
from .figures import curves, frame, panels
from .section import DIFFERENCES, Drawing, Measure, comparisons, pictures, summary
from .series import Cell, Places, Series, Setup
from .tables import Entry, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CURVES", "Curve", "areas", "drawing", "fractions", "parts", "points"]


@dataclass(frozen=True)
class Curve:
    """A number that depends on the fraction that was removed.

    Attributes:
        title: What it is called.
        better: Which is better, "higher" or "lower".
        of: The statistic of some cells and pictures of a series.
    """

    title: str
    better: str
    of: Callable[[Series, Sequence[Cell], Places], Statistic]


def _same(series: Series, one: str, other: str, cells: Sequence[Cell], places: Places) -> Floats:
    """1 where two columns agree, 0 where they do not, nan where one says nothing."""
    left, right = series.values(one, cells, places), series.values(other, cells, places)
    return np.where(np.isfinite(left) & np.isfinite(right), left == right, np.nan)


def accuracy(series: Series, cells: Sequence[Cell], places: Places) -> Mean:
    """The share of pictures that are given their label."""
    return Mean(_same(series, "prediction", "label", cells, places))


def unchanged(series: Series, cells: Sequence[Cell], places: Places) -> Mean:
    """The share of pictures that are given what the whole picture is given."""
    return Mean(_same(series, "prediction", "whole", cells, places))


def entropy(series: Series, cells: Sequence[Cell], places: Places) -> Entropy:
    """The entropy of the predicted classes."""
    return Entropy(series.values("prediction", cells, places))


def wordnet(series: Series, cells: Sequence[Cell], places: Places) -> Mean:
    """The mean Wu-Palmer similarity of predictions and labels; nan if they are not all ImageNet's."""
    matrix = wordnet_matrix()
    left, right = series.values("prediction", cells, places), series.values("label", cells, places)
    known = np.isfinite(left) & np.isfinite(right)
    if max(np.max(left, where=known, initial=0), np.max(right, where=known, initial=0)) >= len(matrix):
        return Mean(np.full_like(left, np.nan))
    found = matrix[np.where(known, left, 0).astype(np.intp), np.where(known, right, 0).astype(np.intp)]
    return Mean(np.where(known, found, np.nan))


_AREAS = (
    "Mean height of each curve over the fraction removed (over 0 to 1, the area under it), with 95 % bootstrap "
    "intervals over pictures."
)

#: The four curves of the paper.
CURVES = (
    Curve("accuracy", "higher", accuracy),
    Curve("class entropy", "higher", entropy),
    Curve("WordNet similarity", "higher", wordnet),
    Curve("unchanged predictions", "higher", unchanged),
)


def parts(
    stem: str, setups: Sequence[Setup], starts: Sequence[tuple[Cell, str]]
) -> tuple[tuple[Table, ...], tuple[Drawing, ...]]:
    """The tables and figures of curves.

    Args:
        stem: How the names of their files begin.
        setups: The setups.
        starts: How the cells of each curve begin, and what its way of removing is called.

    Returns:
        The areas under all curves, their differences and the curves' points; and a figure for every setup and
        segmentation.
    """
    measures = {
        label: areas(*start)
        for start, label in starts
        if any(fractions(setup.cells(), *start)[1:] for setup in setups)
    }
    tables = [points(f"{stem}-curves", "Every point of every curve.", setups, starts)]
    if measures:
        tables = [
            summary(stem, _AREAS, setups, measures, "order"),
            comparisons(f"{stem}-differences", DIFFERENCES, setups, measures, "order"),
            *tables,
        ]
    drawings = [
        drawing(f"{stem}-{place}{f'-{cut}' if cut else ''}", setup, cut, starts)
        for place, setup in enumerate(setups, start=1)
        for cut in setup.segments
    ]
    return tuple(tables), tuple(one for one in drawings if one)


def fractions(cells: Sequence[Cell], *start: object) -> list[float]:
    """The fractions of the cells that begin with some values and end with a fraction, increasing.

    Args:
        cells: Any cells.
        start: How they begin.

    Returns:
        Fractions.

    Example:
        >>> fractions([("random", 0.5), ("random", 0.0), ("salient", 0.1)], "random")
        [0.0, 0.5]
    """
    known = {cell[-1] for cell in cells if cell[:-1] == start}
    return sorted(float(one) for one in known if isinstance(one, (int, float)))


def areas(*start: object) -> list[Measure]:
    """The mean height of each curve, as measures.

    Args:
        start: How the cells of the curve begin.

    Returns:
        One measure for each curve, over the fractions that a series has; it has no number for fewer than two.
    """
    return [Measure(curve.title, partial(_area, curve, start), curve.better) for curve in CURVES]


def _area(curve: Curve, start: Cell, series: Series, places: Places) -> Statistic:
    x = fractions(series.cells, *start)
    if not x[1:]:
        return Mean(np.full(len(series.pictures if places is None else places), np.nan))
    return Area(curve.of(series, [(*start, fraction) for fraction in x], places), x)


def points(name: str, caption: str, setups: Sequence[Setup], starts: Sequence[tuple[Cell, str]]) -> Table:
    """Every point of every curve, as the figures show them.

    Args:
        name: What the table's files are called.
        caption: What it shows.
        setups: The setups.
        starts: How the cells of each curve begin, and the curve's name.

    Returns:
        The table.
    """
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        for segments in setup.segments:
            for start, label in starts:
                x = fractions(setup.cells(), *start)
                cells = [(*start, fraction) for fraction in x]
                for series in setup.of(segments):
                    found = [estimate(curve.of(series, cells, None)) for curve in CURVES] if x else []
                    rows += [
                        (setup.name, segments, label, series.masking, fraction,
                         max(int(one.n[place]) for one in found), *(one[place] for one in found))
                        for place, fraction in enumerate(x)
                        if any(one.n[place] for one in found)
                    ]
    header = ("model", "segments", "order", "masking", "removed", "n", *(curve.title for curve in CURVES))
    return Table(name, caption, header, tuple(rows), shown=False)


def drawing(name: str, setup: Setup, segments: str, starts: Sequence[tuple[Cell, str]]) -> Drawing | None:
    """The curves of all maskings: a row of panels for each curve, a column for each way of removing.

    Args:
        name: What the figure's files are called.
        setup: The setup.
        segments: The segmentation.
        starts: How the cells of a column begin, and its title.

    Returns:
        The figure; None if there is nothing to draw.
    """
    series = setup.of(segments)
    columns = [(start, heading) for start, heading in starts if fractions(setup.cells(), *start)[1:]]
    found = {}
    for start, heading in columns:
        x = fractions(setup.cells(), *start)
        cells = [(*start, fraction) for fraction in x]
        for curve in CURVES:
            estimates = {one.masking: estimate(curve.of(one, cells, None)) for one in series}
            known = {masking: one for masking, one in estimates.items() if one.n.any()}
            if known:
                found[curve.title, heading] = x, known
    rows = [curve for curve in CURVES if any(title == curve.title for title, _ in found)]
    if not rows:
        return None
    figure, places = _layout(rows, [heading for _, heading in columns])
    styles = styles_of(one.masking for one in series)
    for place, ax in places.items():
        if place in found:
            curves(*found[place], ax=ax, styles=styles)
    for ax in places.values():
        ax.set_ylim(bottom=0)  # ends the search for the limits that panels share: all of them must be drawn by now
    count = pictures(int(n) for _, known in found.values() for one in known.values() for n in one.n)
    frame(figure, f"{setup.name}, {segments}, {count}" if segments else f"{setup.name}, {count}")
    caption = (
        f"{setup.name}{f', {segments}' if segments else ''}: predictions while segments are removed; {count}. "
        "Bands are 95 % bootstrap intervals over pictures."
    )
    return Drawing(name, caption, figure)


def _layout(rows: Sequence[Curve], headings: Sequence[str]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Axes for every curve and way of removing; curves of only one way stand side by side, two in a row."""
    names = {curve.title: curve.title + (" (nats)" if curve.title == "class entropy" else "") for curve in rows}
    if len(headings) > 1:
        figure, grid = panels(len(rows), len(headings))
        places = {
            (title, heading): ax
            for title, line in zip(names, grid, strict=True)
            for heading, ax in zip(headings, line, strict=True)
        }
        for line, name in zip(grid, names.values(), strict=True):
            line[0].set_ylabel(name.replace(" ", "\n", 1))
        for ax, heading in zip(grid[0], headings, strict=True):
            ax.set_title(heading)
        lowest = grid[-1]
    else:
        figure, grid = panels((len(rows) + 1) // 2, min(2, len(rows)), shared=False)
        figure.set_size_inches(figure.get_figwidth(), 2.2 * len(grid) + 0.8)
        every = [ax for line in grid for ax in line]
        places = {(title, headings[0]): ax for title, ax in zip(names, every, strict=False)}
        for ax, name in zip(every, names.values(), strict=False):
            ax.set_title(name)
        for ax in every[len(rows) :]:
            ax.set_axis_off()
        lowest = every[: len(rows)][-len(grid[-1]) :]
    for ax in lowest:
        ax.set_xlabel("fraction removed")
    return figure, places
