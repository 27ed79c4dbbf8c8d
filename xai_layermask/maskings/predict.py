"""Probabilities of pictures, with transparency as absence."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..engine.batching import batched_predict
from ..engine.runtime import first_parameter
from ..errors import InputError, refuse_masked
from ..images import Picture, Preprocess, Transform, wrong_channels
from ..models import Output, Scale
from .presence import as_presence

if TYPE_CHECKING:
    from .base import Masking

__all__ = ["as_pictures", "predict_proba"]


def predict_proba(
    masking: Masking,
    images: npt.ArrayLike | Tensor,
    presence: npt.ArrayLike | Tensor | None,
    preprocess: Preprocess | Transform,
    additional: tuple[Any, ...] = (),
    output: Output = Output(),  # noqa: B008, frozen
) -> npt.NDArray[np.floating[Any]]:
    """The method [`predict_proba`][xai_layermask.maskings.base.Masking.predict_proba] of maskings.

    Args:
        masking: The masking.
        images: As [`as_pictures`][] takes them; for a preprocessing of rasters as it takes them.
        presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`, or None.
        preprocess: Normalises the pictures.
        additional: Further inputs of the model. A tensor with as many rows as there are images is cut with them.
        output: Which tensor of the model's output is returned, and on which scale.
    """
    like = first_parameter(masking.model)
    if isinstance(preprocess, Preprocess) and preprocess.is_raster:
        image, shown = _as_rasters(images, preprocess)
    else:
        pictures, shown = as_pictures(images)
        image = torch.cat([preprocess.normalize(picture) for picture in pictures])
    if presence is not None:
        extra = presence if isinstance(presence, Tensor) else torch.from_numpy(np.array(presence))
        shown = shown & as_presence(extra.to(shown.device), image)
    whole = bool(shown.all()) and image.shape[1] != 4  # four channels without a presence would be three and theirs
    image, shown = image.to(like), shown.to(like.device)

    def inputs(rows: Tensor) -> list[Any]:
        return [_cut(one, rows, len(image)) for one in additional]

    def predict(rows: Tensor) -> Tensor:
        part = image if len(image) == 1 else image[rows]
        try:
            answer = masking(part, None if whole else shown[rows], *inputs(rows))
        except RuntimeError as error:
            wrong = wrong_channels(error, image.shape[1])
            if wrong is None:
                raise
            raise wrong from error
        return output.tensor(answer, len(rows))

    with torch.no_grad():
        # Where everything is present, a single picture is predicted once for all presences.
        rows = torch.arange(len(image) if whole else len(shown), device=like.device)
        found = batched_predict(predict, rows, len(rows))[0]
        first = rows[:1]
        scale = masking.scale_of(found, image[:1], output, tuple(inputs(first)))
    values = _columns(scale, found)
    if len(image) == 1:
        values = values.expand(len(shown), -1)
    numbers: npt.NDArray[np.floating[Any]] = values.float().numpy()
    return numbers


def _columns(scale: Scale, output: Tensor) -> Tensor:
    """Numbers `(N, K)`; of one probability that of the other class, too."""
    values = scale(output)
    if values.dim() == 1:
        values = values[:, None]
    if values.dim() != 2:
        raise InputError.expected(
            "an output (N, K) of the model", tuple(output.shape), "pass output=Output(select=...), a function to one"
        )
    single = values.shape[1] == 1 and scale.name in ("probability", "sigmoid")
    return torch.cat([1 - values, values], dim=1) if single else values


def _as_rasters(images: Any, preprocess: Preprocess) -> tuple[Tensor, Tensor]:
    """Rasters of the model's size as images and their presence."""
    as_it_is = replace(preprocess, resize=None, crop=None)
    found = [as_it_is.prepare(one) for one in images]
    everywhere = torch.ones(1, 1, *found[0].picture.shape[:2], dtype=torch.bool)
    shown = [everywhere if one.present is None else torch.from_numpy(one.present)[None, None] for one in found]
    return torch.cat([one.tensor for one in found]), torch.cat(shown)


def _cut(one: Any, rows: Tensor, images: int) -> Any:
    per_image = images > 1 and isinstance(one, Tensor) and one.dim() > 0 and len(one) == images
    return one[rows.to(one.device)] if per_image else one


def as_pictures(images: npt.ArrayLike | Tensor) -> tuple[Picture, Tensor]:
    """Separate pictures from their transparency.

    Args:
        images: An array or tensor `(N, H, W, 3)` or `(N, H, W, 4)`, or with channels first (taken as last where both
            are possible); uint8, or floats from 0 to 1. The fourth channel is alpha: 0 is absent, anything else
            present.

    Returns:
        The pictures, uint8 `(N, H, W, 3)`, and their presence, bool `(N, 1, H, W)`.

    Raises:
        InputError: If they are not pictures.

    Example:
        >>> pictures, presence = as_pictures(np.full((1, 2, 2, 4), 0.2))
        >>> pictures.shape, pictures.max().item(), presence.all().item()
        ((1, 2, 2, 3), 51, True)
    """
    for one in images if isinstance(images, list | tuple) else [images]:
        refuse_masked(one, "images")
    if isinstance(images, Tensor):
        images = images.detach().cpu()
        images = images.float() if images.dtype == torch.bfloat16 else images  # numpy has no bfloat16
    array = np.asarray(images)
    if array.ndim == 4 and array.shape[3] not in (3, 4) and array.shape[1] in (3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (3, 4) or 0 in array.shape:
        raise InputError.expected(
            "pictures (N, H, W, 3) or (N, H, W, 4) for images", f"{array.dtype} {array.shape}",
            "pass a batch, such as picture[None]",
        )  # fmt: skip
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # false for NaN, too
            raise InputError.expected(
                "uint8 or floats from 0 to 1 for images", f"values from {array.min():g} to {array.max():g}",
                "pass pictures before they are normalised",
            )  # fmt: skip
        shown = array[..., 3:] > 0
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == np.uint8:
        shown = array[..., 3:] > 0
    else:
        raise InputError.expected("uint8 or floats from 0 to 1 for images", array.dtype)
    alpha = shown if array.shape[3] == 4 else np.ones((*array.shape[:3], 1), bool)
    return array[..., :3], torch.from_numpy(np.ascontiguousarray(alpha.transpose(0, 3, 1, 2)))
