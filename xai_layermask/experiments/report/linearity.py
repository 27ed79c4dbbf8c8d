"""How nearly a masked model adds up its parts: appendix 7.1, table 13 and figure 18."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...stats.statistic import Floats, Mean
from .section import Section, missing
from .series import Cell, Places, Series, Setup
from .sizes import drawing, sizes_of, tables

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
    sizes = sizes_of(setups)
    found = tables("linearity", _SCORES, setups, _KINDS) if sizes else ()
    drawings = tuple(
        drawing(
            f"linearity-{place}{f'-{cut}' if cut else ''}", setup, cut, _KINDS, "side of a part in pixels", _SHOWN,
            doubling=True,
        )
        for place, setup in enumerate(setups, start=1)
        for cut in setup.segments
        if sizes
    )  # fmt: skip
    return Section("Linearity", _TEXT, found, drawings, missing(setups))


_TEXT = (
    "A picture is cut into square parts, and the model is shown one part at a time with the rest masked out. Compared "
    "are the features of the whole picture and the sum of the features of its parts (appendix 7.1 of the paper, table "
    "13 and figure 18)."
)
_SHOWN = (
    "cosine of the whole picture's features and the sum of its parts' features, and how long both are, against the "
    "side of the parts"
)
_SCORES = (
    "Means over the n pictures for each side of the parts in pixels, with 95 % bootstrap intervals over pictures. "
    "Lengths are in units of the whole picture's features."
)
