"""Figures of explanations: segments that count for a prediction in green, those against it in red."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError, check_integer
from .figure import PANEL, axes_grid, escape_mathtext, hide_ticks, new_figure, single_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

__all__ = ["SegmentScores", "comparison", "draw", "overview"]

_AGAINST, _FOR = (0.84, 0.10, 0.16), (0.05, 0.58, 0.24)
_OPACITY = 0.8


class SegmentScores(Protocol):
    """What these figures draw, such as an [`Explanation`][]: its attributes of the same names, and their settings."""

    @property
    def picture(self) -> npt.NDArray[np.uint8]: ...
    @property
    def segments(self) -> npt.NDArray[np.int64]: ...
    @property
    def scores(self) -> npt.NDArray[np.float64]: ...
    @property
    def targets(self) -> tuple[int, ...]: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def settings(self) -> HasMethod: ...
    def row(self, target: int | str | None = None) -> int: ...
    def shown(self, row: int) -> str: ...


class HasMethod(Protocol):
    """How scores were computed."""

    @property
    def method(self) -> str: ...
    @property
    def masking(self) -> str: ...


def draw(
    explanation: SegmentScores,
    ax: Axes | None = None,
    target: int | str | None = None,
    top: int | None = None,
    colorbar: bool = False,
) -> Axes:
    """Draw the scores of one target over the picture.

    Args:
        explanation: The explanation.
        ax: Where to draw; a new figure if None.
        target: Class index or name; the first target if None.
        top: Colour only this many segments, those with the largest absolute scores; all if None.
        colorbar: Whether to add a colour bar.

    Returns:
        The axes; `ax.figure` is the figure.

    Raises:
        InputError: If the target was not explained, or `top` is less than 1.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> explanation = LayerMaskExplainer(model, **options).explain(torch.rand(3, 32, 32), ["1", "2"])
        >>> [draw(explanation, target=target).get_title().split()[0] for target in explanation.targets]
        ['1', '2']
    """
    top = None if top is None else check_integer(top, "top", 1)
    ax = single_axes(ax, 1.4 * PANEL, 1.4 * PANEL)
    row = explanation.row(target)
    scores = explanation.scores[row].copy()
    if top is not None:
        scores[np.argsort(-np.abs(scores), kind="stable")[top:]] = 0.0
    limit = float(np.abs(scores).max()) or 1.0
    ax.imshow(_faint(explanation.picture))
    heatmap = scores[explanation.segments]
    coloured = ax.imshow(heatmap, cmap=_colormap(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_title(f"{escape_mathtext(_shortened(explanation.labels[row]))} {escape_mathtext(explanation.shown(row))}")
    hide_ticks(ax)
    if colorbar:
        bar = ax.figure.colorbar(coloured, ax=ax, location="bottom", fraction=0.06, pad=0.04)
        bar.set_ticks([-limit, 0.0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])
        bar.set_label("against  ←  score  →  for")
    return ax


def overview(explanation: SegmentScores, figure: Figure | None = None, axes: Any = None) -> Figure:
    """Draw the picture, and beside it the scores of each target.

    Args:
        explanation: The explanation.
        figure: Where to draw; a new one if None.
        axes: Where to draw instead of a figure: one more than there are targets.

    Returns:
        The figure.

    Raises:
        InputError: If both a figure and axes are given, or there are too few axes.
    """
    count = len(explanation.targets)
    if axes is None:
        figure = new_figure(PANEL * (1 + count), 1.25 * PANEL) if figure is None else figure
        axes = figure.subplots(1, 1 + count)
    else:
        _check_no_figure(figure)
    first, *others = every = axes_grid(axes, 1 + count)
    first.imshow(explanation.picture)
    first.set_title("picture")
    settings = explanation.settings
    how = f"{title(settings.method)}, {title(settings.masking)}\n{explanation.scores.shape[1]} segments"
    how += f"\n{textwrap.fill(explanation.output, 36)}"
    first.set_xlabel(escape_mathtext(how))
    hide_ticks(first)
    for ax, target in zip(others, explanation.targets, strict=True):
        draw(explanation, ax, target, colorbar=True)
    for ax in every:
        ax.set_anchor("N")
    drawn: Figure = first.figure.figure  # the root of a subfigure
    return drawn


def comparison(explanations: Sequence[SegmentScores], figure: Figure | None = None, axes: Any = None) -> Figure:
    """Draw the explanations of several maskings for one picture, as in figure 8 of the paper.

    The picture is on the left; rows are the targets of the first explanation, columns the explanations. Each panel has
    its own scale: maskings differ in how far the prediction falls, and the comparison is about where.

    Args:
        explanations: One for each column, all of the same picture and with the same targets.
        figure: Where to draw; a new one if None.
        axes: Where to draw instead of a figure: a row for each target, and one more column than there are
            explanations. The picture takes the upper left ones; those below are turned off.

    Returns:
        The figure. Unless they were given, its axes are the picture's, then those of the panels row by row.

    Raises:
        InputError: If there is no explanation, their pictures differ, or one lacks a target of the first; or both a
            figure and axes are given, or axes of another shape.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> maskings = [LayerMaskExplainer(model, masking=name, **options) for name in ("grey", "layer")]
        >>> picture = torch.rand(3, 32, 32)
        >>> figure = comparison([explainer.explain(picture, targets=[0, 1, 2]) for explainer in maskings])
        >>> len(figure.axes)
        7
    """
    if not explanations:
        raise InputError.expected("at least one explanation", "none")
    first = explanations[0]
    if any(not np.array_equal(one.picture, first.picture) for one in explanations):
        raise InputError.expected(
            "explanations of the same picture", "different pictures", "draw a comparison for each"
        )
    picture, panels = _grid(len(first.targets), len(explanations), figure, axes)
    picture.imshow(first.picture)
    picture.set_title("picture")
    hide_ticks(picture)
    for row, target in enumerate(first.targets):
        for column, explanation in enumerate(explanations):
            ax = draw(explanation, panels[row, column], target)
            ax.set_title(escape_mathtext(title(explanation.settings.masking)) if row == 0 else "")
            if column == 0:
                name = escape_mathtext(_shortened(explanation.labels[explanation.row(target)]))
                ax.set_ylabel(f"{name}\n{escape_mathtext(first.shown(row))}")
    drawn: Figure = picture.figure.figure  # the root of a subfigure
    return drawn


def _grid(rows: int, columns: int, figure: Figure | None, axes: Any) -> tuple[Axes, npt.NDArray[Any]]:
    """Axes of the picture, and of the panels `(rows, columns)`."""
    if axes is not None:
        _check_no_figure(figure)
        grid = axes_grid(axes, rows * (1 + columns), shape=(rows, 1 + columns))
        for ax in grid[1:, 0]:
            ax.set_axis_off()
        return grid[0, 0], grid[:, 1:]
    figure = new_figure(PANEL * (1.1 + columns), PANEL * rows + 0.4) if figure is None else figure
    places = figure.add_gridspec(rows, 1 + columns)
    picture = figure.add_subplot(places[:, 0])
    panels = [[figure.add_subplot(places[row, 1 + column]) for column in range(columns)] for row in range(rows)]
    return picture, np.array(panels, dtype=object)


def _check_no_figure(figure: Figure | None) -> None:
    if figure is not None:
        raise InputError.expected("either a figure or axes", "both")


def _colormap() -> Colormap:
    """From red over transparent to green, so that the picture shows where scores are 0."""
    from matplotlib.colors import ListedColormap

    strength = np.linspace(-1, 1, 255)
    colours = np.where(strength[:, None] < 0, _AGAINST, _FOR)
    return ListedColormap(np.column_stack([colours, _OPACITY * np.abs(strength)]), name="for and against")


def _faint(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in light grey, so that only scores are coloured."""
    grey = picture @ np.array([0.299, 0.587, 0.114])
    return np.repeat((70 + grey[..., None] * 0.72).round().astype(np.uint8), 3, axis=2)


def _shortened(label: str) -> str:
    return textwrap.shorten(label, 26, placeholder=" …") if " " in label else label[:26]
