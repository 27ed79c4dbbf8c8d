"""The colour of the fill: section 8 and figure 19."""

from __future__ import annotations

from collections.abc import Sequence

from .removal import removal_parts
from .section import Section, missing
from .series import Setup

__all__ = ["COLUMNS", "section"]

COLUMNS = ("order", "fraction")
_TEXT = (
    "Square patches are removed at random and filled with one colour or another (section 8 of the paper, figure 19): "
    "how much do predictions depend on the colour?"
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `colours`: areas under the curves, their differences, and the curves."""
    tables, figures = removal_parts("colours", setups, [(("random",), "random")])
    return Section("Colours", _TEXT, tables, figures, missing(setups))
