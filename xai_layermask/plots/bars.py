"""Bars with intervals, in groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..catalog import title
from ..errors import InputError
from ..stats.intervals import Estimate, estimate, joined
from ..stats.statistic import Floats, Mean
from .looks import Look, looks
from .panel import one

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MINUS", "bars", "ends", "mask_shape_bars"]

MINUS = "\N{MINUS SIGN}"
_WIDTH, _HEIGHT = 4.2, 3.0  # inches
_WIDE = 3.1  # inches: the entries of the legend find room beside each other
_KINDS = ("object masked out", "broken mask")


def mask_shape_bars(
    accuracies: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]], ax: Axes | None = None
) -> Axes:
    """Draw what the shape of the mask tells the model, as in figures 6 and 7 of the paper.

    For each masking, accuracy with the object masked out stands beside accuracy with the same mask broken into
    quarters; lines are 95 % bootstrap intervals over pictures, and the gap between the two is written above. The wider
    it is, the less the model learns from the mask's shape.

    Args:
        accuracies: For each masking, under its name, which pictures keep their class: with the object masked out,
            `(n,)`, and with the broken mask, `(n,)`, bool or 0/1, the same pictures in the same order.
        ax: Where to draw; a figure of its own if None.

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
        came = f"an empty {type(accuracies).__name__}" if not accuracies else type(accuracies).__name__
        raise InputError(
            f"accuracies must be a mapping with at least one masking, but {came} came: give for example "
            "{'layer': (object_correct, broken_correct)}."
        )
    pairs = {name: _pair(name, pair) for name, pair in accuracies.items()}
    ax = one(ax, max(_WIDTH, 1.2 * len(pairs) + 0.8), _HEIGHT)
    found = {
        kind: joined([estimate(Mean(pair[place]))[0] for pair in pairs.values()]) for place, kind in enumerate(_KINDS)
    }
    bars([title(name).replace(" ", "\n") for name in pairs], found, ax=ax)
    tops = np.fmax.reduce([np.fmax(one.value, one.high) for one in found.values()])
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
    groups: Sequence[str], estimates: Mapping[str, Estimate], ax: Axes | None = None,
    look: Mapping[str, Look] | None = None,
) -> Axes:
    """Draw groups of bars with their intervals; a bar without a number is left out.

    Args:
        groups: The names below the groups, `(P,)`.
        estimates: The P numbers of each series, under its name.
        ax: Where to draw; a figure of its own if None.
        look: How each series looks; by default as [`looks`][xai_layermask.plots.looks.looks] says.

    Returns:
        The axes.

    Example:
        >>> ax = bars(["slic"], {"grey": estimate(Mean([0.0, 1.0])), "layer": estimate(Mean([1.0, 1.0]))})
        >>> [float(bar.get_height()) for bar in ax.patches]
        [0.5, 1.0]
    """
    ax = one(ax, _WIDTH, _HEIGHT)
    look = looks(estimates) if look is None else look
    width = 0.8 / max(1, len(estimates))
    for number, (name, found) in enumerate(estimates.items()):
        at = np.arange(len(groups)) + (number - (len(estimates) - 1) / 2) * width
        known = np.isfinite(found.value)
        if not known.any():
            continue  # an empty series would have a line in the legend, and nothing to show there
        ax.bar(at[known], found.value[known], 0.92 * width, color=look[name].colour, label=title(name))
        ax.errorbar(
            at[known], found.value[known], yerr=ends(found)[:, known], fmt="none", capsize=2, linewidth=1,
            ecolor=_ink(ax), zorder=3,
        )
    ax.set_xticks(range(len(groups)), groups)
    return ax


def ends(found: Estimate) -> Floats:
    """How far the ends of intervals are from the values, as `errorbar` wants it; a missing one has no length.

    Args:
        found: P numbers with their intervals.

    Returns:
        Lengths, `(2, P)`: below and above.
    """
    lengths = np.stack([found.value - found.low, found.high - found.value])
    # A percentile interval of few pictures may just miss its own value.
    return np.maximum(np.nan_to_num(lengths, nan=0.0), 0.0)


def _ink(ax: Axes) -> str:
    """What lines are drawn in on this background."""
    import matplotlib as mpl

    return str(mpl.rcParams["axes.edgecolor"]) if ax.patch.get_visible() else "black"


def _pair(name: str, pair: Any) -> tuple[Floats, Floats]:
    """Which pictures keep their class, twice, as 0 and 1."""
    try:
        masked_out, broken = (np.asarray(kept, dtype=np.float64) for kept in pair)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"accuracies must hold two arrays of 0 and 1 for each masking, but something else came for {name!r}: "
            "give (object_correct, broken_correct)."
        ) from error
    for kept in (masked_out, broken):
        if kept.ndim != 1 or not kept.size or kept.shape != masked_out.shape or not np.isin(kept, (0, 1)).all():
            raise InputError(
                "accuracies must hold two arrays of 0 and 1, of the same pictures, for each masking, but "
                f"{masked_out.shape} and {broken.shape} came for {name!r}: give whether each picture keeps its class."
            )
    return masked_out, broken
