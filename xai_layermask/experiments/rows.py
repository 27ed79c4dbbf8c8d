"""Rows of measurements as JSON, as the store keeps them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from ..errors import InputError

__all__ = ["Value", "decode_rows", "encode_rows"]

Value = float | int | str | bool | None

_LARGEST = 1 << 63  # within SQLite's integers and the range of floats


def encode_rows(rows: Sequence[Mapping[str, Value]], protocol: str) -> str:
    """Convert rows to JSON.

    Args:
        rows: Flat rows. NaN becomes null.
        protocol: The protocol, for error messages.

    Raises:
        InputError: If a row holds anything but finite numbers, strings, bool, None and NaN.

    Example:
        >>> encode_rows([{"r2": float("nan")}], "lime")
        '[{"r2":null}]'
    """
    for row in rows:
        for name, value in row.items():
            if not _is_value(value):
                raise InputError.expected(
                    f"a finite number, a string, bool or None for {name!r} of {protocol}",
                    f"{value!r} ({type(value).__name__})", "convert it",
                )  # fmt: skip
    without_nan = [{name: None if value != value else value for name, value in row.items()} for row in rows]
    return json.dumps(without_nan, separators=(",", ":"), allow_nan=False)


def decode_rows(text: object) -> list[dict[str, Value]] | None:
    """Read rows from JSON, which may be anything; None if they are not rows.

    Example:
        >>> decode_rows('[{"r2":null}]'), decode_rows('{}')
        ([{'r2': None}], None)
    """
    try:
        rows = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
    return rows if isinstance(rows, list) and all(map(_is_row, rows)) else None


def _is_row(row: object) -> bool:
    return isinstance(row, dict) and all(map(_is_value, row.values()))


def _is_value(value: object) -> bool:
    if type(value) is float:
        return not math.isinf(value)
    if type(value) is int:
        return abs(value) < _LARGEST
    return type(value) in (str, bool, type(None))
