"""Robustness to removed segments: section 4.1, tables 1 and 4 to 11."""

from __future__ import annotations

from collections.abc import Sequence

from .removal import removal_parts
from .section import Section, missing
from .series import Setup

__all__ = ["COLUMNS", "section"]

COLUMNS = ("order", "fraction")
_ORDERS = {"random": "random", "salient": "most salient first", "least": "least salient first"}
_TEXT = (
    "Segments are removed in random order, the most salient first, or the least salient first, and the model predicts "
    "again (section 4.1 of the paper, tables 1 and 4 to 11)."
)


def section(setups: Sequence[Setup]) -> Section:
    """Report the protocol `robustness`: areas under the curves, their differences, and the curves."""
    found = {key[0] for setup in setups for key in setup.keys}
    prefixes = [((order,), title) for order, title in _ORDERS.items() if order in found]
    tables, figures = removal_parts("robustness", setups, prefixes)
    asked = {order for setup in setups for order in setup.identity.setting("orders") or ()}  # type: ignore[attr-defined]
    lacking = [
        f"No trial removes segments in this order: {title}."
        for order, title in _ORDERS.items()
        if order in asked - found
    ]
    return Section("Robustness", _TEXT, tables, figures, (*missing(setups), *lacking))
