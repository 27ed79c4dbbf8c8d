"""LIME under each masking: section 4.4, tables 2 and 12."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...catalog import masking_order
from ...plots import styles_of
from ...stats.intervals import estimate, joined
from ...stats.statistic import Mean
from .figures import bars, frame, panels
from .section import DIFFERENCES, Drawing, Measure, Section, best, comparisons, missing, pictures, summary
from .series import Cell, Places, Series, Setup

__all__ = ["KEYS", "section"]

KEYS: tuple[str, ...] = ()
_ONLY: tuple[Cell, ...] = ((),)
_DRAWN = 3  # measures; the last one is of the surrogate, not of the scores


def ablated(series: Series, places: Places) -> Mean:
    """Accuracy without the segments with the highest scores, of the pictures that were explained."""
    left, right = series.values("ablated", _ONLY, places), series.values("label", _ONLY, places)
    return Mean(np.where(np.isfinite(left) & np.isfinite(right), left == right, np.nan))


def alignment(series: Series, places: Places) -> Mean:
    """Mean alignment with the object mask."""
    return Mean(series.values("alignment", _ONLY, places))


def jaccard(series: Series, places: Places) -> Mean:
    """Mean overlap of the segments with the highest scores with the object mask."""
    return Mean(series.values("jaccard", _ONLY, places))


def r2(series: Series, places: Places) -> Mean:
    """How well the scores add up to what the model answers."""
    return Mean(series.values("r2", _ONLY, places))


def measures(setups: Sequence[Setup]) -> tuple[Measure, ...]:
    """What is measured, under names that say how many segments are the best.

    Args:
        setups: At least one.

    Returns:
        The measures.
    """
    top = best(setups)
    return (
        Measure(f"{top} ablation accuracy", ablated, "lower"),
        Measure("alignment", alignment, "higher"),
        Measure(f"{top} Jaccard", jaccard, "higher"),
        Measure("surrogate R²", r2),
    )


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `lime`.

    Args:
        setups: At least one.

    Returns:
        The metrics of every masking and segmentation, and their differences.
    """
    every = {"": measures(setups)}
    tables = (
        summary("lime", _SCORES, setups, every),
        comparisons("lime-differences", DIFFERENCES, setups, every),
    )
    drawings = [_drawing(f"lime-{place}", setup) for place, setup in enumerate(setups, start=1)]
    return Section("LIME", _TEXT, tables, tuple(drawings), missing(setups))


def _drawing(name: str, setup: Setup) -> Drawing:
    """A panel for each metric, a group of bars for each segmentation."""
    maskings = sorted({masking for _, masking in setup.series}, key=masking_order)
    drawn = measures([setup])[:_DRAWN]
    figure, grid = panels(1, len(drawn), shared=False)
    counts: list[int] = []
    for ax, measure in zip(grid[0], drawn, strict=True):
        found = {
            masking: joined([
                estimate(measure.of(setup.series[cut, masking], None))[0] if (cut, masking) in setup.series else None
                for cut in setup.segments
            ])
            for masking in maskings
        }
        counts += [int(n) for one in found.values() for n in one.n]
        bars(setup.segments, found, ax=ax, styles=styles_of(maskings))
        ax.set_title(measure.head)
    frame(figure, f"{setup.name}, {pictures(counts)}")
    total = len({picture for one in setup.series.values() for picture in one.pictures})
    caption = (
        f"{setup.name}: LIME under each masking; {pictures(counts)} of {total} pictures, whose label is among the "
        "model's likeliest classes. Lines are 95 % bootstrap intervals over pictures, arrows point to the better side."
    )
    return Drawing(name, caption, figure)


_TEXT = (
    "LIME explains the label of every picture whose label is among the model's first predictions; then the segments "
    "with the highest scores are removed, and the scores are compared with the object mask (section 4.4 of the paper, "
    "tables 2 and 12). In the paper these are the first three predictions, and 20 segments, which grey replaces; the "
    "settings at the end of the page say what they are here."
)
_SCORES = (
    "Means over the n pictures that were explained, with 95 % bootstrap intervals over pictures. Arrows point to the "
    "better side; R² says how well the scores add up to what the model answers."
)
