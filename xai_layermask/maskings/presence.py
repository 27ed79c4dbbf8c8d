"""Presence: which pixels of an image are present (1) and which are absent (0).

An absent pixel is a transparent pixel: [`with_presence`][] carries presence as a fourth channel.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual

from ..errors import InputError

__all__ = ["as_image", "as_presence", "check_untransformed", "present_part", "split_presence", "with_presence"]

#: The integer dtype as wide as a floating-point one of so many bytes.
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


def as_image(image: object, channels: int | None = None) -> Tensor:
    """Check a batch of images.

    Args:
        image: A floating-point tensor `(N, C, H, W)`.
        channels: How many channels it must have; any number if None.

    Returns:
        The same tensor.

    Raises:
        InputError: If it is something else, or has no pixels.

    Example:
        >>> as_image(torch.zeros(3, 8, 8))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected a tensor (N, C, H, W) for image, got (3, 8, 8): add a batch \
dimension with image[None]
    """
    wanted = f"a tensor (N, {channels or 'C'}, H, W) for image"
    if not isinstance(image, Tensor):
        raise InputError.expected(wanted, type(image).__name__, "convert a picture with Preprocess")
    if image.dim() == 3:
        raise InputError.expected(wanted, tuple(image.shape), "add a batch dimension with image[None]")
    if image.dim() != 4 or channels not in (None, image.shape[1]) or 0 in image.shape:
        raise InputError.expected(wanted, tuple(image.shape), "no side may be empty" if 0 in image.shape else "")
    if not image.is_floating_point():
        raise InputError.expected("a floating-point image", image.dtype, "normalise it with Preprocess")
    return image


def as_presence(presence: object, image: Tensor, by_channel: bool = False) -> Tensor:
    """Check that presence fits an image, and make it boolean.

    Args:
        presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`; also `(H, W)` and `(N, H, W)`.
        image: `(N, C, H, W)`. Either may have a batch of one where the other has more.
        by_channel: Whether the presence may also be one of each channel, broadcastable to `(N, C, H, W)`.

    Returns:
        Bool `(M, 1, H, W)`, or `(M, C, H, W)` by channel, on the image's device, with M the larger of the two batch
        sizes.

    Raises:
        InputError: If the shape does not fit, or a value is neither 0 nor 1.

    Example:
        >>> as_presence(torch.ones(8, 8), torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 1, 8, 8])
        >>> as_presence(torch.full((8, 8), 0.5), torch.zeros(2, 3, 8, 8))
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected only 0 and 1 in presence, got 0.5: threshold it, for example \
presence > 0.5
    """
    batch, bands, height, width = image.shape
    wanted = f"a tensor broadcastable to ({batch}, 1, {height}, {width}) for presence"
    if not isinstance(presence, Tensor):
        raise InputError.expected(wanted, type(presence).__name__, "convert it with torch.as_tensor")
    mask = presence.unsqueeze(1) if presence.dim() == 3 else presence
    mask = mask[(None,) * max(4 - mask.dim(), 0)]
    fits = mask.dim() == 4 and (mask.shape[0] in (1, batch) or (batch == 1 and len(mask)))
    sides = zip(mask.shape[1:], (bands if by_channel else 1, height, width), strict=False)
    if not fits or any(have not in (1, want) for have, want in sides):
        rule = f"or one for each of the {bands} channels" if by_channel else "the same for all channels"
        raise InputError.expected(wanted, tuple(presence.shape), f"give one value per pixel, {rule}")
    mask = _binary(mask, "presence", "threshold it, for example presence > 0.5")
    return mask.to(image.device).expand(max(batch, mask.shape[0]), -1, height, width)


def check_untransformed(what: str, *tensors: Tensor | None) -> None:
    """Refuse tensors that a transform of `torch.func` or forward-mode differentiation wraps.

    Raises:
        InputError: If one of them is wrapped.
    """
    for tensor in tensors:
        if tensor is None or tensor.is_inference():
            continue
        tangent = unpack_dual(tensor).tangent  # type: ignore[no-untyped-call]
        if torch._C._functorch.is_functorch_wrapped_tensor(tensor) or tangent is not None:
            raise InputError.expected(
                f"ordinary tensors for {what}", "one of torch.func or of forward-mode differentiation",
                "differentiate with torch.autograd.grad, and pass batches without vmap",
            )  # fmt: skip


def _binary(mask: Tensor, what: str, remedy: str) -> Tensor:
    if mask.dtype == torch.bool:
        return mask
    kept = mask != 0
    others = mask[kept & (mask != 1)]
    if len(others):
        raise InputError.expected(f"only 0 and 1 in {what}", others[0].item(), remedy)
    return kept


def present_part(image: Tensor, presence: Tensor) -> Tensor:
    """The image, zeroed where absent, whatever it holds there.

    Args:
        image: `(N, C, H, W)`.
        presence: Bool `(M, 1, H, W)` or `(M, C, H, W)`; either may have a batch of one where the other has more.

    Returns:
        A fresh tensor, in the memory layout of `image`.

    Example:
        >>> presence = torch.tensor([[[[True, False]]]])
        >>> present_part(torch.tensor([[[[2.0, float("nan")]]]]), presence).tolist()
        [[[[2.0, 0.0]]]]
    """
    bits = _BITS.get(image.element_size())
    if bits is None or (image.requires_grad and torch.is_grad_enabled()):
        return torch.where(presence, image, image.new_zeros(()))
    # Multiplying the bits by 0 or 1 is exact for any number, NaN included, and several times faster than where.
    return (image.view(bits) * presence).view(image.dtype)


def with_presence(image: Tensor, presence: Tensor | None = None) -> Tensor:
    """Append presence to an image as its last channel, for libraries that perturb images.

    Where such a library sets a pixel to 0 in all channels, the pixel is absent.

    Args:
        image: `(N, 3, H, W)`, normalised as the model wants it.
        presence: As [`as_presence`][] takes it; all present if None.

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
    """Separate an image from the presence in its last channel.

    Args:
        carrier: `(N, 4, H, W)` as [`with_presence`][] makes it.

    Returns:
        The image `(N, 3, H, W)` and its presence, bool `(N, 1, H, W)`.

    Raises:
        InputError: If the shape does not fit, or the last channel is not binary.

    Example:
        >>> image, presence = split_presence(with_presence(torch.zeros(1, 3, 2, 2)))
        >>> presence.all().item()
        True
    """
    carrier = as_image(carrier, channels=4)
    image = carrier[:, :-1]
    remedy = "use with_presence, or pass presence separately if the network itself takes 4 channels"
    return image, as_presence(_binary(carrier[:, -1:], "presence, the last of 4 channels", remedy), image)
