"""LIME under each masking: section 4.4, tables 2 and 12."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...catalog import masking_order
from ...plots import bars, styles_of
from ...stats import Mean, joined
from .figures import add_frame, drawable, panels
from .section import Column, Measure, ReportFigure, Section, best_segments, comparisons, count_text, missing, summary
from .series import ONLY, Indices, Key, Series, Setup

__all__ = ["COLUMNS", "mean_of", "section"]

COLUMNS: tuple[str, ...] = ()


def mean_of(column: str, series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """The mean of a column."""
    return Mean(series.values(column, keys, indices))


def _ablated(series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """Accuracy without the best segments, of the pictures that were explained."""
    found, label = series.values("ablated", keys, indices), series.values("label", keys, indices)
    return Mean(np.where(np.isfinite(found) & np.isfinite(label), found == label, np.nan))


# Identical functions, so that tables and figures share their estimates.
_ALIGNMENT, _JACCARD, _R2, _RELIABILITY = (
    partial(mean_of, column) for column in ("alignment", "jaccard", "r2", "reliability")
)


def _columns(setups: Sequence[Setup]) -> list[Column]:
    top = best_segments(setups)
    return [
        Column(Measure(f"{top} ablation accuracy", _ablated, "lower")),
        Column(Measure("alignment", _ALIGNMENT, "higher")),
        Column(Measure(f"{top} Jaccard", _JACCARD, "higher")),
        Column(Measure("reliability", _RELIABILITY)),
        Column(Measure("leave-one-out R²", _R2)),
    ]


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `lime`: the metrics of every masking and segmentation, and their differences."""
    blocks = {"": _columns(setups)}
    tables = (summary("lime", _CAPTION, setups, blocks), comparisons("lime-differences", setups, blocks))
    figures = tuple(_figure(f"lime-{place}", setup) for place, setup in enumerate(setups, start=1))
    return Section("LIME", _TEXT, tables, figures, (*missing(setups), *_without_numbers(setups)))


def _without_numbers(setups: Sequence[Setup]) -> list[str]:
    """Sentences about numbers that are missing, or that say nothing about the maskings."""
    found = []
    for setup in setups:
        counts = [one.values("segments_count", ONLY)[:, 0] for one in setup.series.values()]
        if not any(np.isfinite(one).any() for one in counts):
            found.append(f"{setup.name}: no picture was explained, since no label is among the likeliest classes.")
        best = setup.identity.setting("k")
        few = sorted({
            one.segments for one, count in zip(setup.series.values(), counts, strict=True)
            if isinstance(best, int) and (count <= best).any()
        })  # fmt: skip
        if few:
            found.append(
                f"{setup.name}: some pictures have at most {best} segments with {', '.join(few)}. The {best} best are "
                "all of them, so their overlap with the object and the accuracy without them do not depend on scores."
            )
    return found


def _figure(name: str, setup: Setup) -> ReportFigure:
    """A panel for each metric of the scores, in it a group of bars for each segmentation."""
    maskings = sorted({masking for _, masking in setup.series}, key=masking_order)
    columns = _columns([setup])[:-2]
    figure, (line,) = panels(1, len(columns), shared=False)
    counts: list[int] = []
    groups = [segments.replace(":", ":\n") for segments in setup.segments]
    for ax, column in zip(line, columns, strict=True):
        found = {
            masking: joined([
                column.interval(setup, setup.series[segments, masking]) if (segments, masking) in setup.series else None
                for segments in setup.segments
            ])
            for masking in maskings
        }
        counts += [int(n) for one in found.values() for n in one.n]
        bars(groups, {name: drawable(one) for name, one in found.items()}, ax=ax, styles=styles_of(maskings))
        ax.set_title(column.measure.head)
    count = count_text(counts)
    add_frame(figure, f"{setup.name}, {count}")
    total = len({picture for one in setup.series.values() for picture in one.pictures})
    caption = (
        f"{setup.name}: LIME under each masking; {count} of {total} pictures, whose label is among the model's "
        "likeliest classes. Lines are 95 % bootstrap intervals over pictures, arrows point to the better side."
    )
    return ReportFigure(name, caption, figure)


_TEXT = (
    "LIME explains the label of every picture whose label is among the model's first predictions. Then the segments "
    "with the highest scores are removed, and the scores are compared with the object mask (section 4.4 of the paper, "
    "tables 2 and 12). In the paper these are the first three predictions, and 20 segments, which grey replaces; the "
    "settings at the end of the page say what they are here."
)
_CAPTION = (
    "Means over the n pictures that were explained, with 95 % bootstrap intervals over pictures. Arrows point to the "
    "better side. Reliability is the expected correlation of the scores with those of infinitely many samples; R² is "
    "the share of the predictions' variance that the scores explain for samples that they have not seen."
)
