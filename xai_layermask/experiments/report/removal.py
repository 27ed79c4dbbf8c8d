"""Removal curves (section 4.1 of the paper), and the areas under them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...metrics import wordnet_matrix
from ...plots import curves, styles_of
from ...stats import Area, Average, Entropy, Estimate, Mean, Statistic, estimate
from .figures import add_frame, drawable, panels
from .section import Column, Measure, ReportFigure, comparisons, count_text, summary
from .series import Indices, Key, Measured, Series, Setup
from .tables import Entry, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["AREAS", "CURVES", "Prefixes", "curve_keys", "removal_parts"]

#: For each curve, the prefix of its keys (all values but the last, the fraction), and the name of its removal order.
Prefixes = Sequence[tuple[Key, str]]


def _same(one: str, other: str, series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """The share of pictures with equal values in two columns."""
    left, right = series.values(one, keys, indices), series.values(other, keys, indices)
    return Mean(np.where(np.isfinite(left) & np.isfinite(right), left == right, np.nan))


def _entropy(series: Series, keys: Sequence[Key], indices: Indices) -> Entropy:
    return Entropy(series.values("prediction", keys, indices))


def _wordnet(series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """Mean Wu-Palmer similarity of predictions and labels; nan unless all are ImageNet classes."""
    matrix = wordnet_matrix()
    left, right = series.values("prediction", keys, indices), series.values("label", keys, indices)
    known = np.isfinite(left) & np.isfinite(right)
    if max(np.max(left, where=known, initial=0), np.max(right, where=known, initial=0)) >= len(matrix):
        return Mean(np.full_like(left, np.nan))
    found = matrix[np.where(known, left, 0).astype(np.intp), np.where(known, right, 0).astype(np.intp)]
    return Mean(np.where(known, found, np.nan))


def _area(of: Measured, series: Series, keys: Sequence[Key], indices: Indices) -> Statistic:
    """The area under the curve with this prefix: the mean over the fractions that were measured."""
    (prefix,) = keys
    points = curve_keys(series.keys, prefix)
    if not points[1:]:
        return Mean(np.full(len(series.pictures if indices is None else indices), np.nan))
    return Area(of(series, points, indices), _fractions(points), rule="mean")


#: The four curves of the paper.
CURVES = (
    Measure("accuracy", partial(_same, "prediction", "label"), "higher"),
    Measure("class entropy", _entropy, "higher"),
    Measure("WordNet similarity", _wordnet, "higher"),
    Measure("unchanged predictions", partial(_same, "prediction", "whole"), "higher"),
)
#: The areas under them. Here the key is the prefix of the curve.
AREAS = tuple(Measure(curve.title, partial(_area, curve.of), curve.better) for curve in CURVES)


def curve_keys(keys: Sequence[Key], prefix: Key) -> list[Key]:
    """The keys of one curve, sorted by fraction: those that consist of `prefix` and a fraction.

    Example:
        >>> curve_keys([("random", 0.5), ("random", 0.0), ("salient", 0.1)], ("random",))
        [('random', 0.0), ('random', 0.5)]
    """
    found = {key for key in keys if key[:-1] == prefix and isinstance(key[-1], (int, float))}
    return sorted(found, key=lambda key: key[-1])  # type: ignore[arg-type, return-value]


def removal_parts(
    stem: str, setups: Sequence[Setup], prefixes: Prefixes
) -> tuple[tuple[Table, ...], tuple[ReportFigure, ...]]:
    """Tables and figures of removal curves.

    Args:
        stem: Prefix of the file names.
        setups: The setups.
        prefixes: The curves.

    Returns:
        Tables of the areas under the curves, of their differences and of the points of the curves; and a figure for
        each setup and segmentation.
    """
    blocks = {
        order: [Column(area, prefix) for area in AREAS]
        for prefix, order in prefixes
        if any(curve_keys(setup.keys, prefix)[1:] for setup in setups)
    }
    tables = [_points(f"{stem}-curves", setups, prefixes)]
    if blocks:
        tables = [
            summary(stem, _AREAS_CAPTION, setups, blocks, "order"),
            comparisons(f"{stem}-differences", setups, blocks, "order"),
            *_averages(f"{stem}-average", setups, prefixes),
            *tables,
        ]
    figures = [
        _figure(f"{stem}-{place}{f'-{segments}' if segments else ''}", setup, segments, prefixes)
        for place, setup in enumerate(setups, start=1)
        for segments in setup.segments
    ]
    return tuple(tables), tuple(one for one in figures if one)


def _averages(name: str, setups: Sequence[Setup], prefixes: Prefixes) -> list[Table]:
    """The areas averaged over all segmentations and orders of a setup; the caption lists both."""
    rows: list[tuple[Entry, ...]] = []
    over: list[str] = []
    for setup in setups:
        orders = [(prefix, order) for prefix, order in prefixes if curve_keys(setup.keys, prefix)[1:]]
        cells = [(cut, prefix) for cut in setup.segments for prefix, _ in orders]
        before = len(rows)
        for masking in dict.fromkeys(one.masking for cut in setup.segments for one in setup.of(cut)):
            found = {cut: setup.series[cut, masking] for cut, _ in cells if (cut, masking) in setup.series}
            whole = all(cut in found and curve_keys(found[cut].keys, prefix)[1:] for cut, prefix in cells)
            if len(cells) < 2 or not whole:
                continue
            common = sorted(set.intersection(*(set(one.pictures) for one in found.values())))
            places = {cut: {picture: at for at, picture in enumerate(one.pictures)} for cut, one in found.items()}
            indices = {cut: [at[picture] for picture in common] for cut, at in places.items()}
            if common:
                rows.append((setup.name, masking, len(common), *(
                    estimate(Average([area.of(found[cut], [prefix], indices[cut]) for cut, prefix in cells]))[0]
                    for area in AREAS
                )))  # fmt: skip
        if len(rows) > before:
            over.append(f"{setup.name}: {', '.join(setup.segments)}; {', '.join(order for _, order in orders)}.")
    header = ("model", "masking", "n", *(area.head for area in AREAS))
    return [Table(name, ' '.join((_AVERAGE_CAPTION, *over)), header, tuple(rows))] if rows else []


def _points(name: str, setups: Sequence[Setup], prefixes: Prefixes) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        for segments in setup.segments:
            for prefix, order in prefixes:
                keys = curve_keys(setup.keys, prefix)
                for series in setup.of(segments):
                    found = [series.estimate(curve.of, keys) for curve in CURVES] if keys else []
                    rows += [
                        (setup.name, segments, order, series.masking, fraction,
                         max(int(one.n[place]) for one in found), *(one[place] for one in found))
                        for place, fraction in enumerate(_fractions(keys))
                        if any(one.n[place] for one in found)
                    ]
    header = ("model", "segments", "order", "masking", "removed", "n", *(curve.title for curve in CURVES))
    return Table(name, "Every point of every curve.", header, tuple(rows), shown=False)


def _figure(name: str, setup: Setup, segments: str, prefixes: Prefixes) -> ReportFigure | None:
    """A panel for each curve and removal order; None if there is nothing to draw."""
    series = setup.of(segments)
    columns = [(prefix, order) for prefix, order in prefixes if curve_keys(setup.keys, prefix)[1:]]
    found: dict[tuple[str, str], tuple[list[float], dict[str, Estimate]]] = {}
    for prefix, order in columns:
        keys = curve_keys(setup.keys, prefix)
        for curve in CURVES:
            estimates = {one.masking: series_estimate for one in series
                         if (series_estimate := drawable(one.estimate(curve.of, keys))).n.any()}
            if estimates:
                found[curve.title, order] = _fractions(keys), estimates
    rows = [curve for curve in CURVES if any(title == curve.title for title, _ in found)]
    if not rows:
        return None
    figure, places = _layout(rows, [order for _, order in columns])
    styles = styles_of(one.masking for one in series)
    for place, ax in places.items():
        if place in found:
            curves(*found[place], ax=ax, styles=styles)
    for ax in places.values():
        ax.set_ylim(bottom=0)  # freezes the limits, which panels share, so only after all of them are drawn
    count = count_text(int(n) for _, estimates in found.values() for one in estimates.values() for n in one.n)
    add_frame(figure, ", ".join(part for part in (setup.name, segments, count) if part))
    caption = (
        f"{setup.name}{f', {segments}' if segments else ''}: predictions while segments are removed; {count}. "
        "Bands are 95 % bootstrap intervals over pictures."
    )
    return ReportFigure(name, caption, figure)


def _layout(rows: Sequence[Measure], orders: Sequence[str]) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """Axes for each curve (row) and removal order (column); with a single order, the curves fill two columns."""
    names = {curve.title: curve.title + (" (nats)" if curve.title == "class entropy" else "") for curve in rows}
    if len(orders) > 1:
        figure, grid = panels(len(rows), len(orders))
        places = {
            (title, order): ax
            for title, line in zip(names, grid, strict=True)
            for order, ax in zip(orders, line, strict=True)
        }
        for line, name in zip(grid, names.values(), strict=True):
            line[0].set_ylabel(name.replace(" ", "\n", 1))
        for ax, order in zip(grid[0], orders, strict=True):
            ax.set_title(order)
        lowest = grid[-1]
    else:
        figure, grid = panels((len(rows) + 1) // 2, min(2, len(rows)), shared=False)
        figure.set_size_inches(figure.get_figwidth(), 2.2 * len(grid) + 0.8)
        every = [ax for line in grid for ax in line]
        places = {(title, orders[0]): ax for title, ax in zip(names, every, strict=False)}
        for ax, name in zip(every, names.values(), strict=False):
            ax.set_title(name)
        for ax in every[len(rows) :]:
            ax.set_axis_off()
        lowest = every[: len(rows)][-len(grid[-1]) :]
    for ax in lowest:
        ax.set_xlabel("fraction removed")
    return figure, places


def _fractions(keys: Sequence[Key]) -> list[float]:
    return [float(key[-1]) for key in keys]  # type: ignore[arg-type]


_AVERAGE_CAPTION = (
    "The same, averaged over all segmentations and removal orders that were measured, for the n pictures measured with "
    "all of them. (Table 3 of the paper averages over 16 x 16 patches, SLIC with 196 segments and quickshift, in three "
    "orders.)"
)
_AREAS_CAPTION = (
    "Area under each curve as the paper computes it: the plain mean over the fractions removed (the trapezoidal rule "
    "gives different numbers), with 95 % bootstrap intervals over pictures."
)
