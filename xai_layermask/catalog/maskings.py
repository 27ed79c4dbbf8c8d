"""Maskings by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..errors import InputError, choose
from .words import ALIASES

__all__ = ["MASKINGS", "MASKING_PATTERNS", "MaskingEntry", "masking_order", "parse_masking"]


@dataclass(frozen=True)
class MaskingEntry:
    """A masking with a name.

    Attributes:
        title: What figures call it.
        factory: Its class, as "module:class" in `xai_layermask.maskings`.
        options: Keyword arguments for the class.
        colour: The colour of its series in figures.
        marker: The marker of its points, in matplotlib's notation.
    """

    title: str
    factory: str
    options: Mapping[str, Any]
    colour: str
    marker: str


#: Maskings in the order of tables and legends: baselines first, layer masking last. Colours are mostly Okabe and Ito's,
#: which are distinct for any colour vision.
MASKINGS: Mapping[str, MaskingEntry] = MappingProxyType({
    "black": MaskingEntry("black-out", "fill:Fill", {"colour": "black"}, "#000000", "s"),
    "grey": MaskingEntry("grey-out", "fill:Fill", {"colour": "grey"}, "#8C8C8C", "D"),
    "white": MaskingEntry("white", "fill:Fill", {"colour": "white"}, "#BBBBBB", "d"),
    "red": MaskingEntry("red", "fill:Fill", {"colour": "red"}, "#CC3311", ">"),
    "green": MaskingEntry("green", "fill:Fill", {"colour": "green"}, "#228833", "h"),
    "blue": MaskingEntry("blue", "fill:Fill", {"colour": "blue"}, "#4477AA", "p"),
    "mean": MaskingEntry("mean colour", "fill:Fill", {"colour": "mean"}, "#E69F00", "X"),
    "blur": MaskingEntry("blurring", "fill:Fill", {"colour": "blur"}, "#785EF0", "<"),
    "road": MaskingEntry("ROAD", "fill:Fill", {"colour": "road"}, "#882255", "H"),
    "inpaint": MaskingEntry("inpainting", "fill:Fill", {"colour": "inpaint"}, "#44AA99", "8"),
    "neighbor": MaskingEntry("neighbour fill", "fill:Fill", {"colour": "neighbor"}, "#0072B2", "^"),
    "layer-zero": MaskingEntry("zero padding", "layer:LayerMask", {"padding": "zero"}, "#56B4E9", "v"),
    "partial": MaskingEntry("partial convolution", "layer:LayerMask", {"padding": "partial"}, "#009E73", "P"),
    "tokens": MaskingEntry("token dropping", "layer:LayerMask", {}, "#CC79A7", "*"),
    "layer": MaskingEntry("layer masking", "layer:LayerMask", {}, "#D55E00", "o"),
    "layer-unscaled": MaskingEntry("not rescaled", "layer:LayerMask", {"rescale": False}, "#A6761D", "x"),
    "layer-soft": MaskingEntry("soft presence", "layer:LayerMask", {"soft": True}, "#7570B3", "+"),
})
#: Maskings with a value in their name: masked up to a module, a minimum fraction of a window, a map of logits that
#: `Calibrated.save` wrote, a fill colour.
MASKING_PATTERNS = ("layer-until:MODULE", "layer-threshold:T", "calibrated:FILE", "(r,g,b)")
_LAYER = re.compile(
    r"(layer-zero|layer|partial)(-pools-zero)?(?:-threshold:(.+?))?(-unscaled)?(-soft)?(?:-until:(.+))?", re.DOTALL
)
_PINNED = re.compile(r"(.+?)(?:#([0-9a-f]{16}))?", re.DOTALL)


def parse_masking(name: object, what: str = "masking") -> tuple[str, dict[str, Any]]:
    """Look up a masking.

    Args:
        name: One of `MASKINGS`; "layer-until:MODULE", "layer-threshold:T" with T from 0 to 1, or a combination of
            them: "layer", "layer-zero" or "partial", then any of "-pools-zero", "-threshold:T", "-unscaled", "-soft",
            "-until:MODULE" in this order; "calibrated:FILE" or "calibrated:FILE#DIGEST", the file with this content;
            or a colour "(r,g,b)" from 0 to 255.
        what: The argument's name for the message.

    Returns:
        Its class, as "module:class" in `xai_layermask.maskings`, and the keyword arguments for it.

    Raises:
        InputError: If there is no such masking.

    Example:
        >>> parse_masking("layer-threshold:0.3")
        ('layer:LayerMask', {'threshold': 0.3})
        >>> parse_masking("layer-zero-soft-until:layer2")
        ('layer:LayerMask', {'padding': 'zero', 'soft': True, 'until': 'layer2'})
        >>> parse_masking("(255,0,0)")
        ('fill:Fill', {'colour': (255.0, 0.0, 0.0)})
    """
    kind, _, value = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind == "calibrated" and value:
        path, digest = _PINNED.fullmatch(value).groups()  # type: ignore[union-attr]
        return "calibrated:Calibrated", {"path": path} | ({"digest": digest} if digest else {})
    found = _LAYER.fullmatch(name) if isinstance(name, str) and name not in MASKINGS else None
    if found:
        return "layer:LayerMask", _layer_options(found, name, what)
    if isinstance(name, str) and re.match(r"[(0-9]", name):
        return "fill:Fill", {"colour": _colour(name, what)}
    entry = MASKINGS[choose(name, (*MASKINGS, *MASKING_PATTERNS), what, ALIASES)]
    return entry.factory, dict(entry.options)


def masking_order(masking: str) -> tuple[int, str]:
    """A key that sorts maskings as tables and legends do: baselines, layer masking, its variants.

    Example:
        >>> sorted(["layer", "layer-threshold:0.1", "grey", "(1,2,3)", "black"], key=masking_order)
        ['black', 'grey', '(1,2,3)', 'layer', 'layer-threshold:0.1']
    """
    names = [name for name in MASKINGS if name not in ("layer", "layer-unscaled", "layer-soft")]
    if masking in names:
        return names.index(masking), ""
    return len(names) + masking.startswith(("layer", "partial")), masking


def _layer_options(found: re.Match[str], name: object, what: str) -> dict[str, Any]:
    """The arguments of `LayerMask` that are not its defaults."""
    base, pools, threshold, unscaled, soft, until = found.groups()
    options: dict[str, Any] = {} if base == "layer" else {"padding": {"layer-zero": "zero"}.get(base, base)}
    options |= {"pool_padding": False} if pools else {}
    options |= {} if threshold is None else {"threshold": _threshold(threshold, name, what)}
    options |= {"rescale": False} if unscaled else {}
    options |= {"soft": True} if soft else {}
    return options | ({} if until is None else {"until": until})


def _threshold(value: str, name: object, what: str) -> float:
    try:
        fraction = float(value)
    except ValueError:
        fraction = float("nan")
    if not 0 <= fraction <= 1:
        wanted = "layer-threshold:T with T from 0 to 1"
        raise InputError.expected(wanted, repr(name), "for example layer-threshold:0.3", what)
    return fraction


def _colour(name: str, what: str) -> tuple[float, float, float]:
    parts = [part.strip() for part in name.strip("()").split(",")]
    numbers = tuple(float(part) for part in parts if re.fullmatch(r"[0-9]+(\.[0-9]*)?", part))
    if name[0] + name[-1] != "()" or not len(parts) == len(numbers) == 3 or max(numbers) > 255:
        raise InputError.expected("a colour (r,g,b) from 0 to 255", repr(name), "for example '(255,0,0)'", what)
    return numbers[0], numbers[1], numbers[2]
