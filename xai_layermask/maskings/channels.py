"""Fills of single channels, each with a presence of its own."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

__all__ = ["fill_each_channel"]


def fill_each_channel(fill: Callable[[Tensor, Tensor], Tensor], image: Tensor, presence: Tensor) -> Tensor:
    """Fill each channel from its own present pixels.

    Args:
        fill: Fills an image `(N, C, H, W)` where its presence, bool `(N, 1, H, W)`, is absent.
        image: `(N, C, H, W)`, or one for all presences.
        presence: Bool `(N, C, H, W)`.

    Returns:
        `(N, C, H, W)`, a new tensor.

    Example:
        >>> import torch
        >>> from xai_layermask.engine.dense import neighbor_padding
        >>> image = torch.tensor([[[[1.0, 9.0]], [[9.0, 2.0]]]])
        >>> presence = torch.tensor([[[[True, False]], [[False, True]]]])
        >>> fill_each_channel(neighbor_padding, image, presence).tolist()
        [[[[1.0, 1.0]], [[2.0, 2.0]]]]
    """
    filled = image.expand_as(presence).clone()
    for channel in (~presence).amax(dim=(0, 2, 3)).nonzero().flatten().tolist():
        one = slice(channel, channel + 1)
        filled[:, one] = fill(filled[:, one].clone(), presence[:, one])
    return filled
