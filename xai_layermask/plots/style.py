"""Styles of series: each masking has the same colour, line and marker in every figure, also distinct without colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..catalog import MASKINGS

__all__ = ["Style", "masking_style", "styles_of"]

# For series that are not maskings of the catalog.
_COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#785EF0", "#882255", "#44AA99", "#999933")
_MARKERS = "osD^vP*X<>hpd"
_LINES = ("solid", "dashed", "dashdot", "dotted")


@dataclass(frozen=True)
class Style:
    """How a series is drawn.

    Attributes:
        colour: Any colour of matplotlib.
        marker: Its marker.
        line: Its line style.
    """

    colour: str
    marker: str
    line: str


def styles_of(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each series, such as a masking. Other series get the remaining colours in turn.

    If the style sheet has its own colour cycle, colours come from there.

    Example:
        >>> styles_of(["grey", "layer"])["layer"].colour
        '#D55E00'
    """
    import matplotlib as mpl

    cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])
    default = mpl.rcParamsDefault["axes.prop_cycle"].by_key()["color"]
    own = not cycle or cycle == default
    every = list(dict.fromkeys(labels))
    used = {MASKINGS[label].colour for label in every if label in MASKINGS}
    free = [colour for colour in _COLOURS if colour not in used]
    styles: dict[str, Style] = {}
    others = 0
    for label in every:
        if label in MASKINGS:
            colour, marker = MASKINGS[label].colour, MASKINGS[label].marker
            place = len(MASKINGS) - 1 - list(MASKINGS).index(label)  # layer masking first
        else:
            colour, marker = free[others % len(free)], _MARKERS[others % len(_MARKERS)]
            place = len(MASKINGS) + others
            others += 1
        line = "solid" if label in MASKINGS and own and label != "white" else _LINES[(place // 2) % len(_LINES)]
        styles[label] = Style(colour if own else cycle[place % len(cycle)], marker, line)
    return styles


def masking_style(label: str) -> Style | None:
    """The style of a masking, whatever else is drawn; None for any other label.

    Example:
        >>> masking_style("layer").marker, masking_style("mine")
        ('o', None)
    """
    return styles_of([label])[label] if label in MASKINGS else None
