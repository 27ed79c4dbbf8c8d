"""How each masking looks in figures: the same colour, line and marker everywhere, apart also without colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Look", "fixed", "looks"]

# Okabe and Ito's colours, which people of all colour visions tell apart; black and grey are what they say.
_KNOWN = {
    "layer": "#D55E00",
    "black": "#000000",
    "grey": "#8C8C8C",
    "neighbor": "#0072B2",
    "layer-zero": "#56B4E9",
    "partial": "#009E73",
    "tokens": "#CC79A7",
    "mean": "#E69F00",
    "blur": "#785EF0",
    "red": "#CC3311",
    "green": "#228833",
    "blue": "#4477AA",
    "white": "#BBBBBB",
}
_OTHERS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#785EF0", "#882255", "#44AA99", "#999933")
_MARKERS = "osD^vP*X<>hpd"
_LINES = ("solid", "dashed", "dashdot", "dotted")


@dataclass(frozen=True)
class Look:
    """How one series is drawn.

    Attributes:
        colour: Anything that matplotlib takes as a colour.
        marker: The form of its points.
        line: The style of its line.
    """

    colour: str
    marker: str
    line: str


def looks(labels: Iterable[str]) -> dict[str, Look]:
    """Give each series its look. A masking looks the same wherever it is drawn.

    Colours come from the style sheet where one has changed matplotlib's cycle of colours.

    Args:
        labels: The names of the series, such as maskings.

    Returns:
        A look for each.

    Example:
        >>> looks(["grey", "layer"])["layer"].colour
        '#D55E00'
    """
    import matplotlib as mpl

    cycle = mpl.rcParams["axes.prop_cycle"].by_key().get("color", [])
    default = mpl.rcParamsDefault["axes.prop_cycle"].by_key()["color"]
    own = not cycle or cycle == default
    every = list(dict.fromkeys(labels))
    free = [colour for colour in _OTHERS if colour not in {_KNOWN.get(label) for label in every}]
    found: dict[str, Look] = {}
    others = 0
    for label in every:
        place = list(_KNOWN).index(label) if label in _KNOWN else len(_KNOWN) + others
        others += label not in _KNOWN
        mine = _KNOWN.get(label) or free[(place - len(_KNOWN)) % len(free)]
        colour = mine if own else cycle[place % len(cycle)]
        line = "solid" if label in _KNOWN and own and label != "white" else _LINES[(place // 2) % len(_LINES)]
        found[label] = Look(colour, _MARKERS[place % len(_MARKERS)], line)
    return found


def fixed(label: str) -> Look | None:
    """The look of a masking that has one of its own, whatever is drawn beside it.

    Args:
        label: Its name.

    Returns:
        The look; None where there is none.

    Example:
        >>> fixed("layer").marker, fixed("mine")
        ('o', None)
    """
    return looks([label])[label] if label in _KNOWN else None
