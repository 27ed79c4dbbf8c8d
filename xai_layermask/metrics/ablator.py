"""`Ablator`: the masking with which metrics remove segments, and its probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.batching import batched_predict
from ..errors import InputError
from ..maskings import Masking, as_image
from ..models import Output
from .inputs import Floats

__all__ = ["Ablator", "as_ablator", "as_picture", "probabilities"]


class Ablator(Protocol):
    """A masking: it has a name, and predicts logits for the present part of an image."""

    @property
    def name(self) -> str:
        """The masking's name in results."""
        ...

    def __call__(self, image: Tensor, presence: Tensor) -> Any:
        """Logits `(N, classes)` for images `(1 or N, 3, H, W)` under presence `(N, 1, H, W)`."""
        ...


def as_ablator(masking: Ablator) -> Ablator:
    """Check that `masking` is an ablator.

    Raises:
        InputError: If it cannot be called, or has no name.

    Example:
        >>> as_ablator("grey")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a callable of image and presence with a name for masking, got str: \
pass for example LayerMask(model)
    """
    if not callable(masking) or not isinstance(getattr(masking, "name", None), str):
        raise InputError.expected(
            "a callable of image and presence with a name for masking",
            type(masking).__name__,
            "pass for example LayerMask(model)",
        )
    return masking


def as_picture(image: object, shape: tuple[int, ...]) -> Tensor:
    """Check that images `(N, 3, H, W)` have the (H, W) of the segments.

    Raises:
        InputError: If it is not a batch of images, or of another size.
    """
    checked = as_image(image)
    if tuple(checked.shape[2:]) != tuple(shape):
        raise InputError.expected(
            f"segments of the image's size {checked.shape[2]}x{checked.shape[3]}",
            "x".join(map(str, shape)),
            "segment the picture after resizing and cropping it",
        )
    return checked


def probabilities(
    masking: Ablator, image: Tensor, presence_of: Callable[[npt.NDArray[np.int64]], Tensor], count: int, batch_size: int
) -> Floats:
    """Class probabilities under `count` presence masks, made and evaluated in batches.

    Args:
        masking: The masking.
        image: `(1, 3, H, W)`, the same for all masks, or `(count, 3, H, W)`, one for each.
        presence_of: Maps indices of masks `(M,)` to presence, bool `(M, 1, H, W)`.
        count: Number of masks.
        batch_size: Masks per forward pass.

    Returns:
        float64 `(count, classes)`.

    Raises:
        InputError: If the masking does not return logits or probabilities `(N, classes)`, or one is NaN.
    """
    output = Output("probability")

    def predict(places: npt.NDArray[np.int64]) -> Tensor:
        shown = image if image.shape[0] == 1 else image[torch.from_numpy(places).to(image.device)]
        found = output.tensor(masking(shown, presence_of(places).to(image.device)), len(places))
        if found.dim() != 2:
            raise InputError.expected(
                f"logits ({len(places)}, classes) from masking",
                "x".join(map(str, found.shape)),
                "wrap the model so that it returns its logits",
            )
        return found.cpu()

    with torch.no_grad():
        found = batched_predict(predict, np.arange(count), batch_size)[0]
        ends = isinstance(masking, Masking) and masking.ends_in_probabilities(image[:1], output)
    values: Floats = output.decide(found, ends)(found).numpy()
    if np.isnan(values).any():
        raise InputError.expected("probabilities from masking", "NaN", "check the model's weights and its images")
    return values
