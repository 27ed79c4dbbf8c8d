"""`Protocol`: the base of all experiments, with their settings."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, get_args, get_type_hints

import numpy as np

from ...errors import InputError, choose

if TYPE_CHECKING:
    from ...dataset import Item
    from .classifier import MaskedClassifier

__all__ = ["Protocol", "Row", "Value", "check_each", "finite", "random_generator", "require_label"]

Value = float | int | str | bool | None
#: One measurement: flat, and representable in JSON. Undefined values are None, never NaN.
Row = dict[str, Value]

P = TypeVar("P", bound="Protocol")


class Protocol(ABC):
    """An experiment of the paper. Subclasses are frozen dataclasses of its settings.

    Attributes:
        name: Its name on the command line and in stores.
        needs_masks: Whether every picture needs an object mask.
        maskings: The maskings that the paper compares, used by default.
        segments: The segmentations that the paper compares, used by default; empty if the protocol has none.
    """

    name: ClassVar[str]
    needs_masks: ClassVar[bool] = False
    maskings: ClassVar[tuple[str, ...]] = ("black", "grey", "layer")
    segments: ClassVar[tuple[str, ...]] = ()

    def variants(self, maskings: Sequence[str] = (), segments: Sequence[str] = ()) -> tuple[tuple[str, str], ...]:
        """List the pairs of masking and segmentation; each is a trial for every picture.

        Args:
            maskings: Names for [`make`][xai_layermask.maskings.make]; the protocol's own by default.
            segments: Names for [`segment`][xai_layermask.segments.segment]; the protocol's own by default.

        Returns:
            Pairs; the segmentation is "" if the protocol has none.

        Raises:
            InputError: If segmentations are passed to a protocol that has none.
        """
        if segments and not self.segments:
            raise InputError.expected(f"no segments for protocol {self.name!r}", ", ".join(segments))
        cuts = tuple(segments) or self.segments or ("",)
        return tuple((masking, cut) for cut in cuts for masking in (tuple(maskings) or self.maskings))

    @abstractmethod
    def passes(self, height: int, width: int, segments: str) -> int:
        """Estimate the number of forward passes of one trial.

        Args:
            height: Height of the model's input in pixels.
            width: Width of the model's input in pixels.
            segments: Name of the segmentation; "" if the protocol has none.
        """

    @abstractmethod
    def rows(
        self, classifier: MaskedClassifier, item: Item, masking: str, segments: str, seed: int
    ) -> Iterator[Row]:
        """Measure one picture.

        Args:
            classifier: The model.
            item: The picture.
            masking: Name of the masking.
            segments: Name of the segmentation; "" if the protocol has none.
            seed: Seed of random choices, which also depend on the picture, but not on the masking or the model.

        Yields:
            Rows with the columns that the class documents.

        Raises:
            InputError: If the picture, its mask or its label is missing or cannot be read.
        """

    def settings(self) -> str:
        """The settings as canonical JSON: all that determines rows besides model, masking, segments, picture, seed."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"))  # type: ignore[call-overload]

    @classmethod
    def configured(cls: type[P], options: Mapping[str, str]) -> P:
        """Make the protocol from text, as on a command line.

        Args:
            options: Settings that differ from the defaults. Commas separate several values; "none" is no value.

        Raises:
            InputError: If a setting is unknown or of another type.
        """
        types = get_type_hints(cls)
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{
            choose(name, names, f"setting of {cls.name}"): _parse(text, types[name], f"{name} of {cls.name}")
            for name, text in options.items()
        })


def _parse(text: str, kind: Any, what: str) -> Any:
    """Parse a setting of type int, float, str, or a tuple of one of them."""
    one, *several = get_args(kind) or (kind,)
    parts = [part.strip() for part in text.split(",")] if several else [text.strip()]
    if several and parts == ["none"]:
        return ()
    try:
        found = tuple(one(part) for part in parts if part)
    except ValueError as error:
        wanted = {int: "an integer", float: "a number"}[one]
        raise InputError.expected(f"{wanted + ' each' if several else wanted} for {what}", repr(text)) from error
    if not found:
        raise InputError.expected(f"a value for {what}", repr(text), "write it as name=value")
    return found if several else found[0]


def check_each(values: Sequence[Any], check: Callable[[Any], object], what: str) -> None:
    """Check a setting with several values, at least one and all different.

    Args:
        values: The values.
        check: Raises if a value is wrong.
        what: The name of the setting.

    Raises:
        InputError: If there is no value, or one is wrong or repeated.

    Example:
        >>> check_each((0.5, 0.5), float, "fractions")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one or more different values for fractions, got 0.5, 0.5
    """
    for value in values:
        check(value)
    if not values or len(set(values)) < len(values):
        raise InputError.expected(f"one or more different values for {what}", ", ".join(map(str, values)) or "none")


def random_generator(seed: int, *words: str) -> np.random.Generator:
    """A generator that is determined by a seed and words, such as a picture's name, in every process.

    Example:
        >>> bool(random_generator(0, "a.jpg").random() == random_generator(0, "a.jpg").random())
        True
        >>> bool(random_generator(0, "a.jpg").random() == random_generator(0, "b.jpg").random())
        False
    """
    digest = hashlib.sha256(json.dumps([seed, *words]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def finite(value: float) -> float | None:
    """The number, or None if it is not finite."""
    return float(value) if np.isfinite(value) else None


def require_label(classifier: MaskedClassifier, item: Item) -> int:
    """The label of a picture.

    Raises:
        InputError: If it has none, or the model has no such class.
    """
    label = classifier.label(item)
    if label is None:
        raise InputError.expected(f"a label of {item.name!r}", "none", "give one, or leave the picture out")
    return label
