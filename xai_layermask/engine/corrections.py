"""Operators that torch computes wrongly for some memory layouts, computed in another way.

The engine runs a model on channels-last values, so it meets layouts that the model itself does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["CORRECTED"]

aten = torch.ops.aten


def _batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
    cudnn: bool,
) -> Any:
    """With running statistics, the gradient of a single image is wrong on a CPU (torch 2.14.1).

    This happens if either the image or the incoming gradient is contiguous, and the other is channels-last with a
    different first stride, such as transposed tokens.
    """
    if training or len(x) != 1 or x.device.type != "cpu" or not torch.is_grad_enabled():
        return aten.batch_norm.default(x, weight, bias, mean, variance, training, momentum, eps, cudnn)
    wide = torch.promote_types(x.dtype, torch.float32)
    scale = (variance.to(wide) + eps).rsqrt()
    scale = scale if weight is None else scale * weight.to(wide)
    shift = -mean.to(wide) * scale
    shift = shift if bias is None else shift + bias.to(wide)
    around = (1, -1, *[1] * (x.dim() - 2))
    return torch.addcmul(shift.view(around), x.to(wide), scale.view(around)).to(x.dtype)


#: By the operator that is replaced, functions of the same arguments.
CORRECTED: dict[Any, Callable[..., Any]] = {aten.batch_norm.default: _batch_norm}
