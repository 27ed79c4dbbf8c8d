"""Figures of explanations: what speaks for a prediction in green, what speaks against it in red.

Everything is drawn on `Figure` and `Axes` objects without pyplot, so that it works without a display, leaves
no global state behind, and follows whatever style sheet is in force.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .errors import InputError
from .maskings import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from .explanation import Explanation

__all__ = ["comparison", "draw", "figure_bytes", "overview"]

_AGAINST, _FOR = (0.84, 0.10, 0.16), (0.05, 0.58, 0.24)
_OPAQUE = 0.8
_PANEL = 2.6  # inches


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
        InputError: If the target was not explained, or `top` is no whole number of at least 1.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> explanation = LayerMaskExplainer(model, **options).explain(torch.rand(3, 32, 32), ["1", "2"])
        >>> [draw(explanation, target=target).get_title().split()[0] for target in explanation.targets]
        ['1', '2']
    """
    if top is not None and (isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1):
        raise InputError(f"top must be a whole number of at least 1, but {top!r} came: give for example 20.")
    if ax is None:
        ax = _figure(1.4 * _PANEL, 1.4 * _PANEL).subplots()
    row = explained.row(target)
    scores = explained.scores[row].copy()
    if top is not None:
        scores[np.argsort(-np.abs(scores), kind="stable")[top:]] = 0.0
    limit = float(np.abs(scores).max()) or 1.0
    ax.imshow(_faint(explained.picture))
    coloured = ax.imshow(scores[explained.segments], cmap=_colours(), vmin=-limit, vmax=limit, interpolation="nearest")
    ax.set_title(f"{_short(explained.labels[row])} {explained.probabilities[row]:.1%}")
    _without_ticks(ax)
    if colorbar:
        bar = ax.figure.colorbar(coloured, ax=ax, location="bottom", fraction=0.06, pad=0.04)
        bar.set_ticks([-limit, 0.0, limit], labels=[f"{-limit:.2g}", "0", f"{limit:.2g}"])
        bar.set_label("against  ←  score  →  for")
    return ax


def overview(explained: Explanation, figure: Figure | None = None) -> Figure:
    """Draw the picture, and beside it the scores of every target.

    Args:
        explained: The explanation.
        figure: Where to draw; a new one if None.

    Returns:
        The figure.
    """
    count = len(explained.targets)
    figure = _figure(_PANEL * (1 + count), 1.25 * _PANEL) if figure is None else figure
    first, *others = figure.subplots(1, 1 + count)
    first.imshow(explained.picture)
    first.set_title("picture")
    how, segments = f"{explained.settings.method}, {title(explained.settings.masking)}", explained.scores.shape[1]
    first.set_xlabel(f"{how}\n{segments} segments")
    _without_ticks(first)
    for ax, target in zip(others, explained.targets, strict=True):
        draw(explained, ax, target, colorbar=True)
    for ax in (first, *others):
        ax.set_anchor("N")
    return figure


def comparison(explanations: Sequence[Explanation], figure: Figure | None = None) -> Figure:
    """Draw what several maskings say about one picture, as in figure 8 of the paper.

    Rows are the targets of the first explanation, columns the explanations, and the picture stands on the left.
    Each panel has its own scale: maskings differ in how much the prediction falls, and what is compared is
    where.

    Args:
        explanations: One for each column, all of the same picture and with the same targets.
        figure: Where to draw; a new one if None.

    Returns:
        The figure. Its axes are the picture's, and then those of the panels, row by row.

    Raises:
        InputError: If there is none, or they are of different pictures, or lack a target of the first.

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
    rows, columns = len(first.targets), len(explanations)
    figure = _figure(_PANEL * (1.1 + columns), _PANEL * rows + 0.4) if figure is None else figure
    grid = figure.add_gridspec(rows, 1 + columns)
    picture = figure.add_subplot(grid[:, 0])
    picture.imshow(first.picture)
    picture.set_title("picture")
    _without_ticks(picture)
    for row, target in enumerate(first.targets):
        for column, one in enumerate(explanations):
            ax = draw(one, figure.add_subplot(grid[row, 1 + column]), target)
            ax.set_title(title(one.settings.masking) if row == 0 else "")
            if column == 0:
                ax.set_ylabel(f"{_short(one.labels[one.row(target)])}\n{first.probabilities[row]:.1%}")
    return figure


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


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _faint(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The picture in light grey, so that red and green are the scores' alone."""
    grey = picture @ np.array([0.299, 0.587, 0.114])
    return np.repeat((70 + grey[..., None] * 0.72).round().astype(np.uint8), 3, axis=2)


def _without_ticks(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def _short(label: str) -> str:
    return textwrap.shorten(label, 26, placeholder=" …") if " " in label else label[:26]
