"""Names of classes."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError, check_integer
from .packages import import_package

__all__ = ["as_labels", "class_index", "imagenet_labels"]


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
