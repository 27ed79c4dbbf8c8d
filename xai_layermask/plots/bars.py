"""Grouped bars with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError
from ..stats import Estimate, Floats, Mean, estimate, joined
from .figure import MINUS, single_axes
from .style import Style, styles_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["bars", "dodged", "error_lengths", "mask_shape_bars"]

_WIDTH, _HEIGHT = 4.2, 3.0  # inches
_WIDE = 3.1  # inches from which two legend entries fit beside each other
_KINDS = ("object masked out", "broken mask")


def mask_shape_bars(accuracies: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], ax: Axes | None = None) -> Axes:
    """Draw what the shape of the mask tells the model, as in figures 6 and 7 of the paper.

    For each masking, the accuracy with the object masked out is drawn beside the accuracy with the same mask broken
    into quarters, with 95 % bootstrap intervals over pictures and the gap between the two above. The wider the gap,
    the less the model learns from the mask's shape.

    Args:
        accuracies: For each masking, which pictures keep their class: with the object masked out, `(n,)`, and with the
            broken mask, `(n,)`, bool or 0/1, the same pictures in the same order.
        ax: Where to draw; a new figure if None.

    Returns:
        The axes, with a legend.

    Raises:
        InputError: If there is no masking, or its two arrays are not 0/1 of the same pictures.

    Example:
        >>> ax = mask_shape_bars({"grey": ([1, 1, 0, 1], [1, 1, 0, 1]), "layer": ([0, 0, 0, 1], [1, 1, 0, 1])})
        >>> [text.get_text() for text in ax.texts]
        ['gap +0.00', 'gap +0.50']
    """
    if not isinstance(accuracies, Mapping) or not accuracies:
        got = f"an empty {type(accuracies).__name__}" if not accuracies else type(accuracies).__name__
        raise InputError.expected(
            "a mapping with at least one masking for accuracies",
            got,
            "pass for example {'layer': (object_correct, broken_correct)}",
        )
    pairs = {name: _checked_pair(name, pair) for name, pair in accuracies.items()}
    ax = single_axes(ax, max(_WIDTH, 1.2 * len(pairs) + 0.8), _HEIGHT)
    estimates = {
        kind: joined([estimate(Mean(pair[place]))[0] for pair in pairs.values()]) for place, kind in enumerate(_KINDS)
    }
    bars([title(name).replace(" ", "\n") for name in pairs], estimates, ax=ax)
    tops = np.fmax.reduce([np.fmax(one.value, one.high) for one in estimates.values()])
    for place, (masked_out, broken) in enumerate(pairs.values()):
        gap = float(broken.mean() - masked_out.mean()) + 0.0
        ax.annotate(
            f"gap {gap:+.2f}".replace("-", MINUS), (place, tops[place]), xytext=(0, 4), textcoords="offset points",
            ha="center", va="bottom",
        )
    wide = ax.get_window_extent().width / ax.figure.dpi > _WIDE
    ax.set(ylabel="accuracy", ylim=(0, 1.32 if wide else 1.5), yticks=np.linspace(0, 1, 6))
    ax.legend(loc="upper center", ncols=2 if wide else 1)
    return ax


def bars(
    groups: Sequence[str],
    estimates: Mapping[str, Estimate],
    ax: Axes | None = None,
    styles: Mapping[str, Style] | None = None,
) -> Axes:
    """Draw groups of bars with their intervals; undefined values are left out.

    Args:
        groups: The labels below the groups, `(P,)`.
        estimates: The P values of each series.
        ax: Where to draw; a new figure if None.
        styles: The style of each series; those of [`styles_of`][xai_layermask.plots.style.styles_of] if None.

    Returns:
        The axes.

    Example:
        >>> ax = bars(["slic"], {"grey": estimate(Mean([0.0, 1.0])), "layer": estimate(Mean([1.0, 1.0]))})
        >>> [float(bar.get_height()) for bar in ax.patches]
        [0.5, 1.0]
    """
    ax = single_axes(ax, _WIDTH, _HEIGHT)
    styles = styles_of(estimates) if styles is None else styles
    for name, at, value, lengths in dodged(estimates, 0.8):
        ax.bar(at, value, 0.92 * 0.8 / len(estimates), color=styles[name].colour, label=title(name))
        ax.errorbar(at, value, yerr=lengths, fmt="none", capsize=2, linewidth=1, ecolor=_line_colour(ax), zorder=3)
    ax.set_xticks(range(len(groups)), groups)
    return ax


def dodged(estimates: Mapping[str, Estimate], width: float) -> Iterator[tuple[str, Floats, Floats, Floats]]:
    """Place series next to each other in groups of this width, at 0, 1, 2 ...

    Args:
        estimates: For each series, a value for each group.
        width: Width of a group.

    Yields:
        The series with their positions, values and error lengths `(2, n)`. Undefined values are left out, and series
        without any, which would only add entries to the legend.

    Example:
        >>> [(name, at.tolist()) for name, at, _, _ in dodged({"grey": estimate(Mean([[0.5, 1.0]]))}, 0.8)]
        [('grey', [0.0, 1.0])]
    """
    step = width / max(1, len(estimates))
    for number, (name, series) in enumerate(estimates.items()):
        known = np.isfinite(series.value)
        if known.any():
            at = np.arange(len(known), dtype=np.float64) + (number - (len(estimates) - 1) / 2) * step
            yield name, at[known], np.asarray(series.value[known], np.float64), error_lengths(series)[:, known]


def error_lengths(series: Estimate) -> Floats:
    """Distances of the interval ends from the P values, `(2, P)`, as `errorbar` takes them; 0 for a missing end."""
    lengths = np.stack([series.value - series.low, series.high - series.value])
    # A percentile interval of few pictures may not contain the value.
    return np.maximum(np.nan_to_num(lengths, nan=0.0), 0.0)


def _line_colour(ax: Axes) -> str:
    import matplotlib as mpl

    return str(mpl.rcParams["axes.edgecolor"]) if ax.patch.get_visible() else "black"


def _checked_pair(name: str, pair: Any) -> tuple[Floats, Floats]:
    try:
        masked_out, broken = (np.asarray(kept, dtype=np.float64) for kept in pair)
    except (TypeError, ValueError) as error:
        raise InputError.expected(
            f"two arrays of 0 and 1 for {name!r} in accuracies", type(pair).__name__,
            "pass (object_correct, broken_correct)",
        ) from error
    for kept in (masked_out, broken):
        if kept.ndim != 1 or not kept.size or kept.shape != masked_out.shape or not np.isin(kept, (0, 1)).all():
            raise InputError.expected(
                f"two arrays of 0 and 1 of the same pictures for {name!r} in accuracies",
                f"{masked_out.shape} and {broken.shape}",
                "pass whether each picture keeps its class",
            )
    return masked_out, broken
