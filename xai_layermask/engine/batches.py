"""How many pictures go through a network at once."""

from __future__ import annotations

import torch

__all__ = ["usual_batch"]

# Pixels in a batch: 8 pictures of 224 x 224 on a processor, where larger activations take memory anew for every
# operator, and 64 on an accelerator.
_PIXELS, _PIXELS_ELSEWHERE = 8 * 224 * 224, 64 * 224 * 224
_MOST = 256


def usual_batch(height: int, width: int, device: torch.device) -> int:
    """How many pictures of `height` x `width` pixels go through a model at once where nobody says.

    Args:
        height: In pixels.
        width: In pixels.
        device: Where the model is.

    Returns:
        At least 1.

    Example:
        >>> usual_batch(224, 224, torch.device("cpu"))
        8
    """
    pixels = _PIXELS if device.type == "cpu" else _PIXELS_ELSEWHERE
    return max(1, min(_MOST, pixels // (height * width)))
