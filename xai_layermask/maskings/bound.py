"""`Bound`: a masking with its image fixed, which leaves presence as the only input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..engine.batches import usual_batch
from ..errors import InputError
from .presence import as_image

if TYPE_CHECKING:
    from .base import Masking

__all__ = ["Bound"]


class Bound:
    """A masking with its image fixed: a function of presence alone, which any perturbation method can perturb.

    Args:
        masking: The masking to ask.
        image: `(B, C, H, W)`. With several images, presence batches of `B * R` are taken in the order
            image 1 to B, then 1 to B again, which is how Captum repeats its inputs; `index` says it otherwise.

    Attributes:
        presence: Ones `(B, 1, H, W)` in the image's dtype, the input to explain.
        index: `(B,)`, 0 to B-1: the image that each of `presence` belongs to. With several images, hand it to
            Captum as `additional_forward_args=bound.index`: `Lime` and `KernelShap` take them out of their batch.
    """

    def __init__(self, masking: Masking, image: Tensor) -> None:
        self.masking = masking
        self.image = as_image(image)
        self.presence = image.new_ones(image.shape[0], 1, *image.shape[2:])
        self.index = torch.arange(image.shape[0], device=image.device)

    def __call__(self, presence: Tensor, index: Tensor | None = None) -> Any:
        """Answer for presence `(M, 1, H, W)` or `(M, H, W)`, bool or 0/1, with logits `(M, K)`.

        Args:
            presence: Which pixels are there.
            index: `(M,)` or a single one, the image that each presence belongs to; if None, they come in the
                images' own order, and must be the same for every image: otherwise nobody can tell whose they are.

        Raises:
            InputError: If presence or index do not fit, or it is not clear which image a presence belongs to.
        """
        image, images = self.image, len(self.image)
        if isinstance(presence, Tensor) and presence.dim() == 3:
            presence = presence[:, None]
        count = presence.shape[0] if isinstance(presence, Tensor) and presence.dim() == 4 else images
        if index is not None:
            image = image[self._checked(index, count)]
        elif images > 1:
            if not count or count % images or not _repeated(presence, images):
                raise InputError(
                    f"presence must say which of the {images} bound images it belongs to, but a batch of {count} "
                    "presences came: pass bound.index along, in Captum as additional_forward_args."
                )
            image = image.repeat(count // images, 1, 1, 1)
        return self._answer(image, presence)

    def _answer(self, image: Tensor, presence: Tensor) -> Any:
        """Go through a large batch in slices that suit the processor: larger ones take more time for each image."""
        size = usual_batch(image.shape[2], image.shape[3], image.device)
        count = presence.shape[0] if isinstance(presence, Tensor) and presence.dim() == 4 else 1
        if image.device.type != "cpu" or count <= size:
            return self.masking(image, presence)
        answers = []
        for start in range(0, count, size):
            part = slice(start, start + size)
            answers.append(self.masking(image[part] if len(image) > 1 else image, presence[part]))
            if not isinstance(answers[0], Tensor) or answers[0].shape[:1] != (size,):
                return self.masking(image, presence)  # not an answer for each image, which could be put together
        return torch.cat(answers)

    def _checked(self, index: Tensor, count: int) -> Tensor:
        images = len(self.image)
        whole = isinstance(index, Tensor) and not index.is_floating_point() and index.dtype != torch.bool
        if not whole or index.shape not in ((count,), ()) or not ((index >= 0) & (index < images)).all():
            came = f"{index.dtype} {tuple(index.shape)}" if isinstance(index, Tensor) else repr(index)
            raise InputError(
                f"index must hold one integer from 0 to {images - 1} for each of {count} presences, but {came} "
                "came: pass bound.index along, as Captum repeats it."
            )
        chosen: Tensor = index.to(self.image.device).expand(count)
        return chosen


def _repeated(presence: Tensor, images: int) -> bool:
    if not isinstance(presence, Tensor) or presence.dim() != 4:
        return True  # one for all, or nothing that passes the check of presence
    groups = presence.reshape(-1, images, *presence.shape[1:])
    return bool((groups == groups[:, :1]).all())
