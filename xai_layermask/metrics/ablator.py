"""What the metrics ask: maskings, whose answers are checked here and turned into probabilities."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..engine.runtime import batched_predict
from ..errors import InputError
from ..maskings import as_image
from .inputs import Floats, Integers

__all__ = ["Ablator", "as_ablator", "as_picture", "probabilities"]


class Ablator(Protocol):
    """Any masking: it has a name, and answers for a part of an image with the model's logits."""

    @property
    def name(self) -> str:
        """The masking's name in results."""
        ...

    def __call__(self, image: Tensor, presence: Tensor) -> Any:
        """Answer for `image` (1 or N, 3, H, W) under `presence` (N, 1, H, W) with logits (N, classes)."""
        ...


def as_ablator(masking: Ablator) -> Ablator:
    """Check that something can remove segments.

    Args:
        masking: A `LayerMask`, a `Fill`, or any callable of image and presence with a `name`.

    Returns:
        The same object.

    Raises:
        InputError: If it cannot be called, or has no name for the result to carry.

    Example:
        >>> as_ablator("grey")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: masking must be callable with image and presence and have a name, \
but str came: pass for example LayerMask(model).
    """
    if not callable(masking) or not isinstance(getattr(masking, "name", None), str):
        raise InputError(
            "masking must be callable with image and presence and have a name, but "
            f"{type(masking).__name__} came: pass for example LayerMask(model)."
        )
    return masking


def as_picture(image: object, shape: tuple[int, ...]) -> Tensor:
    """Check that an image batch and the segments have the same height and width.

    Args:
        image: Float tensor `(N, 3, H, W)`, normalised as the model wants it.
        shape: The (H, W) of the segments.

    Returns:
        The same tensor.

    Raises:
        InputError: If it is no image batch, or of another size.

    Example:
        >>> as_picture(torch.zeros(1, 3, 4, 6), (4, 6)).shape
        torch.Size([1, 3, 4, 6])
    """
    checked = as_image(image)
    if tuple(checked.shape[2:]) != tuple(shape):
        raise InputError(
            f"segments must cover the image of {checked.shape[2]}x{checked.shape[3]} pixels, but "
            f"{'x'.join(map(str, shape))} came: segment the picture after it was resized and cropped."
        )
    return checked


def probabilities(masking: Ablator, image: Tensor, presence: Tensor, batch_size: int) -> Floats:
    """Ask a masking for class probabilities, a few presences at a time and without gradients.

    Args:
        masking: The masking.
        image: `(1, 3, H, W)`, shown under every presence, or `(N, 3, H, W)`, each under its own.
        presence: Bool `(N, 1, H, W)`.
        batch_size: How many presences go into one call.

    Returns:
        The softmax of the logits, float64 `(N, classes)`.

    Raises:
        InputError: If the masking answers with anything but logits `(N, classes)`.
    """
    def predict(rows: Integers) -> Floats:
        part = presence[torch.from_numpy(rows)].to(image.device)
        shown = image if image.shape[0] == 1 else image[torch.from_numpy(rows).to(image.device)]
        logits = masking(shown, part)
        if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != len(rows):
            got = "x".join(map(str, logits.shape)) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError.expected(f"logits ({len(rows)}, classes) from the masking", got, "return the logits alone")
        # Not every accelerator has float64.
        return np.asarray(logits.detach().cpu().double().softmax(-1).numpy())

    with torch.no_grad():
        return batched_predict(predict, np.arange(len(presence)), batch_size)[0]
