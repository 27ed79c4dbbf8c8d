"""Variants of layer masking: table 3 and figure 9, and beyond the paper how robustness and alignment are related."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...plots import curves, styles_of
from .figures import add_frame, drawable, panels, scatter
from .lime import mean_of
from .removal import AREAS, Prefixes, curve_keys, removal_parts
from .section import Column, Measure, ReportFigure, Section, best_segments, comparisons, count_text, missing, summary
from .series import Key, Setup
from .tables import Table

__all__ = ["COLUMNS", "section"]

#: The fraction is last: the keys of a curve differ only there.
COLUMNS = ("part", "order", "removed_at", "fraction")
# Identical functions, so that tables and figures share their estimates.
_ALIGNMENT, _JACCARD = partial(mean_of, "alignment"), partial(mean_of, "jaccard")


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `ablation`: robustness and LIME of every variant, their differences, and their relation."""
    tables, figures = removal_parts("ablation", setups, _prefixes([key for setup in setups for key in setup.keys]))
    lime = [
        _lime_figure(f"ablation-lime-{place}{f'-{segments}' if segments else ''}", setup, segments)
        for place, setup in enumerate(setups, start=1)
        for segments in setup.segments
    ]
    return Section(
        "Ablation", _TEXT, (*tables, *_lime_tables(setups)), (*figures, *(one for one in lime if one)), missing(setups)
    )


def _prefixes(keys: Sequence[Key]) -> Prefixes:
    found = dict.fromkeys(key[:-1] for key in keys if key[0] == "robustness")
    return [(prefix, str(prefix[1])) for prefix in found]


def _lime_keys(setup: Setup) -> list[Key]:
    """The keys of LIME, by the fraction of segments that its samples lack."""
    found = (key for key in setup.keys if key[0] == "lime" and isinstance(key[2], (int, float)))
    return sorted(found, key=lambda key: key[2])  # type: ignore[arg-type, return-value]


def _measures(setups: Sequence[Setup]) -> tuple[Measure, Measure]:
    jaccard = Measure(f"{best_segments(setups)} Jaccard", _JACCARD, "higher")
    return Measure("alignment", _ALIGNMENT, "higher"), jaccard


def _lime_tables(setups: Sequence[Setup]) -> list[Table]:
    keys = sorted({key for setup in setups for key in _lime_keys(setup)}, key=lambda key: key[2])  # type: ignore[arg-type, return-value]
    if not keys:
        return []
    blocks = {f"{key[2]:g}": [Column(measure, key, _lime_keys) for measure in _measures(setups)] for key in keys}
    return [
        summary("ablation-lime", _CAPTION, setups, blocks, "removed"),
        comparisons("ablation-lime-differences", setups, blocks, "removed"),
    ]


def _lime_figure(name: str, setup: Setup, segments: str) -> ReportFigure | None:
    """Alignment and overlap against the fraction that LIME removes, and alignment against robustness."""
    series, keys = setup.of(segments), _lime_keys(setup)
    if not keys:
        return None
    prefixes = [prefix for prefix, _ in _prefixes(setup.keys) if curve_keys(setup.keys, prefix)[1:]]
    figure, (line,) = panels(1, 3 if prefixes else 2, shared=False)
    styles = styles_of(one.masking for one in series)
    removed = [float(key[2]) for key in keys]  # type: ignore[arg-type]
    counts: list[int] = []
    for ax, measure in zip(line, _measures([setup]), strict=False):
        found = {one.masking: drawable(one.estimate(measure.of, keys)) for one in series}
        counts += [int(n) for one in found.values() for n in one.n]
        curves(removed, found, ax=ax, styles=styles)
        ax.set(title=measure.title, xlabel="fraction that LIME removes", xticks=removed)
    if prefixes:
        middle = len(keys) // 2
        points = {
            one.masking: (
                drawable(one.estimate(AREAS[0].of, prefixes[:1]))[0], drawable(one.estimate(_ALIGNMENT, keys))[middle],
            )
            for one in series
        }
        scatter(points, ax=line[2], styles=styles)
        line[2].set(title=f"alignment at {removed[middle]:g}", xlabel="mean accuracy over removal")
    count = count_text(counts)
    add_frame(figure, ", ".join(part for part in (setup.name, segments, count) if part))
    caption = (
        f"{setup.name}{f', {segments}' if segments else ''}: LIME against the fraction of segments that its samples "
        f"lack, and alignment against robustness; {count} pictures. Bands and lines are 95 % bootstrap intervals over "
        "pictures."
    )
    return ReportFigure(name, caption, figure)


_TEXT = (
    "Other paddings, layer masking only up to a depth, partial convolution (table 3 and figure 9 of the paper); and, "
    "beyond the paper, how much of a window must be present (layer-threshold), against how many segments LIME removes."
)
_CAPTION = (
    "LIME with samples that lack this fraction of the segments: means over the n pictures that were explained, with "
    "95 % bootstrap intervals over pictures."
)
