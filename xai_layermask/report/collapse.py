"""Whether different pictures look alike to a model when little of them is there: appendix 7.2, figure 17."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..protocols.collapse import direction
from .figures import curves, legend, panels
from .intervals import estimate
from .looks import looks
from .section import DIFFERENCES, Drawing, Measure, Section, comparisons, missing, pictures, summary
from .series import Cell, Places, Series, Setup
from .statistic import Floats, Mean, Pairs, Statistic

__all__ = ["KEYS", "TEXTS", "section"]

KEYS = ("size",)
TEXTS = ("features",)


def _between(cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """The mean cosine of the features of two pictures."""
    return Pairs([_cosines(series, cell, places) for cell in cells])


def _change(base: Cell, cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """How far the cosine of two pictures is from what it is at the largest size, on average."""
    before = _cosines(series, base, places)
    return Pairs([np.abs(_cosines(series, cell, places) - before) for cell in cells])


def _whole(cells: Sequence[Cell], series: Series, places: Places) -> Statistic:
    """The mean cosine of a picture's features and those of the whole picture."""
    return Mean(series.values("cosine_whole", cells, places))


def _cosines(series: Series, cell: Cell, places: Places) -> Floats:
    """The cosine of every two pictures, `(n, n)`; nan where one has no features."""
    units = [None if text is None else direction(text) for text in series.texts("features", cell, places)]
    length = next((unit.size for unit in units if unit is not None), 1)
    table = np.stack([np.full(length, np.nan) if unit is None else unit / np.linalg.norm(unit) for unit in units])
    found: Floats = table @ table.T
    return found


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `collapse`.

    Args:
        setups: At least one.

    Returns:
        How alike pictures are at every size, the differences between maskings, and the curves.
    """
    sizes = _sizes(setups)
    measures = {
        f"{size:g}": [Measure(title, partial(of, [(size,)]), better) for title, (of, better) in _kinds(sizes).items()]
        for size in sizes
    }
    tables = (
        summary("collapse", _SCORES, setups, measures, "size"),
        comparisons("collapse-differences", DIFFERENCES, setups, measures, "size"),
    )
    drawings = tuple(_drawing(f"collapse-{place}", setup) for place, setup in enumerate(setups, start=1))
    return Section("Collapse", _TEXT, tables if sizes else (), drawings if sizes else (), missing(setups))


def _kinds(sizes: Sequence[float]) -> dict[str, tuple[partial[Statistic], str]]:
    return {
        "cosine between pictures": (partial(_between), ""),
        "change of that cosine": (partial(_change, (sizes[0],)), "lower"),
        "cosine with the whole picture": (partial(_whole), "higher"),
    }


def _sizes(setups: Sequence[Setup]) -> list[float]:
    """The sides of the shrunk picture, the largest first."""
    known = {cell[0] for setup in setups for cell in setup.cells()}
    return sorted((size for size in known if isinstance(size, (int, float))), reverse=True)


def _drawing(name: str, setup: Setup) -> Drawing:
    series, sizes = setup.of(""), _sizes([setup])
    cells = [(size,) for size in sizes]
    kinds = _kinds(sizes)
    figure, (line,) = panels(1, len(kinds), shared=False)
    look = looks(one.masking for one in series)
    for ax, (title, (of, _)) in zip(line, kinds.items(), strict=True):
        curves(sizes, {one.masking: estimate(of(cells, one, None)) for one in series}, ax=ax, look=look)
        ax.set_xlabel("side of the picture in pixels")
        ax.set_title(title, fontsize="medium")
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
    count = pictures(len(one.pictures) for one in series)
    figure.suptitle(f"{setup.name}, {count}")
    legend(figure)
    caption = (
        f"{setup.name}: how alike the features of different pictures are when pictures are shrunk to this side and the "
        f"rest of 224 x 224 is missing; {count} pictures. Bands are 95 % bootstrap intervals over pictures."
    )
    return Drawing(name, caption, figure)


_TEXT = (
    "Every picture is shrunk into a corner, and the rest of the canvas is missing. Where the missing part has a say, "
    "all pictures come to look alike (appendix 7.2 of the paper, figure 17)."
)
_SCORES = (
    "Means over pairs of different pictures (cosine, and how far it is from that of the same pair at the largest size) "
    "and over pictures (cosine with the whole picture), with 95 % bootstrap intervals over pictures."
)
