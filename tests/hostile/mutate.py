"""How sound content is damaged: bytes, and the values of JSON."""

from __future__ import annotations

import copy
import random
import struct

__all__ = ["ODD", "bytes_mutated", "json_mutated"]

#: Values that a reader of JSON does not expect.
ODD = (
    None, True, -1, 0, 7, 1e999, float("nan"), 10**400, -(10**30), "", "x", "\ud800", "a\0b", "n" * 5000, "/", "../x",
    [], {}, [[]], [[[0]]], [None], {"a": {"b": []}}, 0.5, "9" * 5000,
)  # fmt: skip
_SIZES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def bytes_mutated(draw: random.Random, content: bytes, other: bytes = b"") -> bytes:
    """Damage some bytes.

    Args:
        draw: Source of randomness.
        content: A sound file.
        other: Another file, parts of which may be inserted.
    """
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at, length = draw.randrange(len(data) + 1), draw.choice((1, 1, 4, 16, 64, 1024))
        # Headers decide most: half of the damage is near the start.
        at = min(at, draw.randrange(64)) if draw.random() < 0.5 else at
        kind = draw.randrange(7)
        if kind == 0:
            data[at : at + length] = bytes(draw.randrange(256) for _ in range(length))
        elif kind == 1:
            data[at : at + 1] = bytes([draw.choice(data or [0]) ^ (1 << draw.randrange(8))])
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data = data[:at]
        elif kind == 4:
            data[at:at] = data[at : at + length]
        elif kind == 5:
            data[at : at + 4] = struct.pack(draw.choice(("<I", ">I")), draw.choice(_SIZES))
        else:
            start = draw.randrange(len(other) + 1)
            data[at:at] = other[start : start + length]
    return bytes(data)


def json_mutated(draw: random.Random, value: object) -> object:
    """Replace, remove or double one value somewhere inside a JSON value."""
    changed = copy.deepcopy(value)
    place = changed
    while isinstance(place, (dict, list)) and place:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw.choice(keys)
        inner = place[key]
        if not (isinstance(inner, (dict, list)) and inner) or draw.random() < 0.3:
            _damage(draw, place, key)
            return changed
        place = inner
    return draw.choice(ODD)


def _damage(draw: random.Random, place: dict[object, object] | list[object], key: object) -> None:
    kind = draw.randrange(3)
    if kind == 0 and isinstance(place, dict):
        del place[key]
    elif kind == 1 and isinstance(place, list):
        place.append(place[key])
    else:
        place[key] = copy.deepcopy(draw.choice(ODD))
