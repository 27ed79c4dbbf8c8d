"""How each masking looks in figures: the same colour, line and marker everywhere, apart also without colours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..catalog import MASKINGS

__all__ = ["Look", "fixed", "looks"]

_MARKERS = "osD^vP*X<>hpd"
# Maskings with a look of their own, in the order of the markers.
_KNOWN = {
    name: entry.colour
    for name, entry in sorted(MASKINGS.items(), key=lambda one: _MARKERS.find(one[1].marker or ""))
    if entry.colour and entry.marker
}
_OTHERS = ("#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2", "#785EF0", "#882255", "#44AA99", "#999933")
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
