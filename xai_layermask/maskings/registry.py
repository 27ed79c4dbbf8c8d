"""Maskings by name."""

from __future__ import annotations

import importlib

from torch import nn

from ..catalog import MASKINGS, parse_masking
from ..errors import InputError
from ..images import Preprocess, Transform
from .base import Masking
from .calibrated import Calibrated, content_digest

__all__ = ["NAMES", "make", "pin"]

#: The names that [`make`][] knows; besides, "layer-until:MODULE", "layer-threshold:T" and a colour as "(r,g,b)".
NAMES: tuple[str, ...] = tuple(MASKINGS)


def make(name: str, model: nn.Module, preprocess: Preprocess | Transform | None = None) -> Masking:
    """Make a masking by its name.

    Args:
        name: One of `NAMES`: "layer" (layer masking), "layer-zero" (zero padding), "partial" (partial convolution),
            "tokens" (layer masking of a transformer, which drops tokens), a colour, "mean", "blur", "neighbor",
            "road", "inpaint"; or "layer-until:MODULE" (layer masking up to a module's output); or "layer-threshold:T"
            (layer masking in which the fraction T of a window must be present); or "calibrated:FILE" (a map of logits
            that [`Calibrated`][] saved); or "(r,g,b)".
        model: The network.
        preprocess: How pictures become inputs of the model, for fills that need colours.

    Raises:
        InputError: If the name is unknown, or "tokens" is asked for a model without attention.

    Example:
        >>> make("layer-until:0", nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())).name
        'layer-until:0'
    """
    path, options = parse_masking(name)
    if name == "tokens" and not any(_attends(module) for module in model.modules()):
        raise InputError.expected("a transformer for masking 'tokens'", "a model without attention", "use 'layer'")
    module, _, kind = path.partition(":")
    masking: type[Masking] = getattr(importlib.import_module(f".{module}", __package__), kind)
    if masking is Calibrated:
        return Calibrated.load(options["path"], model, preprocess, options.get("digest"))
    if masking.takes_preprocess:
        options["preprocess"] = preprocess
    return masking(model, **options)


def pin(name: str) -> str:
    """Add the digest of its content to a name with a file; other names stay.

    [`make`][] refuses a file with another content, so that results under the new name are those of this content.

    Raises:
        InputError: If the name is unknown, or the file cannot be read.

    Example:
        >>> pin("layer")
        'layer'
    """
    path, options = parse_masking(name)
    if not path.startswith("calibrated:") or "digest" in options:
        return name
    return f"{name}#{content_digest(options['path'])}"


def _attends(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()
