"""Figures of explanations: orange segments support a prediction, blue ones oppose it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError
from .caption import HasMethod, caption
from .figure import MINUS, PANEL, axes_grid, escape_mathtext, hide_ticks, new_figure, single_axes
from .look import Look, LookOptions
from .scores import NOTES, add_colorbar, draw_scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from typing_extensions import Unpack

__all__ = ["SegmentScores", "comparison", "draw", "overview"]

_LETTERS = 11  # per inch of a caption


class SegmentScores(Protocol):
    """What these figures draw: the attributes of an [`Explanation`][] that they need."""

    @property
    def picture(self) -> npt.NDArray[np.uint8]: ...
    @property
    def segments(self) -> npt.NDArray[np.int64]: ...
    @property
    def scores(self) -> npt.NDArray[np.float64]: ...
    @property
    def standard_errors(self) -> npt.NDArray[np.float64]: ...
    @property
    def reliability(self) -> npt.NDArray[np.float64]: ...
    @property
    def targets(self) -> tuple[int, ...]: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def output(self) -> str: ...
    @property
    def settings(self) -> HasMethod: ...
    @property
    def played(self) -> npt.NDArray[np.bool_]: ...
    def row(self, target: int | str | None = None) -> int: ...
    def shown(self, row: int) -> str: ...
    def key(self, row: int) -> int | str: ...


def draw(
    explanation: SegmentScores,
    ax: Axes | None = None,
    target: int | str | None = None,
    colorbar: bool = True,
    **look: Unpack[LookOptions],
) -> Axes:
    """Draw the scores of one target.

    Args:
        explanation: The explanation.
        ax: Where to draw; a new figure if None.
        target: Class index or name; the first target if None.
        colorbar: Whether to add a colour bar with numbers below.
        **look: Options of [`Look`][xai_layermask.plots.Look]. The scale "shared" covers all targets of the explanation.

    Returns:
        The axes; `ax.figure` is the figure.

    Raises:
        InputError: If the target was not explained, or an option is out of range.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> explanation = LayerMaskExplainer(model, **options).explain(torch.rand(3, 32, 32), ["1", "2"])
        >>> [draw(explanation, target=target).get_title().split()[0] for target in explanation.targets]
        ['1', '2']
    """
    chosen = Look(**look)
    ax = single_axes(ax, 1.4 * PANEL, 1.4 * PANEL + 0.7)
    row = explanation.row(target)
    limit = chosen.limit(list(explanation.scores) if chosen.scale == "shared" else [explanation.scores[row]])
    _panel(explanation, row, ax, chosen, limit)
    ax.set_title(_heading(explanation, row))
    ax.set_xlabel(_below(explanation, row, chosen))
    if colorbar:
        add_colorbar([ax], chosen, limit, [explanation.scores[row]])
    return ax


def overview(
    explanation: SegmentScores, figure: Figure | None = None, axes: Any = None, **look: Unpack[LookOptions]
) -> Figure:
    """Draw the picture, beside it the scores of each target, and below how they were computed.

    Args:
        explanation: The explanation.
        figure: Where to draw; a new one if None.
        axes: Where to draw instead of a figure: one more than there are targets.
        **look: Options of [`Look`][xai_layermask.plots.Look].

    Returns:
        The figure.

    Raises:
        InputError: If both a figure and axes are given, there are too few axes, or an option is out of range.
    """
    chosen, count = Look(**look), len(explanation.targets)
    given = axes is not None
    if axes is None:
        figure = new_figure(PANEL * (1 + count), 1.8 * PANEL, "compressed") if figure is None else figure
        axes = figure.subplots(1, 1 + count)
    else:
        _check_no_figure(figure)
    first, *others = every = axes_grid(axes, 1 + count)
    first.imshow(explanation.picture)
    first.set_title("picture")
    hide_ticks(first)
    for row, ax in enumerate(others):
        ax.set_title(_heading(explanation, row))
    _panels(np.array([others]).T, [[(explanation, row)] for row in range(count)], chosen)
    _align_tops(every)
    _add_caption(first, [explanation], chosen, below=given)
    drawn: Figure = first.figure.figure  # the root of a subfigure
    return drawn


def comparison(
    explanations: Sequence[SegmentScores],
    figure: Figure | None = None,
    axes: Any = None,
    **look: Unpack[LookOptions],
) -> Figure:
    """Draw the explanations of several maskings for one picture, as in figures 8 and 12 to 16 of the paper.

    The picture is on the left; rows are the targets of the first explanation, columns the explanations. Below each
    panel is its largest score, and its reliability where it is known.

    Args:
        explanations: One for each column, all of the same picture and with the same targets.
        figure: Where to draw; a new one if None.
        axes: Where to draw instead of a figure: a row for each target, and one more column than there are
            explanations. The picture takes the upper left ones; those below are turned off.
        **look: Options of [`Look`][xai_layermask.plots.Look], such as `top=20`. Maskings differ in how far the
            prediction falls: to compare only where the scores are, choose the scale "own".

    Returns:
        The figure. Unless they were given, its axes are the picture's, those of the panels row by row, and those of
        colour bars.

    Raises:
        InputError: If there is no explanation, their pictures differ, or one lacks a target of the first; if both a
            figure and axes are given, or axes of another shape; or if an option is out of range.

    Example:
        >>> import torch
        >>> from xai_layermask import LayerMaskExplainer, Preprocess
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> options = dict(segments="patches:8", n_samples=20, preprocess=Preprocess(32, 32), progress=False)
        >>> maskings = [LayerMaskExplainer(model, masking=name, **options) for name in ("grey", "layer")]
        >>> picture = torch.rand(3, 32, 32)
        >>> figure = comparison([explainer.explain(picture, targets=[0, 1, 2]) for explainer in maskings])
        >>> len(figure.axes)
        8
    """
    chosen = Look(**look)
    if not explanations:
        raise InputError.expected("at least one explanation", "none")
    first = explanations[0]
    if any(not np.array_equal(one.picture, first.picture) for one in explanations):
        raise InputError.expected(
            "explanations of the same picture", "different pictures", "draw a comparison for each"
        )
    targets = map(first.key, range(len(first.targets)))
    grid = [[(one, one.row(target)) for one in explanations] for target in targets]
    picture, panels = _grid(len(grid), len(explanations), figure, axes)
    picture.imshow(first.picture)
    picture.set_title("picture")
    hide_ticks(picture)
    for ax, one in zip(panels[0], explanations, strict=True):
        ax.set_title(escape_mathtext(title(one.settings.masking)))
    for row, ax in enumerate(panels[:, 0]):
        ax.set_ylabel(f"{escape_mathtext(_shortened(first.labels[row]))}\n{escape_mathtext(first.shown(row))}")
    _panels(panels, grid, chosen)
    _align_tops([picture, *panels.flat])
    _add_caption(picture, explanations, chosen, below=axes is not None)
    drawn: Figure = picture.figure.figure  # the root of a subfigure
    return drawn


def _panels(panels: npt.NDArray[Any], grid: Sequence[Sequence[tuple[SegmentScores, int]]], look: Look) -> None:
    """Draw explanations and rows of their scores, on axes `(rows, columns)`, with colour bars."""
    places = [
        (ax, *cell) for line, cells in zip(panels, grid, strict=True) for ax, cell in zip(line, cells, strict=True)
    ]
    every = [explanation.scores[row] for _, explanation, row in places]
    shared = look.limit(every)
    for (ax, explanation, row), scores in zip(places, every, strict=True):
        limit = shared if look.scale == "shared" else look.limit([scores])
        _panel(explanation, row, ax, look, limit)
        ax.set_xlabel(_below(explanation, row, look))
        if look.scale == "own":
            add_colorbar([ax], look, limit, [scores])
    if look.scale == "shared":
        add_colorbar([ax for ax, _, _ in places], look, shared, every)


def _align_tops(every: Iterable[Axes]) -> None:
    """Anchor all axes alike: a colour bar moves the anchor of its own axes only."""
    for ax in every:
        ax.set_anchor("N")


def _panel(explanation: SegmentScores, row: int, ax: Axes, look: Look, limit: float) -> None:
    scores, uncertain = look.shown(explanation.scores[row]), _uncertain(explanation, row)
    draw_scores(ax, explanation.picture, explanation.segments, scores, uncertain, look, limit)
    hide_ticks(ax)


def _uncertain(explanation: SegmentScores, row: int) -> npt.NDArray[np.bool_] | None:
    """Which scores have a 95 % interval that contains 0; None where standard errors are unknown, or scores exact."""
    errors = explanation.standard_errors[row]
    return None if np.isnan(errors).all() or not errors.any() else np.abs(explanation.scores[row]) < 1.96 * errors


def _below(explanation: SegmentScores, row: int, look: Look) -> str:
    """The largest score that is drawn, and how reliable the scores are where that is known."""
    shown = look.shown(explanation.scores[row])
    lines = [f"largest score {shown[np.argmax(np.abs(shown))]:.2g}".replace("-", MINUS)]
    if np.isfinite(explanation.reliability[row]):
        lines.append(f"reliability {explanation.reliability[row]:.2f}")
    return "\n".join(lines)


def _heading(explanation: SegmentScores, row: int) -> str:
    return f"{escape_mathtext(_shortened(explanation.labels[row]))} {escape_mathtext(explanation.shown(row))}"


def _add_caption(ax: Axes, explanations: Sequence[SegmentScores], look: Look, below: bool) -> None:
    """Say how scores were computed, below the axes or below the whole figure."""
    unsure = any(_uncertain(one, row) is not None for one in explanations for row in range(len(one.targets)))
    notes = [NOTES[look.style]] if unsure and look.style in NOTES else []
    first = explanations[0]
    text = caption([one.settings for one in explanations], int(first.played.sum()), [first.output, *notes])
    data = first.settings.note
    if below:
        ax.set_xlabel(escape_mathtext(textwrap.fill(f"{text}; {data}" if data else text, 30)))
    else:
        ax.set_xlabel(escape_mathtext(textwrap.fill(data, 32)))
        figure: Figure = ax.figure.figure  # the root of a subfigure
        lines = textwrap.fill(text, max(30, int(_LETTERS * figure.get_figwidth())))
        figure.supxlabel(escape_mathtext(lines), fontsize="medium")


def _grid(rows: int, columns: int, figure: Figure | None, axes: Any) -> tuple[Axes, npt.NDArray[Any]]:
    """Axes of the picture, and of the panels `(rows, columns)`."""
    if axes is not None:
        _check_no_figure(figure)
        grid = axes_grid(axes, rows * (1 + columns), shape=(rows, 1 + columns))
        for ax in grid[1:, 0]:
            ax.set_axis_off()
        return grid[0, 0], grid[:, 1:]
    figure = new_figure(PANEL * (1.1 + columns), (PANEL + 0.4) * rows + 1.2, "compressed") if figure is None else figure
    places = figure.add_gridspec(rows, 1 + columns)
    picture = figure.add_subplot(places[0, 0])
    panels = [[figure.add_subplot(places[row, 1 + column]) for column in range(columns)] for row in range(rows)]
    return picture, np.array(panels, dtype=object)


def _check_no_figure(figure: Figure | None) -> None:
    if figure is not None:
        raise InputError.expected("either a figure or axes", "both")


def _shortened(label: str) -> str:
    return textwrap.shorten(label, 26, placeholder=" …") if " " in label else label[:26]
