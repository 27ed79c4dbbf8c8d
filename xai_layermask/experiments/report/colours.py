"""The colour that masks: section 8 and figure 19."""

from __future__ import annotations

from collections.abc import Sequence

from .removal import parts
from .section import Section, missing
from .series import Setup

__all__ = ["KEYS", "section"]

KEYS = ("order", "fraction")
_TEXT = (
    "Square patches are removed at random, with one colour or another in their place (section 8 of the paper, figure "
    "19): how much the answers depend on the colour."
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `colours`.

    Args:
        setups: At least one.

    Returns:
        Areas under all curves, their differences, and the curves.
    """
    tables, drawings = parts("colours", setups, [(("random",), "random")])
    return Section("Colours", _TEXT, tables, drawings, missing(setups))
