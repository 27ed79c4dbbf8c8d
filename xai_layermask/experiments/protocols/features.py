"""The feature extractor of a classifier: everything before its last layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...engine.runtime import first_parameter
from ...engine.twin import evaluating
from ...errors import InputError
from ...models import check_finite

__all__ = ["feature_extractor", "flatten_features"]


def feature_extractor(model: nn.Module, height: int, width: int) -> nn.Module:
    """Remove the last layer of a classifier.

    The last layer is the linear layer, or the convolution with 1 x 1 kernel, that runs last. Layers after it stay, such
    as the average pool after SqueezeNet's convolution. The model is not changed: this is a structural copy that shares
    its parameters.

    Args:
        model: Images `(N, 3, h, w)` to logits.
        height: Height of its input in pixels.
        width: Width of its input in pixels.

    Returns:
        The network from images to features, in evaluation mode.

    Raises:
        InputError: If there is no such layer, or it runs more than once.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
        >>> feature_extractor(model, 8, 8)(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 5])
    """
    copy = evaluating(model)
    calls: list[nn.Module] = []
    hooks = [
        module.register_forward_pre_hook(lambda module, _: calls.append(module))
        for module in copy.modules()
        if _is_linear(module)
    ]
    like = first_parameter(model)
    with torch.inference_mode():
        copy(torch.zeros(1, 3, height, width, dtype=like.dtype, device=like.device))
    for hook in hooks:
        hook.remove()
    if not calls:
        raise InputError.expected(
            "a model that ends in a linear layer or a 1 x 1 convolution", "neither", "choose another protocol or model"
        )
    last = calls[-1]
    count = sum(module is last for module in calls)
    if count > 1:
        raise InputError.expected(
            "a last linear layer that runs once", f"one that runs {count} times", "choose another protocol or model"
        )
    if last is copy:
        return nn.Identity()
    for parent in list(copy.modules()):
        for name, child in list(parent.named_children()):
            if child is last:
                setattr(parent, name, nn.Identity())
    return copy


def flatten_features(features: Any, count: int) -> npt.NDArray[np.float64]:
    """Check the features of `count` images and flatten them to float64 `(count, D)`.

    Raises:
        InputError: If they are not a tensor `(count, ...)`, or not finite.

    Example:
        >>> flatten_features(torch.ones(2, 3, 1, 1), 2).shape
        (2, 3)
    """
    if not isinstance(features, Tensor) or features.dim() < 2 or features.shape[0] != count:
        got = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise InputError.expected(f"features ({count}, D) before the last layer", got, "choose another model")
    found: npt.NDArray[np.float64] = check_finite(features.flatten(1).cpu().double()).numpy()
    return found


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.kernel_size == (1, 1) and module.groups == 1
    return isinstance(module, nn.Linear)
