"""What every protocol has in common: its settings, what it measures, and what it costs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_type_hints

import numpy as np

from ...errors import InputError, choose

if TYPE_CHECKING:
    from ...dataset import Item
    from .asker import Asker

__all__ = ["Protocol", "Row", "Value", "check_sizes", "defined", "generator", "grouped", "labelled", "mean"]

Value = float | int | str | bool | None
#: One measurement: flat, and JSON can hold it; what is not defined is None, never NaN.
Row = dict[str, Value]

P = TypeVar("P", bound="Protocol")


class Protocol(ABC):
    """An experiment of the paper. Subclasses are frozen dataclasses of its settings.

    One unit of work is a protocol with its settings, a model, a masking, a way to cut segments, and one picture.

    Attributes:
        name: What it is called on the command line and in stores.
        needs_masks: Whether it needs an object mask for every picture.
        maskings: The maskings that the paper compares, where nobody asks for others.
        segments: The segmentations that the paper compares, likewise; empty where the protocol has none.
    """

    name: ClassVar[str]
    needs_masks: ClassVar[bool] = False
    maskings: ClassVar[tuple[str, ...]] = ("black", "grey", "layer")
    segments: ClassVar[tuple[str, ...]] = ()

    def variants(self, maskings: Sequence[str] = (), segments: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
        """The pairs of masking and segmentation that are measured apart, each a unit for every picture.

        Args:
            maskings: Names that [`make`][] knows; the protocol's own if there are none.
            segments: Names that [`segment`][] knows; the protocol's own if there are none.

        Returns:
            Pairs; the segmentation is "" where the protocol has none.

        Raises:
            InputError: If segments are asked for where the protocol has none.
        """
        if segments and not self.segments:
            raise InputError(
                f"protocol {self.name!r} cuts no segments, but {', '.join(segments)} came: leave segments out."
            )
        cuts = tuple(segments) or self.segments or ("",)
        return tuple((masking, cut) for cut in cuts for masking in (tuple(maskings) or self.maskings))

    @abstractmethod
    def passes(self, height: int, width: int, segments: str) -> int:
        """How many forward passes one unit takes, about: an estimate before anything runs.

        Args:
            height: Of the model's input, in pixels.
            width: Likewise.
            segments: The name of the segmentation; "" where the protocol has none.
        """

    @abstractmethod
    def rows(self, subject: Asker, item: Item, masking: str, segments: str, seed: int) -> Iterator[Row]:
        """Measure one picture.

        Args:
            subject: The model to ask.
            item: The picture.
            masking: The name of the masking.
            segments: The name of the segmentation; "" where the protocol has none.
            seed: What random choices are drawn from, together with the picture's name: they are the same for all
                maskings and models.

        Yields:
            Rows with the columns that the protocol's module lists.

        Raises:
            InputError: If the picture or its mask cannot be read, or is missing.
        """

    @classmethod
    @abstractmethod
    def summarise(cls, rows: Iterable[Row]) -> list[Row]:
        """Aggregate what was measured.

        Args:
            rows: The rows of all pictures for one model, masking and segmentation, with the settings alike.

        Returns:
            One row for each group, with the number of pictures as "n".
        """

    def settings(self) -> str:
        """Everything that determines the rows besides model, masking, segments, picture and seed: canonical JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))  # type: ignore[call-overload]

    @classmethod
    def configured(cls: type[P], options: Mapping[str, str]) -> P:
        """Make the protocol from words, as a command line has them.

        Args:
            options: The settings that differ from the defaults; several values are separated by commas, "none" is no
                value at all.

        Returns:
            The protocol.

        Raises:
            InputError: If there is no such setting, or its value is of another type.
        """
        types = get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        values = {}
        for name, word in options.items():
            choose(name, names, f"setting of {cls.name}")
            values[name] = _parsed(word, types[name], f"setting {name!r} of {cls.name}")
        return cls(**values)


def generator(seed: int, *words: str) -> np.random.Generator:
    """A random generator that depends on a seed and on words, and is the same in every process.

    Args:
        seed: The seed of the run.
        words: Such as the picture's name.

    Returns:
        The generator.

    Example:
        >>> bool(generator(0, "a.jpg").random() == generator(0, "a.jpg").random())
        True
        >>> bool(generator(0, "a.jpg").random() == generator(0, "b.jpg").random())
        False
    """
    digest = hashlib.sha256(json.dumps([seed, *words]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def grouped(rows: Iterable[Row], *columns: str) -> dict[tuple[Value, ...], list[Row]]:
    """Sort rows into groups that agree in some columns, in the order of their first appearance.

    Args:
        rows: Rows.
        columns: What makes a group; a missing column counts as None.

    Returns:
        The rows of each group, under its values.

    Example:
        >>> grouped([{"a": 1, "b": 2}, {"a": 1, "b": 3}], "a")
        {(1,): [{'a': 1, 'b': 2}, {'a': 1, 'b': 3}]}
    """
    groups: dict[tuple[Value, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column) for column in columns), []).append(row)
    return groups


def mean(values: Iterable[Value]) -> float | None:
    """The mean of numbers and truth values.

    Args:
        values: What is None does not count.

    Returns:
        Their mean; None if there are none.

    Example:
        >>> mean([True, False, None]), mean([])
        (0.5, None)
    """
    numbers = [float(value) for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None


def defined(value: float) -> float | None:
    """A number for a row: None where it is not defined.

    Args:
        value: A number, or NaN.

    Returns:
        The number, or None.

    Example:
        >>> defined(0.5), defined(float("nan"))
        (0.5, None)
    """
    return float(value) if np.isfinite(value) else None


def check_sizes(sizes: Sequence[int], most: int) -> None:
    """Check sizes in pixels that are a setting, and tell a picture's rows apart.

    Args:
        sizes: Each from 1 to `most`, all different.
        most: The largest.

    Raises:
        InputError: If they are not.

    Example:
        >>> check_sizes((112, 112), 112)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: sizes must be different numbers of pixels from 1 to 112, but 112, 112 came: \
mend them.
    """
    if not sizes or len(set(sizes)) < len(sizes) or not all(1 <= size <= most for size in sizes):
        came = ", ".join(map(str, sizes)) or "nothing"
        raise InputError(f"sizes must be different numbers of pixels from 1 to {most}, but {came} came: mend them.")


def labelled(subject: Asker, item: Item) -> int:
    """The label of a picture, where a protocol needs one.

    Args:
        subject: The model that must have such a class.
        item: The picture.

    Returns:
        The class.

    Raises:
        InputError: If the picture has none.
    """
    label = subject.label(item)
    if label is None:
        raise InputError(
            f"{item.name!r} must have a label for this protocol, but it has none: give one, or leave the picture out."
        )
    return label


def _parsed(word: str, kind: Any, what: str) -> Any:
    """A value of one of the types that settings have: a number, a word, or several of one of them."""
    item = kind.__args__[0] if getattr(kind, "__origin__", None) is tuple else None
    parts = [part.strip() for part in word.split(",")] if item else [word.strip()]
    one = item or kind
    if item and parts == ["none"]:
        return ()
    try:
        found = tuple(one(part) for part in parts if part)
    except ValueError as error:
        names = {int: "whole numbers", float: "numbers"} if item else {int: "a whole number", float: "a number"}
        raise InputError(f"{what} must be {names.get(one, 'a word')}, but {word!r} came: mend it.") from error
    if not found:
        raise InputError(f"{what} must have a value, but nothing came: write it as name=value.")
    return found if item else found[0]
