"""ImageNet classes by the names that datasets use."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from ..errors import InputError
from ..models import imagenet_labels
from .table import table

__all__ = ["as_index", "class_table", "find_class", "wnids"]

_CLASSES = 1000
_DIGITS = 9


@functools.cache
def wnids() -> Mapping[str, int]:
    """Class indices by WordNet id for the 1000 ImageNet classes.

    Example:
        >>> wnids()["n02123045"]  # tabby
        281
    """
    text = files("xai_layermask").joinpath("data", "imagenet_wnids.txt").read_text(encoding="ascii")
    return {wnid: index for index, wnid in enumerate(text.split())}


def find_class(word: str) -> int | None:
    """The index of an ImageNet class, 0 to 999; None if no class, or more than one, has that name.

    Args:
        word: A WordNet id, an index, or the class's name in torchvision's list, in any case, with "_" or " ".

    Example:
        >>> find_class("n02123045"), find_class("281"), find_class("Egyptian_cat"), find_class("unicorn")
        (281, 281, 285, None)
    """
    index = as_index(word)
    if index is not None:
        return index if index < _CLASSES else None
    return wnids().get(word) if word in wnids() else _names().get(_plain(word))


def as_index(word: str) -> int | None:
    """The integer that a word of up to 9 digits spells; None for any other word.

    Example:
        >>> as_index("281"), as_index("-1"), as_index("9" * 5000)
        (281, None, None)
    """
    return int(word) if word.isdecimal() and len(word) <= _DIGITS else None


def class_table(path: Path) -> dict[str, int]:
    """Read the class index of each category from a CSV file with the columns category and class_index.

    Raises:
        InputError: If the file cannot be read, lacks a column, or has a value that is not an index.
    """
    found = {}
    for line, row in table(path, ("category", "class_index")):
        index = as_index(row["class_index"])
        if not row["category"] or index is None:
            raise InputError.expected(
                f"a category and the index of its class in line {line} of {str(path)!r}",
                f"{row['category']!r} and {row['class_index']!r}",
            )
        found[row["category"]] = index
    return found


@functools.cache
def _names() -> Mapping[str, int]:
    try:
        labels = [_plain(label) for label in imagenet_labels()]
    except InputError:
        return {}  # the names come with an optional package; ids and indices do not need it
    return {label: index for index, label in enumerate(labels) if labels.count(label) == 1}


def _plain(word: str) -> str:
    return word.replace("_", " ").strip().casefold()
