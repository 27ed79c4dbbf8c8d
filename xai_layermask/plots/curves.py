"""Curves with bootstrap bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError, refuse_masked
from ..stats import LEVEL, Estimate, Floats, Mean, estimate
from .figure import single_axes
from .style import Style, masking_style, styles_of

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

    Pass the same axes again to compare several curves.

    Args:
        x: Abscissae, `(P,)`, such as fractions removed.
        values: One row for each picture, `(n, P)`; nan leaves a picture out at that point.
        ax: Where to draw; a new figure if None.
        label: Label in the legend. The name of a masking, such as "layer", is shown as the masking's title, in its
            style; other lines take the axes' next colour that is not in use.
        level: Coverage of the band, a fraction.
        seed: Seed of the bootstrap.

    Returns:
        The axes. A single picture has a line without a band.

    Raises:
        InputError: If x or values do not fit, or level is not between 0 and 1.

    Example:
        >>> ax = curve([0.0, 0.5, 1.0], [[1, 1, 0], [1, 0, 0]], label="layer")
        >>> ax.lines[0].get_label(), ax.lines[0].get_ydata().tolist()
        ('layer masking', [1.0, 0.5, 0.0])
    """
    at, table = _checked(x, values)
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise InputError.expected("a fraction between 0 and 1 for level", repr(level))
    ax = single_axes(ax, _WIDTH, _HEIGHT)
    style = None if label is None else masking_style(label)
    options = {"marker": "o"} if style is None else _options(style)
    series = estimate(Mean(table), seed=seed, level=level)
    _draw(ax, at, series, None if label is None else title(label), 2, distinct=True, **options)
    return ax


def curves(
    x: Sequence[float],
    estimates: Mapping[str, Estimate],
    ax: Axes | None = None,
    styles: Mapping[str, Style] | None = None,
) -> Axes:
    """Draw a line for each series with its intervals as a band; a single point has its interval as a vertical line.

    Args:
        x: Abscissae, `(P,)`.
        estimates: The P values of each series.
        ax: Where to draw; a new figure if None.
        styles: The style of each series; those of [`styles_of`][xai_layermask.plots.style.styles_of] if None.

    Returns:
        The axes.

    Example:
        >>> ax = curves([0.0, 1.0], {"grey": estimate(Mean([[1.0, 0.0], [1.0, 1.0]]))})
        >>> ax.lines[0].get_ydata().tolist()
        [1.0, 0.5]
    """
    ax = single_axes(ax, _WIDTH, _HEIGHT)
    styles = styles_of(estimates) if styles is None else styles
    for name, series in estimates.items():
        _draw(ax, x, series, title(name), 3 if name == "layer" else 2, **_options(styles[name]))
    return ax


def _options(style: Style) -> dict[str, Any]:
    return {"color": style.colour, "marker": style.marker, "linestyle": style.line}


def _draw(
    ax: Axes, x: Any, series: Estimate, label: str | None, zorder: int, distinct: bool = False, **options: Any
) -> None:
    used = [line.get_color() for line in ax.lines]
    (line,) = ax.plot(x, series.value, markersize=3.5, label=label, zorder=zorder, **options)
    if distinct:
        line.set_color(_unused(line.get_color(), used))
    colour = line.get_color()
    if len(x) > 1:
        ax.fill_between(x, series.low, series.high, color=colour, alpha=_BAND, linewidth=0, zorder=zorder - 1)
    else:
        ax.vlines(x, series.low, series.high, color=colour, alpha=0.5, zorder=zorder - 1)


def _unused(colour: Any, used: Sequence[Any]) -> Any:
    """The colour, or if it is in use the first of the style sheet's that is not."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    taken = {to_hex(one) for one in used}
    options = [colour, *mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])]
    return next((one for one in options if to_hex(one) not in taken), colour)


def _checked(x: npt.ArrayLike, values: npt.ArrayLike) -> tuple[Floats, Floats]:
    at, table = (_as_floats(array, name) for array, name in ((x, "x"), (values, "values")))
    if at.ndim != 1 or not at.size or not np.isfinite(at).all():
        raise InputError.expected("a non-empty vector of finite numbers for x", f"an array {at.shape}")
    if table.ndim != 2 or not len(table) or table.shape[1] != at.size:
        raise InputError.expected(
            f"values (n, {at.size}), a row for each picture and a column for each x",
            str(table.shape),
            "pass a single curve as values[None]",
        )
    return at, table


def _as_floats(array: npt.ArrayLike, name: str) -> Floats:
    refuse_masked(array, name)
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError.expected(f"an array of numbers for {name}", type(array).__name__) from error
