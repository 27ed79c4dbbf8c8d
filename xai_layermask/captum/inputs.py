"""Arguments of Captum's `attribute`, checked and split by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..maskings import as_presence, split_presence
from ..segments import Segments, check_segments, patches

__all__ = [
    "OneTarget",
    "Target",
    "as_extras",
    "as_present",
    "as_segments",
    "as_targets",
    "refuse_baselines",
    "select_target",
]

OneTarget = int | tuple[int, ...] | None
Target = OneTarget | list[int] | list[tuple[int, ...]] | Tensor
_PATCHES = 14  # along the longer side without a feature mask: 16 pixels each on 224


def as_segments(feature_mask: object, image: Tensor, by_channel: bool = False) -> list[Segments]:
    """The segments of each image.

    Args:
        feature_mask: Integers `(H, W)`, `(N, H, W)`, `(N, 1, H, W)` or, for segments of single channels,
            `(N, C, H, W)`; N is the number of images or 1. None for square patches.
        image: `(N, C, H, W)`.
        by_channel: Whether ids may differ between channels.

    Returns:
        For each image int64 `(H, W)`, or `(C, H, W)` if the ids differ between channels: 0..K-1 in the order of the
        given ids.

    Raises:
        InputError: If the shape does not fit, or the ids are not at least two non-negative integers.

    Example:
        >>> import torch
        >>> as_segments(torch.tensor([[[[5, 9], [9, 9]]]]), torch.zeros(1, 3, 2, 2))
        [array([[0, 1],
               [1, 1]])]
    """
    count, channels, height, width = image.shape
    if feature_mask is None:
        side = -(-max(height, width) // _PATCHES)
        return [patches(np.zeros((height, width, 3), np.uint8), side)] * count
    ids = np.asarray(feature_mask.detach().cpu() if isinstance(feature_mask, Tensor) else feature_mask)
    shape = ids.shape
    if ids.ndim == 4 and (ids == ids[:, :1]).all():
        ids = ids[:, 0]
    if ids.ndim == 2:
        ids = ids[None]
    differ = by_channel and ids.ndim == 4 and ids.shape[1] == channels
    if not (differ or ids.ndim == 3) or len(ids) not in (1, count) or ids.shape[-2:] != (height, width):
        otherwise = f"({count}, {channels}, {height}, {width})" if by_channel else "the same for all channels,"
        raise InputError.expected(
            f"({height}, {width}) or ({count}, 1, {height}, {width}), {'or ' * by_channel}{otherwise} for feature_mask",
            str(shape),
        )
    flat = (height * channels if differ else height, width)
    maps = [check_segments(one.reshape(flat), flat).reshape(one.shape) for one in ids]
    return maps * count if len(maps) == 1 else maps


def as_targets(target: Target, count: int) -> list[OneTarget]:
    """The target of each of `count` images.

    Raises:
        InputError: If it is not an index, a tuple of indices, or one of these for each image.

    Example:
        >>> import torch
        >>> as_targets(3, 2), as_targets(torch.tensor([3, 4]), 2), as_targets((0, 1), 1)
        ([3, 3], [3, 4], [(0, 1)])
    """
    given: Any = target.tolist() if isinstance(target, Tensor) else target
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    targets = given if isinstance(given, list) else [given] * count
    if len(targets) != count or not all(one is None or _is_index(one) for one in targets):
        raise InputError.expected(
            f"an index, a tuple of indices, or a list of one for each of {count} images for target",
            repr(target),
            "pass for example target=281",
        )
    return list(targets)


def _is_index(target: object) -> bool:
    numbers = target if isinstance(target, tuple) else (target,)
    return all(isinstance(number, int | np.integer) and not isinstance(number, bool) for number in numbers)


def as_extras(extras: object, count: int) -> list[tuple[Any, ...]]:
    """The additional arguments of each of `count` images.

    Args:
        extras: A tuple of arguments, or a single one; None for none. A tensor with dimensions has a row for each
            image; everything else is the same for all.
        count: Number of images.

    Returns:
        For each image its arguments, tensors cut to one row.

    Raises:
        InputError: If a tensor has another number of rows.

    Example:
        >>> import torch
        >>> as_extras((torch.tensor([7, 8]), "same"), 2)
        [(tensor([7]), 'same'), (tensor([8]), 'same')]
    """
    given = () if extras is None else extras if isinstance(extras, tuple) else (extras,)
    by_image = [isinstance(value, Tensor) and value.dim() > 0 for value in given]
    for value, cut in zip(given, by_image, strict=True):
        if cut and len(value) != count:
            raise InputError.expected(
                f"one row for each of {count} images in additional_forward_args", f"{len(value)} rows"
            )
    return [
        tuple(value[i : i + 1] if cut else value for value, cut in zip(given, by_image, strict=True))
        for i in range(count)
    ]


def as_present(image: Tensor, presence: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Images, and which of their pixels are present from the start.

    Args:
        image: `(N, C, H, W)`; with C = 4 and no presence, the last channel is the presence.
        presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`.

    Returns:
        Images `(N, C, H, W)` and bool `(N, 1, H, W)`; None if all pixels are present.

    Raises:
        InputError: If the presence does not fit, or there are several for one image.
    """
    if presence is None:
        return split_presence(image) if image.shape[1] == 4 else (image, None)
    present = as_presence(presence, image)
    if len(present) != len(image):
        raise InputError.expected(
            f"one presence for each of {len(image)} images", f"{len(present)}", "repeat the image for each presence"
        )
    return image, present


def refuse_baselines(baselines: object) -> None:
    """Check that no baseline is given that would be painted over absent segments.

    Raises:
        InputError: If `baselines` is neither None nor 0.

    Example:
        >>> refuse_baselines(281)
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected None or 0 for baselines, since absent segments are removed and not \
painted, got 281: pass a class as target=281, or explain Fill(model, colour)
    """
    given = baselines[0] if isinstance(baselines, tuple) and len(baselines) == 1 else baselines
    zero = bool((given == 0).all()) if isinstance(given, Tensor) else given is None or given == 0
    if not zero or isinstance(given, bool):
        index = isinstance(given, int | np.integer) and not isinstance(given, bool)
        raise InputError.expected(
            "None or 0 for baselines, since absent segments are removed and not painted",
            repr(given) if isinstance(given, int | float | str) else type(given).__name__,
            (f"pass a class as target={given}, or " if index else "") + "explain Fill(model, colour)",
        )


def select_target(output: object, target: OneTarget, rows: int) -> Tensor:
    """Select the explained number from each row of a model's output.

    Args:
        output: `(rows, ...)`.
        target: The index within a row; None if there is only one number.
        rows: Number of coalitions passed to the model.

    Returns:
        `(rows,)`.

    Raises:
        InputError: If the output is not such a tensor, or the target is not in it.

    Example:
        >>> import torch
        >>> select_target(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, 2)
        tensor([2., 4.])
    """
    if not isinstance(output, Tensor) or output.dim() == 0 or len(output) != rows:
        raise InputError.expected(
            f"a tensor ({rows}, ...) from the model for {rows} samples",
            f"{tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__,
            "wrap it in a module that returns one row for each image",
        )
    index: tuple[int, ...] = () if target is None else target if isinstance(target, tuple) else (target,)
    sizes = tuple(output.shape[1:])
    if len(index) == len(sizes) and all(-size <= i < size for i, size in zip(index, sizes, strict=True)):
        whole: tuple[Any, ...] = (slice(None), *index)
        return output[whole]
    if target is None and output.numel() == rows:
        return output.reshape(rows)
    raise InputError.expected(
        f"the index of one number of each output of shape {sizes} for target", repr(target)
    )
