"""Curves with bands: how a number goes with another one, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError
from ..stats.intervals import LEVEL, Estimate, estimate
from ..stats.statistic import Floats, Mean
from .looks import Look, fixed, looks
from .panel import one

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["curve", "curves"]

_WIDTH, _HEIGHT = 4.2, 3.0  # inches
_BAND = 0.16  # opacity


def curve(
    x: npt.ArrayLike,
    values: npt.ArrayLike,
    ax: Axes | None = None,
    label: str | None = None,
    level: float = LEVEL,
    seed: int = 0,
) -> Axes:
    """Draw the mean over pictures as a line, and its bootstrap interval as a band.

    Call it again with the same axes to compare several.

    Args:
        x: Where the points are, `(P,)`, such as fractions removed.
        values: One row for each picture, `(n, P)`; nan leaves a picture out at that point.
        ax: Where to draw; a figure of its own if None.
        label: What the line is called in a legend. The name of a masking, such as "layer", gives the line that
            masking's title, and the look that it has in every figure; other lines go through the axes' colours. No two
            lines have one colour, as long as the style sheet has more.
        level: How much of the bootstrap lies inside the band, as a fraction.
        seed: Makes two calls the same.

    Returns:
        The axes. A single picture has a line without a band.

    Raises:
        InputError: If x or values do not fit, or level is no fraction between 0 and 1.

    Example:
        >>> ax = curve([0.0, 0.5, 1.0], [[1, 1, 0], [1, 0, 0]], label="layer")
        >>> ax.lines[0].get_label(), ax.lines[0].get_ydata().tolist()
        ('layer masking', [1.0, 0.5, 0.0])
    """
    at, table = _checked(x, values)
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise InputError(f"level must be a fraction between 0 and 1, but {level!r} came: give for example 0.95.")
    ax = one(ax, _WIDTH, _HEIGHT)
    mine = None if label is None else fixed(label)
    style = {"marker": "o"} if mine is None else _style(mine)
    _draw(
        ax, at, estimate(Mean(table), seed=seed, level=level), None if label is None else title(label), 2, apart=True,
        **style,
    )
    return ax


def curves(
    x: Sequence[float], estimates: Mapping[str, Estimate], ax: Axes | None = None,
    look: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw a line for each series, and its intervals as a band; a single point has its interval as a line.

    Args:
        x: Where the points are, `(P,)`.
        estimates: The P numbers of each series, under its name.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.plots.looks.looks] says.

    Returns:
        The axes; `ax.figure` is the figure.

    Example:
        >>> ax = curves([0.0, 1.0], {"grey": estimate(Mean([[1.0, 0.0], [1.0, 1.0]]))})
        >>> ax.lines[0].get_ydata().tolist()
        [1.0, 0.5]
    """
    ax = one(ax, _WIDTH, _HEIGHT)
    look = looks(estimates) if look is None else look
    for name, found in estimates.items():
        _draw(ax, x, found, title(name), 3 if name == "layer" else 2, **_style(look[name]))
    return ax


def _style(look: Look) -> dict[str, Any]:
    return {"color": look.colour, "marker": look.marker, "linestyle": look.line}


def _draw(
    ax: Axes, x: Any, found: Estimate, label: str | None, front: int, apart: bool = False, **style: Any
) -> None:
    taken = [line.get_color() for line in ax.lines]
    (line,) = ax.plot(x, found.value, markersize=3.5, label=label, zorder=front, **style)
    if apart:
        line.set_color(_free(line.get_color(), taken))
    colour = line.get_color()
    if len(x) > 1:
        ax.fill_between(x, found.low, found.high, color=colour, alpha=_BAND, linewidth=0, zorder=front - 1)
    else:
        ax.vlines(x, found.low, found.high, color=colour, alpha=0.5, zorder=front - 1)


def _free(colour: Any, taken: Sequence[Any]) -> Any:
    """The colour; or if it is taken, the first of the style sheet's that is not."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    used = {to_hex(one) for one in taken}
    options = [colour, *mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])]
    return next((one for one in options if to_hex(one) not in used), colour)


def _checked(x: npt.ArrayLike, values: npt.ArrayLike) -> tuple[Floats, Floats]:
    at, table = (_numbers(what, name) for what, name in ((x, "x"), (values, "values")))
    if at.ndim != 1 or not at.size or not np.isfinite(at).all():
        raise InputError(
            f"x must be at least one finite number after the other, but an array {at.shape} came: give for example "
            "[0.0, 0.5, 1.0]."
        )
    if table.ndim != 2 or not len(table) or table.shape[1] != at.size:
        raise InputError(
            f"values must have a row for each picture and {at.size} columns, one for each x, but {table.shape} came: "
            "give (n, len(x)), and a single curve as values[None]."
        )
    return at, table


def _numbers(what: npt.ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(what, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} must be an array of numbers, but {type(what).__name__} came: give rows of equal length."
        ) from error
