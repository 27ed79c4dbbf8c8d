"""How nearly a masked model adds up its parts: appendix 7.1, table 13 and figure 18."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from .figures import curves, legend, panels
from .intervals import estimate
from .looks import looks
from .section import DIFFERENCES, Drawing, Measure, Section, comparisons, missing, pictures, summary
from .series import Cell, Places, Series, Setup
from .statistic import Floats, Mean

__all__ = ["KEYS", "section"]

KEYS = ("size",)


def _cosine(cells: Sequence[Cell], series: Series, places: Places) -> Mean:
    return Mean(series.values("cosine", cells, places))


def _share(cells: Sequence[Cell], series: Series, places: Places) -> Mean:
    """The length of one part's features, in units of the whole's."""
    return Mean(_quotient(series, "norm_parts", cells, places))


def _sum(cells: Sequence[Cell], series: Series, places: Places) -> Mean:
    """The length of the summed features, in units of the whole's."""
    return Mean(_quotient(series, "norm_sum", cells, places))


def _quotient(series: Series, column: str, cells: Sequence[Cell], places: Places) -> Floats:
    above, below = series.values(column, cells, places), series.values("norm_whole", cells, places)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)


_KINDS = {
    "cosine of whole and sum": (_cosine, "higher"),
    "length of a part / whole": (_share, ""),
    "length of the sum / whole": (_sum, ""),
}


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `linearity`.

    Args:
        setups: At least one.

    Returns:
        Cosines and lengths for every size of the parts, and their differences.
    """
    sizes = _sizes(setups)
    measures = {
        f"{size:g}": [Measure(name, partial(of, [(size,)]), better) for name, (of, better) in _KINDS.items()]
        for size in sizes
    }
    tables = (
        summary("linearity", _SCORES, setups, measures, "size"),
        comparisons("linearity-differences", DIFFERENCES, setups, measures, "size"),
    )
    drawings = tuple(
        _drawing(f"linearity-{place}{f'-{cut}' if cut else ''}", setup, cut)
        for place, setup in enumerate(setups, start=1)
        for cut in setup.segments
    )
    return Section("Linearity", _TEXT, tables if sizes else (), drawings if sizes else (), missing(setups))


def _sizes(setups: Sequence[Setup]) -> list[float]:
    """The sizes of the parts, the largest first."""
    known = {cell[0] for setup in setups for cell in setup.cells()}
    return sorted((size for size in known if isinstance(size, (int, float))), reverse=True)


def _drawing(name: str, setup: Setup, cut: str) -> Drawing:
    """The cosine and the length of the parts against the size, a line for each masking."""
    series, sizes = setup.of(cut), _sizes([setup])
    cells = [(size,) for size in sizes]
    figure, (line,) = panels(1, len(_KINDS), shared=False)
    look = looks(one.masking for one in series)
    for ax, (label, (of, _)) in zip(line, _KINDS.items(), strict=True):
        curves(sizes, {one.masking: estimate(of(cells, one, None)) for one in series}, ax=ax, look=look)
        ax.set_xscale("log", base=2)
        ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
        ax.minorticks_off()
        ax.set_xlabel("side of a part in pixels")
        ax.set_title(label, fontsize="medium")
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    count = pictures(len(one.pictures) for one in series)
    figure.suptitle(f"{setup.name}, {count}")
    legend(figure)
    caption = (
        f"{setup.name}: cosine of the whole picture's features and the sum of its parts' features, and how long both "
        f"are, against the side of the parts; {count} pictures. Bands are 95 % bootstrap intervals over pictures."
    )
    return Drawing(name, caption, figure)


_TEXT = (
    "A picture is cut into square parts, and the model is shown one part at a time with the rest masked out. Compared "
    "are the features of the whole picture and the sum of the features of its parts (appendix 7.1 of the paper, table "
    "13 and figure 18)."
)
_SCORES = (
    "Means over the n pictures for each side of the parts in pixels, with 95 % bootstrap intervals over pictures. "
    "Lengths are in units of the whole picture's features."
)
