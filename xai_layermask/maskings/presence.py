"""Presence: which pixels an image has, and how that knowledge travels with it.

Presence is a mask with 1 for a pixel that is there and 0 for one that is missing. This module is the only place that
validates it. A missing pixel is a transparent pixel: [`with_presence`][] carries presence as a fourth channel.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["as_image", "as_presence", "present_part", "split_presence", "with_presence"]

#: Whole numbers as wide as a floating-point one of so many bytes.
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a scalar"


def as_image(image: object, channels: int | None = None) -> Tensor:
    """Check that `image` is a batch of images.

    Args:
        image: What the caller gave; expected is a floating-point tensor `(N, C, H, W)`.
        channels: How many channels it must have; any number if None.

    Returns:
        The same tensor.

    Raises:
        InputError: If it is no floating-point tensor of that shape, or has no pixels.

    Example:
        >>> as_image(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 3, 8, 8])
        >>> as_image(torch.zeros(3, 8, 8))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: image must be a tensor of shape (N, C, H, W), but 3x8x8 came: \
add a batch dimension with image[None].
    """
    wanted = f"image must be a tensor of shape (N, {channels or 'C'}, H, W)"
    if not isinstance(image, Tensor):
        raise InputError(
            f"{wanted}, but {type(image).__name__} came: turn a picture into one with Preprocess."
        )
    if image.dim() == 3:
        raise InputError(f"{wanted}, but {_shape(image)} came: add a batch dimension with image[None].")
    if image.dim() != 4 or channels not in (None, image.shape[1]) or 0 in image.shape:
        raise InputError(
            f"{wanted} with no empty side, but {_shape(image)} came: give a batch of normalised images."
        )
    if not image.is_floating_point():
        raise InputError(
            f"image must hold floating-point numbers, but {image.dtype} came: normalise it with Preprocess first."
        )
    return image


def as_presence(presence: object, image: Tensor) -> Tensor:
    """Check that `presence` fits `image`, and make it boolean.

    Args:
        presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`; `(H, W)` and `(N, H, W)` are taken as well.
        image: `(N, C, H, W)`. One of the two may have a batch of one where the other has more.

    Returns:
        Bool `(M, 1, H, W)` on the image's device, with M the larger of the two batch sizes.

    Raises:
        InputError: If the shape does not fit, or a value is neither 0 nor 1.

    Example:
        >>> as_presence(torch.ones(8, 8), torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
        >>> as_presence(torch.full((8, 8), 0.5), torch.zeros(2, 3, 8, 8))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: presence must hold only 0 and 1, but 0.5 came: \
threshold it first, for example presence > 0.5.
    """
    batch, _, height, width = image.shape
    if not isinstance(presence, Tensor):
        raise InputError(
            f"presence must be a tensor broadcastable to ({batch}, 1, {height}, {width}), but "
            f"{type(presence).__name__} came: wrap it with torch.as_tensor."
        )
    mask = presence.unsqueeze(1) if presence.dim() == 3 else presence
    mask = mask[(None,) * max(4 - mask.dim(), 0)]
    fits = mask.dim() == 4 and (mask.shape[0] in (1, batch) or (batch == 1 and len(mask)))
    sides = zip(mask.shape[1:], (1, height, width), strict=False)
    if not fits or any(have not in (1, want) for have, want in sides):
        raise InputError(
            f"presence must be broadcastable to ({batch}, 1, {height}, {width}), but {_shape(presence)} came: "
            "give one value for each pixel, the same for all channels."
        )
    mask = _binary(mask, "presence", "threshold it first, for example presence > 0.5.")
    return mask.to(image.device).expand(max(batch, mask.shape[0]), 1, height, width)


def _binary(mask: Tensor, what: str, hint: str) -> Tensor:
    if mask.dtype == torch.bool:
        return mask
    kept = mask != 0
    strange = mask[kept & (mask != 1)]
    if len(strange):
        raise InputError(f"{what} must hold only 0 and 1, but {strange[0].item()} came: {hint}")
    return kept


def present_part(image: Tensor, presence: Tensor) -> Tensor:
    """The image with 0 wherever it is absent, whatever stands there.

    Args:
        image: `(N, C, H, W)`.
        presence: Bool `(M, 1, H, W)`, with M or N of one where the other has more.

    Returns:
        New memory, in the layout of `image`.

    Example:
        >>> presence = torch.tensor([[[[True, False]]]])
        >>> present_part(torch.tensor([[[[2.0, float("nan")]]]]), presence).tolist()
        [[[[2.0, 0.0]]]]
    """
    bits = _BITS.get(image.element_size())
    if bits is None or (image.requires_grad and torch.is_grad_enabled()):
        return torch.where(presence, image, image.new_zeros(()))
    # The bits times 0 or 1 are exact for any number, NaN included, and several times faster than a choice.
    return (image.view(bits) * presence).view(image.dtype)


def with_presence(image: Tensor, presence: Tensor | None = None) -> Tensor:
    """Append presence to an image as its last channel, the carrier for libraries that perturb an image.

    A library that sets hidden pixels to 0 in all channels of this carrier hides them by layer masking.

    Args:
        image: `(N, 3, H, W)`, normalised as the model wants it.
        presence: As [`as_presence`][] takes it; everything present if None.

    Returns:
        `(N, 4, H, W)` in the image's dtype.

    Raises:
        InputError: If image or presence do not fit.

    Example:
        >>> with_presence(torch.zeros(1, 3, 8, 8)).shape
        torch.Size([1, 4, 8, 8])
    """
    image = as_image(image)
    mask = image.new_ones(1, 1, 1, 1) if presence is None else presence
    mask = as_presence(mask, image)
    return torch.cat([image.expand(mask.shape[0], -1, -1, -1), mask.to(image.dtype)], dim=1)


def split_presence(carrier: Tensor) -> tuple[Tensor, Tensor]:
    """Take an image and its presence apart again.

    Args:
        carrier: `(N, 4, H, W)` as [`with_presence`][] makes it.

    Returns:
        The image `(N, 3, H, W)` and its presence, bool `(N, 1, H, W)`.

    Raises:
        InputError: If the shape is another, or the last channel is not binary.

    Example:
        >>> image, presence = split_presence(with_presence(torch.zeros(1, 3, 2, 2)))
        >>> presence.all().item()
        True
    """
    carrier = as_image(carrier, channels=4)
    image = carrier[:, :-1]
    hint = "make it by with_presence, or pass presence apart where the network itself takes 4 channels."
    return image, as_presence(_binary(carrier[:, -1:], "presence, the last of 4 channels,", hint), image)
