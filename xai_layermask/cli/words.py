"""What a word of the command line must look like, and what it means: types for `argparse`."""

from __future__ import annotations

import argparse
import re

__all__ = ["auto_or_count", "count", "shape", "whole", "words"]


def whole(word: str) -> int:
    """A whole number of at least 0.

    Example:
        >>> whole("0")
        0
    """
    if not re.fullmatch(r"[0-9]+", word):
        raise argparse.ArgumentTypeError(f"a whole number of at least 0 is needed, but {word!r} came")
    return int(word)


def count(word: str) -> int:
    """A whole number of at least 1.

    Example:
        >>> count("12")
        12
    """
    if not re.fullmatch(r"0*[1-9][0-9]*", word):
        raise argparse.ArgumentTypeError(f"a whole number of at least 1 is needed, but {word!r} came")
    return int(word)


def auto_or_count(word: str) -> int | str:
    """The word auto, or a whole number of at least 1."""
    return word if word == "auto" else count(word)


def words(word: str) -> list[str]:
    """Several words: split at commas outside parentheses, since a colour such as (255,0,0) is one word.

    Example:
        >>> words("grey,(255,0,0), layer")
        ['grey', '(255,0,0)', 'layer']
    """
    return [part.strip() for part in re.split(r",(?![^(]*\))", word) if part.strip()]


def shape(word: str) -> tuple[int, ...]:
    """Four sizes of at least 1.

    Example:
        >>> shape("1,3,224,224")
        (1, 3, 224, 224)
    """
    sizes = tuple(int(part) for part in re.split(r"[,x]", word) if part.isdigit())
    if not re.fullmatch(r"[0-9]+([,x][0-9]+){3}", word) or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"four numbers N,C,H,W are needed, but {word!r} came")
    return sizes
