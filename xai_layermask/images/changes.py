"""Changes to a preprocessing, in the words of the command line."""

from __future__ import annotations

from dataclasses import replace

from ..errors import InputError, check_integer, choose
from .preprocess import Preprocess

__all__ = ["change_preprocess"]

# Normalizations of common families of models.
_COLOURS = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "channels": "RGB", "scale": 1.0},
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "channels": "RGB", "scale": 1.0},
    "caffe": {"mean": (104.0, 117.0, 123.0), "std": (1.0, 1.0, 1.0), "channels": "BGR", "scale": 255.0},
}
_SIZES = ("resize", "crop")


def change_preprocess(changes: str, own: Preprocess) -> Preprocess:
    """Apply changes to a model's preprocessing.

    Args:
        changes: Separated by commas: "imagenet", "half" or "caffe" for the colours, "resize=SIDE", "crop=SIDE".
        own: The preprocessing to change.

    Raises:
        InputError: If a change is unknown.

    Example:
        >>> changed = change_preprocess("caffe,crop=227", Preprocess())
        >>> changed.channels, changed.crop, changed.resize
        ('BGR', 227, 256)
    """
    kind: object = own
    if not isinstance(kind, Preprocess):
        if changes.strip():
            raise InputError.expected("a Preprocess to change for preprocess", type(own).__name__)
        return own
    for change in filter(None, (change.strip() for change in changes.split(","))):
        name, equals, value = change.partition("=")
        if equals:
            size = choose(name, _SIZES, "preprocess")
            pixels = check_integer(int(value) if value.isdecimal() else value, f"{size} of preprocess", least=1)
            own = replace(own, **{size: pixels})  # type: ignore[arg-type]
        else:
            own = replace(own, **_COLOURS[choose(name, _COLOURS, "preprocess")])  # type: ignore[arg-type]
    return own
