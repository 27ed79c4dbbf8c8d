"""Whether different pictures look alike to a model when little of them is present: appendix 7.2, figure 17."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...stats import Floats, Mean, Pairs
from ..protocols import direction
from .section import Measure, Section, missing
from .series import Indices, Key, Series, Setup
from .sizes import size_figures, size_tables

__all__ = ["COLUMNS", "TEXTS", "section"]

COLUMNS = ("size",)
TEXTS = ("features",)


def _between(series: Series, keys: Sequence[Key], indices: Indices) -> Pairs:
    """The mean cosine of the features of two pictures."""
    return Pairs([_cosines(series, key, indices) for key in keys])


def _signed(series: Series, keys: Sequence[Key], indices: Indices) -> Pairs:
    """The mean difference of that cosine from the one at the largest size."""
    largest = _cosines(series, max(series.keys, default=keys[0]), indices)
    return Pairs([_cosines(series, key, indices) - largest for key in keys])


def _change(series: Series, keys: Sequence[Key], indices: Indices) -> Pairs:
    """The mean absolute difference of that cosine from the one at the largest size."""
    largest = _cosines(series, max(series.keys, default=keys[0]), indices)
    return Pairs([np.abs(_cosines(series, key, indices) - largest) for key in keys])


def _whole(series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """The mean cosine of a picture's features and those of the whole picture."""
    return Mean(series.values("cosine_whole", keys, indices))


def _cosines(series: Series, key: Key, indices: Indices) -> Floats:
    """The cosine of every two pictures, `(n, n)`; nan where one has no features."""
    units = [None if text is None else direction(text) for text in series.texts("features", key, indices)]
    length = next((unit.size for unit in units if unit is not None), 1)
    table = np.stack([np.full(length, np.nan) if unit is None else unit / np.linalg.norm(unit) for unit in units])
    found: Floats = table @ table.T
    return found


_MEASURES = (
    Measure("cosine between pictures", _between),
    Measure("change of that cosine", _signed),
    Measure("absolute change", _change, "lower"),
    Measure("cosine with the whole picture", _whole, "higher"),
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `collapse`: how alike pictures are at every size, and the differences between maskings."""
    tables = size_tables("collapse", _CAPTION, setups, _MEASURES)
    figures = size_figures("collapse", setups, _MEASURES, "side of the picture in pixels", _SHOWN)
    return Section("Collapse", _TEXT, tables, figures, missing(setups))


_TEXT = (
    "Every picture is shrunk into a corner, and the rest of the canvas is missing. If the missing part influences the "
    "model, all pictures come to look alike (appendix 7.2 of the paper, figure 17)."
)
_SHOWN = (
    "how alike the features of different pictures are when pictures are shrunk to this side and the rest of 224 x 224 "
    "is missing"
)
_CAPTION = (
    "Means over pairs of different pictures (cosine, and its difference from that of the same pair at the largest "
    "size) and over pictures (cosine with the whole picture), with 95 % bootstrap intervals over pictures. The paper's "
    "text averages the difference, its published code the absolute value."
)
