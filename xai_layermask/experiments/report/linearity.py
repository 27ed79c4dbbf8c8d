"""How nearly features add up over the parts of a picture: appendix 7.1, table 13 and figure 18."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...stats import Mean
from .section import Measure, Section, missing
from .series import Indices, Key, Series, Setup
from .sizes import size_figures, size_tables

__all__ = ["COLUMNS", "section"]

COLUMNS = ("size",)


def _cosine(series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    return Mean(series.values("cosine", keys, indices))


def _relative(column: str, series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """A length in units of the length of the whole picture's features."""
    above, below = series.values(column, keys, indices), series.values("norm_whole", keys, indices)
    return Mean(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


_MEASURES = (
    Measure("cosine of whole and sum", _cosine, "higher"),
    Measure("length of a part / whole", partial(_relative, "norm_parts")),
    Measure("length of the sum / whole", partial(_relative, "norm_sum")),
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `linearity`: cosines and lengths for every size of the parts, and their differences."""
    tables = size_tables("linearity", _CAPTION, setups, _MEASURES)
    figures = size_figures("linearity", setups, _MEASURES, "side of a part in pixels", _SHOWN, log_scale=True)
    return Section("Linearity", _TEXT, tables, figures, missing(setups))


_TEXT = (
    "A picture is cut into square parts, and the model sees one part at a time with the rest masked out. Compared are "
    "the features of the whole picture and the sum of the features of its parts (appendix 7.1 of the paper, table 13 "
    "and figure 18)."
)
_SHOWN = (
    "cosine of the whole picture's features and the sum of its parts' features, and how long both are, against the "
    "side of the parts"
)
_CAPTION = (
    "Means over the n pictures for each side of the parts in pixels, with 95 % bootstrap intervals over pictures. "
    "Lengths are in units of the whole picture's features."
)
