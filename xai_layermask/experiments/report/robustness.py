"""Robustness to removed segments: section 4.1, tables 1 and 4 to 11."""

from __future__ import annotations

from collections.abc import Sequence

from .removal import parts
from .section import Section, missing
from .series import Setup

__all__ = ["KEYS", "section"]

KEYS = ("order", "fraction")
_ORDERS = {"random": "random", "salient": "most salient first", "least": "least salient first"}
_TEXT = (
    "Segments are removed in random order, the most salient first, or the least salient first, and the model is asked "
    "again (section 4.1 of the paper, tables 1 and 4 to 11)."
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `robustness`.

    Args:
        setups: At least one.

    Returns:
        Areas under all curves, their differences, and the curves.
    """
    found = {cell[0] for setup in setups for cell in setup.cells()}
    tables, drawings = parts("robustness", setups, [((order,), _ORDERS[order]) for order in _ORDERS if order in found])
    lacking = [f"No unit removes segments in this order: {_ORDERS[order]}." for order in _ORDERS if order not in found]
    return Section("Robustness", _TEXT, tables, drawings, (*missing(setups), *lacking))
