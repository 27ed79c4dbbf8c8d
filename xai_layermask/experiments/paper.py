"""The numbers that the paper prints, and what each of its tables and figures needs to be measured."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import NamedTuple

from ..errors import choose

__all__ = ["PARTS", "Counterpart", "PaperValue", "Part", "counterpart", "paper_value", "paper_values", "parts"]

_BASELINES = ("black", "grey", "layer")
_DEPTHS = ("black", "grey", "layer-zero", "layer-until:relu", "layer-until:layer2", "layer")
_COLOURS = ("black", "grey", "mean", "red", "green", "blue", "layer")


@dataclass(frozen=True)
class Part:
    """A table or figure of the paper.

    Attributes:
        title: What it shows.
        protocol: The protocol that measures it, with its default settings.
        maskings: The maskings that it compares.
        segments: Its segmentations; the protocol's own if empty.
    """

    title: str
    protocol: str
    maskings: tuple[str, ...] = _BASELINES
    segments: tuple[str, ...] = ()


def _tables() -> Iterable[tuple[str, Part]]:
    yield "table 1", Part("accuracy and class entropy of ResNet-50 while segments are removed", "robustness")
    yield "table 2", Part("LIME with ResNet-50", "lime")
    yield "table 3", Part("variants of layer masking with ResNet-50", "robustness", _DEPTHS)
    names = "ResNet-50, augmented ResNet-50, WideResNet-50, AlexNet, SqueezeNet, DenseNet, MobileNet-v3, EfficientNet"
    for number, name in enumerate(names.split(", "), start=4):
        yield f"table {number}", Part(f"four curves of {name} while segments are removed", "robustness")
    yield "table 12", Part("LIME with six other networks", "lime")
    yield "table 13", Part("linearity of ResNet-50 and ViT-B/16", "linearity")


def _figures() -> Iterable[tuple[str, Part]]:
    yield "figure 4", Part("curves of random patches", "robustness", segments=("patches:16",))
    for number in (6, 7, 10, 11):
        yield f"figure {number}", Part("mask shape", "mask-shape")
    padded = ("black", "grey", "partial", "layer-zero", "layer")
    yield "figure 9", Part("partial convolution", "robustness", padded, ("patches:16",))
    yield "figure 17", Part("collapse", "collapse")
    yield "figure 18", Part("length of features", "linearity", (*_BASELINES, "layer-unscaled"))
    yield "figure 19", Part("colours of the fill", "colours", _COLOURS)


#: What can be measured, such as "table 4". The orders of removal are measured together, so that all parts share trials.
PARTS: Mapping[str, Part] = MappingProxyType(dict([*_tables(), *_figures()]))


def parts(tables: Iterable[str] = (), figures: Iterable[str] = ()) -> dict[str, Part]:
    """The parts with these numbers; all if there are none.

    Raises:
        InputError: If the paper has no such table or figure, or it shows nothing that is measured.

    Example:
        >>> [(name, part.protocol) for name, part in parts(tables=["13"], figures=["19"]).items()]
        [('table 13', 'linearity'), ('figure 19', 'colours')]
    """
    asked = [("table", number) for number in tables] + [("figure", number) for number in figures]
    for kind, number in asked:
        known = [name.partition(" ")[2] for name in PARTS if name.startswith(kind)]
        choose(number, known, f"--{kind}")
    names = [f"{kind} {number}" for kind, number in asked]
    return {name: part for name, part in PARTS.items() if name in names or not names}


class PaperValue(NamedTuple):
    """A number of the paper.

    Attributes:
        table: The table, such as "4", or "appendix 2".
        model: The network, such as "ResNet-50".
        segments: "quickshift", "patches:16", "slic" (of 196 segments) or "mean" over them.
        setting: The order of removal, "mean" over orders, or "".
        metric: Such as "accuracy", the area under its curve.
        masking: As this package names it.
        value: The number.
    """

    table: str
    model: str
    segments: str
    setting: str
    metric: str
    masking: str
    value: float


@cache
def paper_values() -> tuple[PaperValue, ...]:
    """All numbers of tables 1 to 13, and two of appendix 2.

    Example:
        >>> len(paper_values()), paper_values()[0].value
        (1153, 0.395)
    """
    text = files("xai_layermask").joinpath("data", "paper.csv").read_text(encoding="utf-8")
    rows = csv.reader(line for line in text.splitlines() if not line.startswith("#"))
    next(rows)
    return tuple(PaperValue._make([*row[:6], float(row[6])]) for row in rows)


@cache
def _by_cell() -> Mapping[tuple[str, ...], PaperValue]:
    # The later value wins: numbers of tables 1 and 2 are repeated in table 4, which has all metrics.
    return {one[1:6]: one for one in paper_values()}


def paper_value(model: str, segments: str, setting: str, metric: str, masking: str) -> PaperValue | None:
    """The number of a cell; None if the paper has none.

    Args:
        model: As the paper names it.
        segments: A name of this package; any number of SLIC's segments counts as the paper's.
        setting: The order of removal, or "".
        metric: As in [`PaperValue`][].
        masking: A name of this package; a transformer's layer masking is token dropping.

    Example:
        >>> paper_value("ResNet-50", "slic:196", "random", "accuracy", "layer")
        PaperValue(table='4', model='ResNet-50', segments='slic', setting='random', metric='accuracy', \
masking='layer', value=0.542)
    """
    masking = "tokens" if masking == "layer" and model.startswith("ViT") else masking
    return _by_cell().get((model, segments if segments[:4] != "slic" else "slic", setting, metric, masking))


class Counterpart(NamedTuple):
    """The paper's network for one of yours, and whether it is the same architecture or only the nearest."""

    model: str
    same: bool


# The paper does not say which variants of SqueezeNet, DenseNet, MobileNet-v3 and EfficientNet it measures.
_SAME = {
    "ResNet-50": ("resnet50",), "WideResNet-50": ("wide_resnet50_2",), "AlexNet": ("alexnet",),
    "ViT-B/16": ("vit_b_16", "vit_base_patch16_224"),
}  # fmt: skip
_NEAREST = {
    r"wide_?res[a-z]*net": "WideResNet-50", r"alexnet": "AlexNet", r"squeezenet": "SqueezeNet",
    r"densenet": "DenseNet", r"^lite\d|efficientnet|mnasnet": "EfficientNet", r"mobilenet": "MobileNet-v3",
    r"deit|vit|swin|beit": "ViT-B/16", r"res[a-z]*net|resnext|regnet": "ResNet-50",
}  # fmt: skip


def counterpart(model: str) -> Counterpart | None:
    """The paper's network for a model by its name; None if it has none.

    Only torchvision's and timm's own names count as the same architecture, with any weights ("timm:resnet50.a1_in1k").

    Example:
        >>> counterpart("torchvision:resnet50"), counterpart("lite0"), counterpart("mine:net")
        (Counterpart(model='ResNet-50', same=True), Counterpart(model='EfficientNet', same=False), None)
    """
    library, _, architecture = model.lower().partition(":")
    if library in ("torchvision", "timm"):
        for name, known in _SAME.items():
            if architecture.partition(".")[0] in known:
                return Counterpart(name, True)
    for pattern, name in _NEAREST.items():
        if re.search(pattern, model.lower()):
            return Counterpart(name, False)
    return None
