"""Figures of explanations: what speaks for a prediction in green, what speaks against it in red."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError, check_integer
from .panel import PANEL, bare, many, new, one, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from ..explain.explanation import Explanation

__all__ = ["comparison", "draw", "overview"]

_AGAINST, _FOR = (0.84, 0.10, 0.16), (0.05, 0.58, 0.24)
_OPAQUE = 0.8


def _colours() -> Colormap:
    """Red over clear to green: what does not matter shows the picture as it is."""
    from matplotlib.colors import ListedColormap

    strength = np.linspace(-1, 1, 255)
    colours = np.where(strength[:, None] < 0, _AGAINST, _FOR)
    return ListedColormap(np.column_stack([colours, _OPAQUE * np.abs(strength)]), name="for and against")


def draw(
    explained: Explanation,
    ax: Axes | None = None,
    target: int | str | None = None,
    top: int | None = None,
    colorbar: bool = False,
) -> Axes:
    """Draw the scores of one target over the picture.

    Args:
        explained: The explanation.
        ax: Where to draw; a figure of its own if None.
        target: Class index or name; the first target if None.
        top: Colour only so many segments, those with the largest scores in size; all if None.
        colorbar: Whether to say beside the picture what the colours mean.

    Returns:
        The axes; `ax.figure` is the figure.

    Raises:
        InputError: If the target was not explained, or `top` is not an integer of at least 1.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> explanation = LayerMaskExplainer(model, **options).explain(torch.rand(3, 32, 32), ["1", "2"])
        >>> [draw(explanation, target=target).get_title().split()[0] for target in explanation.targets]
        ['1', '2']
    """
    if top is not None:
        check_integer(top, "top", least=1)
    ax = one(ax, 1.4 * PANEL, 1.4 * PANEL)
    row = explained.row(target)
    scores = explained.scores[row].copy()
    if top is not None:
        scores[np.argsort(-np.abs(scores), kind="stable")[top:]] = 0.0
    limit = float(np.abs(scores).max()) or 1.0
    ax.imshow(_faint(explained.picture))
    coloured = ax.imshow(scores[explained.segments], cmap=_colours(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_title(f"{plain(_short(explained.labels[row]))} {explained.probabilities[row]:.1%}")
    bare(ax)
    if colorbar:
        bar = ax.figure.colorbar(coloured, ax=ax, location="bottom", fraction=0.06, pad=0.04)
        bar.set_ticks([-limit, 0.0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])
        bar.set_label("against  ←  score  →  for")
    return ax


def overview(explained: Explanation, figure: Figure | None = None, axes: Any = None) -> Figure:
    """Draw the picture, and beside it the scores of every target.

    Args:
        explained: The explanation.
        figure: Where to draw; a new one if None.
        axes: Where to draw in place of a figure: one more than there are targets.

    Returns:
        The figure.

    Raises:
        InputError: If both a figure and axes came, or the axes are too few.
    """
    count = len(explained.targets)
    if axes is None:
        figure = new(PANEL * (1 + count), 1.25 * PANEL) if figure is None else figure
        axes = figure.subplots(1, 1 + count)
    else:
        _only(figure)
    first, *others = every = many(axes, 1 + count)
    first.imshow(explained.picture)
    first.set_title("picture")
    how, segments = f"{explained.settings.method}, {title(explained.settings.masking)}", explained.scores.shape[1]
    first.set_xlabel(plain(f"{how}\n{segments} segments"))
    bare(first)
    for ax, target in zip(others, explained.targets, strict=True):
        draw(explained, ax, target, colorbar=True)
    for ax in every:
        ax.set_anchor("N")
    drawn: Figure = first.figure.figure  # of a part of a figure, the whole
    return drawn


def comparison(explanations: Sequence[Explanation], figure: Figure | None = None, axes: Any = None) -> Figure:
    """Draw what several maskings say about one picture, as in figure 8 of the paper.

    Rows are the targets of the first explanation, columns the explanations, and the picture stands on the left.
    Each panel has its own scale: maskings differ in how much the prediction falls, and what is compared is
    where.

    Args:
        explanations: One for each column, all of the same picture and with the same targets.
        figure: Where to draw; a new one if None.
        axes: Where to draw in place of a figure: a row for each target, and one more column than there are
            explanations. The picture goes to the upper left; those below it are turned off.

    Returns:
        The figure. Its axes, unless they were given, are the picture's, and then those of the panels, row by row.

    Raises:
        InputError: If there is none, or they are of different pictures, or lack a target of the first; or both a
            figure and axes came, or axes of another shape.

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
        raise InputError("explanations must be at least one, but none came: explain the picture first.")
    first = explanations[0]
    if any(not np.array_equal(one.picture, first.picture) for one in explanations):
        raise InputError(
            "explanations must be of the same picture, but different ones came: draw a comparison for each."
        )
    picture, panels = _grid(len(first.targets), len(explanations), figure, axes)
    picture.imshow(first.picture)
    picture.set_title("picture")
    bare(picture)
    for row, target in enumerate(first.targets):
        for column, explained in enumerate(explanations):
            ax = draw(explained, panels[row, column], target)
            ax.set_title(plain(title(explained.settings.masking)) if row == 0 else "")
            if column == 0:
                name = plain(_short(explained.labels[explained.row(target)]))
                ax.set_ylabel(f"{name}\n{first.probabilities[row]:.1%}")
    drawn: Figure = picture.figure.figure  # of a part of a figure, the whole
    return drawn


def _grid(rows: int, columns: int, figure: Figure | None, axes: Any) -> tuple[Axes, npt.NDArray[Any]]:
    """Axes for the picture, and for the panels, `(rows, columns)`."""
    if axes is not None:
        _only(figure)
        grid = many(axes, rows * (1 + columns), shape=(rows, 1 + columns))
        for ax in grid[1:, 0]:
            ax.set_axis_off()
        return grid[0, 0], grid[:, 1:]
    figure = new(PANEL * (1.1 + columns), PANEL * rows + 0.4) if figure is None else figure
    places = figure.add_gridspec(rows, 1 + columns)
    picture = figure.add_subplot(places[:, 0])
    panels = [[figure.add_subplot(places[row, 1 + column]) for column in range(columns)] for row in range(rows)]
    return picture, np.array(panels, dtype=object)


def _only(figure: Figure | None) -> None:
    if figure is not None:
        raise InputError("give a figure or axes to draw on, but both came: leave the figure out.")


def _faint(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in light grey, so that red and green are the scores' alone."""
    grey = picture @ np.array([0.299, 0.587, 0.114])
    return np.repeat((70 + grey[..., None] * 0.72).round().astype(np.uint8), 3, axis=2)


def _short(label: str) -> str:
    return textwrap.shorten(label, 26, placeholder=" …") if " " in label else label[:26]
