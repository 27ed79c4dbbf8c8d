"""What a network tells about itself without being run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["sample"]


def sample(model: nn.Module, otherwise: Tensor | None = None) -> Tensor:
    """A tensor of the floating-point type, and on the device, that a network works with.

    Args:
        model: The network.
        otherwise: What to return for a network without floating-point parameters; a float32 scalar if None.

    Returns:
        Its first floating-point parameter.

    Example:
        >>> sample(nn.Conv2d(3, 4, 3).double()).dtype
        torch.float64
    """
    fallback = torch.zeros(()) if otherwise is None else otherwise
    return next((tensor for tensor in model.parameters() if tensor.is_floating_point()), fallback)
