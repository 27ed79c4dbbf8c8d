"""Every masking under one name, so that they can be compared."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from ..errors import InputError, choose
from ..images.preprocess import Preprocess
from .base import Masking
from .fill import COLOURS, Fill
from .layer import LayerMask

__all__ = ["NAMES", "make", "title"]

_LAYER: dict[str, Callable[[nn.Module], Masking]] = {
    "layer": LayerMask,
    "layer-zero": lambda model: LayerMask(model, padding="zero"),
    "partial": lambda model: LayerMask(model, padding="partial"),
    "tokens": LayerMask,
}
_FILLS = (*COLOURS, "mean", "blur", "neighbor", "road", "inpaint")

#: The names that [`make`][] knows; besides, "layer-until:MODULE", "layer-threshold:T" and a colour as "(r,g,b)".
NAMES: tuple[str, ...] = (*_LAYER, *_FILLS)
_TITLES = {
    "layer": "layer masking",
    "layer-zero": "zero padding",
    "partial": "partial convolution",
    "tokens": "token dropping",
    "black": "black-out",
    "grey": "grey-out",
    "mean": "mean colour",
    "blur": "blurring",
    "neighbor": "neighbour fill",
    "road": "ROAD",
    "inpaint": "inpainting",
}


def make(name: str, model: nn.Module, preprocess: Preprocess | None = None) -> Masking:
    """Make a masking by its name.

    Args:
        name: One of `NAMES`: "layer" (layer masking), "layer-zero" (zero padding), "partial" (partial convolution),
            "tokens" (layer masking of a transformer, which drops tokens), a colour, "mean", "blur", "neighbor",
            "road", "inpaint"; or "layer-until:MODULE" (layer masking up to a module's output); or "layer-threshold:T"
            (layer masking that asks for the fraction T of a window's cells); or "(r,g,b)".
        model: The network.
        preprocess: How pictures become inputs of the model, for the fills that need colours.

    Returns:
        The masking.

    Raises:
        InputError: If the name is unknown, or "tokens" meets a model without attention.

    Example:
        >>> make("layer-until:0", nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())).name
        'layer-until:0'
    """
    if not isinstance(name, str):
        choose(name, NAMES, "masking")
    if name.startswith("layer-until:"):
        return LayerMask(model, until=name.removeprefix("layer-until:"))
    if name.startswith("layer-threshold:"):
        return LayerMask(model, threshold=_fraction(name))
    if name.startswith("("):
        parts = name.strip("()").split(",")
        if not all(part.strip().replace(".", "", 1).isdigit() for part in parts):
            raise InputError(
                f"a colour must be (r,g,b) from 0 to 255, but {name!r} came: for example (255,0,0)."
            )
        return Fill(model, tuple(float(part) for part in parts), preprocess)  # type: ignore[arg-type]
    if name == "tokens" and not any(_attends(module) for module in model.modules()):
        raise InputError(
            "masking 'tokens' needs a transformer, but the model has no attention: use 'layer' for this model."
        )
    choose(name, NAMES, "masking")
    return _LAYER[name](model) if name in _LAYER else Fill(model, name, preprocess)


def title(name: str) -> str:
    """What a masking is called in figures.

    Args:
        name: Its name.

    Returns:
        The title; the name itself where there is none.

    Example:
        >>> title("layer"), title("layer-until:layer1")
        ('layer masking', 'layer-until:layer1')
    """
    return _TITLES.get(name, name)


def _fraction(name: str) -> float:
    try:
        found = float(name.partition(":")[2])
    except ValueError:
        found = float("nan")
    if not 0 <= found <= 1:
        raise InputError(
            f"masking 'layer-threshold:T' takes a fraction from 0 to 1, but {name!r} came: for example "
            "'layer-threshold:0.3'."
        )
    return found


def _attends(module: nn.Module) -> bool:
    return isinstance(module, nn.MultiheadAttention) or "attention" in type(module).__name__.lower()
