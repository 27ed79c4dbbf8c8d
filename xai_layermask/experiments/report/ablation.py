"""Variants of layer masking: table 3 and figure 9, and how robustness and alignment go together beyond the paper."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ...plots import styles_of
from ...stats.intervals import estimate
from ...stats.statistic import Mean
from .figures import curves, frame, panels, scatter
from .removal import areas, fractions, parts
from .section import DIFFERENCES, Drawing, Measure, Section, best, comparisons, missing, pictures, summary
from .series import Cell, Places, Series, Setup
from .tables import Table

__all__ = ["KEYS", "section"]

#: The fraction comes last: curves are cells that differ only there.
KEYS = ("part", "order", "removed_at", "fraction")


def _kinds(setups: Sequence[Setup]) -> dict[str, str]:
    """What LIME's scores are measured by: columns, and what they are called."""
    return {"alignment": "alignment", "jaccard": f"{best(setups)} Jaccard"}


def _mean(column: str, cells: Sequence[Cell], series: Series, places: Places) -> Mean:
    return Mean(series.values(column, cells, places))


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `ablation`.

    Args:
        setups: At least one.

    Returns:
        Robustness and LIME of every variant, their differences, and both against each other.
    """
    cells = [cell for setup in setups for cell in setup.cells()]
    tables, drawings = parts("ablation", setups, _starts(cells))
    alignments = [
        _alignment(f"ablation-lime-{place}{f'-{cut}' if cut else ''}", setup, cut)
        for place, setup in enumerate(setups, start=1)
        for cut in setup.segments
    ]
    return Section(
        "Ablation", _TEXT, (*tables, *_lime(setups, cells)), (*drawings, *(one for one in alignments if one)),
        missing(setups),
    )


def _starts(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """How the cells of every curve begin, and the order of removal that it is of."""
    found = dict.fromkeys(cell[:-1] for cell in cells if cell[0] == "robustness")
    return [(start, str(start[1])) for start in found]


def _removed(cells: Sequence[Cell]) -> list[float]:
    """The fractions of segments that LIME removes, increasing."""
    known = {cell[2] for cell in cells if cell[0] == "lime"}
    return sorted(float(one) for one in known if isinstance(one, (int, float)))


def _at(removed: float) -> Cell:
    return ("lime", None, removed, None)


def _lime(setups: Sequence[Setup], cells: Sequence[Cell]) -> list[Table]:
    kinds = _kinds(setups)
    measures = {
        f"{removed:g}": [Measure(title, partial(_mean, kind, [_at(removed)]), "higher") for kind, title in
                         kinds.items()]
        for removed in _removed(cells)
    }
    if not measures:
        return []
    return [
        summary("ablation-lime", _ALIGNMENT, setups, measures, "removed"),
        comparisons("ablation-lime-differences", DIFFERENCES, setups, measures, "removed"),
    ]


def _alignment(name: str, setup: Setup, cut: str) -> Drawing | None:
    """Alignment and overlap against the fraction that LIME removes, and alignment against robustness."""
    series, removed = setup.of(cut), _removed(setup.cells())
    if not removed:
        return None
    starts = _starts(setup.cells())
    x = fractions(setup.cells(), *starts[0][0]) if starts else []
    figure, (line,) = panels(1, 3 if x[1:] else 2, shared=False)
    styles = styles_of(one.masking for one in series)
    counts: list[int] = []
    for ax, (kind, title) in zip(line, _kinds([setup]).items(), strict=False):
        found = {one.masking: estimate(_mean(kind, [_at(share) for share in removed], one, None)) for one in series}
        counts += [int(n) for one in found.values() for n in one.n]
        curves(removed, found, ax=ax, styles=styles)
        ax.set(title=title, xlabel="fraction that LIME removes", xticks=removed)
    if x[1:]:
        accuracy, middle = areas(*starts[0][0])[0], removed[len(removed) // 2]
        aligned = partial(_mean, "alignment", [_at(middle)])
        crosses = {
            one.masking: (estimate(accuracy.of(one, None))[0], estimate(aligned(one, None))[0]) for one in series
        }
        scatter(crosses, ax=line[2], styles=styles)
        line[2].set(title=f"alignment at {middle:g}", xlabel="mean accuracy over removal")
    count = pictures(counts)
    frame(figure, ", ".join(part for part in (setup.name, cut, count) if part))
    caption = (
        f"{setup.name}{f', {cut}' if cut else ''}: LIME against the fraction of segments that its samples lack, and "
        f"alignment against robustness; {count} pictures. Bands and lines are 95 % bootstrap intervals over pictures."
    )
    return Drawing(name, caption, figure)


_TEXT = (
    "Other paddings, layer masking only up to a depth, partial convolution (table 3 and figure 9 of the paper); and, "
    "beyond the paper, how much of a window must be present (layer-threshold), against how many segments LIME removes."
)
_ALIGNMENT = (
    "LIME with samples that lack this fraction of the segments: means over the n pictures that were explained, with "
    "95 % bootstrap intervals over pictures."
)
