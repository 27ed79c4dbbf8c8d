"""Names of classes."""

from __future__ import annotations

import csv
import difflib
import functools
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, check_integer, reason
from .packages import import_package

__all__ = ["as_labels", "class_index", "imagenet_labels", "read_labels"]

_LARGEST_FILE = 16 * 2**20  # bytes


def as_labels(labels: Sequence[str] | Mapping[Any, str]) -> tuple[str, ...]:
    """Names of the classes in order.

    Args:
        labels: A name for each class, in order; or a mapping from indices 0..K-1 to names, such as
            `model.config.id2label`.

    Raises:
        InputError: If the keys of a mapping are not 0..K-1, or `labels` is a string.

    Example:
        >>> as_labels({1: "dog", 0: "cat"}), as_labels({"0": "cat", "1": "dog"})
        (('cat', 'dog'), ('cat', 'dog'))
    """
    if isinstance(labels, str):
        raise InputError.expected("a sequence of names for labels", repr(labels), "pass [...]")
    if not isinstance(labels, Mapping):
        return tuple(map(str, labels))
    # JSON has no integer keys.
    named = {int(key) if isinstance(key, str) and key.isdecimal() else key: name for key, name in labels.items()}
    if set(named) != set(range(len(labels))):
        raise InputError.expected(
            f"the keys 0 to {len(labels) - 1} for labels", ", ".join(map(repr, list(labels)[:4])), "pass {index: name}"
        )
    return tuple(str(named[index]) for index in range(len(named)))


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    r"""Read names of classes from a file.

    Args:
        path: .json with a list of names, {index: name}, or {index: [..., name]} as Keras has it for ImageNet; .csv with
            a column of names, or with a column of indices and one of names, in either order and with or without a
            header; any other file is text with a name on each line.

    Raises:
        InputError: If the file is missing, or holds something else.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "labels.csv")
        ...     _ = path.write_text("index,name\n1,dog\n0,cat\n")
        ...     read_labels(path)
        ('cat', 'dog')
    """
    name = os.fspath(path)
    if not os.path.isfile(name):
        raise InputError.expected("an existing file for labels", repr(name))
    size = os.path.getsize(name)
    if size > _LARGEST_FILE:
        raise InputError.expected(f"a file of at most {_LARGEST_FILE // 2**20} MiB for labels", f"{name!r} of {size} B")
    suffix = os.path.splitext(name)[1].lower()
    try:
        text = Path(name).read_text("utf-8-sig")
        found = json.loads(text) if suffix == ".json" else _columns(text) if suffix == ".csv" else text.splitlines()
    except (OSError, ValueError, RecursionError, csv.Error) as error:
        raise InputError.expected("a text, CSV or JSON file for labels", f"{name!r} ({reason(error)})") from error
    if isinstance(found, Mapping):
        found = {key: value[-1] if isinstance(value, list) and value else value for key, value in found.items()}
    names = list(found.values()) if isinstance(found, Mapping) else found
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one.strip() for one in names):
        empty = isinstance(names, list) and any(isinstance(one, str) and not one.strip() for one in names)
        wanted = "a name for each class in the file of labels"
        raise InputError.expected(wanted, f"{name!r} with {'an empty name' if empty else 'something else'}")
    return tuple(one.strip() for one in as_labels(found))


def _columns(text: str) -> list[str] | dict[str, str]:
    """The names in a table: a list from one column, a mapping from two."""
    rows = [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if any(row)]
    if any(len(row) != len(rows[0]) for row in rows) or not rows or len(rows[0]) > 2:
        raise ValueError("expected one column of names, or two of indices and names")
    if len(rows[0]) == 1:
        return [row[0] for row in rows]
    for column in (0, 1):
        body = rows if rows[0][column].isdecimal() else rows[1:]
        if body and all(row[column].isdecimal() for row in body):
            return {row[column]: row[1 - column] for row in body}
    raise ValueError("expected a column of indices")


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, in the order that every model here uses.

    They are torchvision's, which are all different (other lists have two cranes).

    Raises:
        InputError: If torchvision is not installed; the extra `demo` brings it.

    Example:
        >>> imagenet_labels()[281]
        'tabby'
    """
    zoo = import_package("torchvision.models", "demo")
    return tuple(zoo.ResNet50_Weights.DEFAULT.meta["categories"])


def class_index(labels: Sequence[str], target: int | str) -> int:
    """Find a class by index or name.

    Args:
        labels: A name for each class.
        target: An index; or a name, or a part of one that only one class has, in upper or lower case. Digits in a
            string are an index, unless a class has that name.

    Returns:
        The index, 0 to len(labels) - 1.

    Raises:
        InputError: If it is out of range, or matches no class, or several.

    Example:
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "Tabby")
        0
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "tiger")
        2
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "cat")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one class for target, got 'cat', which matches 'tabby cat' (0), \
'tiger cat' (1): use the whole name, or the index
    """
    wanted: object = target
    if isinstance(target, str):
        found = _named(labels, target)
        if found is not None:
            return found
        wanted = int(target)
    return check_integer(wanted, "target", least=0, most=len(labels) - 1, otherwise="a class name")


def _named(labels: Sequence[str], target: str) -> int | None:
    """The class with a name; None where the name is an index."""
    wanted = target.strip().casefold()
    names = [label.casefold() for label in labels]
    hits = [index for index, label in enumerate(names) if label == wanted]
    if not hits and wanted.isdecimal():
        return None
    if not hits:
        hits = [index for index, label in enumerate(names) if wanted and wanted in label]
    if len(hits) == 1:
        return hits[0]
    if hits:
        shown = ", ".join(f"{labels[index]!r} ({index})" for index in hits[:4])
        more = f" and {len(hits) - 4} more" if len(hits) > 4 else ""
        raise InputError.expected(
            "one class for target", f"{target!r}, which matches {shown}{more}", "use the whole name, or the index"
        )
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
    hint = f"did you mean {labels[names.index(near[0])]!r}?" if near else "use its index"
    raise InputError.expected("the name or index of a class for target", repr(target), hint)
