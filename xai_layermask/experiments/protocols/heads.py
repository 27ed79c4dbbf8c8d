"""The features before a classifier's last layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...engine.capture import evaluating
from ...engine.runtime import first_parameter
from ...errors import InputError

__all__ = ["flat", "headless"]


def headless(model: nn.Module, height: int, width: int) -> nn.Module:
    """Take the last layer off a classifier.

    The last layer is the linear layer, or the convolution with 1 x 1 kernel, that runs last. Where something stands
    behind it, as the average over positions behind SqueezeNet's convolution, it stays. The model itself is not touched:
    this is a structural copy, which shares its parameters.

    Args:
        model: The network: images `(N, 3, h, w)` to logits.
        height: Of its input, in pixels.
        width: Likewise.

    Returns:
        The network from images to features, in evaluation mode.

    Raises:
        InputError: If there is no such layer, or it runs more than once.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2))
        >>> headless(model, 8, 8)(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 5])
    """
    twin = evaluating(model)
    called: list[nn.Module] = []

    def remember(module: nn.Module) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            called.append(module)

        return hook

    hooks = [module.register_forward_pre_hook(remember(module)) for module in twin.modules() if _is_linear(module)]
    like = first_parameter(model)
    with torch.inference_mode():
        twin(torch.zeros(1, 3, height, width, dtype=like.dtype, device=like.device))
    for hook in hooks:
        hook.remove()
    if not called:
        raise InputError(
            "model must end in a linear layer or a 1 x 1 convolution for its features to be found, but it has none: "
            "choose another protocol or model."
        )
    last = called[-1]
    if sum(one is last for one in called) > 1:
        raise InputError(
            "model's last linear layer must run once, but it runs several times: choose another protocol or model."
        )
    if last is twin:
        return nn.Identity()
    for parent in list(twin.modules()):
        for name, child in list(parent.named_children()):
            if child is last:
                setattr(parent, name, nn.Identity())
    return twin


def _is_linear(module: nn.Module) -> bool:
    if isinstance(module, nn.Conv2d):
        return module.kernel_size == (1, 1) and module.groups == 1
    return isinstance(module, nn.Linear)


def flat(features: Any, count: int) -> Tensor:
    """Features as rows.

    Args:
        features: What a network without its last layer answers.
        count: For how many images.

    Returns:
        float64 `(count, D)`, on the processor.

    Raises:
        InputError: If they are no such tensor.

    Example:
        >>> flat(torch.ones(2, 3, 1, 1), 2).shape
        torch.Size([2, 3])
    """
    if not isinstance(features, Tensor) or features.dim() < 2 or features.shape[0] != count:
        came = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
        raise InputError(
            f"model must have features ({count}, D) before its last layer, but {came} came: choose another."
        )
    return features.flatten(1).cpu().double()
