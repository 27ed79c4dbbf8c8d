"""Rows that another program wrote under the name of a protocol."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..protocols import Row

__all__ = ["are_settings", "has_columns", "required_columns"]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_number_or_none(value: object) -> bool:
    return value is None or _is_number(value)


def _is_vector(value: object) -> bool:
    """Whether a value is None or half-precision numbers in base64."""
    if value is None:
        return True
    try:
        return isinstance(value, str) and len(base64.b64decode(value, validate=True)) % 2 == 0
    except (binascii.Error, ValueError):
        return False


_REMOVAL = {"order": _is_text, "fraction": _is_number, "prediction": _is_number, "label": _is_number_or_none}
#: By protocol, the columns of every row, and what they may hold.
_COLUMNS: Mapping[str, Mapping[str, Callable[[object], bool]]] = MappingProxyType({
    "robustness": _REMOVAL,
    "colours": _REMOVAL,
    "ablation": {"part": _is_text},
    "lime": {"kept": _is_flag},
    "mask-shape": {"kept": _is_flag, "label": _is_number_or_none},
    "linearity": {"size": _is_number, "cosine": _is_number_or_none, "norm_whole": _is_number_or_none},
    "collapse": {"size": _is_number, "cosine_whole": _is_number_or_none, "features": _is_vector},
})


def are_settings(text: str) -> bool:
    """Whether a text is a JSON object, as settings are.

    Example:
        >>> are_settings('{"k":20}'), are_settings("7")
        (True, False)
    """
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def required_columns(protocol: str) -> str:
    """The columns of a protocol, as text.

    Example:
        >>> required_columns("mask-shape")
        'kept, label'
    """
    return ", ".join(_COLUMNS[protocol])


def has_columns(protocol: str, rows: Sequence[Row]) -> bool:
    """Whether rows have the columns that the protocol writes.

    Example:
        >>> has_columns("lime", [{"kept": False}]), has_columns("lime", [{"score": 3}])
        (True, False)
    """
    return all(fits(row.get(name)) for row in rows for name, fits in _COLUMNS[protocol].items())
