"""How nearly features add up over the parts of a picture: appendix 7.1, table 13 and figure 18."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...stats import Exponent, Mean, estimate
from .section import Measure, Section, missing
from .series import Indices, Key, Series, Setup
from .sizes import size_figures, size_tables
from .tables import Entry, Table

__all__ = ["COLUMNS", "section"]

COLUMNS = ("size",)


def _cosine(series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    return Mean(series.values("cosine", keys, indices))


def _relative(column: str, series: Series, keys: Sequence[Key], indices: Indices) -> Mean:
    """A length in units of the length of the whole picture's features."""
    above, below = series.values(column, keys, indices), series.values("norm_whole", keys, indices)
    return Mean(np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0))


_PART = "length of a part / whole"
_MEASURES = (
    Measure("cosine of whole and sum", _cosine, "higher"),
    Measure(_PART, partial(_relative, "norm_parts")),
    Measure("length of the sum / whole", partial(_relative, "norm_sum")),
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `linearity`: cosines and lengths for every size of the parts, and their differences."""
    tables = size_tables("linearity", _CAPTION, setups, _MEASURES)
    axis, area = "side of a part in pixels", {_PART: ("share of the area, n²", _area)}
    figures = size_figures("linearity", setups, _MEASURES, axis, _SHOWN, log_scale=True, references=area)
    return Section("Linearity", _TEXT, (*tables, *_exponents(setups)), figures, missing(setups))


def _area(series: Series, size: float) -> float:
    """The mean share of the picture that a part covers; nan where the number of parts is not known."""
    counts = series.values("tiles", [(size,)])
    known = counts[np.isfinite(counts) & (counts > 0)]
    return float((1 / known).mean()) if known.size else float("nan")


def _exponents(setups: Sequence[Setup]) -> list[Table]:
    """The power of the side that the length of a part follows, for setups with at least two sides."""
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        keys = [key for key in setup.keys if isinstance(key[0], (int, float))]
        for one in (series for cut in setup.segments for series in setup.of(cut) if len(keys) > 1):
            lengths = _relative("norm_parts", one, keys, None)
            found = estimate(Exponent(lengths, [float(key[0]) for key in keys]))[0]  # type: ignore[arg-type]
            rows.append((setup.name, one.masking, found.n, found))
    header = ("model", "masking", "n", "exponent")
    return [Table("linearity-exponents", _EXPONENTS, header, tuple(rows))] if rows else []


_TEXT = (
    "A picture is cut into square parts, and the model sees one part at a time with the rest masked out. Compared are "
    "the features of the whole picture and the sum of the features of its parts (appendix 7.1 of the paper, table 13 "
    "and figure 18)."
)
_EXPONENTS = (
    "The power of the side that the mean length of a part follows (the slope of both logarithms), with 95 % bootstrap "
    "intervals over pictures: 2 if lengths grow with the area, as the paper says of layer masking, and 0 if they do "
    "not depend on it. With the rescaled global pool of its section 3.2 lengths are a mean over present cells; "
    "layer-unscaled leaves the division out."
)
_SHOWN = (
    "cosine of the whole picture's features and the sum of its parts' features, and how long both are, against the "
    "side of the parts"
)
_CAPTION = (
    "Means over the n pictures for each side of the parts in pixels, with 95 % bootstrap intervals over pictures. "
    "Lengths are in units of the whole picture's features."
)
