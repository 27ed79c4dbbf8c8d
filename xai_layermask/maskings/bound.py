"""`Bound`, a masking with its image fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import InputError
from .presence import as_image

if TYPE_CHECKING:
    from .base import Masking

__all__ = ["Bound", "as_extras"]


class Bound:
    """A masking with its image fixed: a function of presence, which any perturbation method can perturb.

    Args:
        masking: The masking.
        image: `(B, C, H, W)`. With several images, presences `(B * R, ...)` are taken in the order image 1 to B, then
            1 to B again, which is how Captum repeats its inputs, unless `index` says otherwise.
        additional_forward_args: Further inputs of the model, a tuple or a single one. A tensor whose first dimension
            is B has a row for each image.

    Attributes:
        presence: Ones `(B, 1, H, W)` in the image's dtype, the input to explain.
        index: `(B,)`, 0 to B-1: the image that each of `presence` belongs to. With several images, pass it to Captum
            as `additional_forward_args=bound.index`, since `Lime` and `KernelShap` explain images one at a time.
    """

    def __init__(self, masking: Masking, image: Tensor, additional_forward_args: Any = None) -> None:
        self.masking = masking
        self.image = as_image(image)
        self.additional = as_extras(additional_forward_args)
        self.presence = image.new_ones(image.shape[0], 1, *image.shape[2:])
        self.index = torch.arange(image.shape[0], device=image.device)

    def __call__(self, presence: Tensor, index: Tensor | None = None, *additional: Any) -> Any:
        """Predict for presences in one batch.

        Args:
            presence: `(M, 1, H, W)` or `(M, H, W)`, bool or 0/1.
            index: `(M,)` or a single one, the image that each presence belongs to. If None, presences come in the
                order of the images, and must be the same for all images of a round.
            additional: Further inputs of the model for these presences, tensors with M rows; those that are bound if
                none are given.

        Returns:
            Logits `(M, K)`.

        Raises:
            InputError: If presence or index do not fit, or it is ambiguous which image a presence belongs to.
        """
        image, images = self.image, len(self.image)
        if isinstance(presence, Tensor) and presence.dim() == 3:
            presence = presence[:, None]
        count = presence.shape[0] if isinstance(presence, Tensor) and presence.dim() == 4 else images
        rows = None
        if index is not None:
            rows = self._checked(index, count)
        elif images > 1:
            if not count or count % images or not _repeated(presence, images):
                raise InputError.expected(
                    f"the same presence for each of the {images} bound images, or an index", f"{count} presences",
                    "pass bound.index, in Captum as additional_forward_args",
                )  # fmt: skip
            rows = self.index.repeat(count // images)
        extras = additional or self.additional
        if rows is not None:
            image = image[rows]
            if not additional:
                extras = tuple(_row(one, rows, images) for one in extras)
        return self.masking(image, presence, *extras)

    def _checked(self, index: Tensor, count: int) -> Tensor:
        images = len(self.image)
        integers = isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool
        if not integers or index.shape not in ((count,), ()) or not ((index >= 0) & (index < images)).all():
            got = f"{index.dtype} {tuple(index.shape)}" if isinstance(index, Tensor) else repr(index)
            is_table = isinstance(index, Tensor) and index.dim() > 1
            hint = ", and further inputs of the model to bind, or after the index" if is_table else ""
            raise InputError.expected(
                f"an integer from 0 to {images - 1} for each of {count} presences for index",
                got,
                f"pass bound.index{hint}",
            )
        chosen: Tensor = index.to(self.image.device).expand(count)
        return chosen


def _row(one: Any, rows: Tensor, images: int) -> Any:
    """The rows of a further input that belong to these images."""
    per_image = isinstance(one, Tensor) and one.dim() > 0 and len(one) == images
    return one[rows.to(one.device)] if per_image else one


def as_extras(additional: Any) -> tuple[Any, ...]:
    """Further inputs as Captum takes them, a tuple or a single one; None is none."""
    if additional is None:
        return ()
    return additional if isinstance(additional, tuple) else (additional,)


def _repeated(presence: Tensor, images: int) -> bool:
    if not isinstance(presence, Tensor) or presence.dim() != 4:
        return True  # one for all images, or refused when presence is checked
    groups = presence.reshape(-1, images, *presence.shape[1:])
    return bool((groups == groups[:, :1]).all())
